#!/usr/bin/env python3
"""Open streams through the gateway, and how long they outlive their session.

    streams.py origin READY-FILE        answers every GET with an event stream that says one word and stays open; writes
                                        its port to the file
    streams.py session COMMAND-SOCKET   prints the id of the only application session
    streams.py measure GATEWAY-PORT CA-FILE COMMAND-SOCKET STREAMS COOKIE-MANY SESSION-MANY COOKIE-FEW

Half of the streams are HTTP/1.1, each with a connection of its own, and half are HTTP/2, fifty on a connection. Timed is
from the moment before the command's bytes are handed to the command socket until the client's kernel reports the end of
the stream's connection (epoll), or until the client has read the frame that ends the stream: what lies between is the
store's durable write, the push to the reactor, the cut, and the loopback.
"""
import concurrent.futures
import json
import math
import select
import socket
import ssl
import sys
import time

import mux

ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
          b"Transfer-Encoding: chunked\r\n\r\nc\r\ndata: open\n\n\r\n")
ENDED = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
PATIENCE_SECONDS = 15
OPENERS = 8
# Streams that are alike in a row, and of HTTP/2 on one connection.
ROW, ON_ONE = 100, 50


def origin(ready):
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    with open(ready, "w", encoding="ascii") as file:
        file.write(str(listener.getsockname()[1]))
    poller = select.epoll()
    poller.register(listener.fileno(), select.EPOLLIN)
    open_ones = {}
    while True:
        for number, _ in poller.poll():
            if number == listener.fileno():
                connection, _ = listener.accept()
                open_ones[connection.fileno()] = connection
                poller.register(connection.fileno(), select.EPOLLIN)
                continue
            # A request head is one segment here: it is 2 KiB and comes from this machine.
            if open_ones[number].recv(65536).endswith(b"\r\n\r\n"):
                open_ones[number].sendall(ANSWER)
            else:
                poller.unregister(number)
                open_ones.pop(number).close()


def command(path, value):
    """One line each way over the gateway's command socket; returns when it was sent and the answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(path)
        line = json.dumps(value).encode() + b"\n"
        sent_at = time.monotonic_ns()
        connection.sendall(line)
        with connection.makefile("rb") as stream:
            answer = json.loads(stream.readline())
    if "error" in answer:
        sys.exit(f"cut: {value}: {answer['error']}")
    return sent_at, answer


def open_stream(context, port, cookie):
    plain = socket.create_connection(("127.0.0.1", port), 60)
    connection = context.wrap_socket(plain, server_hostname="wiki.localhost")
    connection.sendall((f"GET /events HTTP/1.1\r\nHost: wiki.localhost:{port}\r\nCookie: {cookie}\r\n"
                        "Accept: text/event-stream\r\n\r\n").encode("ascii"))
    text = b""
    while not text.endswith(b"data: open\n\n\r\n"):
        more = connection.recv(4096)
        if not more:
            sys.exit(f"cut: a stream ended while it was opened: {text!r}")
        text += more
    if not text.startswith(b"HTTP/1.1 200"):
        sys.exit(f"cut: {text[:200]!r}")
    return connection


class Opened:
    """Streams by their place: what they are called, and what tells of their end."""

    def __init__(self, authorities, port, cookies):
        context = ssl.create_default_context(cafile=authorities)
        rows = [range(start, min(start + ROW, len(cookies))) for start in range(0, len(cookies), ROW)]
        single = [place for number, row in enumerate(rows) if number % 2 == 0 for place in row]
        joint = [row[start:start + ON_ONE] for number, row in enumerate(rows) if number % 2
                 for start in range(0, len(row), ON_ONE)]
        self.poller = select.epoll(len(cookies))
        self.muxes, self.names, self.single = {}, [None] * len(cookies), []
        with concurrent.futures.ThreadPoolExecutor(OPENERS) as pool:
            many = pool.map(lambda places: mux.Mux(authorities, port, [cookies[place] for place in places]), joint)
            self.single = list(pool.map(lambda place: open_stream(context, port, cookies[place]), single))
            for places, one in zip(joint, many):
                self.muxes[one.fileno()] = one
                self.poller.register(one.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
                for place, stream in zip(places, one.streams):
                    self.names[place] = (one.fileno(), stream)
        for place, connection in zip(single, self.single):
            self.names[place] = connection.fileno()
            self.poller.register(connection.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
        print(f"{len(single)} of them over HTTP/1.1, {len(cookies) - len(single)} over {len(joint)} connections of HTTP/2",
              flush=True)

    def ends(self, seconds):
        """Names of the streams that ended within so long, with the moment; something else that comes is a failure."""
        for number, events in self.poller.poll(seconds, 512):
            if number in self.muxes:
                streams, moment, is_noisy, is_gone = self.muxes[number].read_ends()
                if is_noisy:
                    sys.exit("cut: FAILED: bytes on a stream that should be silent")
                if is_gone:
                    self.poller.unregister(number)
                for stream in streams:
                    yield (number, stream), moment
                continue
            if not events & ENDED:
                sys.exit("cut: FAILED: bytes on a stream that should be silent")
            self.poller.unregister(number)
            yield number, time.monotonic_ns()


def wait_for_ends(opened, meant, others):
    """When each of `meant` ended (monotonic nanoseconds); the end of one of `others` is a failure."""
    ended, deadline = {}, time.monotonic() + PATIENCE_SECONDS
    while len(ended) < len(meant):
        left = deadline - time.monotonic()
        if left <= 0:
            sys.exit(f"cut: FAILED: {len(meant) - len(ended)} of {len(meant)} streams are still open")
        for name, moment in opened.ends(left):
            if name in others:
                sys.exit("cut: FAILED: a stream of another session was touched")
            if name in meant:
                ended.setdefault(name, moment)
    return ended


def report(title, sent_at, ended):
    taken = sorted((moment - sent_at) / 1e6 for moment in ended.values())

    def quantile(fraction):
        return taken[max(0, math.ceil(fraction * len(taken)) - 1)]

    print(f"{title}: {len(taken)} streams, ms from event to end: p50 {quantile(0.5):.1f}, p99 {quantile(0.99):.1f}, "
          f"max {taken[-1]:.1f}", flush=True)


def application_sessions(path, wanted):
    sessions = command(path, {"command": "session-list"})[1]["sessions"]
    names = [one["id"] for one in sessions if one["kind"] == "application"]
    if len(names) != wanted:
        sys.exit(f"cut: {len(names)} application sessions instead of {wanted}")
    return names


def read_cookie(path):
    with open(path, encoding="ascii") as file:
        return file.readline().rstrip("\n")


def measure(port, authorities, path, count, many, few, session_of_many):
    few_count = max(1, count // 100)
    session_of_few = next(one for one in application_sessions(path, 2) if one != session_of_many)
    print(f"opening {count} event streams, {few_count} of them of one session", flush=True)
    began = time.monotonic()
    # The few lie among the many, as they would.
    kinds = [few if index % 100 == 99 else many for index in range(count)]
    opened = Opened(authorities, port, kinds)
    print(f"open after {time.monotonic() - began:.0f} s", flush=True)
    groups = {few: set(), many: set()}
    for name, cookie in zip(opened.names, kinds):
        groups[cookie].add(name)
    sent_at, _ = command(path, {"command": "session-revoke", "session": session_of_few})
    report("1 %", sent_at, wait_for_ends(opened, groups[few], groups[many]))
    if list(opened.ends(2)):
        sys.exit("cut: FAILED: something happened on a stream of the other session")
    sent_at, _ = command(path, {"command": "session-revoke", "user": "alice@corp.example"})
    report("all others", sent_at, wait_for_ends(opened, groups[many], set()))
    stages = command(path, {"command": "status"})[1].get("data_plane", {}).get("stages", {})
    print(f"the gateway's own histogram of the cut: {json.dumps(stages.get('cut'))}")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "origin":
        origin(sys.argv[2])
    elif len(sys.argv) == 3 and sys.argv[1] == "session":
        print(application_sessions(sys.argv[2], 1)[0])
    elif len(sys.argv) == 9 and sys.argv[1] == "measure":
        port, authorities, path, count, many, session_of_many, few = sys.argv[2:]
        measure(int(port), authorities, path, int(count), read_cookie(many), read_cookie(few), session_of_many)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
