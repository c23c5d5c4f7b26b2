#!/usr/bin/env python3
"""Holds one stream open and says how it ended.

    hold.py websocket|events ADDRESS PORT HOST CA-FILE FIELD SECONDS

FIELD is the whole field line that names the client: its cookie, or a machine's token.
A WebSocket sends a word every 50 ms and waits for its echo; an event stream is read. Prints one JSON object: how many
echoes or reads came, whether the stream was still open after SECONDS, and the status and reason of a close frame.
"""
import base64
import json
import os
import socket
import ssl
import struct
import sys
import time


def opened(kind, address, port, host, authorities, field):
    context = ssl.create_default_context(cafile=authorities)
    stream = context.wrap_socket(socket.create_connection((address, int(port)), 10), server_hostname=host)
    head = f"GET {'/ws' if kind == 'websocket' else '/sse'} HTTP/1.1\r\nHost: {host}\r\n{field}\r\n"
    if kind == "websocket":
        key = base64.b64encode(os.urandom(16)).decode()
        head += (f"Origin: https://{host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n")
    stream.sendall((head + "\r\n").encode())
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(4096)
        if not more:
            break
        data += more
    answer, _, rest = data.partition(b"\r\n\r\n")
    status = int(answer.split(b" ")[1])
    if status != (101 if kind == "websocket" else 200):
        sys.exit(f"status {status}: {answer.decode(errors='replace')}")
    return stream, rest


def say(stream, word):
    mask = os.urandom(4)
    stream.sendall(bytes([0x81, 0x80 | len(word)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(word)))


def frames(waiting):
    """Whole frames at the start of what waits, and the rest. Servers do not mask theirs."""
    found = []
    while len(waiting) >= 2:
        length, start = waiting[1] & 0x7F, 2
        if length == 126:
            if len(waiting) < 4:
                break
            length, start = struct.unpack(">H", waiting[2:4])[0], 4
        if len(waiting) < start + length:
            break
        found.append((waiting[0] & 0x0F, waiting[start:start + length]))
        waiting = waiting[start + length:]
    return found, waiting


def main():
    kind, seconds = sys.argv[1], float(sys.argv[7])
    stream, waiting = opened(kind, *sys.argv[2:7])
    end = time.monotonic() + seconds
    outcome = {"reads": 0, "is_open": True, "close": None, "reason": None}
    stream.settimeout(0.05)
    while outcome["is_open"] and time.monotonic() < end:
        if kind == "websocket":
            found, waiting = frames(waiting)
            for code, payload in found:
                if code == 8:
                    outcome["close"] = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                    outcome["reason"] = payload[2:].decode(errors="replace")
                    outcome["is_open"] = False
                else:
                    outcome["reads"] += 1
            if not outcome["is_open"]:
                break
        try:
            if kind == "websocket":
                say(stream, b"still here")
            more = stream.recv(65536)
            outcome["is_open"] = bool(more)
            waiting += more if kind == "websocket" else b""
            outcome["reads"] += kind != "websocket" and bool(more)
            time.sleep(0.05)
        except TimeoutError:
            continue
        except OSError:
            outcome["is_open"] = False
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
