import Access
import Border
import Synchronization
import Testing

@testable import DataPlane

@Suite("Machines: service tokens and certificates as clients without a person")
struct MachineTests {
    static let token = "gps_0123456789abcdef." + String(repeating: "Q", count: 43)
    static let revoked = "gps_0123456789abcdee." + String(repeating: "Q", count: 43)

    static func field(_ token: String = token) -> String { "Gatepost-Service-Token: \(token)\r\n" }

    static func wire(_ token: String = token, host: String = "wiki.test") -> [UInt8] {
        ServiceToken.digest(Array(token.utf8).span, host: Array(host.utf8)).bytes
    }

    static func route(_ port: UInt16, host: String = "wiki.test", name: String = "wiki") -> ApplicationRoute {
        var route = Facts.closed(port, host: host, name: name)
        route.servesMachines = true
        route.asksForCertificate = true
        return route
    }

    static func record(
        _ digest: [UInt8], sequence: UInt64 = 0, client: SessionRecord.Client = .serviceToken,
        restriction: Restriction? = nil, refusal: Reason? = nil
    ) -> SessionRecord {
        var record = Facts.record(1, sequence: sequence, device: "machine:1")
        record.tokenDigest = digest
        record.session = "machine@wiki"
        record.client = client
        var policy = Facts.allow
        policy.restriction = restriction
        record.residual = Facts.residual(
            signedIn: true, refusal == nil ? [policy] : [], refusal: refusal ?? .noPolicyMatches)
        return record
    }

    /// Knows one token at one host.
    static let control: Gateway.Answer = { message, gateway in
        guard case .pullService(let ticket, let digest, _) = message else { return }
        gateway.send(.session(ticket, digest == wire() ? record(digest) : nil))
    }

    private func gateway(_ origin: TestOrigin) throws -> Gateway {
        try Gateway(
            [Self.route(origin.port), Facts.closed(origin.port, host: "localhost", name: "plain")],
            answer: Self.control)
    }

    private func pulls(_ gateway: Gateway) -> Int {
        gateway.received.withLock { all in
            all.count { if case .pullService = $0 { true } else { false } }
        }
    }

    // MARK: Service tokens

    @Test func `a token lets in, is asked about once, and never reaches the application`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        for _ in 0..<2 {
            let client = try gateway.client()
            for _ in 0..<20 {
                let response = try #require(client.get(fields: Self.field()))
                #expect(response.status == 200)
                #expect(!response.text.lowercased().contains("service-token"))
                #expect(!response.text.contains("gps_"))
                #expect(response.text.contains("Gatepost-Assertion: token-1"))
            }
        }
        #expect(pulls(gateway) == 1)
    }

    @Test func `one wrong byte anywhere is another token`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        let client = try gateway.client()
        #expect(client.get(fields: Self.field())?.status == 200)
        for index in 0..<64 {
            var bytes = Array(Self.token.utf8)
            bytes[index] = bytes[index] == UInt8(ascii: "x") ? UInt8(ascii: "y") : UInt8(ascii: "x")
            let response = client.get(fields: Self.field(String(decoding: bytes, as: UTF8.self)))
            #expect(response?.status == 401, "byte \(index)")
            #expect(response?.field("Gatepost-Reason") == "service-unknown")
        }
        #expect(client.get(fields: Self.field())?.status == 200)
    }

    @Test(
        "what is no token of the right shape is unknown without being asked about",
        arguments: ["", "gps_", String(token.dropLast()), token + "Q", token + "," + token])
    func shapes(_ text: String) throws {
        let gateway = try gateway(TestOrigin.echo())
        let response = try gateway.client().get(fields: Self.field(text))
        #expect(response?.status == 401)
        #expect(response?.field("Gatepost-Reason") == "service-unknown")
        #expect(pulls(gateway) == 0)
    }

    @Test func `two tokens, or a token and a cookie, are refused: one request has one client`() throws {
        let gateway = try gateway(TestOrigin.echo())
        for fields in [
            Self.field() + Self.field(), Self.field() + "gatepost-SERVICE-token: x\r\n",
            Self.field() + Facts.cookie(1),
            Self.field() + "Cookie: __Host-gatepost=a\r\nCookie: __Host-gatepost=b\r\n",
        ] {
            let response = try gateway.client().get(fields: fields)
            #expect(response?.status == 400, "\(fields)")
        }
        #expect(pulls(gateway) == 0)
    }

    @Test func `a token in the query, in another field or under a folded name is none`() throws {
        let gateway = try gateway(TestOrigin.echo())
        let client = try gateway.client()
        #expect(client.get("/?Gatepost-Service-Token=\(Self.token)")?.status == 401)
        for name in [
            "Gatepost_Service_Token", "GatepostServiceToken", "Authorization", "X-Gatepost-Service-Token",
        ] {
            #expect(client.get(fields: "\(name): \(Self.token)\r\n")?.status == 401, "\(name)")
        }
        #expect(pulls(gateway) == 0)
    }

    @Test
    func `where policies serve no machines a token is nothing, and a token of one host none of another`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        let response = try gateway.client("localhost").get(host: "localhost", fields: Self.field())
        #expect(response?.status == 401)
        #expect(response?.field("Gatepost-Reason") == "sign-in-required")
        #expect(pulls(gateway) == 0)
        #expect(Self.wire() != Self.wire(host: "localhost"))
    }

    @Test func `what the store rests is no proof: no cookie finds a machine's record`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        let client = try gateway.client()
        #expect(client.get(fields: Self.field())?.status == 200)
        #expect(client.get(fields: Facts.cookie(secret: Self.wire()))?.status == 401)
        #expect(gateway.engine.metrics().sum("forged_cookies") == 1)
    }

    @Test func `a revoked token's stream is cut, and its next request is asked about again`() throws {
        let origin = RevocationTests.origin()
        let answers = Mutex(0)
        let gateway = try Gateway([Self.route(origin.port)]) { message, gateway in
            guard case .pullService(let ticket, let digest, _) = message else { return }
            let isFirst = answers.withLock { count in
                count += 1
                return count == 1
            }
            gateway.send(.session(ticket, isFirst ? Self.record(digest) : nil))
        }
        let stream = try gateway.client()
        stream.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\(Self.field())\r\n")
        #expect(stream.readSome() != nil)
        gateway.engine.revoke(RevocationTests.revocation(1, .endSession("machine@wiki")))
        while stream.readSome() != nil {}
        #expect(try gateway.client().get(fields: Self.field())?.status == 401)
    }

    // MARK: Certificates

    private static func machine(
        _ origin: TestOrigin, _ answer: @escaping @Sendable (MachineClaim) -> SessionRecord?
    ) throws -> Gateway {
        try Gateway([route(origin.port)], clients: ClientCertificateTests.clients()) { message, gateway in
            guard case .pullMachine(let ticket, let claim, "wiki") = message else { return }
            gateway.send(.session(ticket, answer(claim)))
        }
    }

    @Test
    func
        `003.16 a wired machine whose device is not compliant gets the restricted set, and is cut when that ends`()
        throws
    {
        let origin = RevocationTests.origin()
        let claims = Mutex<[MachineClaim]>([])
        let gateway = try Self.machine(origin) { claim in
            claims.withLock { $0.append(claim) }
            return Self.record(
                claim.tokenDigest, client: .certificate, restriction: Restriction(methods: [.get]))
        }
        let id = "5f7e6a1c-0000-4000-8000-00000000abcd"
        let made = CertificateWorkshop.client(
            "press-4", under: ClientCertificateTests.root, names: "DNS:\(id)")
        let client = try gateway.client(identity: made.identity)
        #expect(client.get()?.status == 200)
        client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 0\r\n\r\n")
        let refused = client.receive()
        #expect(refused?.status == 403)
        #expect(refused?.field("Gatepost-Reason") == "restricted-method")
        let claim = try #require(claims.withLock { $0.first })
        #expect(claims.withLock { $0.count } == 1)
        #expect(claim.subject == "press-4" && claim.names == ["dns:\(id)"] && claim.listener == 0)
        #expect(claim.issuerDigest.utf8.count == 64 && !claim.serial.isEmpty)
        let stream = try gateway.client(identity: made.identity)
        stream.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(stream.readSome() != nil)
        let bad = Self.record(
            claim.tokenDigest, sequence: 1, client: .certificate, refusal: .postureNonCompliant)
        gateway.engine.revoke(RevocationTests.revocation(1, .replace(bad)))
        while stream.readSome() != nil {}
        let after = client.get()
        #expect(after?.status == 403)
        #expect(after?.field("Gatepost-Reason") == "posture-non-compliant")
        // Nobody else is let in by it: another certificate is another machine.
        let other = CertificateWorkshop.client("press-5", under: ClientCertificateTests.root)
        _ = try gateway.client(identity: other.identity).get()
        #expect(claims.withLock { Set($0.map(\.tokenDigest)).count } == 2)
    }

    @Test func `with new revocations what a machine has open is cut, whatever its record says`() throws {
        let origin = RevocationTests.origin()
        let gateway = try Self.machine(origin) { Self.record($0.tokenDigest, client: .certificate) }
        let lost = CertificateWorkshop.client("press-4", under: ClientCertificateTests.root)
        let stream = try gateway.client(identity: lost.identity)
        stream.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(stream.readSome() != nil)
        let lists = CertificateWorkshop.list(of: ClientCertificateTests.root, revoking: [lost])
        try gateway.engine.broadcast(
            configuration: Gateway.snapshot(
                [Self.route(origin.port)], revision: 2, clients: ClientCertificateTests.clients(lists: lists))
        )
        while stream.readSome() != nil {}
        #expect(gateway.engine.metrics().sum("streams_expired") == 1)
    }

    @Test func `a machine that is known nowhere is nobody, and a person's browser goes to sign in`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Self.machine(origin) { _ in nil }
        let identity = CertificateWorkshop.client("press-4", under: ClientCertificateTests.root).identity
        let response = try gateway.client(identity: identity).get()
        #expect(response?.status == 401)
        #expect(response?.field("Gatepost-Reason") == "sign-in-required")
        let refusing = try Self.machine(origin) {
            Self.record($0.tokenDigest, client: .certificate, refusal: .postureNonCompliant)
        }
        let browser = try refusing.client(identity: identity)
        browser.send(
            "GET / HTTP/1.1\r\nHost: wiki.test\r\nSec-Fetch-Mode: navigate\r\nAccept: text/html\r\n\r\n")
        let asked = refusing.waitFor { if case .request = $0 { true } else { false } }
        guard case .request(let request)? = asked else {
            Issue.record("no page was asked for")
            return
        }
        #expect(request.purpose == .signIn)
    }
}
