import Access
import Border
import CLinux
import Synchronization
import Testing

@testable import DataPlane

@Suite("What hostile clients and upstreams tried")
struct HostileTests {
    /// Session 1: refused until told otherwise.
    private static let control: Gateway.Answer = { message, gateway in
        switch message {
        case .pullSession(let ticket, let digest, _):
            let isKnown = digest == Facts.digest(1)
            gateway.send(.session(ticket, isKnown ? Facts.record(1, allowed: false) : nil))
        case .request(let request):
            gateway.send(
                .response(
                    ControlResponse(ticket: request.ticket, status: 403, fields: [], body: Array("no".utf8))))
        case .renew, .cut, .pullMachine, .pullCertified, .pullBearer, .pullService, .upstream: break
        }
    }

    @Test
    func `a body that was collected for the block page goes upstream when the decision changes meanwhile`()
        throws
    {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                if head.contains("Content-Length: 4") {
                    connection.answer(
                        "body "
                            + (connection.read(4).map { String(decoding: $0, as: UTF8.self) } ?? "is missing")
                    )
                } else {
                    connection.answer(head)
                }
            }
        }
        let gateway = try Gateway([Facts.closed(origin.port)], answer: Self.control)
        let client = try gateway.client()
        client.send(
            "GET /x HTTP/1.1\r\nHost: wiki.test\r\nSec-Fetch-Mode: navigate\r\nAccept: text/html\r\n"
                + "Content-Length: 4\r\n\(Facts.cookie(1))\r\n")
        _ = gateway.waitFor { if case .pullSession = $0 { true } else { false } }
        // The request is collecting its body; the session's way opens before it is whole.
        while gateway.engine.metrics().sum("cached_sessions") == 0 {}
        gateway.engine.revoke(RevocationTests.revocation(1, .replace(Facts.record(1, sequence: 1))))
        _ = gateway.waitFor { if case .cut = $0 { true } else { false } }
        client.send("abcd")
        #expect(client.receive()?.text == "body abcd")
        // And the next request on the same upstream connection is read as what it is.
        client.send("GET /next HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        #expect(client.receive()?.text.hasPrefix("GET /next HTTP/1.1") == true)
    }

    @Test(.timeLimit(.minutes(10)))
    func `a chunked body in ten thousand records costs no more than its bytes`() throws {
        let gateway = try Gateway([Facts.closed(TestOrigin.closedPort())], answer: Self.control)
        let client = try gateway.client()
        client.send(
            "POST /.gatepost/sign-in HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(String(repeating: "1\r\nx\r\n", count: 8_000))
        for _ in 0..<200 { client.send(records: [String](repeating: "1\r\nx\r\n", count: 40)) }
        client.send("0\r\n\r\n")
        #expect(client.receive()?.status == 403)
        #expect(gateway.engine.metrics().sum("stalls") == 0)
    }

    @Test(.timeLimit(.minutes(10)))
    func `a head that drips in ten thousand records is not read from its start each time`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\nX: " + String(repeating: "a\t", count: 7_000))
        for _ in 0..<250 { client.send(records: [String](repeating: "a", count: 40)) }
        client.send("\r\n\r\n")
        #expect(client.receive()?.status == 200)
        #expect(gateway.engine.metrics().sum("stalls") == 0)
    }

    @Test func `a refused client that stays costs nothing while it stays`() throws {
        let gateway = try Gateway([Facts.open(TestOrigin.closedPort())])
        let client = try gateway.client()
        client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        #expect(client.receive()?.status == 400)
        let before = gateway.engine.metrics().sum("turns")
        _ = client.hasMore(withinMilliseconds: 300)
        #expect(gateway.engine.metrics().sum("turns") - before < 100)
    }

    @Test func `an upload is cut once its time is over, however it goes on`() throws {
        let origin = TestOrigin { connection in
            _ = connection.readHead()
            while connection.readSome() != nil {}
        }
        let gateway = try Gateway([Facts.closed(origin.port)]) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            var record = Facts.record(1)
            record.streamsUntilSeconds = Clock.wallSeconds() + 1
            gateway.send(.session(ticket, record))
        }
        let client = try gateway.client()
        client.send(
            "POST /up HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 1000000\r\n\(Facts.cookie(1))\r\n")
        let end = Clock.wallSeconds() + 10
        var isCut = false
        while !isCut, Clock.wallSeconds() < end {
            isCut = !client.send([1])
            if client.hasMore(withinMilliseconds: 50), client.readSome() == nil { isCut = true }
        }
        #expect(isCut)
        #expect(gateway.engine.metrics().sum("streams_drained") == 1)
    }

    @Test func `a record that was pulled decides what is open, as a pushed one does`() throws {
        let origin = RevocationTests.origin()
        let pulls = Atomic<Int>(0)
        let gateway = try Gateway([Facts.closed(origin.port)]) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            let isFirst = pulls.add(1, ordering: .relaxed).oldValue == 0
            var record = Facts.record(1, allowed: isFirst)
            if isFirst {
                // The request's decision is over at once; what is open would have a minute.
                record.residual.validUntilSeconds = Clock.wallSeconds() + 2
                record.streamsUntilSeconds = Clock.wallSeconds() + 60
            }
            gateway.send(.session(ticket, record))
        }
        let tunnel = try RevocationTests.tunnel(gateway, 1)
        let other = try gateway.client()
        while pulls.load(ordering: .relaxed) < 2 {
            other.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
            guard other.receive() != nil else { break }
        }
        #expect(tunnel.readSome() == nil)
    }

    @Test func `what nobody is signed in for ends with its public path`() throws {
        let origin = RevocationTests.origin()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(client.readSome() != nil)
        let snapshot = Gateway.snapshot([Facts.closed(origin.port)], revision: 2)
        #expect(try gateway.engine.broadcast(configuration: snapshot))
        while client.readSome() != nil {}
    }
}
