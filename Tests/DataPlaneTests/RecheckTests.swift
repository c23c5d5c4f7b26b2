import Access
import Border
import Synchronization
import Testing

@testable import DataPlane

@Suite("A session whose device should prove itself again")
struct RecheckTests {
    enum Reply: Sendable { case redirect, proceed, silence }

    /// Session 1, to be asked about so many seconds from now.
    private static func gateway(
        _ origin: UInt16, dueIn seconds: Int64 = -1, _ reply: Reply, limits: Limits = Limits()
    ) throws -> Gateway {
        try Gateway([Facts.closed(origin)], limits: limits) { message, gateway in
            switch message {
            case .pullSession(let ticket, _, _):
                var record = Facts.record(1)
                record.recheckAtSeconds = Clock.wallSeconds() + seconds
                gateway.send(.session(ticket, record))
            case .request(let request):
                switch reply {
                case .redirect:
                    gateway.send(
                        .response(
                            ControlResponse(
                                ticket: request.ticket, status: 302,
                                fields: [Field("Location", "https://auth.test/check")], body: [])))
                case .proceed: gateway.send(.proceed(request.ticket))
                case .silence: break
                }
            case _: break
            }
        }
    }

    private static let document =
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"

    private static func asked(_ gateway: Gateway) -> [ControlRequest.Purpose] {
        gateway.received.withLock { $0 }.compactMap { message in
            if case .request(let request) = message { request.purpose } else { nil }
        }
    }

    @Test func `a page of its own tab goes where the control plane says`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Self.gateway(origin.port, .redirect)
        let answer = try gateway.client().get("/a?b", fields: Facts.cookie(1) + Self.document)
        #expect(answer?.status == 302 && answer?.field("Location") == "https://auth.test/check")
        #expect(Self.asked(gateway) == [.recheck])
        #expect(origin.connectionCount == 0)
    }

    @Test func `where the control plane has nothing to say the page is opened, and asked about once`() throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Self.gateway(origin.port, .proceed)
        let client = try gateway.client()
        for count in 1...3 {
            let answer = client.get("/a?b", fields: Facts.cookie(1) + Self.document)
            #expect(answer?.status == 200 && answer?.text.hasPrefix("GET /a?b ") == true)
            #expect(Self.asked(gateway).count == count, "the next request is asked about anew")
        }
    }

    @Test func `a control plane that does not answer keeps nobody from a page that may be opened`() throws {
        let origin = TestOrigin.echo()
        var limits = Limits()
        limits.parkedMilliseconds = 50
        let gateway = try Self.gateway(origin.port, .silence, limits: limits)
        let client = try gateway.client()
        let answer = client.get("/a", fields: Facts.cookie(1) + Self.document)
        #expect(answer?.status == 200)
        // A late word about it is about nothing.
        guard case .request(let request)? = gateway.waitFor({ if case .request = $0 { true } else { false } })
        else {
            Issue.record("nothing was asked")
            return
        }
        gateway.send(.proceed(request.ticket))
        #expect(client.get("/b", fields: Facts.cookie(1))?.text.hasPrefix("GET /b ") == true)
    }

    @Test func `nobody is asked before it is time`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Self.gateway(origin.port, dueIn: 600, .redirect)
        #expect(try gateway.client().get("/a", fields: Facts.cookie(1) + Self.document)?.status == 200)
        #expect(Self.asked(gateway) == [])
    }

    @Test(arguments: AskedBy.scripts.filter { $0.method == "GET" && !$0.who.hasPrefix("WebSocket") })
    func `whatever a script or a program asks for is simply answered`(_ row: AskedBy) throws {
        let origin = TestOrigin.echo()
        let gateway = try Self.gateway(origin.port, .redirect)
        let client = try gateway.client()
        let answer = client.get(
            "/a", fields: Facts.cookie(1) + row.fields.map { $0 + "\r\n" }.joined())
        #expect(answer?.status == 200, "\(row.who)")
        #expect(Self.asked(gateway) == [])
    }

    @Test(arguments: [
        "POST /a HTTP/1.1\r\nContent-Length: 0\r\n", "PUT /a HTTP/1.1\r\nContent-Length: 0\r\n",
        "GET /a HTTP/1.1\r\nContent-Length: 5\r\n",
    ])
    func `nothing that carries anything is led away`(_ head: String) throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                if head.contains("Content-Length: 5") { _ = connection.read(5) }
                connection.answer(head)
            }
        }
        let gateway = try Self.gateway(origin.port, .redirect)
        let client = try gateway.client()
        client.send(
            head + "Host: wiki.test\r\n\(Facts.cookie(1))\(Self.document)\r\n"
                + (head.contains("Length: 5") ? "hello" : ""))
        #expect(client.receive()?.status == 200)
        #expect(Self.asked(gateway) == [])
    }

    @Test func `a frame of the page is not led away either`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Self.gateway(origin.port, .redirect)
        let frame = Self.document.replacing("document", with: "iframe")
        #expect(try gateway.client().get("/a", fields: Facts.cookie(1) + frame)?.status == 200)
        #expect(Self.asked(gateway) == [])
    }

    @Test func `a WebSocket is begun without a question`() throws {
        let origin = RevocationTests.origin()
        let gateway = try Self.gateway(origin.port, .redirect)
        _ = try RevocationTests.tunnel(gateway, 1)
        #expect(Self.asked(gateway) == [])
    }
}

@Suite("A session whose device did not prove itself in time")
struct ExpiredProofTests {
    private func gateway(keepsForms: Bool = false) throws -> Gateway {
        var route = Facts.closed(1)
        route.keepsForms = keepsForms
        return try Gateway([route]) { message, gateway in
            if case .pullSession(let ticket, _, _) = message {
                var record = Facts.record(1, allowed: false)
                record.residual.refusal = .postureRequired
                gateway.send(.session(ticket, record))
            }
            if case .request(let request) = message {
                gateway.send(
                    .response(
                        ControlResponse(
                            ticket: request.ticket, status: 200, fields: [],
                            body: Array("\(request.purpose)".utf8))))
            }
        }
    }

    @Test(arguments: [
        "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n", "Accept: text/event-stream\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ])
    func `a program, an event stream and a WebSocket get 401 and the address that helps`(_ fields: String)
        throws
    {
        let gateway = try self.gateway()
        let answer = try #require(try gateway.client().get("/a", fields: Facts.cookie(1) + fields))
        #expect(answer.status == 401 && answer.field("Location") == nil)
        let id = try #require(answer.field("Gatepost-Request-Id"))
        let url = "https://wiki.test:8443/.gatepost/sign-in?device-check=1"
        #expect(
            answer.text == #"{"reason":"posture-required","open_url":"\#(url)","request_id":"\#(id)"}"#)
        #expect(answer.field("WWW-Authenticate") == "Gatepost realm=\"gatepost\"")
    }

    @Test func `a page is the control plane's to answer`() throws {
        let gateway = try self.gateway()
        let answer = try gateway.client().get(
            "/a", fields: Facts.cookie(1) + "Sec-Fetch-Mode: navigate\r\n")
        #expect(answer?.text == "refused(Access.Reason.postureRequired)")
    }

    @Test(arguments: [true, false])
    func `a form that was filled in meanwhile is kept where forms are kept`(_ isKept: Bool) throws {
        let gateway = try self.gateway(keepsForms: isKept)
        let client = try gateway.client()
        client.send(
            "POST /a HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))Origin: https://wiki.test:8443\r\n"
                + "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
                + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b")
        #expect(
            client.receive()?.text == (isKept ? "keepForm" : "refused(Access.Reason.postureRequired)"))
    }
}

@Suite("What is open when the proof's time is over")
struct ProofEndTests {
    @Test func `the control plane is asked once more at the end, so that the loss is on record`() throws {
        let origin = RevocationTests.origin()
        let gateway = try Gateway([Facts.closed(origin.port)]) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            var record = Facts.record(1)
            record.streamsUntilSeconds = Clock.wallSeconds() + 2
            gateway.send(.session(ticket, record))
        }
        let tunnel = try RevocationTests.tunnel(gateway, 1)
        while tunnel.readSome() != nil {}
        let renewals = gateway.waitUntil {
            let count = gateway.received.withLock { $0 }.count { if case .renew = $0 { true } else { false } }
            return count == 2 ? count : nil
        }
        #expect(renewals == 2, "ahead of the end, and at the end")
    }
}
