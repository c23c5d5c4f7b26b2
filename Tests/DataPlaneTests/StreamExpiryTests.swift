import Access
import Border
import Testing

@testable import DataPlane

@Suite("What is open ends with the decision that opened it")
struct StreamExpiryTests {
    /// Session 1, whose streams are decided for so many seconds from its loading on.
    private static func control(_ seconds: Int64) -> Gateway.Answer {
        { message, gateway in
            guard case .pullSession(let ticket, let digest, _) = message, digest == Facts.digest(1) else {
                return
            }
            var record = Facts.record(1)
            record.streamsUntilSeconds = Clock.wallSeconds() + seconds
            gateway.send(.session(ticket, record))
        }
    }

    @Test func `a tunnel and an event stream are cut at their end, also when nobody renews them`() throws {
        let origin = RevocationTests.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: Self.control(2))
        let tunnel = try RevocationTests.tunnel(gateway, 1)
        let stream = try gateway.client()
        stream.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        #expect(stream.readSome() != nil)
        while stream.readSome() != nil {}
        #expect(tunnel.readSome() == nil)
        #expect(gateway.engine.metrics().sum("streams_expired") == 2)
    }

    @Test func `ahead of the end a fresh record is asked for once, and with it the stream goes on`() throws {
        let origin = RevocationTests.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: Self.control(3))
        let tunnel = try RevocationTests.tunnel(gateway, 1)
        let renewal = gateway.waitFor { if case .renew = $0 { true } else { false } }
        guard case .renew(Facts.digest(1), "wiki")? = renewal else {
            Issue.record("no fresh record was asked for")
            return
        }
        var record = Facts.record(1, sequence: 1)
        let later = Clock.wallSeconds() + 600
        record.streamsUntilSeconds = later
        gateway.engine.revoke(RevocationTests.revocation(1, .replace(record)))
        // Two looks later than the first end would have been.
        let looks = gateway.engine.metrics().sum("turns")
        while Clock.wallSeconds() < later - 600 + 5 { #expect(RevocationTests.echoes(tunnel)) }
        #expect(gateway.engine.metrics().sum("turns") > looks)
        #expect(gateway.engine.metrics().sum("streams_expired") == 0)
    }

    @Test func `of what is open the use is told when it is due, however far the end is`() throws {
        let origin = RevocationTests.origin()
        let gateway = try Gateway([Facts.closed(origin.port)]) { message, gateway in
            guard case .pullSession(let ticket, let digest, _) = message,
                let number = [1, 2].first(where: { Facts.digest($0) == digest })
            else { return }
            var record = Facts.record(number)
            record.streamsUntilSeconds = Clock.wallSeconds() + 600
            record.useNotedUntilSeconds = Clock.wallSeconds() + (number == 1 ? 600 : 1)
            gateway.send(.session(ticket, record))
        }
        let tunnels = try [1, 2].map { try RevocationTests.tunnel(gateway, $0) }
        let asked = gateway.waitFor { if case .renew = $0 { true } else { false } }
        guard case .renew(Facts.digest(2), "wiki")? = asked else {
            Issue.record("the use that is due was not told first")
            return
        }
        for tunnel in tunnels { #expect(RevocationTests.echoes(tunnel)) }
    }

    @Test func `what is open is decided by the record for what is open`() throws {
        let origin = RevocationTests.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
        let tunnel = try RevocationTests.tunnel(gateway, 1)
        var record = Facts.record(1, sequence: 1, allowed: false)
        record.openResidual = Facts.record(1).residual
        gateway.engine.revoke(RevocationTests.revocation(1, .replace(record)))
        _ = gateway.waitFor { if case .cut = $0 { true } else { false } }
        #expect(RevocationTests.echoes(tunnel))
        record.openResidual = record.residual
        record.residual = Facts.record(1).residual
        gateway.engine.revoke(RevocationTests.revocation(2, .replace(record)))
        #expect(tunnel.readSome() == nil)
    }

    @Test func `a WebSocket is told why it ends, between two frames and not inside of one`() throws {
        for (sent, expected) in [
            ([0x81, 2, 0x68, 0x69], [0x88, 15, 0x03, 0xf0] + Array("session-ended".utf8)),
            ([0x81, 3, 0x68, 0x69], nil),
        ] as [([UInt8], [UInt8]?)] {
            let origin = RevocationTests.origin()
            let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
            let client = try gateway.client()
            client.send(RevocationTests.webSocket(1))
            #expect(try #require(client.receive()).status == 101)
            client.send(sent)
            #expect(client.readSome() == sent)
            gateway.engine.revoke(RevocationTests.revocation(1, .endSession("session-1")))
            #expect(client.readSome() == expected)
            if expected != nil { #expect(client.readSome() == nil) }
        }
    }

    @Test func `the word that a WebSocket is closed with is the word of the decision`() throws {
        let origin = RevocationTests.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
        let client = try gateway.client()
        client.send(RevocationTests.webSocket(1))
        #expect(try #require(client.receive()).status == 101)
        let record = Facts.record(1, sequence: 1, allowed: false)
        gateway.engine.revoke(RevocationTests.revocation(1, .replace(record)))
        #expect(client.readSome() == [0x88, 23, 0x03, 0xf0] + Array("posture-non-compliant".utf8))
        #expect(client.readSome() == nil)
    }
}
