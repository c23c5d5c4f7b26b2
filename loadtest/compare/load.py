"""The clients: wrk, h2load and, where these cannot, lines of our own. Each says how many requests were answered well."""
import dataclasses
import multiprocessing
import os
import re
import select
import socket
import ssl
import statistics
import subprocess
import sys
import time
import urllib.request

from peers import HOST

LATE_SECONDS = 60


@dataclasses.dataclass
class Load:
    """Answers, seconds, and milliseconds in the middle and of the slowest hundredth (0 where nobody measured them)."""

    requests: int
    seconds: float
    p50: float = 0
    p99: float = 0


def fail(what, output=""):
    sys.exit(f"loadtest: {what}\n{output}".rstrip())


def served(bench):
    """Requests that the upstream answered so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{bench.plain_port}/served", timeout=5) as answer:
        return int(answer.read())


def environment(bench, **further):
    return {**os.environ, "OPENSSL_CONF": f"{bench.run}/openssl.cnf", **further}


def run(bench, command, seconds, **further):
    command = ["taskset", "-c", str(bench.load_core), *command]
    result = subprocess.run(
        command, env=environment(bench, **further), timeout=seconds + LATE_SECONDS, capture_output=True, text=True,
        check=False)
    if result.returncode != 0:
        fail(f"{command[3]} failed", result.stdout + result.stderr)
    return result.stdout


def wrk(bench, port, seconds, connections=64, host=HOST, target="/bench?page=1", cookie=None):
    """HTTP/1.1 over connections that stay, each with one request at a time."""
    before = served(bench)
    output = run(
        bench, ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "5s", "-s",
                f"{bench.root}/loadtest/lib/request.lua", f"https://{host}:{port}/"],
        seconds, LOADTEST_COOKIE=cookie or bench.cookie,
        LOADTEST_HOST=f"{host}:{port}", LOADTEST_TARGET=target)
    results = [line.split()[1:] for line in output.splitlines() if line.startswith("RESULT ")]
    if not results or "Non-2xx" in output:
        fail(f"wrk against port {port}: an answer was not a 2xx", output)
    requests, microseconds, p50, p99, *errors = (int(value) for value in results[0])
    if requests == 0 or any(errors):
        fail(f"port {port}: {requests} requests; connect, read, write, status, timeout: {errors}")
    if served(bench) - before < requests:
        fail(f"port {port}: {requests} answers, but not as many requests reached the upstream")
    return Load(requests, microseconds / 1e6, p50 / 1000, p99 / 1000)


def fields(bench):
    """The fields of `request-fields` and the session's cookie, as pairs."""
    with open(f"{bench.root}/loadtest/request-fields", encoding="ascii") as file:
        pairs = [tuple(line.rstrip("\n").split(": ", 1)) for line in file]
    with open(bench.cookie, encoding="ascii") as file:
        cookie = file.readline().rstrip("\n")
    return [(name, value) for name, value in pairs if name != "Host"] + [("Cookie", cookie)]


def h2load(bench, port, seconds, connections, streams):
    """HTTP/2: so many connections with so many requests at a time on each."""
    options = []
    for name, value in fields(bench):
        options += ["-H", f"{name.lower()}: {value}"]
    before = served(bench)
    output = run(
        bench, ["h2load", "-t", "1", "-c", str(connections), "-m", str(streams), "-D", str(seconds),
                f"--connect-to=127.0.0.1:{port}", *options, f"https://{HOST}:{port}/bench?page=1"], seconds)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output)
    if "Application protocol: h2" not in output or not codes or any(int(codes[at]) for at in (2, 3, 4)):
        fail(f"h2load against port {port} did not get what it asked for", output)
    # What the proxy worked for, requests that the end of the time cut off included.
    return Load(served(bench) - before, seconds)


class Client:
    """One TLS connection of our own, for what wrk does not do."""

    def __init__(self, bench, port, protocols=("http/1.1",)):
        self.bench, self.port = bench, port
        self.context = ssl.create_default_context(cafile=bench.authorities)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.set_alpn_protocols(list(protocols))
        lines = [f"{name}: {value}" for name, value in fields(bench)]
        self.message = "\r\n".join(
            ["GET /bench?page=1 HTTP/1.1", f"Host: {HOST}:{port}", *lines, "", ""]).encode("ascii")

    def connect(self, session=None):
        plain = socket.create_connection(("127.0.0.1", self.port), 30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(plain, server_hostname=HOST, session=session)

    def ask(self, connection):
        connection.sendall(self.message)
        self.read_answer(connection)

    def read_answer(self, connection):
        answer = b""
        while b"\r\n\r\n" not in answer:
            block = connection.recv(65536)
            if not block:
                fail(f"port {self.port} closed a connection", answer.decode("latin-1"))
            answer += block
        head, _, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if not head.startswith(b"HTTP/1.1 200") or not length:
            fail(f"port {self.port} answered", head.decode("latin-1"))
        left = int(length[1]) - len(body)
        while left > 0:
            left -= len(connection.recv(65536))


def ask_with_each(bench, port):
    """One request with every cookie of the file."""
    client = Client(bench, port)
    head, _, rest = client.message.partition(b"Cookie: ")
    rest = rest.partition(b"\r\n")[2]
    with open(bench.cookie, "rb") as file, client.connect() as connection:
        for line in file:
            connection.sendall(head + b"Cookie: " + line.rstrip(b"\n") + b"\r\n" + rest)
            client.read_answer(connection)


PROCESSES = 4


def _handshakes(bench, port, count, resumes, results):
    os.environ["OPENSSL_CONF"] = f"{bench.run}/openssl.cnf"
    os.sched_setaffinity(0, {bench.load_core})
    client, session, reused = Client(bench, port), None, 0
    for _ in range(count):
        with client.connect(session if resumes else None) as connection:
            client.ask(connection)
            reused += connection.session_reused
            session = connection.session
    results.put(reused)


def handshakes(bench, port, resumes, count=300):
    """Connections one after the other in four processes, one request on each; resumed with the newest ticket."""
    results, began = multiprocessing.Queue(), time.monotonic()
    arguments = (bench, port, count, resumes, results)
    players = [multiprocessing.Process(target=_handshakes, args=arguments) for _ in range(PROCESSES)]
    for player in players:
        player.start()
    for player in players:
        player.join()
        if player.exitcode != 0:
            fail(f"port {port}: a client of the handshakes failed")
    reused = sum(results.get() for _ in players)
    wanted = PROCESSES * (count - 1) if resumes else 0
    if reused != wanted:
        fail(f"port {port}: {reused} connections were resumed, {wanted} were to be")
    return Load(PROCESSES * count, time.monotonic() - began)


def uploads(bench, port, mebibytes=100, count=2):
    """Whole bodies, one after the other, to an upstream that reads them."""
    began = time.monotonic()
    options = []
    for name, value in fields(bench):
        options += ["-H", f"{name}: {value}"]
    for _ in range(count):
        sent = run(
            bench, ["curl", "-sS", "--http1.1", "--max-time", "120", "--cacert", bench.authorities, "--connect-to",
                    f"{HOST}:{port}:127.0.0.1:{port}", "-H", "Expect:", "-X", "POST", "-T",
                    f"{bench.run}/mebibytes-{mebibytes}", "-o", "/dev/null", "-w", "%{http_code} %{size_upload}", *options,
                    f"https://{HOST}:{port}/upload"], 120)
        if sent != f"200 {mebibytes << 20}":
            fail(f"port {port}: status and uploaded bytes of {mebibytes} MiB were {sent}")
    return Load(count * mebibytes, time.monotonic() - began)


H2_OPENING = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")


def h2_request(client):
    """One GET in HPACK's plainest form (RFC 7541 6.2.2: literals that are not indexed)."""
    def literal(name, value):
        def text(bytes_of):
            size, out = len(bytes_of), bytearray()
            if size < 127:
                return bytes([size]) + bytes_of
            out.append(127)
            size -= 127
            while size >= 128:
                out.append(size % 128 + 128)
                size //= 128
            return bytes(out) + bytes([size]) + bytes_of
        return b"\0" + text(name.encode("ascii")) + text(value.encode("ascii"))
    pairs = [(":method", "GET"), (":scheme", "https"), (":authority", f"{HOST}:{client.port}"),
             (":path", "/bench?page=1")]
    pairs += [(name.lower(), value) for name, value in fields(client.bench)]
    block = b"".join(literal(*pair) for pair in pairs)
    return H2_OPENING + len(block).to_bytes(3, "big") + b"\1\5\0\0\0\1" + block


def h2_answer(connection, port):
    """Reads frames until stream 1 ends."""
    stream = connection.makefile("rb")
    while True:
        head = stream.read(9)
        if len(head) < 9:
            fail(f"port {port} ended an h2 connection before it answered")
        kind, flags, number = head[3], head[4], int.from_bytes(head[5:9], "big")
        stream.read(int.from_bytes(head[:3], "big"))
        if kind in (3, 7):
            fail(f"port {port} answered h2 with frame type {kind}")
        if kind in (0, 1) and flags & 1 and number == 1:
            return


def idle(bench, port, is_h2, count):
    """Opens so many connections with one answered request each. Returns them, for as long as they are to stay."""
    client = Client(bench, port, ("h2",) if is_h2 else ("http/1.1",))
    request, open_ones = h2_request(client) if is_h2 else None, []
    for _ in range(count):
        connection = client.connect()
        if is_h2:
            connection.sendall(request)
            h2_answer(connection, port)
        else:
            client.ask(connection)
        open_ones.append(connection)
    return open_ones


def open_loop(bench, port, rate, seconds, connections=50):
    """Requests at a steady rate, whatever became of those before; the clock starts when one was to be sent."""
    os.environ["OPENSSL_CONF"] = f"{bench.run}/openssl.cnf"
    client, poller, free, busy, waits = Client(bench, port), select.epoll(), [], {}, []
    for _ in range(connections):
        connection = client.connect()
        client.ask(connection)
        poller.register(connection.fileno(), select.EPOLLIN)
        free.append(connection)
    began, sent, due = time.monotonic(), 0, []
    total = rate * seconds
    while len(waits) < total:
        now = time.monotonic()
        while sent < total and now >= began + sent / rate:
            due.append(began + sent / rate)
            sent += 1
        while due and free:
            connection = free.pop()
            busy[connection.fileno()] = (connection, due.pop(0))
            connection.sendall(client.message)
        wait = max(0, began + sent / rate - time.monotonic()) if sent < total else 0.05
        for number, _ in poller.poll(wait):
            connection, intended = busy.pop(number)
            client.read_answer(connection)
            waits.append((time.monotonic() - intended) * 1000)
            free.append(connection)
        if time.monotonic() - began > seconds + LATE_SECONDS:
            fail(f"port {port} does not keep up with {rate} requests a second")
    for connection in free:
        connection.close()
    waits = waits[rate:]
    return Load(len(waits), seconds, statistics.median(waits), statistics.quantiles(waits, n=100)[98])
