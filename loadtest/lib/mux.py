"""Event streams and WebSockets (RFC 8441) over HTTP/2 (RFC 9113), many on one connection: just enough of it to open them
and to see each end.

Field lines go out as literals without a name from the tables (RFC 7541 §6.2.2). Of what comes back only the frames' heads
are read, and of an answer's head that it says 200.
"""
import socket
import ssl
import sys
import time

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
STATUS_200 = 0x88
# RFC 6455 §5.5.1 and §7.4.1: a Close frame of four bytes that says 1008.
CLOSED_BY_POLICY = b"\x03\xf0"


def number(value, bits):
    """RFC 7541 §5.1, with nothing in the bits above."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([value])
    out, value = [most], value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out + [value])


def text(value):
    return number(len(value), 7) + value.encode("ascii")


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def is_closed_by_policy(payload):
    return len(payload) >= 4 and payload[0] == 0x88 and payload[2:4] == CLOSED_BY_POLICY


class Mux:
    """One connection with a stream for each cookie; every second one is a WebSocket."""

    def __init__(self, authorities, port, cookies):
        context = ssl.create_default_context(cafile=authorities)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", port), 60)
        self.connection = context.wrap_socket(plain, server_hostname="wiki.localhost")
        if self.connection.selected_alpn_protocol() != "h2":
            sys.exit("cut: the gateway does not speak HTTP/2")
        self.pending = b""
        self.ended, self.closed = {}, set()
        self.streams = [1 + 2 * index for index in range(len(cookies))]
        request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)
        for stream, cookie in zip(self.streams, cookies):
            fields = [(":method", "GET"), (":scheme", "https"), (":authority", f"wiki.localhost:{port}"),
                      (":path", "/events"), ("accept", "text/event-stream"), ("cookie", cookie)]
            if self.is_web_socket(stream):
                fields[0:1] = [(":method", "CONNECT"), (":protocol", "websocket")]
                fields += [("origin", f"https://wiki.localhost:{port}"), ("sec-websocket-version", "13")]
            block = b"".join(b"\x00" + text(name) + text(value) for name, value in fields)
            flags = END_HEADERS if self.is_web_socket(stream) else END_STREAM | END_HEADERS
            request += frame(HEADERS, flags, stream, block)
        self.connection.sendall(request)
        self.wait_until_open()

    @staticmethod
    def is_web_socket(stream):
        return stream % 4 == 3

    def fileno(self):
        return self.connection.fileno()

    def wait_until_open(self):
        started, told = set(), set()
        while len(told) < len(self.streams):
            self.pending += self.connection.recv(65536) or sys.exit("cut: a connection ended while it was opened")
            for kind, flags, stream, payload in self.frames():
                if kind == HEADERS:
                    if STATUS_200 not in payload[:4]:
                        sys.exit(f"cut: a stream was answered {payload[:8]!r}")
                    started.add(stream)
                if kind == DATA and b"data: open" in payload:
                    told.add(stream)
                if kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM):
                    sys.exit("cut: a stream ended while it was opened")
        if started != told:
            sys.exit("cut: an answer without a head")
        self.connection.setblocking(False)

    def frames(self):
        """Those that are whole; settings and pings are acknowledged."""
        at = 0
        while len(self.pending) - at >= 9:
            size = int.from_bytes(self.pending[at:at + 3], "big")
            if len(self.pending) - at < 9 + size:
                break
            kind, flags = self.pending[at + 3], self.pending[at + 4]
            stream = int.from_bytes(self.pending[at + 5:at + 9], "big") & 0x7fffffff
            payload = self.pending[at + 9:at + 9 + size]
            at += 9 + size
            if kind in (SETTINGS, PING) and not flags & ACK:
                self.connection.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
            yield kind, flags, stream, payload
        self.pending = self.pending[at:]

    def read_ends(self):
        """The streams that ended since the last look, and whether anything else came."""
        new, is_noisy = [], False
        is_gone = False
        while True:
            try:
                more = self.connection.recv(65536)
            except ssl.SSLWantReadError:
                break
            except OSError:
                more = b""
            if not more:
                is_gone = True
                break
            self.pending += more
        now = time.monotonic_ns()
        for kind, flags, stream, payload in self.frames():
            if kind == DATA and self.is_web_socket(stream) and is_closed_by_policy(payload):
                self.closed.add(stream)
                new.append(stream)
            elif kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM):
                if self.is_web_socket(stream) and stream not in self.closed:
                    sys.exit("cut: FAILED: a WebSocket ended without a Close frame that says 1008")
                new.append(stream)
            elif kind == DATA and payload:
                is_noisy = True
        if is_gone:
            new += [stream for stream in self.streams if stream not in self.ended and stream not in new]
        new = [stream for stream in new if self.ended.setdefault(stream, now) == now]
        return new, now, is_noisy, is_gone
