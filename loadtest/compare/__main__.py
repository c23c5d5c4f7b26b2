"""Gatepost beside other proxies, scenario by scenario, in interleaved rounds.

    python3 loadtest/compare --root DIR --run DIR --bin DIR --gateway PID:PORT --plain PORT --first PORT
                             [--rounds N] [--seconds S] [--scenario NAME]... [--peer NAME]... [--idle N]

Called by `loadtest/run`, which starts the gateway and signs in. Ends with status 1 when an answer was wrong. The last line
is the result of `authenticated-h1`, where that is the only scenario.
"""
import argparse
import base64
import dataclasses
import hashlib
import hmac
import os
import secrets
import socket
import ssl
import subprocess
import sys

sys.path.insert(1, os.path.join(os.path.dirname(__file__), "..", "lib"))  # sign_in

import load
import peers
import report
import scenarios
from gateway import Gateway

@dataclasses.dataclass
class Bench:
    """Where everything is."""

    root: str
    run: str
    bin: str
    plain_port: int
    idle_connections: int
    proxy_core: int = 0
    load_core: int = 1
    jwt_secret: str = dataclasses.field(default_factory=lambda: secrets.token_hex(16))

    @property
    def chain(self):
        return f"{self.run}/certs/server.pem"

    @property
    def key(self):
        return f"{self.run}/certs/server.key"

    @property
    def authorities(self):
        return f"{self.run}/certs/dev-ca.pem"

    def __post_init__(self):
        self.first_cookie = self.cookie = f"{self.run}/cookie"

    def python_program(self, name):
        return f"{self.root}/.build/peers/bin/{name}"

    def add_token(self):
        """A JWT among the cookies, for the peer that checks one. The others carry the same bytes."""
        def b64(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
        body = b64(b'{"alg":"HS256"}') + "." + b64(b'{"sub":"alice","exp":4102444800}')
        mac = hmac.new(self.jwt_secret.encode(), body.encode(), hashlib.sha256).digest()
        with open(self.cookie, encoding="ascii") as file:
            cookie = file.readline().rstrip("\n")
        with open(self.cookie, "w", encoding="ascii") as file:
            file.write(f"{cookie}; session={body}.{b64(mac)}\n")


def offers_h2(bench, port):
    context = ssl.create_default_context(cafile=bench.authorities)
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", port), 5)
    try:
        with context.wrap_socket(plain, server_hostname=peers.HOST) as connection:
            return connection.selected_alpn_protocol() == "h2"
    except ssl.SSLError:
        return False


def check_suite(bench, peer):
    """What the measured clients negotiate: one suite and one group for all, or the comparison is none."""
    result = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{peer.port}", "-servername", peers.HOST, "-CAfile",
         bench.authorities, "-verify_return_error"],
        env=load.environment(bench), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10, check=False)
    for word in ("Cipher is TLS_AES_128_GCM_SHA256", "Server Temp Key: X25519"):
        if word not in result.stdout:
            load.fail(f"{peer.name} did not negotiate {word}", result.stdout + result.stderr)


def measure(bench, scenario, taking_part, rounds, seconds):
    """Interleaved, in an order that turns around; one short unmeasured round before them."""
    values = {peer.name: [] for peer in taking_part}
    for peer in taking_part if scenario.warms_up else []:
        scenario.take(bench, peer, 1)
    for index in range(rounds):
        order = taking_part if index % 2 == 0 else list(reversed(taking_part))
        for peer in order:
            values[peer.name].append(scenario.take(bench, peer, seconds))
            print(".", end="", flush=True)
    print()
    return values


def compare(bench, scenario, gateway, running, rounds, seconds):
    names = [*scenario.bars, *scenario.others]
    taking_part = [gateway, *(peer for peer in running if peer.name in names)]
    if scenario.needs_h2 and not offers_h2(bench, gateway.port):
        print(f"{scenario.name}: left out, the gateway offers no h2")
        return None
    there = {peer.name for peer in taking_part}
    if not set(scenario.bars) <= there:
        print(f"{scenario.name}: left out, {', '.join(set(scenario.bars) - there)} not there")
        return None
    print(f"{scenario.name}: {scenario.title}; {', '.join(sorted(there))} ", end="", flush=True)
    scenario.enter(gateway)
    try:
        values = measure(bench, scenario, taking_part, rounds, seconds)
    finally:
        scenario.leave(gateway)
    for line in report.lines_of(scenario, values):
        print(line)
    return scenario, values


def two_reactors(bench, gateway, rounds, seconds):
    """CPU per request with two reactors on two cores over one on one, as far as two cores can tell."""
    values = {"gatepost": [], "one reactor": []}
    for _ in range(rounds):
        gateway.restart(1, str(bench.proxy_core))
        values["one reactor"].append(scenarios.h1()(bench, gateway, seconds))
        gateway.restart(2, "0,1")
        values["gatepost"].append(scenarios.h1()(bench, gateway, seconds))
        print(".", end="", flush=True)
    print()
    gateway.restart(1, str(bench.proxy_core))
    scenario = scenarios.Scenario(
        "two-reactors", "two reactors on two cores (load and upstream share the second)", "µs CPU", ["one reactor"],
        [], 1.05, None)
    for line in report.lines_of(scenario, values):
        print(line)
    return scenario, values


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("--root", "--run", "--bin", "--gateway"):
        parser.add_argument(name, required=True)
    for name in ("--plain", "--first"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--idle", type=int, default=9000)
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--peer", action="append", default=[])
    return parser.parse_args()


def main():
    options = arguments()
    known = [scenario.name for scenario in scenarios.ALL] + ["two-reactors"]
    unknown = set(options.scenario) - set(known)
    if unknown:
        sys.exit(f"loadtest: no scenario {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    bench = Bench(options.root, options.run, options.bin, options.plain, options.idle)
    bench.add_token()
    for size, name in ((1, "mebibyte"), (100, "mebibytes-100")):
        with open(f"{bench.run}/{name}", "wb") as file:
            for _ in range(size):
                file.write(os.urandom(1 << 20))
    pid, _, port = options.gateway.partition(":")
    gateway = Gateway(bench, int(port), int(pid))
    wanted = [one for one in scenarios.ALL if not options.scenario or one.name in options.scenario]
    needed = {name for one in wanted for name in (*one.bars, *one.others)}
    running, results = [], []
    try:
        for number, kind in enumerate(peers.ALL):
            peer = kind(bench, options.first + number)
            if peer.name not in needed or (options.peer and peer.name not in options.peer):
                continue
            if not peer.is_there:
                print(f"{peer.name} is not installed and left out: scripts/bootstrap build bench")
                continue
            running.append(peer)
            peer.start()
        for peer in [*running, gateway]:
            check_suite(bench, peer)
        for scenario in wanted:
            taken = compare(bench, scenario, gateway, running, options.rounds, options.seconds)
            results += [taken] if taken else []
        if not options.scenario or "two-reactors" in options.scenario:
            results.append(two_reactors(bench, gateway, options.rounds, options.seconds))
    finally:
        for peer in [*running, gateway]:
            peer.stop()
    print(f"load average now {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if options.scenario == ["authenticated-h1"] and results:
        print(report.last_line(*results[0]))
        return
    print(f"\n{report.HEAD}\n" + "\n".join(report.row(*result) for result in results))


main()
