"""As much of HTTP/2 as a client needs that sends one small GET again and again, from the standard library alone.

Its table of fields is empty (SETTINGS_HEADER_TABLE_SIZE 0), so status 200 is one byte of every answer (RFC 7541 A, index 8).
"""
import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
ACKNOWLEDGE, END_STREAM, END_HEADERS, PADDED = 1, 1, 4, 8


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def text(word):
    if len(word) < 127:
        return bytes([len(word)]) + word
    left, prefix = len(word) - 127, b"\x7f"
    while left >= 128:
        prefix, left = prefix + bytes([left % 128 + 128]), left // 128
    return prefix + bytes([left]) + word


def block(fields):
    return b"".join(b"\x10" + text(name.encode()) + text(value.encode()) for name, value in fields)


class Connection:
    """One connection. `open` are the streams that await their answer."""

    def __init__(self, address, port, host, context, seconds):
        plain = socket.create_connection((address, port), seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname=host)
        if self.socket.selected_alpn_protocol() != "h2":
            raise OSError("no HTTP/2")
        self.socket.sendall(
            PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HIHI", 1, 0, 4, 1 << 20)) + frame(WINDOW, 0, 0, struct.pack(">I", 1 << 30)))
        self.open, self.next, self.waiting = {}, 1, b""
        # A GOAWAY came: no further streams are begun.
        self.is_leaving = False

    def ask(self, fields):
        self.socket.sendall(frame(HEADERS, END_HEADERS | END_STREAM, self.next, block(fields)))
        self.open[self.next] = None
        self.next += 2

    def read(self):
        """Waits for more, and returns the streams that are over: pairs of a number and what was wrong, or None."""
        more = self.socket.recv(65536)
        if not more:
            raise OSError("the connection ended below %d requests" % len(self.open))
        self.waiting += more
        over = []
        while len(self.waiting) >= 9:
            size = int.from_bytes(self.waiting[:3], "big")
            if len(self.waiting) < 9 + size:
                break
            kind, flags, stream = self.waiting[3], self.waiting[4], int.from_bytes(self.waiting[5:9], "big")
            payload, self.waiting = self.waiting[9:9 + size], self.waiting[9 + size:]
            self.note(kind, flags, stream, payload, over)
        return over

    def note(self, kind, flags, stream, payload, over):
        if kind == SETTINGS and not flags & ACKNOWLEDGE:
            self.socket.sendall(frame(SETTINGS, ACKNOWLEDGE, 0))
        elif kind == PING and not flags & ACKNOWLEDGE:
            self.socket.sendall(frame(PING, ACKNOWLEDGE, 0, payload))
        elif kind == GOAWAY:
            self.is_leaving = True
            last, code = struct.unpack(">II", payload[:8])
            for number in [number for number in self.open if number > last]:
                del self.open[number]
                over.append((number, "stream %d is behind the last one, %d, of GOAWAY %d" % (number, last, code)))
        elif stream not in self.open:
            return
        elif kind == RESET:
            del self.open[stream]
            over.append((stream, "reset %d" % int.from_bytes(payload[:4], "big")))
        elif kind in (HEADERS, DATA):
            if kind == HEADERS and self.open[stream] is None:
                self.open[stream] = payload.lstrip(b"\x20")[:1]
            if flags & END_STREAM:
                status = self.open.pop(stream)
                over.append((stream, None if status == b"\x88" else "not status 200"))

    def close(self):
        self.socket.close()
