import Access
import Border
import JSON
import Synchronization
import Testing

@testable import DataPlane

@Suite("A session beside a client certificate is decided for this certificate, and on this connection alone")
struct DeviceCertificateTests {
    typealias Workshop = CertificateWorkshop
    static let root = ClientCertificateTests.root
    static let laptop = Workshop.client("laptop-1", under: root)
    static let other = Workshop.client("laptop-2", under: root)

    static func route(_ port: UInt16, host: String = "wiki.test", name: String = "wiki") -> ApplicationRoute {
        var route = Facts.closed(port, host: host, name: name)
        route.asksForCertificate = true
        route.readsDeviceCertificates = true
        return route
    }

    static let without = Facts.residual(signedIn: true, [], refusal: .deviceCertificateRequired)

    /// What connections without a certificate get: nothing.
    static func plain(_ digest: [UInt8]) -> SessionRecord {
        var record = Facts.record(1)
        record.tokenDigest = digest
        record.residual = without
        return record
    }

    static func certified(
        _ secret: [UInt8], _ claim: MachineClaim, sequence: UInt64 = 0, refusal: Reason? = nil,
        expires: Int64 = Facts.farSeconds
    ) -> SessionRecord {
        var record = Facts.record(1, sequence: sequence, device: "machine:\(claim.subject ?? "")")
        record.tokenDigest = Token(sha256: Array("test".utf8) + secret + claim.tokenDigest).bytes
        record.certificate = CertificateUse(digest: claim.tokenDigest, without: without)
        record.expiresAtSeconds = expires
        if let refusal { record.residual = Facts.residual(signedIn: true, [], refusal: refusal) }
        return record
    }

    /// Lets the session in beside certificates of these subjects.
    static func answer(_ subjects: Set<String> = ["laptop-1"]) -> Gateway.Answer {
        { message, gateway in
            switch message {
            case .pullSession(let ticket, let digest, _): gateway.send(.session(ticket, plain(digest)))
            case .pullCertified(let ticket, let digest, let claim, _):
                let isGood = subjects.contains(claim.subject ?? "")
                gateway.send(
                    .session(ticket, certified(digest, claim, refusal: isGood ? nil : .postureNonCompliant)))
            case _: break
            }
        }
    }

    private func gateway(
        _ origin: TestOrigin, lists: [UInt8]? = nil, answer: @escaping Gateway.Answer = answer()
    ) throws -> Gateway {
        try Gateway(
            [
                Self.route(origin.port), Self.route(origin.port, host: "docs.test", name: "docs"),
                Facts.closed(origin.port, host: "localhost", name: "plain"),
            ], clients: ClientCertificateTests.clients(lists: lists), answer: answer)
    }

    private func get(_ client: TestClient, fields: String = Facts.cookie(1)) -> (Int?, String?) {
        let response = client.get(fields: fields)
        return (response?.status, response?.field("Gatepost-Reason"))
    }

    private func pulls(_ gateway: Gateway) -> (plain: Int, certified: Int) {
        gateway.received.withLock { all in
            (
                all.count { if case .pullSession = $0 { true } else { false } },
                all.count { if case .pullCertified = $0 { true } else { false } }
            )
        }
    }

    @Test(
        "001.8 one session: let in beside its device's certificate, refused without one or beside another's")
    func combinations() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        for _ in 0..<2 {
            let known = try gateway.client(identity: Self.laptop.identity)
            for _ in 0..<5 { #expect(get(known) == (200, nil)) }
            #expect(get(try gateway.client()) == (403, "device-certificate-required"))
            #expect(get(try gateway.client(identity: Self.other.identity)) == (403, "posture-non-compliant"))
        }
        // Each of the three is asked about once, however many connections and requests there are.
        #expect(pulls(gateway) == (1, 2))
        // A certificate alone signs nobody in, and a forged cookie is no better beside one.
        let known = try gateway.client(identity: Self.laptop.identity)
        #expect(get(known, fields: "") == (401, "sign-in-required"))
        #expect(get(known, fields: Facts.cookie(2, breakMAC: true)) == (401, "sign-in-required"))
        #expect(pulls(gateway) == (1, 2))
    }

    @Test func `a refusal about the certificate names it for programs, and no other refusal does`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin) { message, gateway in
            switch message {
            case .pullSession(let ticket, let digest, _):
                gateway.send(.session(ticket, Self.plain(digest)))
            case .pullCertified(let ticket, let digest, let claim, _):
                let reason: Reason =
                    claim.subject == "laptop-1" ? .deviceCertificateUnknown : .postureNonCompliant
                gateway.send(.session(ticket, Self.certified(digest, claim, refusal: reason)))
            case _: break
            }
        }
        func document(_ identity: TestIdentity?) throws -> JSONValue {
            let response = try #require(try gateway.client(identity: identity).get(fields: Facts.cookie(1)))
            #expect(response.status == 403)
            return try JSONValue(parsing: response.body)
        }
        let unknown = try document(Self.laptop.identity)
        #expect(unknown["reason"] == "device-certificate-unknown" && unknown["request_id"]?.string != nil)
        #expect(unknown["certificate"]?["subject"] == "laptop-1")
        #expect(unknown["certificate"]?["serial"]?.string?.isEmpty == false)
        #expect(try document(Self.other.identity)["certificate"] == nil)
        let none = try document(nil)
        #expect(none["reason"] == "device-certificate-required" && none["certificate"] == nil)
    }

    @Test func `HTTP/2 streams are beside their connection's certificate, and other hosts send them away`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        let cookie = String(Facts.cookie(1).dropFirst("Cookie: ".count).dropLast(2))
        func status(_ client: HTTP2Client, _ stream: UInt32, host: String = "wiki.test") -> Int? {
            client.send(HTTP2Client.headers(stream, HTTP2Client.request(host: host) + [("cookie", cookie)]))
            return client.receive(stream)?.status
        }
        let known = try HTTP2Client(gateway, identity: Self.laptop.identity)
        for stream in [UInt32(1), 3, 5] { #expect(status(known, stream) == 200) }
        #expect(status(known, 7, host: "docs.test") == 421)
        let nobody = try HTTP2Client(gateway)
        #expect(status(nobody, 1) == 403)
        let other = try HTTP2Client(gateway, identity: Self.other.identity)
        #expect(status(other, 1) == 403)
        #expect(pulls(gateway) == (1, 2))
    }

    @Test func `a device that goes bad cuts the streams beside its certificate and no others`() throws {
        let origin = RevocationTests.origin()
        let gateway = try gateway(origin, answer: Self.answer(["laptop-1", "laptop-2"]))
        func stream(_ identity: TestIdentity) throws -> TestClient {
            let client = try gateway.client(identity: identity)
            client.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
            #expect(client.readSome() != nil)
            return client
        }
        let good = try stream(Self.other.identity)
        let bad = try stream(Self.laptop.identity)
        let asked = gateway.waitFor {
            if case .pullCertified(_, _, let claim, _) = $0 { claim.subject == "laptop-1" } else { false }
        }
        guard case .pullCertified(_, let secret, let claim, _)? = asked else {
            Issue.record("nobody asked")
            return
        }
        let worse = Self.certified(secret, claim, sequence: 1, refusal: .postureNonCompliant)
        gateway.engine.revoke(RevocationTests.revocation(1, .replace(worse)))
        while bad.readSome() != nil {}
        // Counted after the client has seen the end.
        #expect(gateway.waitForCounter("streams_cut", atLeast: 1))
        #expect(gateway.engine.metrics().sum("streams_cut") == 1)
        // What connections without a certificate have is another matter, either way.
        var whole = Facts.record(1, sequence: 2)
        whole.residual = Self.without
        gateway.engine.revoke(RevocationTests.revocation(2, .replace(whole)))
        #expect(gateway.waitForCounter("revocations", atLeast: 2))
        #expect(gateway.engine.metrics().sum("streams_cut") == 1)
        // The session itself is one.
        gateway.engine.revoke(RevocationTests.revocation(3, .endSession("session-1")))
        while good.readSome() != nil {}
    }

    @Test
    func `a revoked certificate cuts in the turn of the reload, is asked for again, and resumes nothing`()
        throws
    {
        let origin = RevocationTests.origin()
        let empty = Workshop.list(of: Self.root, revoking: [])
        let gateway = try gateway(origin, lists: empty)
        let stream = try gateway.client(identity: Self.laptop.identity)
        stream.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        #expect(stream.readSome() != nil)
        let idle = try gateway.client(identity: Self.laptop.identity)
        let lists = Workshop.list(of: Self.root, revoking: [Self.laptop])
        try gateway.engine.broadcast(
            configuration: Gateway.snapshot(
                [Self.route(origin.port)], revision: 2, clients: ClientCertificateTests.clients(lists: lists))
        )
        while stream.readSome() != nil {}
        #expect(gateway.engine.metrics().sum("streams_expired") == 1)
        #expect(idle.get(fields: Facts.cookie(1))?.status == 421)
        // Proven again it is refused in the handshake; without it the session is what it is without one.
        #expect(
            try TestClient(port: gateway.port, serverName: "wiki.test", identity: Self.laptop.identity)?
                .get(fields: Facts.cookie(1)) == nil)
        #expect(get(try gateway.client()) == (403, "device-certificate-required"))
        #expect(gateway.engine.metrics().sum("handshakes_resumed") == 0)
    }

    @Test func `a reload that leaves the certificate good cuts nothing`() throws {
        let origin = RevocationTests.origin()
        let gateway = try gateway(origin)
        let stream = try gateway.client(identity: Self.laptop.identity)
        stream.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        #expect(stream.readSome() != nil)
        try gateway.engine.broadcast(
            configuration: Gateway.snapshot(
                [Self.route(origin.port)], revision: 2, clients: ClientCertificateTests.clients()))
        #expect(get(try gateway.client(identity: Self.laptop.identity)).0 != nil)
        #expect(gateway.engine.metrics().sum("streams_expired") == 0)
    }

    @Test func `a record that nobody knows any more is asked for anew, with the certificate`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin) { message, gateway in
            guard case .pullCertified(let ticket, let digest, let claim, _) = message else { return }
            // The second one is made after the revocation below.
            let sequence = UInt64(8 + gateway.received.withLock { $0.count })
            gateway.send(.session(ticket, Self.certified(digest, claim, sequence: sequence)))
        }
        let client = try gateway.client(identity: Self.laptop.identity)
        #expect(get(client) == (200, nil))
        guard
            case .pullCertified(_, let secret, let claim, _)? = gateway.waitFor({
                if case .pullCertified = $0 { true } else { false }
            })
        else { return }
        // As a control process says it that has just begun: decided without the certificate, good for nothing new.
        var forgotten = Self.certified(secret, claim, sequence: 9)
        forgotten.certificate = nil
        forgotten.openResidual = Self.without
        forgotten.residual.validUntilSeconds = 0
        gateway.engine.revoke(RevocationTests.revocation(10, .replace(forgotten)))
        #expect(gateway.waitForCounter("revocations", atLeast: 1))
        #expect(get(client) == (200, nil))
        #expect(pulls(gateway) == (0, 2))
    }

    @Test func `a record's end sends the next request through the question again, and no request for ever`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin) { message, gateway in
            guard case .pullCertified(let ticket, let digest, let claim, _) = message else { return }
            var record = Self.certified(digest, claim)
            record.residual.validUntilSeconds = 0
            gateway.send(.session(ticket, record))
        }
        let client = try gateway.client(identity: Self.laptop.identity)
        #expect(get(client) == (503, "control-plane-unavailable"))
        #expect(pulls(gateway).certified == 3)
    }

    @Test func `the page of a refusal is told which certificate was shown`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin, answer: Self.answer([]))
        let client = try gateway.client(identity: Self.laptop.identity)
        client.send(
            "GET / HTTP/1.1\r\nHost: wiki.test\r\nSec-Fetch-Mode: navigate\r\nAccept: text/html\r\n"
                + "\(Facts.cookie(1))\r\n"
        )
        let asked = gateway.waitFor { if case .request = $0 { true } else { false } }
        guard case .request(let request)? = asked else {
            Issue.record("no page was asked for")
            return
        }
        #expect(request.purpose == .refused(.postureNonCompliant))
        #expect(request.certificate?.subject == "laptop-1")
        #expect(
            gateway.received.withLock { $0.count { if case .pullMachine = $0 { true } else { false } } } == 0)
    }
}
