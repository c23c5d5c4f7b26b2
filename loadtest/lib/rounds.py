#!/usr/bin/env python3
"""Interleaved rounds of wrk against nginx and the gateway; CPU per request from /proc.

    rounds.py --rounds N --seconds S --run FOLDER --script LUA
              --nginx PID:PORT --gateway PID:PORT --served PORT [--core C] [--connections C]

CPU is the run time of all threads of the proxy's processes (schedstat, nanoseconds) over the requests completed; the
split into user and system is that of /proc/PID/stat. Ends with status 1 when any answer was not a 2xx.
"""
import argparse
import os
import statistics
import subprocess
import sys
import urllib.request

# Share of the time that a proxy may wait for its core before the run counts as disturbed.
CROWDED_MAX = 0.1


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def processes(pid):
    """The process and its children, which is where nginx's worker is."""
    children = read(f"/proc/{pid}/task/{pid}/children").split()
    return [pid] + [int(child) for child in children]


def cpu(pid):
    """Nanoseconds run and nanoseconds ready but without a core, user and system ticks of a proxy until now."""
    nanoseconds = waited = user = system = 0
    for process in processes(pid):
        for task in os.listdir(f"/proc/{process}/task"):
            ran, ready, _ = read(f"/proc/{process}/task/{task}/schedstat").split()
            nanoseconds += int(ran)
            waited += int(ready)
        fields = read(f"/proc/{process}/stat").rpartition(")")[2].split()
        user += int(fields[11])
        system += int(fields[12])
    return nanoseconds, waited, user, system


class Measured:
    def __init__(self, requests, microseconds, p50, p99, before, after):
        nanoseconds, waited, user, system = (late - early for early, late in zip(before, after))
        self.cpu = nanoseconds / 1000 / requests
        self.user_share = user / max(1, user + system)
        self.busy = nanoseconds / 1000 / microseconds
        # Somebody else had the core meanwhile: how far to trust latency and requests/s.
        self.crowded = waited / 1000 / microseconds
        self.rate = requests / microseconds * 1_000_000
        self.p50, self.p99 = p50 / 1000, p99 / 1000


def served(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/served", timeout=5) as answer:
        return int(answer.read().split(b"\n")[2].split()[2])


def wrk(options, port, seconds):
    environment = dict(
        os.environ, OPENSSL_CONF=f"{options.run}/openssl.cnf", LOADTEST_HOST=f"wiki.localhost:{port}")
    command = [
        "taskset", "-c", str(options.core), "wrk", "-t", "1", "-c", str(options.connections),
        "-d", f"{seconds}s", "--timeout", "5s", "-s", options.script, f"https://wiki.localhost:{port}/"]
    output = subprocess.run(
        command, env=environment, timeout=seconds + 30, capture_output=True, text=True, check=False)
    results = [line.split()[1:] for line in output.stdout.splitlines() if line.startswith("RESULT ")]
    if output.returncode != 0 or not results or "Non-2xx" in output.stdout:
        sys.exit(f"loadtest: wrk against port {port} failed:\n{output.stdout}{output.stderr}")
    requests, microseconds, p50, p99, *errors = (int(value) for value in results[0])
    if requests == 0 or any(errors):
        sys.exit(f"loadtest: port {port}: {requests} requests; connect, read, write, status, timeout: {errors}")
    return requests, microseconds, p50, p99


def measure(options, target, seconds):
    pid, port = target
    upstream_before, before = served(options.served), cpu(pid)
    requests, microseconds, p50, p99 = wrk(options, port, seconds)
    after, reached = cpu(pid), served(options.served) - upstream_before
    if reached < requests:
        sys.exit(f"loadtest: {requests} answers on port {port}, but only {reached} requests reached the upstream")
    return Measured(requests, microseconds, p50, p99, before, after)


def target(text):
    pid, _, port = text.partition(":")
    return int(pid), int(port)


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("--rounds", "--seconds", "--served"):
        parser.add_argument(name, type=int, required=True)
    for name in ("--run", "--script"):
        parser.add_argument(name, required=True)
    for name in ("--nginx", "--gateway"):
        parser.add_argument(name, type=target, required=True)
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--connections", type=int, default=64)
    return parser.parse_args()


def summary(name, rounds):
    costs = [one.cpu for one in rounds]
    median = statistics.median
    print(f"{name:9} {median(costs):6.1f} ({min(costs):.1f}-{max(costs):.1f}) µs CPU/request, "
          f"user {median(one.user_share for one in rounds):.0%}, core busy {median(one.busy for one in rounds):.0%}, "
          f"kept waiting by others {median(one.crowded for one in rounds):.0%}; "
          f"{median(one.rate for one in rounds):,.0f} requests/s, "
          f"p50 {median(one.p50 for one in rounds):.2f} ms, p99 {median(one.p99 for one in rounds):.2f} ms")


def main():
    options = arguments()
    peers = {"nginx": options.nginx, "gatepost": options.gateway}
    for peer in peers.values():
        wrk(options, peer[1], 1)
    rounds = {name: [] for name in peers}
    ratios = []
    print("round  µs CPU/request: nginx  gatepost  ratio   requests/s: nginx  gatepost   p50/p99 ms: nginx  gatepost")
    for index in range(options.rounds):
        order = list(peers) if index % 2 == 0 else list(reversed(peers))
        for name in order:
            rounds[name].append(measure(options, peers[name], options.seconds))
        nginx, gatepost = rounds["nginx"][-1], rounds["gatepost"][-1]
        ratios.append(gatepost.cpu / nginx.cpu)
        print(f"{index + 1:5} {nginx.cpu:22.1f} {gatepost.cpu:9.1f} {ratios[-1]:6.2f} {nginx.rate:19,.0f} "
              f"{gatepost.rate:9,.0f} {nginx.p50:15.2f}/{nginx.p99:.2f} {gatepost.p50:5.2f}/{gatepost.p99:.2f}",
              flush=True)
    for name in peers:
        summary(name, rounds[name])
    print(f"load average now {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; per-round ratios "
          f"{min(ratios):.2f} to {max(ratios):.2f}")
    crowded = max(statistics.median(one.crowded for one in rounds[name]) for name in peers)
    if crowded > CROWDED_MAX:
        print(f"NOTE: other programs kept a proxy from its core {crowded:.0%} of the time; "
              f"the ratio is no result above {CROWDED_MAX:.0%}, run again on a quiet machine")
    print(f"authenticated-h1 gatepost/nginx-plain cpu {statistics.median(ratios):.2f}")


main()
