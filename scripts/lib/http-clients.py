"""Clients that nobody here wrote speak with a gateway: httpx (HTTP/1.1 and HTTP/2), h2 and websockets.

http-clients.py WHAT PORT AUTHORITY COOKIE [ADDRESS HOST ORIGIN]: the gateway listens on ADDRESS (127.0.0.1) and PORT, its
certificate is AUTHORITY's, and its application is HOST (wiki.test), called ORIGIN by its pages, with /echo, /count, /stream,
/events and /ws. Ends with 0 and says `ok`, or says what was wrong. `cut1` and `cut2` say `open` once their WebSocket is
open, and how it was closed when it is; `events2` does so with an event stream over HTTP/2.
"""

import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events
import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

what, port, authority, cookie = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
ADDRESS, HOST, ORIGIN = sys.argv[5:8] or ("127.0.0.1", "wiki.test", "https://wiki.test:8443")
MEGABYTE = 1 << 20


def context(protocol):
    made = ssl.create_default_context(cafile=authority)
    made.set_alpn_protocols([protocol])
    return made


def check(is_right, *said):
    if not is_right:
        print("wrong:", *said)
        sys.exit(1)


# httpx


def blocks(count):
    for _ in range(count):
        yield b"x" * 65536


def requests(is_http2):
    with httpx.Client(
        http2=is_http2, http1=not is_http2, verify=ssl.create_default_context(cafile=authority),
        base_url=f"https://{ADDRESS}:{port}", headers={"host": HOST, "cookie": cookie}, timeout=30,
    ) as client:
        def ask(method, path, **more):
            return client.request(method, path, extensions={"sni_hostname": HOST}, **more)

        version = "HTTP/2" if is_http2 else "HTTP/1.1"
        answer = ask("GET", "/echo?a=b", headers={"accept": "text/x"})
        check(answer.status_code == 200 and answer.http_version == version, answer, answer.http_version)
        check(answer.text.startswith("GET /echo?a=b HTTP/") and "text/x" in answer.text, answer.text)
        check("__Host-gatepost" not in answer.text, answer.text)
        answer = ask("HEAD", "/echo")
        check(answer.status_code == 200 and answer.content == b"", answer)
        # A known length, none, and an unknown one.
        check(ask("POST", "/count", content=b"y" * 100_000).text == "100000", "POST")
        check(ask("POST", "/count", content=b"").text == "0", "empty POST")
        check(ask("POST", "/count", content=blocks(32)).text == str(2 * MEGABYTE), "streamed POST")
        check(ask("PUT", "/count", json={"a": 1}).text.isdigit(), "PUT")
        for path, count in [("/stream", MEGABYTE), ("/events", 9)]:
            with client.stream("GET", path, extensions={"sni_hostname": HOST}) as answer:
                seen = 0
                for piece in answer.iter_raw():
                    seen += len(piece)
                    if seen >= count:
                        break
                check(seen == count, path, seen)
        check(ask("GET", "/echo").status_code == 200, "after a stream that was left")
        refused = client.get("/echo", headers={"cookie": ""}, extensions={"sni_hostname": HOST})
        check(refused.status_code == 401 and refused.json()["reason"] == "sign-in-required", refused.text)


# websockets


def websocket():
    plain = socket.create_connection((ADDRESS, port), timeout=20)
    return connect(
        f"wss://{HOST}:{port}/ws", sock=plain, ssl=context("http/1.1"), server_hostname=HOST, origin=ORIGIN,
        additional_headers={"Cookie": cookie}, compression=None)


def talk():
    with websocket() as socket_:
        for text in ["hello", "", "x" * 100]:
            socket_.send(text)
            check(socket_.recv(timeout=20) == text, text)
        socket_.close(1000)


def cut():
    with websocket() as socket_:
        socket_.send("hello")
        check(socket_.recv(timeout=20) == "hello")
        print("open", flush=True)
        try:
            socket_.recv(timeout=20)
        except ConnectionClosed as closed:
            print(f"closed {closed.rcvd.code} {closed.rcvd.reason}")


# h2 by hand: RFC 8441, which no client of Python has


class Stream:
    def __init__(self):
        plain = socket.create_connection((ADDRESS, port), timeout=20)
        self.socket = context("h2").wrap_socket(plain, server_hostname=HOST)
        check(self.socket.selected_alpn_protocol() == "h2", self.socket.selected_alpn_protocol())
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="latin-1", validate_outbound_headers=False,
            normalize_outbound_headers=False)
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.flush()
        self.status, self.bytes, self.is_over, self.reset = {}, b"", False, {}
        self.wait(lambda: self.connection.remote_settings.enable_connect_protocol == 1)

    def flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def wait(self, condition):
        while not condition():
            received = self.socket.recv(65536)
            check(received, "the connection ended")
            for event in self.connection.receive_data(received):
                if isinstance(event, h2.events.ResponseReceived):
                    self.status[event.stream_id] = int(dict(event.headers)[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    self.bytes += event.data
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamReset):
                    self.reset[event.stream_id] = int(event.error_code)
                elif isinstance(event, h2.events.StreamEnded):
                    self.is_over = True
                elif isinstance(event, h2.events.ConnectionTerminated):
                    check(False, "GOAWAY", event.error_code)
            self.flush()

    def request(self, fields, ends=True):
        number = self.connection.get_next_available_stream_id()
        self.connection.send_headers(number, fields, end_stream=ends)
        self.flush()
        return number

    def send(self, number, data, ends=False):
        self.connection.send_data(number, data, end_stream=ends)
        self.flush()


def extended():
    stream = Stream()
    number = stream.request([
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", HOST),
        (":path", "/ws"), ("sec-websocket-version", "13"), ("origin", ORIGIN), ("cookie", cookie)], ends=False)
    stream.wait(lambda: stream.status.get(number))
    check(stream.status[number] == 200, stream.status)
    text = b"hello"
    # Masked with zeros: the bytes are the text's.
    stream.send(number, bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    stream.wait(lambda: len(stream.bytes) >= 7)
    check(stream.bytes == b"\x81\x05hello", stream.bytes)
    return stream, number


def talk2():
    stream, number = extended()
    stream.send(number, bytes([0x88, 0x82, 0, 0, 0, 0, 3, 0xE8]))
    stream.wait(lambda: stream.bytes.endswith(b"\x88\x02\x03\xe8"))
    stream.send(number, b"", ends=True)
    stream.wait(lambda: stream.is_over)


def cut2():
    stream, _ = extended()
    print("open", flush=True)
    stream.wait(lambda: stream.is_over)
    frame = stream.bytes[7:]
    check(frame[0] == 0x88, frame)
    print(f"closed {int.from_bytes(frame[2:4], 'big')} {frame[4:].decode()}")


def events2():
    stream = Stream()
    number = stream.request([
        (":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/events"), ("cookie", cookie)])
    stream.wait(lambda: stream.status.get(number) == 200 and stream.bytes)
    print("open", flush=True)
    stream.wait(lambda: number in stream.reset or stream.is_over)
    print("ended whole" if stream.is_over else f"reset {stream.reset[number]}")


def invalid_fields():
    """CVE-2023-27491 over HTTP/2: each is a stream of its own, and none may be answered 200."""
    stream = Stream()
    for fields in [
        [("x", "a\x0bb")], [("x", "\x7f")], [("x", "\x01")], [("x", "a\r\nhost: evil.test")], [("x", "a\x00b")],
        [("x\xfc", "b")], [("x y", "1")], [("x\"y", "1")], [("X", "1")], [("", "1")], [("x:", "1")],
        [("x", "1"), (":path", "/admin")], [(":method", "POST")], [(":status", "200")],
        [("connection", "x")], [("transfer-encoding", "chunked")], [("te", "gzip")], [("host", "evil.test")],
    ]:
        number = stream.request([
            (":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/invalid"),
            ("cookie", cookie)] + fields)
        stream.wait(lambda: stream.reset.get(number) is not None or stream.status.get(number))
        check(stream.reset.get(number) == 1 or stream.status.get(number) == 400, fields, stream.reset, stream.status)
    number = stream.request([
        (":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/echo"), ("cookie", cookie)])
    stream.wait(lambda: stream.status.get(number))
    check(stream.status[number] == 200, stream.status)


{
    "requests1": lambda: requests(False), "requests2": lambda: requests(True), "websocket1": talk, "websocket2": talk2,
    "cut1": cut, "cut2": cut2, "events2": events2, "invalid-fields": invalid_fields,
}[what]()
print("ok")
