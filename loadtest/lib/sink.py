#!/usr/bin/env python3
"""An application that reads whole bodies and throws them away.

    sink.py SOCKET-FILE
"""
import http.server
import socketserver
import sys

BLOCK_BYTES = 1 << 20


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        while left > 0:
            block = self.rfile.read1(min(left, BLOCK_BYTES))
            if not block:
                return
            left -= len(block)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def address_string(self):
        return "-"

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


Server(sys.argv[1], Sink).serve_forever()
