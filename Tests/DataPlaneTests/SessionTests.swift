import Access
import Border
import Synchronization
import Testing

@testable import DataPlane

@Suite("Sessions at a protected application")
struct SessionTests {
    /// A control plane that knows session 1 and answers requests with a page.
    static let control: Gateway.Answer = { message, gateway in
        switch message {
        case .pullSession(let ticket, let digest, _):
            gateway.send(.session(ticket, digest == Facts.digest(1) ? Facts.record(1) : nil))
        case .request(let request):
            gateway.send(
                .response(
                    ControlResponse(
                        ticket: request.ticket, status: 302,
                        fields: [Field("Location", "https://auth.test/")],
                        body: Array("\(request.purpose) \(request.path) \(request.body.count)".utf8),
                        reason: .signInRequired)))
        case .renew, .cut, .pullMachine, .pullCertified, .pullBearer, .pullService, .upstream: break
        }
    }

    @Test func `a known session is pulled once and then served from memory`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: Self.control)
        let client = try gateway.client()
        for _ in 0..<5 {
            let response = try #require(client.get(fields: Facts.cookie(1)))
            #expect(response.status == 200)
            #expect(response.text.contains("Gatepost-Assertion: token-1\r\n"))
            #expect(!response.text.contains("__Host-gatepost"))
            #expect(response.text.contains("a=b") && response.text.contains("c=d"))
        }
        #expect(gateway.engine.metrics().sum("session_pulls") == 1)
    }

    @Test func `nobody gets 401 with a reason and the URL to open; scripts of listed origins may read it`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: Self.control)
        let client = try gateway.client()
        let plain = try #require(client.get("/api"))
        #expect(plain.status == 401)
        #expect(plain.field("WWW-Authenticate") != nil)
        #expect(plain.text.contains("\"reason\":\"sign-in-required\""))
        #expect(plain.text.contains("\"open_url\":\"https://wiki.test:8443/.gatepost/sign-in\""))
        #expect(plain.field("Access-Control-Allow-Origin") == nil)
        let friend = try #require(client.get("/api", fields: "Origin: https://friend.test\r\n"))
        #expect(friend.field("Access-Control-Allow-Origin") == "https://friend.test")
        let own = try #require(client.get("/api", fields: "Origin: https://wiki.test:8443\r\n"))
        #expect(own.field("Access-Control-Allow-Origin") == "https://wiki.test:8443")
        let stranger = try #require(client.get("/api", fields: "Origin: https://evil.test\r\n"))
        #expect(stranger.field("Access-Control-Allow-Origin") == nil)
        #expect(origin.connectionCount == 0)
    }

    @Test func `a navigation without a session is answered by the control plane`() throws {
        let gateway = try Gateway([Facts.closed(1)], answer: Self.control)
        let client = try gateway.client()
        let response = try #require(client.get("/a?b=c", fields: "Sec-Fetch-Mode: navigate\r\n"))
        #expect(response.status == 302)
        #expect(response.field("Location") == "https://auth.test/")
        #expect(response.text == "signIn /a 0")
        #expect(client.get("/a", fields: "Accept: text/html,*/*\r\n")?.status == 302)
        // A browser that says what it does is believed: fetch is no navigation, whatever it accepts.
        let fetch = client.get("/a", fields: "Accept: text/html\r\nSec-Fetch-Mode: cors\r\n")
        #expect(fetch?.status == 401)
    }

    @Test func `a forged cookie never makes the gateway ask for a session`() throws {
        let gateway = try Gateway([Facts.closed(1)], answer: Self.control)
        let client = try gateway.client()
        let strangerKey = MACKey(id: 9, secret: Gateway.macKey.secret)
        let forged = [
            Facts.cookie(1, breakMAC: true), Facts.cookie(1, key: strangerKey),
            "Cookie: __Host-gatepost=short\r\n",
            "Cookie: __Host-gatepost=\(String(repeating: "=", count: 56))\r\n",
            Facts.cookie(1) + Facts.cookie(2),
        ]
        for cookie in forged { #expect(client.get(fields: cookie)?.status == 401, "\(cookie)") }
        #expect(gateway.engine.metrics().sum("session_pulls") == 0)
        #expect(gateway.received.withLock { $0.isEmpty })
    }

    @Test func `a session of another application counts for nothing here`() throws {
        let gateway = try Gateway([Facts.closed(1)]) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            gateway.send(.session(ticket, Facts.record(1, application: "other")))
        }
        #expect(try gateway.client().get(fields: Facts.cookie(1))?.status == 401)
    }

    @Test func `a signed-in person whom policy refuses gets 403, and a navigation the block page`() throws {
        let gateway = try Gateway([Facts.closed(1)]) { message, gateway in
            if case .pullSession(let ticket, _, _) = message {
                gateway.send(.session(ticket, Facts.record(1, allowed: false)))
            }
            SessionTests.answerRequests(message, gateway)
        }
        let client = try gateway.client()
        let response = try #require(client.get(fields: Facts.cookie(1)))
        #expect(response.status == 403)
        #expect(response.field("Gatepost-Reason") == "posture-non-compliant")
        let page = client.get("/x", fields: Facts.cookie(1) + "Sec-Fetch-Mode: navigate\r\n")
        #expect(page?.text.contains("postureNonCompliant") == true)
    }

    private static func refusing() throws -> Gateway {
        try Gateway([Facts.closed(1)]) { message, gateway in
            if case .pullSession(let ticket, _, _) = message {
                gateway.send(.session(ticket, Facts.record(1, allowed: false)))
            }
            SessionTests.answerRequests(message, gateway)
        }
    }

    @Test(
        "a form that policy refuses gets the block page, whatever its length, and the connection closes behind it",
        arguments: [
            "", "Content-Length: 3\r\n", "Content-Length: 1000000000\r\n", "Transfer-Encoding: chunked\r\n",
        ])
    func form(_ framing: String) throws {
        let gateway = try Self.refusing()
        let client = try gateway.client()
        client.send(
            "POST /x HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))Sec-Fetch-Mode: navigate\r\n\(framing)\r\n"
        )
        let page = try #require(client.receive())
        #expect(page.text.contains("postureNonCompliant"), "\(page.text)")
        #expect(page.field("Connection") == (framing.isEmpty ? nil : "close"))
        let requests = gateway.received.withLock { $0 }.compactMap { message in
            if case .request(let request) = message { request } else { nil }
        }
        #expect(requests.count == 1 && requests[0].method == "POST" && requests[0].body.isEmpty)
    }

    @Test func `a form without a session is told so by a page, and what a program posts by a reason`() throws
    {
        let gateway = try Gateway([Facts.closed(1)], answer: Self.control)
        let head = "POST /x HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 0\r\n"
        let client = try gateway.client()
        client.send(head + "Sec-Fetch-Mode: navigate\r\n\r\n")
        #expect(client.receive()?.text.contains("signInRequired") == true)
        for fields in ["Sec-Fetch-Mode: cors\r\n", "Accept: text/html\r\n", "Sec-Fetch-Mode: navigate2\r\n"] {
            client.send(head + fields + "\r\n")
            let answer = try #require(client.receive())
            #expect(answer.status == 401 && answer.text.hasPrefix("{\"reason\":"), "\(fields)")
        }
    }

    @Test func `the bytes of a refused form are never read as the next request`() throws {
        let gateway = try Self.refusing()
        let client = try gateway.client()
        let hidden = "GET /hidden HTTP/1.1\r\nHost: wiki.test\r\n\r\n"
        client.send(
            "POST /x HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))Sec-Fetch-Mode: navigate\r\n"
                + "Content-Length: \(hidden.utf8.count)\r\n\r\n\(hidden)")
        #expect(client.receive()?.text.contains("postureNonCompliant") == true)
        #expect(client.receive() == nil, "the connection ends")
        let paths = gateway.received.withLock { $0 }.compactMap { message in
            if case .request(let request) = message { request.path } else { nil }
        }
        #expect(paths == ["/x"])
    }

    static func answerRequests(_ message: ToControl, _ gateway: Gateway) {
        if case .request = message { control(message, gateway) }
    }

    @Test func `a control plane that does not answer is 503 when the parking time is over`() throws {
        var limits = Limits()
        limits.parkedMilliseconds = 50
        let gateway = try Gateway([Facts.closed(1)], limits: limits)
        let client = try gateway.client()
        let response = try #require(client.get(fields: Facts.cookie(1)))
        #expect(response.status == 503)
        #expect(response.field("Gatepost-Reason") == "control-plane-unavailable")
        #expect(gateway.waitUntil { gateway.engine.metrics().sum("parked") == 0 ? true : nil } == true)
    }

    @Test func `a late answer never answers a later request of the same connection`() throws {
        var limits = Limits()
        limits.parkedMilliseconds = 50
        let gateway = try Gateway([Facts.closed(1)], limits: limits)
        let client = try gateway.client()
        #expect(client.get(fields: Facts.cookie(1))?.status == 503)
        guard case .pullSession(let ticket, _, _)? = gateway.waitFor({ _ in true }) else {
            Issue.record("nothing was pulled")
            return
        }
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(2))\r\n")
        #expect(gateway.waitForCounter("session_pulls", atLeast: 2))
        gateway.send(.session(ticket, Facts.record(1)))
        #expect(client.receive()?.status == 503)
    }

    @Test func `exactly the allowed number of requests is parked, one more is 503 at once`() throws {
        var limits = Limits()
        limits.parkedMax = 1
        let gateway = try Gateway([Facts.closed(1)], limits: limits)
        let first = try gateway.client()
        first.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        #expect(gateway.waitForCounter("session_pulls", atLeast: 1))
        let second = try gateway.client().get(fields: Facts.cookie(2))
        #expect(second?.field("Gatepost-Reason") == "overloaded")
    }

    @Test func `reserved paths and everything on the auth host go to the control plane, with their body`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)], answer: Self.control)
        let client = try gateway.client()
        #expect(client.get("/.gatepost/jwks.json")?.text == "reserved /.gatepost/jwks.json 0")
        #expect(client.get("/.GATEPOST/x")?.text == "reserved /.GATEPOST/x 0")
        #expect(client.get("/", host: "auth.test")?.text == "reserved / 0")
        client.send("POST /.gatepost/a HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 5\r\n\r\nhello")
        #expect(client.receive()?.text == "reserved /.gatepost/a 5")
        client.send(
            "POST /.gatepost/b HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(client.receive()?.text == "reserved /.gatepost/b 7")
        #expect(client.receive()?.text.hasPrefix("GET / ") == true)
        #expect(origin.connectionCount == 1)
    }

    @Test func `a reserved body of exactly 64 KiB passes, one byte more is 413`() throws {
        let gateway = try Gateway([Facts.open(1)], answer: Self.control)
        for (bytes, status) in [(65_536, 302), (65_537, 413)] {
            let client = try gateway.client()
            client.send("POST /.gatepost/a HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: \(bytes)\r\n\r\n")
            client.send([UInt8](repeating: 97, count: bytes))
            #expect(client.receive()?.status == status)
        }
    }

    @Test func `a control plane that tries to split a response is stopped`() throws {
        let gateway = try Gateway([Facts.open(1)]) { message, gateway in
            guard case .request(let request) = message else { return }
            gateway.send(
                .response(
                    ControlResponse(
                        ticket: request.ticket, status: 200, fields: [Field("X", "a\r\nSet-Cookie: b")],
                        body: [])))
        }
        let response = try #require(try gateway.client().get("/.gatepost/x"))
        #expect(response.status == 500)
        #expect(response.field("Set-Cookie") == nil)
    }

    @Test func `an expired residual is pulled again and never used`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.closed(origin.port)]) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            gateway.send(.session(ticket, Facts.record(1, validUntil: 1)))
        }
        #expect(try gateway.client().get(fields: Facts.cookie(1))?.status == 503)
        #expect(gateway.engine.metrics().sum("session_pulls") == 3)
        #expect(origin.connectionCount == 0)
    }

    /// The renewals that a reactor asks for while one client sends three requests.
    private func renewals(renewAtSeconds: Int64) throws -> Int {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.closed(origin.port)]) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return Self.control(message, gateway) }
            // Valid for 30 s more: by that alone nothing is renewed.
            var record = Facts.record(1, validUntil: Clock.wallSeconds() + 30)
            record.renewAtSeconds = renewAtSeconds
            gateway.send(.session(ticket, record))
        }
        let client = try gateway.client()
        for _ in 0..<3 { #expect(client.get(fields: Facts.cookie(1))?.status == 200) }
        let renewal = ToControl.renew(tokenDigest: Facts.digest(1), application: "wiki")
        // Messages keep their order: with this one answered, everything that the three sent has arrived.
        #expect(client.get("/.gatepost/marker")?.status == 302)
        return gateway.received.withLock { $0.filter { $0 == renewal }.count }
    }

    @Test func `a record is renewed from its second on beside going on, and asked for once`() throws {
        #expect(try renewals(renewAtSeconds: Clock.wallSeconds()) == 1)
    }

    @Test func `before its second a record is not renewed`() throws {
        #expect(try renewals(renewAtSeconds: Clock.wallSeconds() + 20) == 0)
    }
}
