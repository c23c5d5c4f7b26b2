"""A client beside what is measured: one request after the other on a connection of its own, as a process of its own."""
import json
import os
import select
import socket
import ssl
import statistics
import time

PAUSE_SECONDS = 0.002
# How long after an event a request still counts as beside it.
BESIDE_SECONDS = 0.5


class Polite:
    """Asks from the start until `end`."""

    def __init__(self, authorities, port, cookie):
        self.reader, writer = os.pipe()
        self.stop_reader, self.stop_writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.stop_writer)
            try:
                said = self.ask_until_told(authorities, port, cookie)
            except Exception as error:  # pylint: disable=broad-except # whatever it is, the parent tells of it
                said = repr(error)
            try:
                with open(writer, "wb") as pipe:
                    pipe.write(json.dumps(said).encode())
            finally:
                os._exit(0)
        os.close(writer)

    def ask_until_told(self, authorities, port, cookie):
        """When each request began and how long it took, seconds; or the text of what went wrong."""
        context = ssl.create_default_context(cafile=authorities)
        plain = socket.create_connection(("127.0.0.1", port), 60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The certificate names this host, the answer is a refusal or a page: either shows how long the gateway takes.
        connection = context.wrap_socket(plain, server_hostname="wiki.localhost")
        message = (f"GET /polite HTTP/1.1\r\nHost: wiki.localhost:{port}\r\nCookie: {cookie}\r\n"
                   "Accept: application/json\r\n\r\n").encode("ascii")
        taken = []
        # Not select(2): the descriptors behind the streams' are beyond what it can say.
        told = select.poll()
        told.register(self.stop_reader, select.POLLIN)
        while not told.poll(PAUSE_SECONDS * 1000):
            began = time.monotonic()
            connection.sendall(message)
            answer = b""
            while b"\r\n\r\n" not in answer:
                more = connection.recv(65536)
                if not more:
                    return f"closed after {len(taken)} requests"
                answer += more
            head, _, body = answer.partition(b"\r\n\r\n")
            left = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]) - len(body)
            while left > 0:
                left -= len(connection.recv(65536))
            taken.append((began, time.monotonic() - began))
        return taken

    def end(self, events):
        """Tells it to stop. Returns its p99 beside the events (monotonic seconds) and apart from them, milliseconds."""
        os.close(self.stop_writer)
        with open(self.reader, "rb") as file:
            taken = json.loads(file.read())
        os.waitpid(self.pid, 0)
        if isinstance(taken, str):
            raise SystemExit(f"cut: FAILED: the polite client lost a request: {taken}")
        beside = [lasted for began, lasted in taken
                  if any(event - lasted <= began <= event + BESIDE_SECONDS for event in events)]
        apart = [lasted for began, lasted in taken
                 if not any(event - lasted <= began <= event + 2 * BESIDE_SECONDS for event in events)]
        return tuple(statistics.quantiles(values, n=100)[98] * 1000 for values in (beside, apart))
