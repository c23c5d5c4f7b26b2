#!/usr/bin/env python3
"""Sends an exact number of authenticated requests, one after the other on one connection; each must be a 200.

    fetch.py PORT CA-FILE REQUESTS [TARGET]        with LOADTEST_FIELDS and LOADTEST_COOKIE as for wrk
"""
import os
import socket
import ssl
import sys


def request(port, target):
    with open(os.environ["LOADTEST_FIELDS"], encoding="ascii") as file:
        fields = [line.rstrip("\n") for line in file if not line.startswith("Host:")]
    with open(os.environ["LOADTEST_COOKIE"], encoding="ascii") as file:
        cookie = file.readline().rstrip("\n")
    lines = [f"GET {target} HTTP/1.1", f"Host: wiki.localhost:{port}", f"Cookie: {cookie}", *fields, "", ""]
    return "\r\n".join(lines).encode("ascii")


def read_answer(stream):
    status = stream.readline()
    if not status.startswith(b"HTTP/1.1 200"):
        sys.exit(f"loadtest: the gateway answered {status!r}")
    length = None
    while (line := stream.readline().strip()):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    if length is None or len(stream.read(length)) != length:
        sys.exit("loadtest: an answer without its whole body")


def main():
    port, authorities, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    context = ssl.create_default_context(cafile=authorities)
    plain = socket.create_connection(("127.0.0.1", port), 60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    message = request(port, sys.argv[4] if len(sys.argv) > 4 else "/bench?page=1")
    with context.wrap_socket(plain, server_hostname="wiki.localhost") as connection:
        stream = connection.makefile("rb")
        for _ in range(count):
            connection.sendall(message)
            read_answer(stream)


main()
