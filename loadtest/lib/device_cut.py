#!/usr/bin/env python3
"""Open streams of many sessions on two devices, and how long they outlive their device's good standing.

    device_cut.py sign-in GATEWAY-PORT AGENT-PORT CA-FILE COUNT COOKIES-FILE      signs in so many times, each with a
                                        browser and a device check of its own
    device_cut.py set LAB-PORT DEVICE STATE                                       what Intune says of a device
    device_cut.py measure GATEWAY-PORT CA-FILE COMMAND-SOCKET GATEWAY-LOG LAB-PORT DEVICE-FEW DEVICE-MANY COOKIES-FEW
                                        COOKIES-MANY STREAMS

Three moments are told apart: the lab has changed the device; the gateway knows (its own log says how long after that
the first stream was cut, by the same clock); and the client's kernel reports the end of each connection (epoll), or
the client reads the frame that ends a stream of HTTP/2.
"""
import concurrent.futures
import http.client
import json
import sys
import time

import sign_in
import streams

SIGNING_IN = 4


def sign_in_once(arguments):
    gateway_port, agent_port, authorities = arguments
    began = time.monotonic()
    for attempt in range(3):
        try:
            secret = sign_in.sign_in(sign_in.Browser(authorities), gateway_port, agent_port)
            # The agent answers an origin five times a second.
            time.sleep(max(0.0, SIGNING_IN / 4.8 - (time.monotonic() - began)))
            return secret
        except (OSError, http.client.HTTPException, sign_in.SignInFailed) as failure:
            if attempt == 2:
                sys.exit(f"cut: signing in failed: {failure}")
            time.sleep(1)


def sign_in_many(gateway_port, agent_port, authorities, count, path):
    began = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(SIGNING_IN) as pool:
        secrets = list(pool.map(sign_in_once, [(gateway_port, agent_port, authorities)] * count, chunksize=4))
    if len(set(secrets)) != count:
        sys.exit(f"cut: {len(set(secrets))} different sessions instead of {count}")
    with open(path, "w", encoding="ascii") as file:
        file.writelines(sign_in.cookie_field(secret) + "\n" for secret in secrets)
    print(f"{count} sign-ins with device checks in {time.monotonic() - began:.0f} s", flush=True)


def set_compliance(port, device, state):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=streams.PATIENCE_SECONDS)
    connection.request("POST", f"/lab/devices/{device}", json.dumps({"complianceState": state}))
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        sys.exit(f"cut: the lab: {answer.status} {text[:200]!r}")
    return time.monotonic_ns()


def cut_latencies(path, offset):
    """Nanoseconds from event to cut, as the gateway logged them behind `offset`."""
    with open(path, "rb") as file:
        file.seek(offset)
        lines = file.read().splitlines()
    cuts = [json.loads(line) for line in lines if b'"streams-cut"' in line]
    return [cut["microseconds"] * 1000 for cut in cuts]


def go_bad(title, promised, path, log, lab_port, device, opened_streams, meant, others):
    with open(log, "rb") as file:
        offset = file.seek(0, 2)
    changed_at = set_compliance(lab_port, device, "noncompliant")
    streams.command(path, {"command": "reconnect", "integration": "intune"})
    ended = streams.wait_for_ends(opened_streams, meant, others)
    time.sleep(1)
    first = min(ended.values())
    known_at = first - min(cut_latencies(log, offset))
    print(f"{title}: the gateway knew {(known_at - changed_at) / 1e6:.1f} ms after the lab's change", flush=True)
    return streams.report(f"{title}, from there", known_at, ended, promised)


def read_cookies(path):
    with open(path, encoding="ascii") as file:
        return file.read().splitlines()


def measure(port, authorities, path, log, lab_port, devices, files, count):
    cookies = [read_cookies(file) for file in files]
    kinds, opened = [], []
    for index in range(count):
        kind = 0 if index % 100 == 99 else 1
        kinds.append(kind)
        opened.append(cookies[kind][index // 100 % len(cookies[0]) if kind == 0 else index % len(cookies[1])])
    sessions = [len({cookie for cookie, kind in zip(opened, kinds) if kind == which}) for which in (0, 1)]
    print(f"opening {count} event streams: {kinds.count(0)} of {sessions[0]} sessions on one device, "
          f"{kinds.count(1)} of {sessions[1]} on the other", flush=True)
    began = time.monotonic()
    every = streams.Opened(authorities, port, opened)
    print(f"open after {time.monotonic() - began:.0f} s", flush=True)
    groups = [set(), set()]
    for name, kind in zip(every.names, kinds):
        groups[kind].add(name)
    few_kept = go_bad("1 %", streams.FEW_PROMISED, path, log, lab_port, devices[0], every, groups[0], groups[1])
    if list(every.ends(2)):
        sys.exit("cut: FAILED: something happened on a stream of the other device")
    all_kept = go_bad("all others", streams.ALL_PROMISED, path, log, lab_port, devices[1], every, groups[1], set())
    stages = streams.command(path, {"command": "status"})[1].get("data_plane", {}).get("stages", {})
    print(f"the gateway's own histogram of the cut: {json.dumps(stages.get('cut'))}")
    streams.judge(few_kept, all_kept)


def main():
    arguments = sys.argv[2:]
    if sys.argv[1:2] == ["sign-in"] and len(arguments) == 5:
        port, agent_port, authorities, count, path = arguments
        sign_in_many(int(port), int(agent_port), authorities, int(count), path)
    elif sys.argv[1:2] == ["set"] and len(arguments) == 3:
        set_compliance(int(arguments[0]), arguments[1], arguments[2])
    elif sys.argv[1:2] == ["measure"] and len(arguments) == 10:
        port, authorities, path, log, lab_port, few, many, cookies_few, cookies_many, count = arguments
        measure(int(port), authorities, path, log, int(lab_port), (few, many), (cookies_few, cookies_many), int(count))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
