#!/usr/bin/env python3
"""Sends requests of one session without a pause and counts those that are lost.

    steady.py ADDRESS PORT HOST CA-FILE COOKIE SECONDS [KEEP-ALIVE-CLIENTS FRESH-CLIENTS [HTTP2-CLIENTS [PATH]]]

Some of the clients keep their connection as long as the server lets them; others make a new one each time; those of HTTP/2
keep four requests at a time on theirs, and begin no more once they have read a GOAWAY. Whatever not an answer with status 200 is lost: also a connection that is refused, cut, or closed under a request. Nothing is
tried again. Prints one JSON object; what was lost is in it in words, the first 20.
"""
import http.client
import json
import socket
import ssl
import sys
import threading
import time

import plain_http2

TIMEOUT_SECONDS = 10


class Named(http.client.HTTPSConnection):
    """HTTPS to an address under the name of a host."""

    def __init__(self, address, port, host, context):
        super().__init__(host, port, context=context, timeout=TIMEOUT_SECONDS)
        self.address = address

    def connect(self):
        plain = socket.create_connection((self.address, self.port), TIMEOUT_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


def main():
    address, port, host, authorities, cookie = sys.argv[1:6]
    seconds = float(sys.argv[6])
    keepers, fresh = (int(word) for word in (sys.argv[7:9] or (4, 2)))
    multiplexed = int(sys.argv[9]) if len(sys.argv) > 9 else 0
    path = sys.argv[10] if len(sys.argv) > 10 else "/steady"
    context = ssl.create_default_context(cafile=authorities)
    context2 = ssl.create_default_context(cafile=authorities)
    context2.set_alpn_protocols(["h2"])
    end = time.monotonic() + seconds
    lock = threading.Lock()
    sums = {"keep_alive": 0, "fresh": 0, "http2": 0, "connections": 0, "lost": 0}
    words, last = [], {}
    gaps = {"longest_gap_ms": 0.0}

    def one(connection, kind):
        try:
            connection.request("GET", path, headers={"Cookie": cookie, "Accept": "*/*"})
            answer = connection.getresponse()
            answer.read()
            problem = None if answer.status == 200 else f"status {answer.status} {answer.headers.get('Gatepost-Reason')}"
        except (OSError, http.client.HTTPException) as error:
            problem = f"{type(error).__name__}: {error}"
        note(kind, problem)
        return problem is None

    def note(kind, problem):
        now = time.monotonic()
        with lock:
            if problem is None:
                sums[kind] += 1
                gaps["longest_gap_ms"] = max(gaps["longest_gap_ms"], 1000 * (now - last.get(0, now)))
                last[0] = now
            else:
                sums["lost"] += 1
                if len(words) < 20:
                    words.append(f"{kind}: {problem}")

    fields = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", path), ("cookie", cookie)]

    def client2():
        while time.monotonic() < end:
            try:
                connection = plain_http2.Connection(address, int(port), host, context2, TIMEOUT_SECONDS)
            except OSError as error:
                note("http2", f"connect: {error}")
                time.sleep(0.02)
                continue
            with lock:
                sums["connections"] += 1
            try:
                while True:
                    while time.monotonic() < end and not connection.is_leaving and len(connection.open) < 4:
                        connection.ask(fields)
                    if not connection.open:
                        break
                    for _, problem in connection.read():
                        note("http2", problem)
                    time.sleep(0.002)
            except OSError as error:
                for _ in connection.open:
                    note("http2", f"{type(error).__name__}: {error}")
            connection.close()

    def client(kind):
        connection = None
        while time.monotonic() < end:
            if connection is None or connection.sock is None:
                connection = Named(address, int(port), host, context)
                with lock:
                    sums["connections"] += 1
            if not one(connection, kind):
                connection.close()
                connection = None
                time.sleep(0.005)
            elif kind == "fresh":
                connection.close()
                connection = None
                time.sleep(0.01)
            else:
                time.sleep(0.002)

    kinds = ["keep_alive"] * keepers + ["fresh"] * fresh
    threads = [threading.Thread(target=client, args=(kind,)) for kind in kinds]
    threads += [threading.Thread(target=client2) for _ in range(multiplexed)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({**sums, **gaps, "problems": words}))


main()
