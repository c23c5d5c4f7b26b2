import Access
import Border
import CLinux
import Synchronization
import Testing

@testable import DataPlane

@Suite("A revocation cuts what it must, and nothing else")
struct RevocationTests {
    /// Knows sessions 1 to 3: 1 and 2 on device-1, 3 on device-3.
    static let control: Gateway.Answer = { message, gateway in
        guard case .pullSession(let ticket, let digest, _) = message else { return }
        for number in 1...3 where digest == Facts.digest(UInt8(number)) {
            let device = number == 3 ? "device-3" : "device-1"
            gateway.send(.session(ticket, Facts.record(UInt8(number), device: device)))
            return
        }
        gateway.send(.session(ticket, nil))
    }

    /// Upgrades everything and echoes what comes through the tunnel; `/events` streams, `/slow` waits for a
    /// word.
    static func origin() -> TestOrigin {
        TestOrigin { connection in
            while let head = connection.readHead() {
                if head.contains("/events") {
                    connection.socket.write(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
                    while connection.readSome() != nil {}
                    return
                }
                if head.lowercased().contains("upgrade: websocket") {
                    connection.socket.write(RevocationTests.switching)
                    while let bytes = connection.socket.read() { connection.socket.write(bytes) }
                    return
                }
                connection.answer()
            }
        }
    }

    /// The answer to the key of `webSocket`.
    static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

    static func webSocket(_ number: UInt8, origin: String = "https://wiki.test:8443") -> String {
        "GET /ws HTTP/1.1\r\nHost: wiki.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            + "Origin: \(origin)\r\n\(Facts.cookie(number))\r\n"
    }

    static func tunnel(_ gateway: Gateway, _ number: UInt8) throws -> TestClient {
        let client = try gateway.client()
        client.send(webSocket(number))
        let response = try #require(client.receive())
        #expect(response.status == 101)
        #expect(response.field("Upgrade")?.lowercased() == "websocket")
        #expect(echoes(client))
        return client
    }

    static func echoes(_ client: TestClient) -> Bool {
        client.send("ping")
        return client.readSome() == Array("ping".utf8)
    }

    static func revocation(_ sequence: UInt64, _ effect: Revocation.Effect) -> Revocation {
        Revocation(sequence: sequence, eventNanoseconds: Clock.monotonicNanoseconds(), effect: effect)
    }

    struct Row: Sendable {
        let effect: Revocation.Effect
        /// Of the tunnels of sessions 1, 2 and 3.
        let survivors: [Bool]
    }

    static func rotated(allowed: Bool) -> SessionRecord {
        var record = Facts.record(1, sequence: 1, allowed: allowed)
        record.tokenDigest = Facts.record(9, sequence: 1).tokenDigest
        return record
    }

    static let rows: [Row] = [
        Row(effect: .endSession("session-1"), survivors: [false, true, true]),
        Row(effect: .endPerson("issuer person-2"), survivors: [true, false, true]),
        Row(effect: .endDevice("device-1"), survivors: [false, false, true]),
        Row(effect: .endApplication("wiki"), survivors: [false, false, false]),
        Row(effect: .endSession("session-9"), survivors: [true, true, true]),
        Row(effect: .endDevice("device-9"), survivors: [true, true, true]),
        Row(effect: .endApplication("other"), survivors: [true, true, true]),
        Row(effect: .replace(Facts.record(1, sequence: 1, allowed: false)), survivors: [false, true, true]),
        Row(effect: .replace(Facts.record(1, sequence: 1)), survivors: [true, true, true]),
        Row(effect: .replace(Facts.record(9, sequence: 1, allowed: false)), survivors: [true, true, true]),
        // Known by a newer secret now: what the older one opened is the same session's.
        Row(effect: .replace(rotated(allowed: false)), survivors: [false, true, true]),
        Row(effect: .replace(rotated(allowed: true)), survivors: [true, true, true]),
    ]

    @Test(arguments: rows)
    func `open tunnels of the revoked are cut, all others stay`(_ row: Row) throws {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: Self.control)
        let tunnels = try (1...3).map { try Self.tunnel(gateway, UInt8($0)) }
        gateway.engine.revoke(Self.revocation(1, row.effect))
        let cut = gateway.waitFor { if case .cut = $0 { true } else { false } }
        guard case .cut(1, 0, let streams, let nanoseconds)? = cut else {
            Issue.record("no report of the cut")
            return
        }
        #expect(streams == row.survivors.filter { !$0 }.count)
        #expect(nanoseconds < 5_000_000_000)
        for (tunnel, survives) in zip(tunnels, row.survivors) {
            if survives { #expect(Self.echoes(tunnel)) } else { #expect(tunnel.readSome() == nil) }
        }
    }

    @Test func `an event stream is cut at once, a short request in flight may finish`() throws {
        let finish = Finish()
        let arrived = Finish()
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                if head.contains("/slow") {
                    arrived.signal()
                    finish.wait()
                    connection.answer("finished")
                } else {
                    connection.socket.write(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
                    while connection.readSome() != nil {}
                }
            }
        }
        let gateway = try Gateway([Facts.closed(origin.port)], answer: Self.control)
        let stream = try gateway.client()
        stream.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        #expect(stream.readSome() != nil)
        let short = try gateway.client()
        short.send("GET /slow HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        arrived.wait()
        gateway.engine.revoke(Self.revocation(1, .endDevice("device-1")))
        while stream.readSome() != nil {}
        finish.signal()
        #expect(short.receive()?.text == "finished")
        // The connection ends with it.
        #expect(short.receive() == nil)
        #expect(gateway.engine.metrics().sum("streams_cut") == 1)
        #expect(gateway.engine.metrics().sum("streams_drained") == 1)
    }

    @Test func `a short request that does not finish in two seconds is cut`() throws {
        let arrived = Finish()
        let origin = TestOrigin { connection in
            _ = connection.readHead()
            arrived.signal()
            while connection.readSome() != nil {}
        }
        let gateway = try Gateway([Facts.closed(origin.port)], answer: Self.control)
        let client = try gateway.client()
        client.send("GET /slow HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        arrived.wait()
        gateway.engine.revoke(Self.revocation(1, .endSession("session-1")))
        #expect(client.receive() == nil)
    }

    @Test func `001.1 posture counts at every request, not only where somebody signs in`() throws {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: Self.control)
        let client = try gateway.client()
        func status() -> Int? { client.get(fields: Facts.cookie(1))?.status }
        #expect(status() == 200)
        // What a provider said of the device between two requests; the session is the same.
        gateway.engine.revoke(Self.revocation(1, .replace(Facts.record(1, sequence: 1, allowed: false))))
        #expect(gateway.waitForCounter("revocations", atLeast: 1))
        let refused = try #require(client.get(fields: Facts.cookie(1)))
        #expect(refused.status == 403 && refused.field("Gatepost-Reason") == "posture-non-compliant")
        #expect(status() == 403, "and at the one after it")
        gateway.engine.revoke(Self.revocation(2, .replace(Facts.record(1, sequence: 2))))
        #expect(gateway.waitForCounter("revocations", atLeast: 2))
        #expect(status() == 200)
    }

    @Test func `the next request of a revoked session asks again and is refused`() throws {
        let origin = Self.origin()
        let isEnded = BodyTests.Shared(Atomic(0))
        let gateway = try Gateway([Facts.closed(origin.port)]) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            gateway.send(
                .session(ticket, isEnded.count.load(ordering: .relaxed) == 0 ? Facts.record(1) : nil))
        }
        let client = try gateway.client()
        #expect(client.get(fields: Facts.cookie(1))?.status == 200)
        isEnded.count.store(1, ordering: .relaxed)
        gateway.engine.revoke(Self.revocation(1, .endSession("session-1")))
        #expect(gateway.waitForCounter("revocations", atLeast: 1))
        #expect(client.get(fields: Facts.cookie(1))?.status == 401)
    }

    @Test func `a record older than a revocation that touches it is never used`() throws {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.closed(origin.port)]) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            // The race: the record was read at sequence 4, then revocation 5 overtook it.
            gateway.engine.revoke(RevocationTests.revocation(5, .endDevice("device-1")))
            gateway.send(.session(ticket, Facts.record(1, sequence: 4)))
        }
        let response = try gateway.client().get(fields: Facts.cookie(1))
        #expect(response?.status == 503)
        #expect(gateway.engine.metrics().sum("session_pulls") == 3)
        #expect(origin.connectionCount == 0)
    }

    @Test
    func `a record as new as the revocation is used, and a later arrival of it does not end the session`()
        throws
    {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.closed(origin.port)]) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            gateway.send(.session(ticket, Facts.record(1, sequence: 5)))
        }
        let tunnel = try Self.tunnel(gateway, 1)
        gateway.engine.revoke(Self.revocation(5, .endDevice("device-1")))
        #expect(gateway.waitForCounter("revocations", atLeast: 1))
        #expect(Self.echoes(tunnel))
        gateway.engine.revoke(Self.revocation(6, .endDevice("device-1")))
        #expect(tunnel.readSome() == nil)
    }

    @Test func `many revocations never overflow their lane`() throws {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], workers: 2, answer: Self.control)
        for sequence in 1...20_000 {
            gateway.engine.revoke(Self.revocation(UInt64(sequence), .endSession("nobody")))
        }
        #expect(gateway.waitForCounter("revocations", atLeast: 40_000))
    }

    @Test func `a WebSocket opened by a stranger's page is refused, and nothing goes upstream`() throws {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: Self.control)
        let client = try gateway.client()
        client.send(Self.webSocket(1, origin: "https://evil.test"))
        let response = try #require(client.receive())
        #expect(response.status == 403)
        #expect(response.field("Gatepost-Reason") == "origin-not-allowed")
        #expect(origin.connectionCount == 0)
        client.send(Self.webSocket(1, origin: "https://friend.test"))
        #expect(client.receive()?.status == 101)
    }

    @Test func `when either side of a tunnel ends, the other one ends`() throws {
        let origin = TestOrigin { connection in
            _ = connection.readHead()
            connection.socket.write(Self.switching + "bye")
        }
        let gateway = try Gateway([Facts.closed(origin.port)], answer: Self.control)
        let client = try gateway.client()
        client.send(Self.webSocket(1))
        #expect(client.receive()?.status == 101)
        #expect(client.readSome() == Array("bye".utf8))
        #expect(client.readSome() == nil)
        #expect(
            gateway.waitUntil { gateway.engine.metrics().sum("open_upstreams") == 0 ? true : nil } == true)
    }
}

/// One event between two threads.
final class Finish: Sendable {
    private let isSignalled = Mutex(false)
    func signal() { isSignalled.withLock { $0 = true } }
    func wait() {
        let end = Clock.monotonicNanoseconds() + 10_000_000_000
        while Clock.monotonicNanoseconds() < end, !isSignalled.withLock({ $0 }) { poll(nil, 0, 1) }
    }
}
