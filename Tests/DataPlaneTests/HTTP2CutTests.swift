import Access
import Border
import Testing

@testable import DataPlane

@Suite("HTTP/2 streams that wait for their end, on a reactor that ends one a turn")
struct HTTP2CutTests {
    /// Of session 1; one more is session 3's.
    private static let revoked = (0..<40).map { UInt32(2 * $0 + 1) }
    private static let other: UInt32 = 81

    /// What one run came to.
    private struct Outcome {
        var problems: [String] = []
        /// Everything that the client was told, in its order.
        var frames: [HTTP2Frame] = []
        /// What each upstream connection got, by the stream whose request came on it.
        var upstream: [UInt32: String] = [:]
        var streamsCut: UInt64 = 0
        func index(last kind: HTTP2Frame.Kind, of streams: [UInt32]) -> Int {
            frames.lastIndex { $0.kind == kind.rawValue && streams.contains($0.stream) } ?? -1
        }
        func data(of stream: UInt32) -> String {
            let bytes = frames.filter { $0.stream == stream && $0.kind == HTTP2Frame.Kind.data.rawValue }
            return String(decoding: bytes.flatMap(\.payload), as: UTF8.self)
        }
    }

    /// - Parameters:
    ///   - window: of each stream, until session 1 ends.
    ///   - during: done in the moment in which session 1 ends, behind which nothing of it may move.
    private static func run(
        seed: UInt64, window: UInt32, _ path: (UInt32) -> String,
        during: @escaping (ScriptedReactor, ScriptedClient) -> Void
    ) throws -> Outcome {
        var outcome = Outcome()
        var client: ScriptedClient?
        var upstreams: [ScriptedUpstream] = []
        let asks =
            HTTP2Client.preface + HTTP2Frame.bytes(.settings, 0, 0, [0, 4] + HTTP2Frame.big(window))
            + (revoked + [other]).flatMap { request($0, path($0)) }
        outcome.problems = try ScriptedReactor.run(
            seed: seed, seconds: 20, snapshot: Gateway.snapshot([Facts.closed(8_001)]), cutsPerTurnMax: 1,
            upstream: answer
        ) { world in
            world.control = { Self.answer($0, world) }
            client = ScriptedClient(world, .http2) { $0.send(asks) }
            client?.begin()
            world.kernel.after(1_000_000_000) {
                guard let client else { return }
                during(world, client)
                world.revoke(RevocationTests.revocation(1, .endSession("session-1")))
            }
            world.kernel.after(15_000_000_000) {
                upstreams = world.upstreams
                outcome.streamsCut = world.counters.value(.streamsCut)
            }
        }
        var reader = HTTP2FrameReader()
        while let frame = reader.next({
            defer { client = nil }
            return client?.plain
        }) { outcome.frames.append(frame) }
        for upstream in upstreams {
            let text = String(decoding: upstream.plain, as: UTF8.self)
            guard
                let stream = text.split(separator: " ").dropFirst().first.flatMap({ UInt32($0.dropFirst(3)) })
            else { continue }
            outcome.upstream[stream] = text
        }
        return outcome
    }

    /// Knows sessions 1 and 3.
    private static func answer(_ message: ToControl, _ world: ScriptedReactor) {
        guard case .pullSession(let ticket, let digest, _) = message else { return }
        let number = ([1, 3] as [UInt8]).first { Facts.digest($0) == digest }
        world.send(.session(ticket, number.map { Facts.record($0) }))
    }

    private static func request(_ stream: UInt32, _ path: String) -> [UInt8] {
        let cookie = HTTP2Tests.cookie(stream == other ? 3 : 1)
        guard path.hasPrefix("/t/") else {
            return HTTP2Client.headers(stream, HTTP2Client.request(path, cookie))
        }
        let connect = HTTP2StreamTests.connect.map { $0.0 == ":path" ? (":path", path) : $0 }
        return HTTP2Client.headers(stream, connect + cookie, ends: false)
    }

    /// `/e/…` streams events, `/t/…` is a tunnel.
    private static func answer(_ head: String) -> [UInt8]? {
        guard head.hasPrefix("GET /t/") else {
            return Array("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: early\n\n".utf8)
        }
        guard
            let key = head.split(separator: "\r\n").first(where: {
                $0.lowercased().hasPrefix("sec-websocket-key")
            })
        else { return nil }
        let text = Array(key.suffix(24).utf8)
        let accept = WebSocketAccept.value(of: text.span)
        return Array(
            ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Accept: \(String(decoding: accept, as: UTF8.self))\r\n\r\n").utf8)
    }

    @Test(
        "neither side is told what the other says behind the session's end; others are",
        arguments: 1...UInt64(8))
    func nothingMoves(seed: UInt64) throws {
        let outcome = try Self.run(seed: seed, window: 65_535, { $0 % 4 == 1 ? "/e/\($0)" : "/t/\($0)" }) {
            world, client in
            for upstream in world.upstreams { upstream.link.send(Array("data: late\n\n".utf8)) }
            for stream in Self.revoked + [Self.other] where stream % 4 == 3 {
                client.send(HTTP2Client.data(stream, Array("late".utf8)))
            }
        }
        #expect(outcome.problems.isEmpty, "seed \(seed): \(outcome.problems)")
        #expect(outcome.streamsCut == 40, "seed \(seed)")
        #expect(outcome.data(of: Self.other) == "data: early\n\ndata: late\n\n", "seed \(seed)")
        for stream in Self.revoked {
            #expect(!outcome.data(of: stream).contains("late"), "seed \(seed), stream \(stream)")
            #expect(outcome.upstream[stream]?.hasSuffix("late") != true, "seed \(seed), stream \(stream)")
        }
        // Served while others of the same connection waited for their end.
        let served = outcome.index(last: .data, of: [Self.other])
        #expect(served < outcome.index(last: .reset, of: Self.revoked), "seed \(seed)")
    }

    @Test(
        "a window that opens behind the session's end is filled for others only", arguments: 1...UInt64(8))
    func windowOpens(seed: UInt64) throws {
        let outcome = try Self.run(seed: seed, window: 0, { "/e/\($0)" }) { _, client in
            client.send(HTTP2Frame.bytes(.settings, 0, 0, [0, 4] + HTTP2Frame.big(65_535)))
        }
        #expect(outcome.problems.isEmpty, "seed \(seed): \(outcome.problems)")
        #expect(outcome.data(of: Self.other) == "data: early\n\n", "seed \(seed)")
        for stream in Self.revoked {
            #expect(outcome.data(of: stream).isEmpty, "seed \(seed), stream \(stream)")
        }
        let served = outcome.index(last: .data, of: [Self.other])
        #expect(served < outcome.index(last: .reset, of: Self.revoked), "seed \(seed)")
    }

    @Test(
        "what waits for an upstream's window when the session ends never goes there", arguments: 1...UInt64(8)
    )
    func upstreamWindowOpens(seed: UInt64) throws {
        var upstreams: [FramedUpstream] = []
        var route = Facts.closed(8_001)
        route.upstreams[0].speaksHTTP2 = true
        let tunnels = Self.revoked + [Self.other]
        let problems = try ScriptedReactor.run(
            seed: seed, seconds: 20, snapshot: Gateway.snapshot([route]), cutsPerTurnMax: 1,
            upstream: { _ in nil }
        ) { world in
            world.control = { Self.answer($0, world) }
            world.accepting = { link in
                let upstream = FramedUpstream(link)
                upstreams.append(upstream)
                return upstream
            }
            let client = ScriptedClient(world, .http2) {
                $0.send(
                    HTTP2Client.preface + HTTP2Frame.bytes(.settings)
                        + tunnels.flatMap { Self.request($0, "/t/\($0)") })
            }
            client.begin()
            world.kernel.after(1_000_000_000) {
                for stream in tunnels { client.send(HTTP2Client.data(stream, Array("early".utf8))) }
            }
            world.kernel.after(2_000_000_000) {
                for upstream in upstreams { upstream.openWindow() }
                world.revoke(RevocationTests.revocation(1, .endSession("session-1")))
            }
        }
        #expect(problems.isEmpty, "seed \(seed): \(problems)")
        let bodies = upstreams.reduce(into: [String: String]()) { $0.merge($1.bodies) { $1 } }
        #expect(bodies == ["/t/\(Self.other)": "early"], "seed \(seed)")
        // CANCEL, and not an end in front of which they would have been told.
        #expect(upstreams.reduce(0) { $0 + $1.resets } == Self.revoked.count, "seed \(seed)")
        #expect(upstreams.contains { $0.isServedBetweenResets }, "seed \(seed)")
    }
}

/// An HTTP/2 upstream that opens every tunnel and no window, until it is told to.
private final class FramedUpstream: Peer {
    private let link: Link
    private var waiting: [UInt8] = []
    private var reader = HTTP2FrameReader()
    private let lines = FieldInflater()
    private var paths: [UInt32: String] = [:]
    /// What came through tunnels, by their paths.
    private(set) var bodies: [String: String] = [:]
    private(set) var resets = 0
    private var resetsAtData = 0
    private var isPrefaceOver = false

    init(_ link: Link) {
        self.link = link
        link.send(HTTP2Origin.settings([(4, 0), (8, 1)]))
    }

    func openWindow() { link.send(HTTP2Origin.settings([(4, 65_535)])) }

    var isServedBetweenResets: Bool { !bodies.isEmpty && resetsAtData < resets }

    func gatewayWrote(_ bytes: [UInt8], wasBlocked: Bool) {}

    func received(_ bytes: [UInt8]) {
        waiting += bytes
        guard isPrefaceOver || waiting.count >= HTTP2Client.preface.count else { return }
        if !isPrefaceOver { waiting.removeFirst(HTTP2Client.preface.count) }
        isPrefaceOver = true
        while let frame = reader.next({ take() }) { note(frame) }
    }

    private func take() -> [UInt8]? {
        defer { waiting = [] }
        return waiting.isEmpty ? nil : waiting
    }

    private func note(_ frame: HTTP2Frame) {
        switch HTTP2Frame.Kind(rawValue: frame.kind) {
        case .settings where frame.flags & HTTP2Frame.acknowledge == 0:
            link.send(HTTP2Frame.bytes(.settings, HTTP2Frame.acknowledge))
        case .headers:
            paths[frame.stream] = lines.inflate(frame.payload).first { $0.0 == ":path" }?.1
            link.send(HTTP2Origin.head(frame.stream))
        case .data where !frame.payload.isEmpty:
            bodies[paths[frame.stream] ?? "", default: ""] += String(decoding: frame.payload, as: UTF8.self)
            resetsAtData = resets
        case .reset: resets += 1
        default: return
        }
    }

    func ended() { link.end() }
    func reset() {}
}
