"""What is compared: one row of README.md's table each, with its promise."""
import dataclasses
import gc
import time
import typing

import load
import measure

MIB_PER_GIB = 1024


@dataclasses.dataclass
class Value:
    """One measurement of one peer in one round. `figure` is what the ratio is made of."""

    figure: float
    rate: float = 0
    p50: float = 0
    p99: float = 0
    busy: float = 0
    crowded: float = 0
    machine: float = 0


@dataclasses.dataclass
class Scenario:
    name: str
    title: str
    unit: str
    # The bar is the best of these in each round; the others are shown beside it.
    bars: typing.Sequence[str]
    others: typing.Sequence[str]
    target: float
    take: typing.Callable
    needs_h2: bool = False
    enter: typing.Callable = lambda gateway: None
    leave: typing.Callable = lambda gateway: None
    warms_up: bool = True


def cost(of):
    """Wraps a load into: CPU µs of the proxy for each request."""
    def take(bench, peer, seconds):
        before, began = measure.used(peer.pid), time.monotonic()
        done = of(bench, peer, seconds)
        took, used = time.monotonic() - began, measure.used(peer.pid) - before
        each = 1000 * done.requests
        return Value(
            used.ran / each, done.requests / done.seconds, done.p50, done.p99, used.ran / 1e9 / took,
            used.waited / 1e9 / took, used.machine / each)
    return take


def per_gib(of, mebibytes_each):
    """Wraps a load of big bodies into: CPU seconds of the proxy for each GiB."""
    def take(bench, peer, seconds):
        value = cost(of)(bench, peer, seconds)
        value.figure *= MIB_PER_GIB / mebibytes_each / 1e6
        return value
    return take


def h1(connections=64, **further):
    return cost(lambda bench, peer, seconds: load.wrk(
        bench, peer.port, seconds, connections, cookie=peer.cookie, **further))


def public(bench, peer, seconds):
    # Only the gateway tells the application by its name.
    host = "open.localhost" if peer.name == "gatepost" else load.HOST
    return cost(lambda *_: load.wrk(bench, peer.port, seconds, host=host))(bench, peer, seconds)


def h2(connections, streams):
    return cost(lambda bench, peer, seconds: load.h2load(bench, peer.port, seconds, connections, streams))


def memory(is_h2):
    def take(bench, peer, _):
        # Memory that an earlier round left to the process would be no growth in this one.
        peer.begin_anew()
        load.idle(bench, peer.port, is_h2, 1).pop().close()
        before = measure.resident_kib(peer.pid)
        open_ones = load.idle(bench, peer.port, is_h2, bench.idle_connections)
        # Buffers that are kept for a moment after an answer are no idle connection's.
        time.sleep(5)
        grown = measure.resident_kib(peer.pid) - before
        for connection in open_ones:
            connection.close()
        del open_ones
        gc.collect()
        return Value(grown / bench.idle_connections)
    return take


def latency(bench, peer, seconds):
    done = load.open_loop(bench, peer.port, 2_000, seconds)
    return Value(done.p50, 2_000, done.p50, done.p99)


PLAIN = ["nginx"]
ALL = [
    Scenario("authenticated-h1", "authenticated and posture-checked h1, 64 connections, 1 KiB", "µs CPU", PLAIN,
             ["nginx-authrequest", "haproxy", "haproxy-jwt", "h2o", "apache-oidc", "envoy", "caddy"],
             0.80, h1()),
    Scenario("authenticated-h1-log", "the same with the access log on (nginx's off)", "µs CPU", PLAIN, [], 0.85, h1(),
             enter=lambda gateway: gateway.set_access_log(True), leave=lambda gateway: gateway.set_access_log(False)),
    Scenario("sessions-200000", "the same as the first with 200,000 sessions at random", "µs CPU", PLAIN, [], 0.85, h1(),
             enter=lambda gateway: gateway.multiply_sessions(200_000),
             leave=lambda gateway: gateway.forget_sessions()),
    Scenario("public-h1", "a public route, h1, 64 connections", "µs CPU", PLAIN, [], 0.70, public),
    Scenario("h2-32x10", "authenticated h2, 32 connections of 10 streams", "µs CPU", ["nginx-h2", "haproxy", "h2o"],
             ["envoy", "caddy"], 0.80, h2(32, 10), needs_h2=True),
    Scenario("h2-64x1", "authenticated h2, 64 connections of 1 stream", "µs CPU", ["nginx-h2", "haproxy", "h2o"],
             [], 1.0, h2(64, 1), needs_h2=True),
    Scenario("handshake", "a full handshake and one request", "µs CPU", PLAIN, ["haproxy", "h2o", "envoy"], 1.0,
             cost(lambda bench, peer, _: load.handshakes(bench, peer.port, False)), warms_up=False),
    Scenario("resumed", "a resumed handshake and one request", "µs CPU", PLAIN, ["haproxy", "h2o", "envoy"], 0.90,
             cost(lambda bench, peer, _: load.handshakes(bench, peer.port, True)), warms_up=False),
    Scenario("downloads", "1 MiB downloads over 8 connections", "CPU s per GiB", ["haproxy"], ["nginx", "envoy"], 0.90,
             per_gib(lambda bench, peer, seconds: load.wrk(
                 bench, peer.port, seconds, 8, target="/mebibyte"), 1)),
    Scenario("uploads", "100 MiB uploads, one after the other", "CPU s per GiB", ["haproxy"], ["nginx", "envoy"], 0.90,
             per_gib(lambda bench, peer, _: load.uploads(bench, peer.port), 1), warms_up=False),
    Scenario("connections-1024", "authenticated h1, 1,024 connections", "µs CPU", PLAIN, ["haproxy"], 0.80, h1(1024)),
    Scenario("connections-1", "authenticated h1, 1 connection", "µs CPU", PLAIN, ["haproxy"], 1.0, h1(1)),
    Scenario("latency", "p50 at 2,000 requests a second, open loop", "ms", PLAIN, ["haproxy"], 1.0, latency, warms_up=False),
    Scenario("idle-h1", "memory of an idle TLS connection, h1", "KiB", [], ["nginx", "haproxy"], 16, memory(False),
             warms_up=False),
    Scenario("idle-h2", "memory of an idle TLS connection, h2", "KiB", [], ["nginx-h2", "haproxy"], 24, memory(True),
             needs_h2=True, warms_up=False),
]
