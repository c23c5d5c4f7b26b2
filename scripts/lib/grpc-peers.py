"""A gRPC server over TLS and a client of it, both Google's own (grpcio), with the gateway between them.

usage: grpc-peers.py CHAIN KEY AUTHORITIES TOKEN FORBIDDEN-TOKEN [SERVER-PORT GATEWAY HOST HOST-WITHOUT-UPSTREAM]

Prints the server's port, reads the gateway's port from standard input (GATEWAY is ADDRESS:PORT, and is not asked for), calls through the gateway and prints one line for
each check: its name and `ok`, or what was wrong. Messages are plain bytes: no generated code is needed.
"""
import sys
import threading
import time
from concurrent import futures

import grpc

chain, key, authorities = (open(path, "rb").read() for path in sys.argv[1:4])
token, forbidden = sys.argv[4:6]
ended = {name: threading.Event() for name in ("deadline", "cancel")}
seen = {}


def unary(request, context):
    seen["metadata"] = dict(context.invocation_metadata())
    return request


def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def total(requests, context):
    return b"%d" % sum(int(request) for request in requests)


def talk(requests, context):
    for request in requests:
        yield request[::-1]


def fail(request, context):
    context.set_trailing_metadata((("x-why", "because"), ("x-why-bin", b"\x00\xff")))
    context.abort(grpc.StatusCode.NOT_FOUND, "nothing here: \u00e4")


def break_off(request, context):
    yield b"one"
    context.abort(grpc.StatusCode.DATA_LOSS, "no more")


def wait(request, context):
    name = request.decode()
    seen[name] = context.time_remaining()
    context.add_callback(ended[name].set)
    yield b"begun"
    ended[name].wait(20)


class Handler(grpc.GenericRpcHandler):
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Talk": grpc.stream_stream_rpc_method_handler(talk),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "BreakOff": grpc.unary_stream_rpc_method_handler(break_off),
        "Wait": grpc.unary_stream_rpc_method_handler(wait),
    }

    def service(self, details):
        return self.methods.get(details.method.rsplit("/", 1)[1])


big = ("grpc.max_receive_message_length", 8 << 20)
server = grpc.server(futures.ThreadPoolExecutor(16), handlers=[Handler()], options=[big])
wanted_port, gateway, *hosts = sys.argv[6:] or ("0", None, "wiki.test", "localhost")
port = server.add_secure_port("127.0.0.1:" + wanted_port, grpc.ssl_server_credentials([(key, chain)]))
server.start()
print(port, flush=True)
gateway = gateway or "127.0.0.1:" + sys.stdin.readline().strip()


def channel(host):
    return grpc.secure_channel(
        gateway, grpc.ssl_channel_credentials(authorities),
        [("grpc.ssl_target_name_override", host), ("grpc.default_authority", host), big,
         ("grpc.enable_retries", 0)])


wiki, down = (channel(host) for host in hosts)
signed_in = (("gatepost-service-token", token),)
limit = {"metadata": signed_in, "timeout": 20}


def error(call, wanted):
    try:
        answer = call()
        answer = answer if isinstance(answer, bytes) else list(answer)
    except grpc.RpcError as failure:
        assert failure.code() == wanted, (failure.code(), failure.details())
        return failure
    raise AssertionError("no error but %r" % answer)


def method(kind, name, over=wiki):
    return getattr(over, kind)("/test.Echo/" + name)


def check_unary():
    assert method("unary_unary", "Unary")(b"hello", **limit) == b"hello"
    names = seen["metadata"].keys()
    assert "gatepost-request-id" in names and "gatepost-service-token" not in names, names


def check_big():
    assert method("unary_unary", "Unary")(b"x" * (3 << 20), **limit) == b"x" * (3 << 20)


def check_server_streaming():
    assert list(method("unary_stream", "Count")(b"500", **limit)) == [b"%d" % n for n in range(500)]


def check_client_streaming():
    assert method("stream_unary", "Total")(iter([b"%d" % n for n in range(500)]), **limit) == b"124750"


def check_bidirectional():
    turns = threading.Semaphore(1)

    def requests():
        for number in range(50):
            assert turns.acquire(timeout=10), "no answer before the next request"
            yield b"a%d" % number

    answers = []
    for answer in method("stream_stream", "Talk")(requests(), **limit):
        answers.append(answer)
        turns.release()
    assert answers == [(b"a%d" % n)[::-1] for n in range(50)], answers


def check_many_at_once():
    calls = [method("unary_unary", "Unary").future(b"%d" % n, **limit) for n in range(200)]
    assert [call.result() for call in calls] == [b"%d" % n for n in range(200)]


def check_error_without_message():
    failure = error(lambda: method("unary_unary", "Fail")(b"", **limit), grpc.StatusCode.NOT_FOUND)
    assert failure.details() == "nothing here: \u00e4", failure.details()
    trailing = dict(failure.trailing_metadata())
    assert trailing["x-why"] == "because" and trailing["x-why-bin"] == b"\x00\xff", trailing


def check_error_behind_messages():
    call = method("unary_stream", "BreakOff")(b"", **limit)
    assert next(call) == b"one"
    error(lambda: list(call), grpc.StatusCode.DATA_LOSS)


def check_deadline():
    call = method("unary_stream", "Wait")(b"deadline", metadata=signed_in, timeout=1.5)
    error(lambda: call, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert 0 < seen["deadline"] < 2, seen["deadline"]
    assert ended["deadline"].wait(10), "the server was not told"


def check_cancellation():
    call = method("unary_stream", "Wait")(b"cancel", **limit)
    assert next(call) == b"begun"
    begun = time.monotonic()
    call.cancel()
    assert ended["cancel"].wait(10), "the server was not told"
    assert time.monotonic() - begun < 5


def check_unauthenticated():
    failure = error(lambda: method("unary_unary", "Unary")(b"", timeout=20), grpc.StatusCode.UNAUTHENTICATED)
    assert failure.details(), "no reason"
    stream = method("stream_stream", "Talk")(iter([b"a"]), timeout=20)
    error(lambda: stream, grpc.StatusCode.UNAUTHENTICATED)


def check_permission_denied():
    metadata = (("gatepost-service-token", forbidden),)
    failure = error(
        lambda: method("unary_unary", "Unary")(b"", timeout=20, metadata=metadata),
        grpc.StatusCode.PERMISSION_DENIED)
    assert failure.details() == "no-policy-matches", failure.details()


def check_unavailable():
    failure = error(lambda: method("unary_unary", "Unary", down)(b"", timeout=20), grpc.StatusCode.UNAVAILABLE)
    assert failure.details() == "upstream-unavailable", failure.details()


for name, check in list(globals().items()):
    if name.startswith("check_"):
        try:
            check()
            print(name[6:], "ok", flush=True)
        except BaseException as problem:
            print(name[6:], repr(problem).replace("\n", " "), flush=True)
wiki.close()
down.close()
server.stop(0).wait(10)
