import Access
import Border
import Testing

@testable import DataPlane

@Suite("Clients that fall silent, with the limits that nobody set, on the reactor's own clock")
struct SilentClientTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// From the last that is done until the client learns that it is over, seconds.
        var seconds: UInt64
        var counter: Counter
        var speech = ScriptedClient.Speech.http1
        /// The peer is one that has to say first whom it speaks for.
        var isLoadBalancer = false
        /// What is said as its end; empty: the connection ends without a word.
        var says = ""
        /// Done before the handshake is, as `Silence.begin` does without one.
        var begins: @Sendable (Silence) -> Void = { $0.begin() }
        /// Done after the handshake.
        var does: @Sendable (Silence) -> Void = { _ in }
    }

    /// All that end a connection by their time.
    private static let counters: [Counter] = [
        .handshakesExpired, .firstRequestsExpired, .headsExpired, .bodiesExpired, .idleExpired,
        .slowClientsCut, .upstreamConnectsExpired, .upstreamHeadsExpired, .parkedExpired,
    ]

    /// One client of one reactor, and since when it is silent.
    final class Silence {
        let client: ScriptedClient
        fileprivate(set) var sinceNanoseconds: UInt64

        fileprivate init(_ world: ScriptedReactor, _ row: Row) {
            var isReady: (ScriptedClient) -> Void = { _ in }
            client = ScriptedClient(world, row.speech) { isReady($0) }
            sinceNanoseconds = world.kernel.nowNanoseconds
            isReady = { [unowned self] _ in
                fallSilent()
                row.does(self)
            }
        }

        func begin() { client.begin() }

        /// It is silent from now on, as far as its deadline is concerned.
        func fallSilent() { sinceNanoseconds = client.world.kernel.nowNanoseconds }

        func after(seconds: UInt64, _ action: @escaping () -> Void) {
            client.world.kernel.after(seconds * 1_000_000_000, action)
        }
    }

    private static func post(_ path: String, type: String = "text/plain") -> String {
        "POST \(path) HTTP/1.1\r\nHost: wiki.test\r\nContent-Type: \(type)\r\nContent-Length: 1000\r\n\r\nabc"
    }

    private static let get = "GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n"
    private static let settings = HTTP2Client.preface + HTTP2Frame.bytes(.settings)

    private static func halfUpload(_ path: String) -> [UInt8] {
        HTTP2Client.headers(
            1, HTTP2Client.request(path, method: "POST", [("content-length", "1000")]), ends: false)
            + HTTP2Client.data(1, [1, 2, 3])
    }

    static let rows: [Row] = [
        Row(
            testDescription: "nothing at all: `handshake`", seconds: 10, counter: .handshakesExpired,
            begins: { _ in }),
        Row(
            testDescription: "half of the first flight: `handshake`", seconds: 10,
            counter: .handshakesExpired,
            begins: { $0.client.link.send(Array($0.client.firstFlight().prefix(100))) }),
        Row(
            testDescription: "a first flight that drips: `handshake`", seconds: 10,
            counter: .handshakesExpired,
            begins: { $0.client.drip($0.client.firstFlight()) { $0.link.send($1) } }),
        Row(
            testDescription: "a handshake without its end: `handshake`", seconds: 10,
            counter: .handshakesExpired,
            begins: {
                $0.client.isMute = true
                $0.begin()
            }),
        Row(
            testDescription: "a load balancer that says nothing: `handshake`", seconds: 10,
            counter: .handshakesExpired, isLoadBalancer: true, begins: { _ in }),
        Row(
            testDescription: "half a PROXY header: `handshake`", seconds: 10, counter: .handshakesExpired,
            isLoadBalancer: true,
            begins: { $0.client.link.send(Array(ProxyHeaderTests.header(ProxyHeaderTests.v4).prefix(20))) }),
        Row(
            testDescription: "a handshake and nothing behind it: `first-request`", seconds: 15,
            counter: .firstRequestsExpired),
        Row(
            testDescription: "half a head: `head`", seconds: 10, counter: .headsExpired,
            says: "HTTP/1.1 408", does: { $0.client.send("GET / HTTP/1.1\r\nHost: wiki.t") }),
        Row(
            testDescription: "a head that drips: `head`, from its first byte", seconds: 10,
            counter: .headsExpired, says: "HTTP/1.1 408",
            does: { $0.client.drip(Array(SilentClientTests.get.utf8)) { $0.send($1) } }),
        Row(
            testDescription: "half a body for an application: `body-patience`", seconds: 20,
            counter: .slowClientsCut, says: "HTTP/1.1 408",
            does: { $0.client.send(SilentClientTests.post("/upload")) }),
        Row(
            testDescription: "half a body for a reserved path: `body-patience`", seconds: 20,
            counter: .slowClientsCut, says: "HTTP/1.1 408",
            does: { $0.client.send(SilentClientTests.post("/.gatepost/sign-out")) }),
        Row(
            testDescription: "an answer that nobody reads: `body-patience`", seconds: 20,
            counter: .slowClientsCut,
            does: {
                $0.client.send("GET /large HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
                $0.client.link.pause(60_000_000_000)
            }),
        Row(
            testDescription: "nothing behind an answer: `idle`", seconds: 75, counter: .idleExpired,
            says: "HTTP/1.1 200", does: { $0.client.send(SilentClientTests.get) }),
        Row(
            testDescription: "a WebSocket on which nobody speaks: `body-idle`", seconds: 60,
            counter: .bodiesExpired, says: "HTTP/1.1 101",
            does: {
                $0.client.send(
                    "GET /socket HTTP/1.1\r\nHost: wiki.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            }),
        Row(
            testDescription: "HTTP/2 without its preface: `first-request`", seconds: 15,
            counter: .firstRequestsExpired, speech: .http2),
        Row(
            testDescription: "HTTP/2 without a stream: `first-request`", seconds: 15,
            counter: .firstRequestsExpired, speech: .http2,
            does: { $0.client.send(SilentClientTests.settings) }),
        Row(
            testDescription: "HTTP/2 with nothing but PINGs: `first-request`", seconds: 15,
            counter: .firstRequestsExpired, speech: .http2,
            does: {
                $0.client.send(SilentClientTests.settings)
                let ping = HTTP2Frame.bytes(.ping, 0, 0, [UInt8](repeating: 7, count: 8))
                // Byte by byte a byte each half second: one every eight seconds and a half.
                $0.client.drip(ping + ping) { $0.send($1) }
            }),
        Row(
            testDescription: "HTTP/2 with half a field section: `head`", seconds: 10,
            counter: .headsExpired, speech: .http2,
            does: {
                let block = HTTP2Frame.block(HTTP2Client.request())
                $0.client.send(SilentClientTests.settings + HTTP2Frame.bytes(.headers, 1, 1, block))
            }),
        Row(
            testDescription: "HTTP/2 behind an answer: `idle`", seconds: 75, counter: .idleExpired,
            speech: .http2,
            does: {
                $0.client.send(
                    SilentClientTests.settings + HTTP2Client.headers(1, HTTP2Client.request()))
            }),
    ]

    /// What comes back, by the path that was asked for.
    static func answer(_ head: String) -> [UInt8]? {
        if head.hasPrefix("GET /large") {
            return Array("HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n".utf8)
                + [UInt8](repeating: 120, count: 4_000_000)
        }
        if head.hasPrefix("GET /socket") {
            return Array(
                ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n").utf8)
        }
        // A kept connection to the application would rest as long as the client does, and be counted as well.
        let small = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
        return head.hasPrefix("GET") ? Array(small.utf8) : nil
    }

    private static func snapshot(_ row: Row? = nil) -> GatewaySnapshot {
        let peers = NetworkRange(base: NetworkAddress(v4: 0xC000_0200), prefixLength: 120)
        return Gateway.snapshot(
            [Facts.open(8_001)],
            addresses: row?.isLoadBalancer == true ? ClientAddressTrust(proxyProtocolFrom: [peers]) : nil)
    }

    @Test("each ends at its own moment, is counted once, and nobody else's time runs", arguments: rows)
    func silence(_ row: Row) throws {
        for seed in UInt64(1)...3 {
            var silence: Silence?
            var counted: [Counter: UInt64] = [:]
            let problems = try ScriptedReactor.run(
                seed: seed, seconds: 100, snapshot: Self.snapshot(row), upstream: Self.answer
            ) { world in
                let one = Silence(world, row)
                silence = one
                row.begins(one)
                world.kernel.after(99_000_000_000) {
                    for counter in Self.counters { counted[counter] = world.counters.value(counter) }
                }
            }
            #expect(problems.isEmpty, "seed \(seed): \(problems)")
            let one = try #require(silence)
            let ended = try #require(one.client.endedNanoseconds, "seed \(seed)")
            let waited = (ended - one.sinceNanoseconds) / 1_000_000
            // Looks at slowness come once a second, and everything has its way to go.
            let most = row.seconds * 1_000 + (row.counter == .slowClientsCut ? 3_000 : 500)
            #expect(waited + 5 >= row.seconds * 1_000 && waited <= most, "seed \(seed): \(waited) ms")
            let said = String(decoding: one.client.plain, as: UTF8.self)
            #expect(row.says.isEmpty ? !said.contains("HTTP/1.1 4") : said.hasPrefix(row.says), "\(said)")
            #expect(counted.filter { $0.value > 0 } == [row.counter: 1], "seed \(seed): \(counted)")
        }
    }

    @Test("an HTTP/2 stream with half a body is answered 408, and its connection rests as others do")
    func stream() throws {
        var client: ScriptedClient?
        var counted: UInt64 = 0
        var wasOpen = false
        var isOver = false
        let problems = try ScriptedReactor.run(
            seconds: 101, snapshot: Self.snapshot(), upstream: Self.answer
        ) { world in
            client = ScriptedClient(world, .http2) {
                $0.send(Self.settings + Self.halfUpload("/upload"))
            }
            client?.begin()
            // 20 s of patience and up to two looks, then it is idle for 75 s.
            world.kernel.after(90_000_000_000) {
                counted = world.counters.value(.slowClientsCut)
                wasOpen = client?.endedNanoseconds == nil
            }
            world.kernel.after(100_000_000_000) { isOver = client?.endedNanoseconds != nil }
        }
        #expect(problems.isEmpty, "\(problems)")
        #expect(counted == 1 && wasOpen && isOver)
    }
}
