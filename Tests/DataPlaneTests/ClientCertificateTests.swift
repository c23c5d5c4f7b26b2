import Access
import Border
import Foundation
import JSON
import Testing

@testable import DataPlane

@Suite("Client certificates over TLS: refused in the handshake, or not counted, unless everything holds")
struct ClientCertificateTests {
    typealias Workshop = CertificateWorkshop
    static let root = Workshop.authority("Device root")

    /// Lets in whoever proves a certificate of this subject, and nobody else.
    static func route(
        _ port: UInt16, host: String = "wiki.test", name: String = "wiki", subject: String = "scanner-7"
    ) -> ApplicationRoute {
        var route = Facts.open(port, host: host, name: name)
        let policy = ResidualPolicy(
            name: "machines", action: .bypass, anyOf: [],
            allOf: [.certificate(CertificateCondition(subjects: [subject]))], noneOf: [], restriction: nil,
            reason: .policyBypasses)
        route.anonymous = Facts.residual(signedIn: false, [policy], refusal: .signInRequired)
        route.asksForCertificate = true
        return route
    }

    static func clients(
        _ authorities: [UInt8] = root.pem, lists: [UInt8]? = nil, isRequired: Bool = false
    ) -> [ClientCertificates?] {
        [ClientCertificates(authoritiesPEM: authorities, revocationsPEM: lists, isRequired: isRequired)]
    }

    private func gateway(
        _ origin: TestOrigin, _ clients: [ClientCertificates?] = clients()
    ) throws -> Gateway {
        try Gateway(
            [Self.route(origin.port), Facts.open(origin.port, host: "localhost", name: "plain")],
            clients: clients)
    }

    /// nil: the connection ended without an answer.
    private func status(
        _ gateway: Gateway, _ identity: TestIdentity?, serverName: String = "wiki.test", host: String? = nil
    ) throws -> Int? {
        let client = try TestClient(port: gateway.port, serverName: serverName, identity: identity)
        return client?.get(host: host ?? serverName)?.status
    }

    // MARK: Refused

    static let intermediate = Workshop.authority("Intermediate 1", under: root)
    static let second = Workshop.authority("Intermediate 2", under: intermediate)
    static let third = Workshop.authority("Intermediate 3", under: second)

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// In the event.
        let reason: String
        let made: @Sendable () -> CertificateWorkshop.Made
        init(_ name: String, _ reason: String, _ made: @escaping @Sendable () -> CertificateWorkshop.Made) {
            testDescription = name
            self.reason = reason
            self.made = made
        }
    }

    static let refused: [Row] = [
        Row("of another authority", "untrusted") {
            Workshop.client("scanner-7", under: Workshop.authority("Another"))
        },
        Row("of an authority of the same name", "untrusted") {
            Workshop.client("scanner-7", under: Workshop.authority("Device root"))
        },
        Row("self-signed", "untrusted") { Workshop.client("scanner-7", under: nil) },
        Row("expired a second ago", "expired") { Workshop.client("scanner-7", under: root, until: -1) },
        Row("not valid for another minute", "not-yet-valid") {
            Workshop.client("scanner-7", under: root, from: 60)
        },
        Row("for servers", "purpose") { Workshop.client("scanner-7", under: root, usage: "serverAuth") },
        Row("for nothing in particular", "purpose") { Workshop.client("scanner-7", under: root, usage: nil) },
        Row("below one intermediate authority too many", "path") {
            Workshop.client("scanner-7", under: third)
        },
        Row("issued by a certificate that is no authority", "untrusted") {
            Workshop.client("scanner-7", under: Workshop.client("scanner-8", under: root))
        },
    ]

    @Test("a certificate that does not hold ends the connection", arguments: refused)
    func refusals(_ row: Row) throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        let made = row.made()
        #expect(try status(gateway, made.identity) == nil)
        #expect(gateway.waitForCounter("handshake_failures", atLeast: 1))
        // Its owner sees an alert and nothing else; the log says why.
        let line = try #require(gateway.logLine())
        let event = try JSONValue(parsing: Array(line.utf8))
        #expect(event["event"] == "client-certificate-refused", "\(line)")
        #expect(event["reason"]?.string == row.reason, "\(line)")
        #expect(
            event["server_name"] == "wiki.test" && event["listener"] == 0 && event["client"] == "127.0.0.1")
        let serial = try #require(event["serial"]?.string)
        #expect(CertificateFacts.number(serial) == CertificateFacts.number(made.serial))
        let counted = CertificateRefusal.allCases.first { $0.word == row.reason }?.counter
        let counters = [
            Counter.certificatesRefusedUntrusted, .certificatesRefusedExpired, .certificatesRefusedRevoked,
            .certificatesRefusedList, .certificatesRefusedOther,
        ]
        #expect(counters.map { gateway.engine.metrics().sum(Self.name($0)) }.reduce(0, +) == 1)
        #expect(gateway.engine.metrics().sum(Self.name(try #require(counted))) == 1)
    }

    private static func name(_ counter: Counter) -> String {
        "certificates_refused_" + "\(counter)".dropFirst("certificatesRefused".count).lowercased()
    }

    @Test func `who comes without a certificate, or speaks no TLS, is no refused certificate`() throws {
        let gateway = try gateway(TestOrigin.echo(), Self.clients(isRequired: true))
        #expect(try status(gateway, nil) == nil)
        #expect(gateway.waitForCounter("handshake_failures", atLeast: 1))
        let plain = TestSocket.connected(gateway.port)
        plain.write("GET / HTTP/1.1\r\n\r\n")
        #expect(gateway.waitForCounter("handshake_failures", atLeast: 2))
        plain.close()
        // The next line is that of a certificate.
        #expect(
            try status(gateway, Workshop.client("scanner-7", under: Self.root, until: -1).identity) == nil)
        #expect(gateway.logLine()?.contains("\"reason\":\"expired\"") == true)
    }

    @Test func `001.8 a client certificate identifies a device, and only the one that policy names`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        #expect(try status(gateway, Workshop.client("scanner-7", under: Self.root).identity) == 200)
        #expect(try status(gateway, Workshop.client("scanner-8", under: Self.root).identity) == 401)
        #expect(try status(gateway, nil) == 401)
        #expect(try status(gateway, Workshop.client("scanner-7", under: Self.second).identity) == 200)
    }

    @Test func `where it is required, nobody comes without one, and no other host asks`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin, Self.clients(isRequired: true))
        #expect(try status(gateway, nil) == nil)
        #expect(try status(gateway, nil, serverName: "localhost") == 200)
        #expect(try status(gateway, Workshop.client("scanner-7", under: Self.root).identity) == 200)
    }

    // MARK: Revoked

    @Test func `a revoked certificate, a revoked intermediate and a list that is out of date refuse`() throws
    {
        let origin = TestOrigin.echo()
        let good = Workshop.client("scanner-7", under: Self.root)
        let lost = Workshop.client("scanner-7", under: Self.root)
        let lists = Workshop.list(of: Self.root, revoking: [lost, Self.intermediate])
        let gateway = try gateway(origin, Self.clients(lists: lists))
        #expect(try status(gateway, good.identity) == 200)
        #expect(try status(gateway, lost.identity) == nil)
        #expect(try status(gateway, Workshop.client("scanner-7", under: Self.intermediate).identity) == nil)
        let old = Workshop.list(of: Self.root, revoking: [], nextUpdate: -1)
        let other = try self.gateway(origin, Self.clients(lists: old))
        #expect(try status(other, good.identity) == nil)
    }

    @Test func `with new revocations a connection has to prove itself again, and what it has open is cut`()
        throws
    {
        let origin = RevocationTests.origin()
        let lost = Workshop.client("scanner-7", under: Self.root)
        let kept = Workshop.client("scanner-7", under: Self.root)
        let before = Workshop.list(of: Self.root, revoking: [])
        let gateway = try gateway(origin, Self.clients(lists: before))
        let client = try gateway.client(identity: lost.identity)
        #expect(client.get()?.status == 200)
        let stream = try gateway.client(identity: lost.identity)
        stream.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(stream.readSome() != nil)
        let after = Self.clients(lists: Workshop.list(of: Self.root, revoking: [lost]))
        try gateway.engine.broadcast(
            configuration: Gateway.snapshot([Self.route(origin.port)], revision: 2, clients: after))
        while stream.readSome() != nil {}
        #expect(client.get()?.status == 421)
        #expect(try status(gateway, lost.identity) == nil)
        #expect(try status(gateway, kept.identity) == 200)
    }

    // MARK: Time

    @Test func `a certificate stops counting in the second in which it expires, also on an open connection`()
        throws
    {
        let origin = RevocationTests.origin()
        let gateway = try gateway(origin)
        let made = Workshop.client("scanner-7", under: Self.root, until: 3)
        let client = try gateway.client(identity: made.identity)
        let stream = try gateway.client(identity: made.identity)
        #expect(client.get()?.status == 200)
        stream.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(stream.readSome() != nil)
        while stream.readSome() != nil {}
        // The stream is looked at once a second; a request in the very second of its arrival.
        #expect(client.get()?.status == 401)
        #expect(gateway.engine.metrics().sum("streams_expired") == 1)
    }

    @Test("nothing is resumed where a certificate is asked for", arguments: ["-tls1_2", "-tls1_3"])
    func tickets(_ version: String) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let made = Workshop.client("scanner-7", under: Self.root)
        let (certificate, key, ticket) = ("\(folder.path)/c.pem", "\(folder.path)/k.pem", "\(folder.path)/s")
        try Data(made.pem).write(to: URL(fileURLWithPath: certificate))
        try Data(made.keyPEM).write(to: URL(fileURLWithPath: key))
        var limits = Limits()
        limits.idleMilliseconds = 300
        let plain = [Facts.open(1)]
        let gateway = try Gateway(plain, limits: limits)
        // A ticket of a time when nobody was asked there brings nobody past the question.
        _ = try TLSTests.openssl(
            gateway, [version, "-ign_eof", "-servername", "wiki.test", "-sess_out", ticket])
        try gateway.engine.broadcast(
            configuration: Gateway.snapshot(
                [Self.route(1)], limits: limits, revision: 2, clients: Self.clients()))
        let identity = [version, "-ign_eof", "-servername", "wiki.test", "-cert", certificate, "-key", key]
        #expect(try TLSTests.openssl(gateway, identity + ["-sess_in", ticket]).contains("New, "))
        _ = try TLSTests.openssl(gateway, identity + ["-sess_out", ticket])
        #expect(try TLSTests.openssl(gateway, identity + ["-sess_in", ticket]).contains("New, "))
        #expect(gateway.engine.metrics().sum("handshakes_resumed") == 0)
    }

    // MARK: Whose host

    @Test func `a certificate proven to one host counts at no other`() throws {
        let origin = TestOrigin.echo()
        let identity = Workshop.client("scanner-7", under: Self.root).identity
        let both = [Self.route(origin.port), Self.route(origin.port, host: "localhost", name: "other")]
        let asking = try Gateway(both, clients: Self.clients())
        #expect(try status(asking, identity, serverName: "localhost") == 200)
        #expect(try status(asking, identity, serverName: "wiki.test", host: "localhost") == 421)
        #expect(try status(asking, identity, serverName: "localhost", host: "wiki.test") == 421)
        let one = try gateway(origin)
        #expect(try status(one, identity, serverName: "localhost", host: "wiki.test") == 421)
        #expect(try status(one, identity, serverName: "wiki.test", host: "localhost") == 200)
    }

    @Test func `only a host that uses certificates asks for one, in any case of its name`() throws {
        var limits = Limits()
        limits.idleMilliseconds = 300
        let gateway = try Gateway(
            [Self.route(1), Facts.open(1, host: "plain.test", name: "plain")], limits: limits,
            clients: Self.clients())
        func asks(_ name: [String]) throws -> Bool {
            let text = try TLSTests.openssl(gateway, ["-ign_eof"] + name)
            let asked = text.contains("Acceptable client certificate CA names")
            #expect(asked != text.contains("No client certificate CA names sent"))
            return asked
        }
        #expect(try asks(["-servername", "wiki.test"]))
        #expect(try asks(["-servername", "WIKI.test"]))
        for name in [["-servername", "plain.test"], ["-servername", "nobody.test"], ["-noservername"]] {
            #expect(try !asks(name), "\(name)")
        }
    }

    @Test func `a listener that asks nobody serves the same host without certificates`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin, [nil])
        #expect(try status(gateway, Workshop.client("scanner-7", under: Self.root).identity) == 401)
    }

    // MARK: What is read of it

    @Test func `names, serial and end are read, and more than a hundred names prove nothing`() throws {
        let origin = TestOrigin.echo()
        var route = Self.route(origin.port)
        route.anonymous.policies[0].allOf = [
            .certificate(CertificateCondition(names: ["dns:s7.corp.example", "uri:urn:corp:s7"]))
        ]
        let gateway = try Gateway([route], clients: Self.clients())
        for (names, expected) in [
            ("DNS:s7.corp.example", 200), ("URI:urn:corp:s7", 200), ("DNS:s8.corp.example", 401),
            ("email:s7@corp.example", 401),
            ((0..<100).map { "DNS:\($0 == 99 ? "s7" : "\($0)").corp.example" }.joined(separator: ","), 200),
            ((0..<101).map { "DNS:\($0 == 100 ? "s7" : "\($0)").corp.example" }.joined(separator: ","), 401),
        ] {
            let made = Workshop.client("any", under: Self.root, names: names)
            #expect(try status(gateway, made.identity) == expected, "\(names.prefix(40))")
        }
    }

    @Test func `authorities that cannot be read refuse the whole configuration`() throws {
        let gateway = try Gateway([Facts.open(1)])
        for clients in [Self.clients(Array("no PEM".utf8)), Self.clients(lists: Array("no PEM".utf8))] {
            #expect(throws: TLSConfigurationError.self) {
                try gateway.engine.broadcast(
                    configuration: Gateway.snapshot([Facts.open(1)], revision: 2, clients: clients))
            }
        }
    }

    @Test func `the name of a ClientHello is read whole or not at all`() {
        let name = Array("Wiki.test".utf8)
        let whole: [UInt8] = [0, UInt8(name.count + 3), 0, 0, UInt8(name.count)] + name
        func read(_ bytes: [UInt8]) -> String? { bytes.withUnsafeBufferPointer(ClientHelloName.parse) }
        #expect(read(whole) == "wiki.test")
        for end in 0..<whole.count { #expect(read(Array(whole[..<end])) == nil) }
        for bad in [whole + [0], [0, 12, 1, 0, 9] + name, [0, 12, 0, 0, 8] + name, [0, 4, 0, 0, 1, 0]] {
            #expect(read(bad) == nil)
        }
    }
}
