import Border
import Testing

@testable import DataPlane

@Suite("An orderly stop tells HTTP/2 clients in two steps (RFC 9113 §6.8)")
struct HTTP2GoodbyeTests {
    private static let unnamed: UInt32 = 0x7fff_ffff

    private static func limits(goodbye milliseconds: Int) -> Limits {
        var limits = Limits()
        limits.http2.goodbyeMilliseconds = milliseconds
        return limits
    }

    /// - Parameter milliseconds: how long a client may take to answer.
    private static func stopping(
        _ origin: TestOrigin, goodbye milliseconds: Int = 60_000, before: (HTTP2Client) -> Void = { _ in }
    ) throws -> (gateway: Gateway, client: HTTP2Client) {
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits(goodbye: milliseconds))
        let client = try HTTP2Client(gateway)
        client.answersPing = false
        before(client)
        gateway.engine.drain(deadlineMilliseconds: 60_000)
        #expect(client.readUntil { $0.goaways.count == 1 })
        #expect(client.goaway?.lastStream == unnamed && client.goaway?.code == 0)
        return (gateway, client)
    }

    @Test func `a connection without a request is not closed before it has read that it should go`() throws {
        let origin = TestOrigin.echo()
        let (gateway, client) = try Self.stopping(origin) { #expect($0.get(1)?.status == 200) }
        #expect(client.readUntil { $0.pings.count == 1 })
        // On its way when the client had not read the first GOAWAY.
        #expect(client.get(3, "/late")?.text.hasPrefix("GET /late ") == true)
        #expect(client.goaways.count == 1)
        client.answer(ping: client.pings[0])
        #expect(client.readUntil { $0.goaways.count >= 2 })
        #expect(client.goaways[1].lastStream == 3 && client.goaways[1].code == 0)
        #expect(client.readUntil { $0.client.hasEnded })
        gateway.engine.join()
    }

    @Test func `a connection that asked for nothing yet is served as well`() throws {
        let origin = TestOrigin.echo()
        let (gateway, client) = try Self.stopping(origin) {
            _ = $0.readUntil { $0.acknowledgedSettings == 1 }
        }
        #expect(client.get(1)?.status == 200)
        #expect(client.readUntil { $0.pings.count == 1 })
        client.answer(ping: client.pings[0])
        #expect(client.readUntil { $0.goaways.count >= 2 } && client.goaways[1].lastStream == 1)
        gateway.engine.join()
    }

    @Test func `what is in progress is answered whole behind the last GOAWAY, and nothing later is begun`()
        throws
    {
        let finish = Finish()
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                if head.contains("/slow") { finish.wait() }
                connection.answer(head)
            }
        }
        let (gateway, client) = try Self.stopping(origin) {
            $0.send(HTTP2Client.headers(1, HTTP2Client.request("/slow")))
            _ = $0.get(3, "/quick")
        }
        #expect(client.readUntil { $0.pings.count == 1 })
        client.answer(ping: client.pings[0])
        #expect(client.readUntil { $0.goaways.count == 2 } && client.goaways[1].lastStream == 3)
        // A client that goes on all the same is not heard: it may ask elsewhere.
        client.send(HTTP2Client.headers(5, HTTP2Client.request("/later")))
        finish.signal()
        #expect(client.receive(1)?.text.hasPrefix("GET /slow ") == true)
        #expect(client.readUntil { $0.client.hasEnded })
        #expect(client.responses[5]?.fields.isEmpty != false)
        gateway.engine.join()
        #expect(gateway.engine.metrics().sum("http2_streams") == 2)
    }

    @Test func `a client that does not answer is told its last stream after a moment`() throws {
        let origin = TestOrigin.echo()
        let (gateway, client) = try Self.stopping(origin, goodbye: 20) { #expect($0.get(1)?.status == 200) }
        #expect(client.readUntil { $0.goaways.count >= 2 })
        #expect(client.goaways[1].lastStream == 1 && client.goaways[1].code == 0)
        #expect(client.readUntil { $0.client.hasEnded })
        gateway.engine.join()
    }

    @Test func `an answer to a PING that nobody sent ends nothing`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        client.answer(ping: [0, 0, 0, 0, 0, 0, 0, 0])
        for stream in [1, 3, 5] as [UInt32] { #expect(client.get(stream)?.status == 200) }
        #expect(client.goaways.isEmpty)
    }
}
