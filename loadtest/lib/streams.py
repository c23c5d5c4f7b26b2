#!/usr/bin/env python3
"""Open streams through the gateway, and how long they outlive their session.

    streams.py origin READY-FILE        answers every GET with an event stream, or a WebSocket where that is asked for, which
                                        says one word and stays open; writes its port to the file
    streams.py session COMMAND-SOCKET   prints the id of the only application session
    streams.py measure GATEWAY-PORT CA-FILE COMMAND-SOCKET STREAMS COOKIE-MANY SESSION-MANY COOKIE-FEW

Half of the streams are HTTP/1.1, each with a connection of its own, and half are HTTP/2, fifty on a connection; half of
either are event streams and half WebSockets. Timed is from the moment before the command's bytes are handed to the command
socket until the client's kernel reports the end of the stream's connection (epoll), or until the client has read the frame
that ends the stream, of a WebSocket its Close frame with 1008: what lies between is the store's durable write, the push to
the reactor, the cut, and the loopback.
"""
import base64
import concurrent.futures
import hashlib
import json
import math
import select
import socket
import ssl
import sys
import time

import mux
import polite

ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
          b"Transfer-Encoding: chunked\r\n\r\nc\r\ndata: open\n\n\r\n")
# RFC 6455 §5.2: a text frame.
SAID = b"data: open\n\n"
TEXT_FRAME = bytes([0x81, len(SAID)]) + SAID
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
            head = open_ones[number].recv(65536)
            if head.startswith(b"GET /polite"):
                open_ones[number].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            elif head.endswith(b"\r\n\r\n"):
                open_ones[number].sendall(opened_web_socket(head) or ANSWER)
            else:
                poller.unregister(number)
                open_ones.pop(number).close()


def opened_web_socket(head):
    """RFC 6455 §4.2.2, and one word; None where the request asks for none."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")]
    key = next((value.strip() for name, _, value in lines if name.lower() == b"sec-websocket-key"), None)
    if key is None:
        return None
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + accept + b"\r\n\r\n" + TEXT_FRAME)


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


def open_stream(context, port, cookie, is_web_socket):
    plain = socket.create_connection(("127.0.0.1", port), 60)
    connection = context.wrap_socket(plain, server_hostname="wiki.localhost")
    fields = "Accept: text/event-stream\r\n"
    if is_web_socket:
        key = base64.b64encode(bytes(16)).decode()
        fields = (f"Origin: https://wiki.localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n")
    connection.sendall((f"GET /events HTTP/1.1\r\nHost: wiki.localhost:{port}\r\nCookie: {cookie}\r\n"
                        f"{fields}\r\n").encode("ascii"))
    text = b""
    while SAID not in text:
        more = connection.recv(4096)
        if not more:
            sys.exit(f"cut: a stream ended while it was opened: {text!r}")
        text += more
    if not text.startswith(b"HTTP/1.1 101" if is_web_socket else b"HTTP/1.1 200"):
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
        self.muxes, self.web_sockets, self.names, self.single = {}, {}, [None] * len(cookies), []
        with concurrent.futures.ThreadPoolExecutor(OPENERS) as pool:
            many = pool.map(lambda places: mux.Mux(authorities, port, [cookies[place] for place in places]), joint)
            self.single = list(pool.map(
                lambda place: open_stream(context, port, cookies[place], self.is_web_socket(place)), single))
            for places, one in zip(joint, many):
                self.muxes[one.fileno()] = one
                self.poller.register(one.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
                for place, stream in zip(places, one.streams):
                    self.names[place] = (one.fileno(), stream)
        for place, connection in zip(single, self.single):
            self.names[place] = connection.fileno()
            self.poller.register(connection.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
            if self.is_web_socket(place):
                connection.setblocking(False)
                self.web_sockets[connection.fileno()] = connection
        print(f"{len(single)} of them over HTTP/1.1, {len(cookies) - len(single)} over {len(joint)} connections of HTTP/2; "
              "half are event streams, half WebSockets", flush=True)

    @staticmethod
    def is_web_socket(place):
        """Half of each row, and of those that are cut first."""
        return (place + place // (2 * ROW)) % 2 == 1

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
            if number in self.web_sockets:
                self.read_close(number)
            elif not events & ENDED:
                sys.exit("cut: FAILED: bytes on a stream that should be silent")
            self.poller.unregister(number)
            yield number, time.monotonic_ns()

    def read_close(self, number):
        try:
            payload = self.web_sockets[number].recv(4096)
        except OSError as error:
            payload = repr(error).encode()
        if not mux.is_closed_by_policy(payload):
            sys.exit(f"cut: FAILED: a WebSocket got {payload[:100]!r} instead of a Close frame that says 1008")


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


# Milliseconds at the p99: for 1 % of the streams, and for all of them.
FEW_PROMISED, ALL_PROMISED = 50, 500


def report(title, sent_at, ended, promised):
    """Prints how long the streams outlived their event; whether the promise was kept."""
    taken = sorted((moment - sent_at) / 1e6 for moment in ended.values())

    def quantile(fraction):
        return taken[max(0, math.ceil(fraction * len(taken)) - 1)]

    print(f"{title}: {len(taken)} streams, ms from event to end: p50 {quantile(0.5):.1f}, p99 {quantile(0.99):.1f} "
          f"(promised {promised}), max {taken[-1]:.1f}", flush=True)
    return quantile(0.99) <= promised


def judge(*kept):
    if not all(kept):
        sys.exit("cut: NOT REACHED: streams outlived their event by more than is promised; on a machine that others "
                 "use that says nothing about the gateway")


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
    beside = polite.Polite(authorities, port, "none")
    time.sleep(2)
    sent_at, _ = command(path, {"command": "session-revoke", "session": session_of_few})
    events = [sent_at / 1e9]
    few_kept = report("1 %", sent_at, wait_for_ends(opened, groups[few], groups[many]), FEW_PROMISED)
    if list(opened.ends(2)):
        sys.exit("cut: FAILED: something happened on a stream of the other session")
    sent_at, _ = command(path, {"command": "session-revoke", "user": "alice@corp.example"})
    events.append(sent_at / 1e9)
    all_kept = report("all others", sent_at, wait_for_ends(opened, groups[many], set()), ALL_PROMISED)
    time.sleep(2)
    print("a polite client beside them: p99 %.1f ms within half a second of the cuts, %.1f ms apart from them"
          % beside.end(events), flush=True)
    stages = command(path, {"command": "status"})[1].get("data_plane", {}).get("stages", {})
    print(f"the gateway's own histogram of the cut: {json.dumps(stages.get('cut'))}")
    judge(few_kept, all_kept)


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
