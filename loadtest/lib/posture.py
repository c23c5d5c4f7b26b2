#!/usr/bin/env python3
"""Parts of loadtest/posture.

    posture.py integrations CONFIGURATION            gives each device to four integrations in place of one
    posture.py first PORT CA-FILE STARTED            tries until an authenticated request is answered 200; prints the
                                                     milliseconds since STARTED (nanoseconds since 1970)
"""
import os
import re
import socket
import ssl
import sys
import time


def integrations(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    block = re.search(r"  intune:\n(?:    .*\n)+", text).group(0)
    more = ""
    for name in ("intune-b", "intune-c", "intune-d"):
        more += block.replace("  intune:\n", f"  {name}:\n", 1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(block, block + more))


def first(port, authorities, started):
    with open(os.environ["LOADTEST_COOKIE"], encoding="ascii") as file:
        cookie = file.readline().rstrip("\n")
    context = ssl.create_default_context(cafile=authorities)
    message = (
        f"GET /bench?page=1 HTTP/1.1\r\nHost: wiki.localhost:{port}\r\nCookie: {cookie}\r\n"
        "Connection: close\r\n\r\n").encode("ascii")
    while True:
        try:
            plain = socket.create_connection(("127.0.0.1", port), 15)
            with context.wrap_socket(plain, server_hostname="wiki.localhost") as connection:
                connection.sendall(message)
                if connection.makefile("rb").readline().startswith(b"HTTP/1.1 200"):
                    print((time.time_ns() - started) // 1_000_000)
                    return
        except OSError:
            pass
        time.sleep(0.005)


if sys.argv[1] == "integrations":
    integrations(sys.argv[2])
else:
    first(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
