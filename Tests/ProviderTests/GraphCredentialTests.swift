import Access
import JSON
import Signatures
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("How the gateway proves to Microsoft that it is the registered application")
struct GraphCredentialTests {
    static let pair = Result { try GraphLab.certificate() }
    static let other = Result { try GraphLab.certificate() }

    private func connector(
        _ lab: GraphLab, _ provider: String, _ pair: (chain: [UInt8], key: [UInt8])
    ) throws -> any Connector {
        try lab.connector(provider) {
            $0.secrets = ["client-certificate.key": String(decoding: pair.key, as: UTF8.self)]
            $0.files = ["client-certificate.chain": pair.chain]
        }
    }

    private func register(_ pair: (chain: [UInt8], key: [UInt8]), _ lab: GraphLab) throws {
        let certificate = try Certificate(pem: pair.chain)
        lab.graph.certificate.withLock { $0 = certificate }
    }

    @Test(
        "002.6 002.15 a registered certificate is as good as a secret, for both",
        arguments: ["intune", "entra"])
    func certificate(_ provider: String) async throws {
        let lab = try GraphLab()
        let pair = try Self.pair.get()
        try register(pair, lab)
        let connector = try connector(lab, provider, pair)
        #expect(await connector.probe() == nil)
        #expect(await connector.sync().isComplete)
    }

    @Test("every token request carries an assertion of its own: none is taken twice") func fresh()
        async throws
    {
        let lab = try GraphLab()
        let pair = try Self.pair.get()
        try register(pair, lab)
        let connector = try connector(lab, "entra", pair)
        for _ in 0..<3 {
            lab.graph.state.withLock { $0.expireTokens() }
            #expect(await connector.probe() == nil)
        }
        #expect(lab.graph.state.withLock { $0.usedAssertions.count } == 3)
    }

    @Test("the assertion names us, the endpoint and its certificate, and lives five minutes") func claims()
        throws
    {
        let pair = try Self.pair.get()
        let certificate = try Graph.ClientCertificate(chainPEM: pair.chain, keyPEM: pair.key)
        let texts = (0..<2).map { _ in
            certificate.assertion(clientID: "client", audience: "https://login.test/t", nowSeconds: 1_000)
        }
        let tokens = try texts.map { try JWS(compact: $0) }
        let claims = try tokens[0].payloadObject
        let registered = try Certificate(pem: pair.chain)
        #expect(tokens[0].algorithm == .rs256 && tokens[0].verify(with: registered.publicKey))
        #expect(tokens[0].header["x5t#S256"]?.string == Base64URL.encode(registered.sha256))
        #expect(
            claims["iss"] == "client" && claims["sub"] == "client" && claims["aud"] == "https://login.test/t")
        #expect(claims["exp"] == 1_300 && claims["nbf"] == 940)
        #expect(claims["jti"]?.string != (try tokens[1].payloadObject["jti"]?.string))
    }

    @Test("a certificate that is not registered is refused, and the reason names the number") func foreign()
        async throws
    {
        let lab = try GraphLab()
        try register(try Self.other.get(), lab)
        let failure = await (try connector(lab, "entra", try Self.pair.get())).probe()
        #expect(failure?.kind == .authFailed && failure?.what.contains("AADSTS700027") == true)
    }

    @Test("a clock that is ten minutes off is refused there, not repaired here", arguments: [-301, 601])
    func clock(_ offset: Int64) async throws {
        let lab = try GraphLab()
        let pair = try Self.pair.get()
        try register(pair, lab)
        lab.graph.clock.setOffset(seconds: offset + (offset < 0 ? -60 : 0))
        #expect(await (try connector(lab, "entra", pair)).probe()?.kind == .authFailed)
    }

    @Test("a pair that does not belong together, or is no RSA pair, is no configuration") func wrongPair()
        throws
    {
        let pair = try Self.pair.get()
        let other = try Self.other.get()
        #expect(throws: ConnectorFailure.self) {
            try Graph.ClientCertificate(chainPEM: pair.chain, keyPEM: other.key)
        }
        #expect(throws: ConnectorFailure.self) {
            try Graph.ClientCertificate(chainPEM: pair.chain, keyPEM: SigningKey.generateP256().pem)
        }
        #expect(throws: ConnectorFailure.self) {
            try Graph.ClientCertificate(chainPEM: pair.key, keyPEM: pair.key)
        }
        let lab = try GraphLab()
        #expect(throws: ConnectorFailure.self) { try lab.connector("entra") { $0.secrets = [:] } }
    }
}
