import Testing

@testable import Config

@Suite("How a client of ours proves itself to an identity provider is configured whole")
struct ClientAuthenticationTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    static let pair = "client-certificate: { chain: chain.pem, key: { file: key.pem } }"
    static let secret = "client-secret: { file: secret }"
    static let key = "client-key: { file: key.pem }"

    private func text(_ keys: String) throws -> String {
        try Sample.replacing("client-secret: { file: secret } }", "\(keys) }")
    }

    private func corp(_ keys: String) throws -> IdentityProviderSettings {
        try folder.write("gatepost.yaml", try text(keys))
        return try #require(try folder.load().identityProviders.first)
    }

    @Test("a secret alone is sent as the provider announces, and requests are pushed where it offers that")
    func standard() throws {
        let settings = try corp(Self.secret).authentication
        #expect(settings.method == .announced && settings.secret.text == "s3cret")
        #expect(settings.keyPEM == nil && settings.chainPEM == nil && settings.pushedAuthorization == "auto")
        #expect(try corp(Self.secret).further == FurtherClaimsSettings())
    }

    @Test("each method is read with what it needs")
    func methods() throws {
        let basic = try corp("\(Self.secret), client-authentication: client_secret_basic").authentication
        #expect(basic.method == .secretBasic && basic.secret.text == "s3cret")
        let post = try corp("\(Self.secret), client-authentication: client_secret_post").authentication
        #expect(post.method == .secretPost)
        let assertion = try corp(
            "client-authentication: private_key_jwt, \(Self.key), client-key-id: k1, pushed-authorization: required"
        ).authentication
        #expect(assertion.method == .privateKeyJWT && assertion.keyID == "k1")
        #expect(assertion.keyPEM != nil && assertion.chainPEM == nil && assertion.secret.bytes.isEmpty)
        #expect(!assertion.isForTokenEndpoint && assertion.pushedAuthorization == "required")
        let entra = try corp(
            "client-authentication: private_key_jwt, \(Self.pair), assertion-audience: token-endpoint"
        ).authentication
        #expect(entra.keyPEM != nil && entra.chainPEM != nil && entra.isForTokenEndpoint)
        let tls = try corp("client-authentication: tls_client_auth, \(Self.pair)").authentication
        #expect(tls.method == .tlsClient && tls.keyPEM != nil && tls.chainPEM != nil)
    }

    @Test(
        "what a method does not need, or lacks, is an error that names the key and what to do",
        arguments: [
            ("", "client-secret: is missing"), (key, "client-key: is there, but client-authentication"),
            (pair, "client-certificate: is there, but client-authentication"),
            ("\(secret), \(key)", "client-key: has no effect"),
            ("\(secret), \(pair)", "client-certificate: has no effect"),
            ("\(secret), assertion-audience: issuer", "assertion-audience: has no effect"),
            ("\(secret), client-key-id: k", "client-key-id: has no effect"),
            ("client-authentication: client_secret_basic", "client-secret: is missing"),
            ("client-authentication: client_secret_post, \(key)", "client-secret: is missing"),
            (
                "client-authentication: private_key_jwt",
                "needs exactly one of client-key and client-certificate"
            ),
            (
                "client-authentication: private_key_jwt, \(key), \(pair)",
                "needs exactly one of client-key and client-certificate"
            ),
            ("client-authentication: private_key_jwt, \(key), \(secret)", "client-secret: has no effect"),
            (
                "client-authentication: private_key_jwt, \(pair), client-key-id: k",
                "client-key-id: has no effect"
            ),
            (
                "client-authentication: private_key_jwt, client-key: { file: chain.pem }",
                "holds no PEM PRIVATE KEY"
            ),
            ("client-authentication: private_key_jwt, client-key: key.pem", "is a secret in plain text"),
            ("client-authentication: private_key_jwt, \(key), client-key-id: ä", "client-key-id: is longer"),
            ("client-authentication: tls_client_auth", "client-certificate: is missing"),
            ("client-authentication: tls_client_auth, \(key)", "client-key: has no effect"),
            ("client-authentication: tls_client_auth, \(pair), \(secret)", "client-secret: has no effect"),
            (
                "client-authentication: tls_client_auth, \(pair), assertion-audience: issuer",
                "assertion-audience: has no effect"
            ),
            (
                "client-authentication: tls_client_auth, client-certificate: { chain: chain.pem }",
                "client-certificate.key: is missing"
            ),
            ("client-authentication: none, \(secret)", "\"none\" is not known"),
            ("client-authentication: announced, \(secret)", "\"announced\" is not known"),
            ("\(secret), pushed-authorization: maybe", "\"maybe\" is not known"),
        ])
    func refused(_ keys: String, _ problem: String) throws {
        let problems = try folder.problems(
            try Sample.replacing(", client-secret: { file: secret } }", keys.isEmpty ? " }" : ", \(keys) }"))
        #expect(problems.contains { $0.contains(problem) }, "\(problems)")
    }

    @Test("claims beside the id token are read")
    func further() throws {
        let settings = try corp(
            Self.secret + ", access-token-claims: { audience: \"api://x\", names: [deviceid, acrs] }, "
                + "group-overage: { graph: \"https://graph.microsoft.com/v1.0/\" }, device-claim: deviceid"
        ).further
        #expect(settings.deviceClaim == "deviceid")
        #expect(try corp(Self.secret).further.deviceClaim == nil)
        #expect(
            settings.accessTokenAudience == "api://x" && settings.accessTokenNames == ["deviceid", "acrs"])
        #expect(settings.graphURL == "https://graph.microsoft.com/v1.0")
    }

    @Test(
        "claims that cannot be taken, and addresses that are none, are refused",
        arguments: [
            ("access-token-claims: { audience: a, names: [sub] }", "sub cannot be taken"),
            ("access-token-claims: { audience: a, names: [groups] }", "groups cannot be taken"),
            (
                "access-token-claims: { audience: a, names: [email_verified] }",
                "email_verified cannot be taken"
            ),
            ("access-token-claims: { audience: a, names: [hasgroups] }", "hasgroups cannot be taken"),
            ("access-token-claims: { audience: a, names: [gatepost-x] }", "gatepost-x cannot be taken"),
            ("access-token-claims: { audience: a, names: [] }", "list is empty"),
            ("access-token-claims: { names: [a] }", "audience: is missing"),
            ("access-token-claims: { audience: a }", "names: is missing"),
            ("device-claim: sub", "sub names no device"), ("device-claim: email", "email names no device"),
            ("group-overage: {}", "group-overage"),
            ("group-overage: https://graph.example", "must be a mapping"),
            ("group-overage: { graph: \"https://graph.example\" }", "has no version"),
            ("group-overage: { graph: \"https://graph.example/v1.0?a=b\" }", "has a query"),
            ("group-overage: { graph: \"http://graph.example/v1.0\" }", "plain HTTP"),
            ("group-overage: { graph: \"http://127.0.0.1/v1.0\" }", "plain HTTP"),
        ])
    func furtherRefused(_ keys: String, _ problem: String) throws {
        let problems = try folder.problems(try text("\(Self.secret), \(keys)"))
        #expect(problems.contains { $0.contains(problem) }, "\(problems)")
    }

    @Test("plain HTTP to Graph alone is a use of unsafe-allow-http, on loopback")
    func plainGraph() throws {
        let graph = "group-overage: { graph: \"http://127.0.0.1:9/v1.0\" }"
        let settings = try corp("\(Self.secret), unsafe-allow-http: true, \(graph)")
        #expect(settings.further.graphURL == "http://127.0.0.1:9/v1.0")
        let useless = try folder.problems(try text("\(Self.secret), unsafe-allow-http: true"))
        #expect(useless.contains { $0.contains("unsafe-allow-http: has no effect") })
    }
}
