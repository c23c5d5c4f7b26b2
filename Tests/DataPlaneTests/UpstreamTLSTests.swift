import Border
import Foundation
import Testing

@testable import DataPlane

/// Upstreams over TLS that prove themselves wrongly, and gateways that do.
@Suite("TLS towards upstreams")
struct UpstreamTLSTests {
    static let inside = CertificateWorkshop.authority("Inside")
    static let other = CertificateWorkshop.authority("Other")

    static func server(
        _ names: String, under issuer: CertificateWorkshop.Made = inside, until: Int64 = 86_400
    ) -> CertificateWorkshop.Made {
        CertificateWorkshop.client(
            "server", under: issuer, names: names, usage: "serverAuth", from: -172_800, until: until)
    }

    static func origin(
        _ certificate: CertificateWorkshop.Made, clients: ClientCertificates? = nil
    ) -> TestOrigin {
        TestOrigin { connection in
            guard let peer = try? TLSPeer(connection.socket, certificate: certificate, clients: clients)
            else { return }
            while let head = peer.readHead() {
                peer.send(records: ["HTTP/1.1 200 OK\r\nContent-Length: \(head.utf8.count)\r\n\r\n\(head)"])
            }
        }
    }

    static func route(_ port: UInt16, _ change: (inout UpstreamAddress) -> Void = { _ in })
        -> ApplicationRoute
    {
        var route = Facts.open(port)
        route.upstreams[0].serverName = "wiki.test"
        route.upstreams[0].authoritiesPEM = inside.pem
        change(&route.upstreams[0])
        return route
    }

    /// The status, and what the endpoint's health check says.
    static func outcome(_ route: ApplicationRoute) throws -> (status: Int?, why: String?) {
        var route = route
        route.upstreamRules.health = HealthRules(path: "/")
        let gateway = try Gateway([route])
        let answer = try gateway.client().get()
        let news = gateway.waitFor {
            if case .upstream(let news) = $0 { news.standing == .unhealthy } else { false }
        }
        guard case .upstream(let told)? = withExtendedLifetime(gateway, { news }) else {
            return (answer?.status, nil)
        }
        return (answer?.status, told.why)
    }

    @Test func `the right name from the right authority is served, on a connection that is kept`() throws {
        let origin = Self.origin(Self.server("DNS:wiki.test"))
        let gateway = try Gateway([Self.route(origin.port)])
        let client = try gateway.client()
        for _ in 0..<3 { #expect(client.get()?.status == 200) }
        #expect(origin.connectionCount == 1)
    }

    @Test(
        "what does not prove itself gets no request, and the cause is told",
        arguments: [
            ("wrong name", "certificate: hostname mismatch"),
            ("expired", "certificate: certificate has expired"),
            ("unknown authority", "certificate: unable to get local issuer certificate"),
            ("plain", "TLS handshake failed"),
        ])
    func wrong(_ what: String, _ why: String) throws {
        let origin: TestOrigin
        switch what {
        case "wrong name": origin = Self.origin(Self.server("DNS:evil.test"))
        case "expired": origin = Self.origin(Self.server("DNS:wiki.test", until: -60))
        case "unknown authority": origin = Self.origin(Self.server("DNS:wiki.test", under: Self.other))
        case _:
            origin = TestOrigin { connection in
                _ = connection.socket.read()
                connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            }
        }
        let outcome = try Self.outcome(Self.route(origin.port))
        #expect(outcome.status == 502)
        #expect(outcome.why == why)
    }

    @Test func `a certificate for an address is held against the address, not against a name`() throws {
        let origin = Self.origin(Self.server("IP:127.0.0.1"))
        func status(_ name: String) throws -> Int? {
            try UpstreamTests.get(Self.route(origin.port) { $0.serverName = name })?.status
        }
        #expect(try status("127.0.0.1") == 200)
        #expect(try status("127.0.0.2") == 502)
        let named = Self.origin(Self.server("DNS:127.0.0.1"))
        #expect(
            try UpstreamTests.get(Self.route(named.port) { $0.serverName = "127.0.0.1" })?.status
                == 502)
    }

    @Test func `an upstream that demands a certificate gets ours`() throws {
        let demanding = ClientCertificates(authoritiesPEM: Self.inside.pem, isRequired: true)
        let origin = Self.origin(Self.server("DNS:wiki.test"), clients: demanding)
        func status(_ shown: CertificateWorkshop.Made?) throws -> Int? {
            let route = Self.route(origin.port) {
                $0.client = shown.map { UpstreamIdentity(chainPEM: $0.pem, keyPEM: $0.keyPEM) }
            }
            return try UpstreamTests.get(route)?.status
        }
        #expect(try status(CertificateWorkshop.client("gateway", under: Self.inside)) == 200)
        #expect(try status(nil) == 502)
        #expect(try status(CertificateWorkshop.client("gateway", under: Self.other)) == 502)
    }

    @Test func `without verification anything goes, and only there`() throws {
        let origin = Self.origin(Self.server("DNS:evil.test", under: Self.other, until: -60))
        let unsafe = Self.route(origin.port) {
            $0.isUnverified = true
            $0.authoritiesPEM = nil
        }
        #expect(try UpstreamTests.get(unsafe)?.status == 200)
        #expect(try UpstreamTests.get(Self.route(origin.port))?.status == 502)
    }

    @Test func `a key that is not the certificate's is refused before it is used`() throws {
        let (one, two) = (
            CertificateWorkshop.client("one", under: Self.inside),
            CertificateWorkshop.client("two", under: Self.inside)
        )
        let route = Self.route(1) { $0.client = UpstreamIdentity(chainPEM: one.pem, keyPEM: two.keyPEM) }
        let gateway = try Gateway([Facts.open(1)])
        #expect(throws: TLSConfigurationError.self) {
            try gateway.engine.broadcast(configuration: Gateway.snapshot([route], revision: 2))
        }
    }

    @Test func `another identity never uses a connection that was made for the first`() throws {
        let origin = Self.origin(Self.server("DNS:wiki.test"))
        let gateway = try Gateway([Self.route(origin.port)])
        let client = try gateway.client()
        #expect(client.get()?.status == 200)
        let other = Self.route(origin.port) { $0.authoritiesPEM = Self.other.pem }
        try gateway.engine.broadcast(configuration: Gateway.snapshot([other], revision: 2))
        #expect(gateway.waitUntil { client.get()?.status == 502 ? true : nil } == true)
    }
}
