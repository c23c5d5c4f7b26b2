"""An upstream that says how Python's http.server understood each request, and writes it down.

echo.py NAME PORT RECORD: answers with one JSON object, and appends the same to the file RECORD. It listens on
127.0.0.1 and decodes the chunked coding itself, strictly, because http.server does not.
"""

import http.server
import json
import sys
import threading

name, port, record = sys.argv[1], int(sys.argv[2]), sys.argv[3]
writing = threading.Lock()


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave together, and at once: otherwise an answer waits 40 ms for the acknowledgement of its head.
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def __getattr__(self, attribute):
        # Every method is answered.
        if attribute.startswith("do_"):
            return self.echo
        raise AttributeError(attribute)

    def echo(self):
        try:
            body = self.body()
        except ValueError as error:
            self.close_connection = True
            self.note({"parser": name, "malformed": str(error)})
            return
        seen = {
            "parser": name,
            "method": self.command,
            "target": self.requestline.split(" ")[1],
            "fields": [[key, value.encode("latin-1", "surrogateescape").hex()] for key, value in self.headers.raw_items()],
            "body": body.hex(),
        }
        self.note(seen)
        answer = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def body(self):
        lengths = self.headers.get_all("Content-Length", [])
        codings = self.headers.get_all("Transfer-Encoding", [])
        if len(lengths) + len(codings) > 1:
            raise ValueError("framed twice")
        if lengths:
            return self.rfile.read(int(lengths[0]))
        if not codings:
            return b""
        if codings != ["chunked"]:
            raise ValueError("coding " + codings[0])
        body = b""
        while True:
            line = self.rfile.readline()
            if not line.endswith(b"\r\n") or not line[:-2] or line[:-2].strip(b"0123456789abcdefABCDEF"):
                raise ValueError("chunk size")
            size = int(line[:-2], 16)
            if size == 0:
                break
            body += self.rfile.read(size)
            if self.rfile.read(2) != b"\r\n":
                raise ValueError("chunk end")
        while (line := self.rfile.readline()) != b"\r\n":
            # The only one that is sent.
            if line.lower() != b"x-trailer: late\r\n":
                raise ValueError("trailer")
        return body

    def send_error(self, code, message=None, explain=None):
        # What http.server refuses has reached it all the same.
        self.note({"parser": name, "malformed": "%d %s" % (code, message)})
        super().send_error(code, message, explain)

    def note(self, seen):
        with writing, open(record, "a") as file:
            file.write(json.dumps(seen) + "\n")

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", port), Echo).serve_forever()
