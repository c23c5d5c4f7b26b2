import Access
import Fetch
import JSON
import Signatures
import Testing

@testable import Identity

@Suite("How we prove to a provider which client we are")
struct ClientProofTests {
    let world = World()

    private func use(
        _ proof: ClientProof, secret: String = "",
        _ change: (inout IdentityProviderRegistration) -> Void = { _ in }
    ) async {
        var configuration = World.configuration
        configuration.providers[0].proof = proof
        configuration.providers[0].clientSecret = secret
        change(&configuration.providers[0])
        await world.flow.replace(configuration: configuration)
    }

    private func register(_ key: VerificationKey) {
        world.tenant.change { $0.registered["client"] = .key(key) }
    }

    private func form(_ request: FetchRequest?) -> [String: String] {
        FormText.parse(String(decoding: request?.body ?? [], as: UTF8.self)) ?? [:]
    }

    private func sentField(_ request: FetchRequest?) -> String? {
        request?.fields.first { $0.0 == "Authorization" }?.1
    }

    private func header(_ compact: String) throws -> JSONObject { try JWS(compact: compact).header }

    // MARK: Secrets

    @Test("a configured way to send the secret is used, whatever the provider announces")
    func secrets() async {
        world.tenant.misbehave {
            $0.metadata = { $0["token_endpoint_auth_methods_supported"] = ["private_key_jwt"] }
        }
        await use(.secretInField, secret: "s:e c+ret")
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        #expect(sentField(world.tenant.last("/token")) == "Basic Y2xpZW50OnMlM0FlJTIwYyUyQnJldA==")
        #expect(form(world.tenant.last("/token"))["client_secret"] == nil)
        await use(.secretInBody, secret: "s:e c+ret")
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        #expect(sentField(world.tenant.last("/token")) == nil)
        #expect(form(world.tenant.last("/token"))["client_secret"] == "s:e c+ret")
        await use(.announced, secret: "s:e c+ret")
        #expect(await Browser(world).go("\(wiki)/").refusal?.reason == .identityProviderUnavailable)
        #expect(world.tenant.count("/token") == 2, "a secret is not sent in a way that nobody named")
    }

    // MARK: Assertions

    @Test("an assertion says who we are and for whom it is, lives two minutes, and is another one each time")
    func assertion() async throws {
        let pair = try TestKeys.p256.get()
        let key = try SigningKey(pem: pair.key)
        register(key.publicKey)
        await use(.assertion(try AssertionKey(keyPEM: pair.key)))
        for _ in 0..<3 { #expect(await Browser(world).go("\(wiki)/").session != nil) }
        #expect(world.tenant.count("/token") == 3)
        let request = try #require(world.tenant.last("/token"))
        #expect(request.isSentOnce && sentField(request) == nil)
        let form = form(request)
        #expect(form["client_secret"] == nil && form["client_id"] == "client")
        let token = try JWS(compact: form["client_assertion"] ?? "")
        #expect(token.algorithm == .es256)
        #expect(token.header["typ"] == "JWT" && token.header["x5t#S256"] == nil)
        #expect(token.header["kid"] == .string(key.publicKey.thumbprint))
        let claims = try token.payloadObject
        #expect(claims["iss"] == "client" && claims["sub"] == "client")
        #expect(claims["aud"] == "https://idp.example/tenant")
        #expect(claims["iat"] == .integer(world.nowSeconds))
        #expect(claims["exp"] == .integer(world.nowSeconds + 120))
    }

    @Test(
        "with a certificate its thumbprint names the key, and the configured audience is the token endpoint")
    func certificateCredential() async throws {
        let pair = try TestKeys.rsa.get()
        register(try SigningKey(pem: pair.key).publicKey)
        await use(
            .assertion(
                try AssertionKey(keyPEM: pair.key, certificatePEM: pair.chain, audience: .tokenEndpoint)))
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        let token = try JWS(compact: form(world.tenant.last("/token"))["client_assertion"] ?? "")
        #expect(token.algorithm == .rs256 && token.keyID == nil)
        let digest = try Certificate(pem: pair.chain).sha256
        #expect(token.header["x5t#S256"] == .string(Base64URL.encode(digest)))
        #expect(try token.payloadObject["aud"] == "https://idp.example/tenant/token")
    }

    @Test(
        "an RSA key signs what the provider takes",
        arguments: [
            (nil, "RS256"), (["ES256", "PS256", "RS256"], "RS256"), (["PS256"], "PS256"),
            (["PS256", "HS256"], "PS256"),
        ] as [([String]?, String)])
    func algorithm(_ announced: [String]?, _ expected: String) throws {
        let pair = try TestKeys.rsa.get()
        let compact = try AssertionKey(keyPEM: pair.key, keyID: "own").assertion(
            clientID: "c", audience: "a", announced: announced, nowSeconds: 1)
        let token = try JWS(compact: compact)
        #expect(token.algorithm.rawValue == expected && token.keyID == "own")
        let signer = try SigningKey(pem: pair.key).using(token.algorithm)
        #expect(token.verify(with: signer.publicKey))
    }

    @Test(
        "nothing is sent to a provider that takes no signature of this key",
        arguments: [
            [], ["RS256", "PS256"], ["es256"], ["none"],
        ])
    func noAlgorithm(_ announced: [String]) async throws {
        let pair = try TestKeys.p256.get()
        let list = JSONValue.array(announced.map { .string($0) })
        world.tenant.misbehave {
            $0.metadata = { $0["token_endpoint_auth_signing_alg_values_supported"] = list }
        }
        await use(.assertion(try AssertionKey(keyPEM: pair.key)), secret: "s:e c+ret")
        #expect(await Browser(world).go("\(wiki)/").refusal?.reason == .identityProviderUnavailable)
        #expect(world.tenant.count("/token") == 0)
    }

    @Test("a provider that does not take the assertion gets no second one and no secret")
    func noFallback() async throws {
        let pair = try TestKeys.p256.get()
        register(try SigningKey(pem: try TestKeys.rsa.get().key).publicKey)
        await use(.assertion(try AssertionKey(keyPEM: pair.key)), secret: "s:e c+ret")
        let refusal = await Browser(world).go("\(wiki)/").refusal
        #expect(refusal?.reason == .identityProviderRefused)
        #expect(world.tenant.count("/token") == 1)
        #expect(form(world.tenant.last("/token"))["client_secret"] == nil)
        #expect(await world.store.rows.isEmpty)
    }

    @Test(
        "an assertion for the token endpoint goes nowhere but to the issuer's own host",
        arguments: [
            ("token_endpoint", "https://victim.example/token"),
            ("pushed_authorization_request_endpoint", "https://evil.example/par"),
            ("token_endpoint", "https://idp.example.evil.example/token"),
            ("token_endpoint", "https://idp.example:8443/token"),
        ])
    func audienceInjection(_ name: String, _ url: String) async throws {
        let pair = try TestKeys.p256.get()
        world.tenant.misbehave { $0.metadata = { $0[name] = .string(url) } }
        await use(.assertion(try AssertionKey(keyPEM: pair.key, audience: .tokenEndpoint)))
        let refusal = await Browser(world).go("\(wiki)/").refusal
        #expect(refusal?.reason == .identityProviderUnavailable)
        #expect(refusal?.detail.contains("assertion-audience: issuer") == true)
    }

    @Test("keys that cannot be used are refused when they are read")
    func unusable() throws {
        let (rsa, p256) = (try TestKeys.rsa.get(), try TestKeys.p256.get())
        for pair in [try TestKeys.p384.get(), try TestKeys.ed25519.get()] {
            #expect(throws: SignatureError.self) { try AssertionKey(keyPEM: pair.key) }
        }
        #expect(throws: SignatureError.self) { try AssertionKey(keyPEM: []) }
        #expect(throws: SignatureError.self) { try AssertionKey(keyPEM: rsa.chain) }
        #expect(throws: SignatureError.self) {
            try AssertionKey(keyPEM: rsa.key, certificatePEM: p256.chain)
        }
        #expect(throws: SignatureError.self) { try ClientCertificate(chainPEM: rsa.chain, keyPEM: p256.key) }
        #expect(throws: SignatureError.self) { try ClientCertificate(chainPEM: [], keyPEM: p256.key) }
        #expect(throws: Never.self) { try ClientCertificate(chainPEM: p256.chain, keyPEM: p256.key) }
    }

    @Test("the same key is one registration, another name or audience another")
    func equality() throws {
        let pair = try TestKeys.p256.get()
        let key = try AssertionKey(keyPEM: pair.key)
        #expect(key == (try AssertionKey(keyPEM: pair.key)))
        #expect(key != (try AssertionKey(keyPEM: pair.key, keyID: "x")))
        #expect(key != (try AssertionKey(keyPEM: pair.key, audience: .tokenEndpoint)))
        #expect(key != (try AssertionKey(keyPEM: pair.key, certificatePEM: pair.chain)))
    }

    // MARK: Certificates

    @Test("a client certificate is shown at the aliases for mutual TLS, and to nobody else")
    func certificate() async throws {
        let pair = try TestKeys.p256.get()
        world.tenant.change { $0.registered["client"] = .certificate(pair.chain) }
        world.tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.userinfo = ["sub": "person-1", "groups": ["staff"]]
            $0.metadata = {
                $0["mtls_endpoint_aliases"] = ["userinfo_endpoint": "https://other.example/mtls/userinfo"]
            }
        }
        await use(.certificate(try ClientCertificate(chainPEM: pair.chain, keyPEM: pair.key)))
        let session = await Browser(world).go("\(wiki)/").session
        #expect(session != nil)
        #expect(world.tenant.last("/token")?.clientCertificatePEM == pair.chain)
        #expect(world.tenant.last("/token")?.clientKeyPEM == pair.key)
        #expect(form(world.tenant.last("/token"))["client_id"] == "client")
        #expect(world.other.last("/mtls/userinfo")?.clientCertificatePEM == pair.chain)
        #expect(world.tenant.count("/userinfo") == 0)
        for path in ["/keys", "/.well-known/openid-configuration"] {
            #expect(world.tenant.last(path)?.clientCertificatePEM == nil)
        }
    }

    @Test("aliases mean nothing to other proofs, and one that is no https URL spoils the document")
    func aliases() async throws {
        world.tenant.misbehave {
            $0.metadata = {
                $0["mtls_endpoint_aliases"] = ["token_endpoint": "https://other.example/mtls/token"]
            }
        }
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        #expect(world.other.count("/mtls/token") == 0)
        let broken = World()
        broken.tenant.misbehave {
            $0.metadata = { $0["mtls_endpoint_aliases"] = ["token_endpoint": "http://idp.example/token"] }
        }
        #expect(await Browser(broken).go("\(wiki)/").refusal?.reason == .identityProviderUnavailable)
    }

    @Test("another certificate is refused, and no secret follows")
    func wrongCertificate() async throws {
        let (own, other) = (try TestKeys.p256.get(), try TestKeys.rsa.get())
        world.tenant.change { $0.registered["client"] = .certificate(other.chain) }
        await use(
            .certificate(try ClientCertificate(chainPEM: own.chain, keyPEM: own.key)), secret: "s:e c+ret")
        #expect(await Browser(world).go("\(wiki)/").refusal?.reason == .identityProviderRefused)
        #expect(world.tenant.count("/token") == 1)
        #expect(form(world.tenant.last("/token"))["client_secret"] == nil)
    }
}
