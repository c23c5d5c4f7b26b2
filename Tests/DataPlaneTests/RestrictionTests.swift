import Access
import Border
import Testing

@testable import DataPlane

@Suite("restrict: methods and path-prefixes, in both protocols")
struct RestrictionTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let request: String
        let status: Int
        let reason: String?
        init(_ request: String, _ status: Int, _ reason: String? = nil) {
            (self.request, self.status, self.reason) = (request, status, reason)
        }
        var testDescription: String { request }
    }

    private static let restriction = Restriction(methods: [.get, .head], pathPrefixes: ["/docs"])

    static let rows: [Row] = [
        Row("GET /docs", 200), Row("GET /docs/a", 200), Row("HEAD /docs/a?b=/secret", 200),
        // A path is what it says once it has been decoded, for policy and application alike.
        Row("GET /%64ocs/a", 200),
        Row("GET /", 403, "restricted-path"), Row("GET /docsx", 403, "restricted-path"),
        Row("GET /DOCS/a", 403, "restricted-path"), Row("GET /secret?/docs/", 403, "restricted-path"),
        Row("GET /%64ocsx/a", 403, "restricted-path"), Row("HEAD /secret", 403, "restricted-path"),
        Row("POST /docs/a", 403, "restricted-method"), Row("PUT /docs/a", 403, "restricted-method"),
        Row("DELETE /docs/a", 403, "restricted-method"), Row("OPTIONS /docs/a", 403, "restricted-method"),
        Row("PROPFIND /docs/a", 403, "restricted-method"),
        // Ways out of the prefix are no paths at all.
        Row("GET /docs/../secret", 400), Row("GET /docs/%2e%2e/secret", 400),
        Row("GET /docs%2f..%2fsecret", 400), Row("GET /docs/..;/secret", 400),
    ]

    /// What one session may, by `Restriction`; it stands for session 1.
    private static func record(_ restriction: Restriction?, sequence: UInt64 = 0) -> SessionRecord {
        var record = Facts.record(1, sequence: sequence)
        var policy = Facts.allow
        policy.restriction = restriction
        record.residual = Facts.residual(signedIn: true, [policy])
        return record
    }

    private static func gateway(_ origin: TestOrigin, _ restriction: Restriction?) throws -> Gateway {
        try Gateway([Facts.closed(origin.port)]) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            gateway.send(.session(ticket, record(restriction)))
        }
    }

    @Test(arguments: rows, ClientVersion.allCases)
    func `what is not allowed is refused before a byte goes upstream`(
        _ row: Row, _ version: ClientVersion
    ) throws {
        let origin = TestOrigin.patientEcho()
        let gateway = try Self.gateway(origin, Self.restriction)
        let client = try EitherClient(gateway, version)
        client.send("\(row.request) HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        let response = try #require(client.receive(isHead: row.request.hasPrefix("HEAD")))
        #expect(response.status == row.status)
        if row.status == 403 { #expect(response.field("Gatepost-Reason") == row.reason) }
        #expect(origin.connectionCount == (row.status == 200 ? 1 : 0))
    }

    @Test(arguments: ClientVersion.allCases)
    func `a WebSocket counts as the GET that it is, though HTTP 2 opens it by CONNECT`(
        _ version: ClientVersion
    ) throws {
        for (restriction, status) in [
            (Restriction(methods: [.get], pathPrefixes: ["/ws"]), version.opened),
            (Restriction(methods: [.post], pathPrefixes: ["/ws"]), 403),
            (Restriction(methods: [.get], pathPrefixes: ["/docs"]), 403),
        ] {
            let origin = HTTP2StreamTests.origin()
            let gateway = try Self.gateway(origin, restriction)
            let client = try EitherClient(gateway, version)
            client.send(RevocationTests.webSocket(1))
            #expect(client.receive()?.status == status)
            #expect(origin.connectionCount == (status == 403 ? 0 : 1))
        }
    }

    @Test(
        arguments: [
            (Restriction(pathPrefixes: ["/docs"]), true), (Restriction(methods: [.post]), true),
            (Restriction(methods: [.get], pathPrefixes: ["/events"]), false), (nil, false),
        ] as [(Restriction?, Bool)], ClientVersion.allCases)
    func `what is open ends when its method or path is no longer allowed, and only then`(
        _ row: (Restriction?, Bool), _ version: ClientVersion
    ) throws {
        let origin = HTTP2StreamTests.origin()
        let gateway = try Self.gateway(origin, nil)
        let client = try EitherClient(gateway, version)
        client.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        #expect(client.receiveHead()?.status == 200)
        #expect(client.sees("data: 1"))
        gateway.engine.revoke(RevocationTests.revocation(1, .replace(Self.record(row.0, sequence: 1))))
        #expect(gateway.waitFor { if case .cut = $0 { true } else { false } } != nil)
        guard row.1 else {
            #expect(gateway.engine.metrics().sum("streams_cut") == 0)
            return
        }
        #expect(client.readToEnd() != nil, "it went on")
        #expect(gateway.waitForCounter("streams_cut", atLeast: 1))
    }
}
