import Fetch
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("How we prove at a refresh which client we are, and what a resource may demand then")
struct RefreshProofTests {
    private func form(_ request: FetchRequest?) -> [String: String] {
        FormText.parse(String(decoding: request?.body ?? [], as: UTF8.self)) ?? [:]
    }

    private func fixture(_ proof: ClientProof, _ registered: FakeProvider.Registered) -> RefreshWorld {
        let fixture = RefreshWorld { configuration in
            configuration.providers[0].proof = proof
            configuration.providers[0].clientSecret = ""
        }
        fixture.tenant.change { $0.registered["client"] = registered }
        return fixture
    }

    @Test(
        "a refresh goes over a connection of its own: sent twice, a token that rotates would end its family")
    func once() async throws {
        let fixture = RefreshWorld()
        let (_, id) = try await fixture.signIn()
        try await fixture.refreshOnce(id)
        let request = try #require(fixture.tenant.last("/token"))
        #expect(form(request)["grant_type"] == "refresh_token" && request.isSentOnce)
    }

    @Test(
        "with a key, a refresh and the giving back carry an assertion each, another one every time, and no secret"
    )
    func assertion() async throws {
        let pair = try TestKeys.p256.get()
        let key = try SigningKey(pem: pair.key)
        let fixture = fixture(.assertion(try AssertionKey(keyPEM: pair.key)), .key(key.publicKey))
        let (browser, id) = try await fixture.signIn()
        for _ in 0..<2 { try await fixture.refreshOnce(id) }
        #expect(fixture.tenant.refresh.presented == ["refresh-1", "refresh-2"])
        #expect(await fixture.row(id)?.failure == nil)
        let refresh = try #require(fixture.tenant.last("/token"))
        _ = await browser.step("\(wiki)/.gatepost/sign-out", method: "POST", origin: wiki)
        await fixture.world.flow.settled()
        #expect(fixture.tenant.refresh.givenBack == ["refresh-3"])
        let back = try #require(fixture.tenant.last("/revoke"))
        for request in [refresh, back] {
            let form = form(request)
            #expect(form["client_secret"] == nil && form["client_id"] == "client" && request.isSentOnce)
            #expect(!request.fields.contains { $0.0 == "Authorization" })
            let claims = try JWS(compact: form["client_assertion"] ?? "").payloadObject
            #expect(claims["aud"] == "https://idp.example/tenant" && claims["sub"] == "client")
        }
        #expect(form(refresh)["client_assertion"] != form(back)["client_assertion"])
        fixture.tenant.change { state in #expect(state.usedAssertions.count == 4) }
        #expect(fixture.world.told.all.isEmpty)
    }

    @Test("with a certificate both go to the aliases for mutual TLS, and so does userinfo")
    func certificate() async throws {
        let pair = try TestKeys.p256.get()
        let fixture = fixture(
            .certificate(try ClientCertificate(chainPEM: pair.chain, keyPEM: pair.key)),
            .certificate(pair.chain))
        fixture.tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.userinfo = ["sub": "person-1", "groups": ["staff"]]
            $0.metadata = {
                $0["mtls_endpoint_aliases"] = [
                    "token_endpoint": "https://idp.example/tenant/mtls/token",
                    "revocation_endpoint": "https://idp.example/tenant/mtls/revoke",
                    "userinfo_endpoint": "https://idp.example/tenant/mtls/userinfo",
                ]
            }
        }
        fixture.tenant.refreshing { $0.claims = { $0["groups"] = nil } }
        let (browser, id) = try await fixture.signIn()
        try await fixture.refreshOnce(id)
        #expect(fixture.tenant.refresh.presented == ["refresh-1"])
        #expect(await fixture.row(id)?.failure == nil)
        #expect(fixture.tenant.count("/mtls/userinfo") == 2)
        let refresh = try #require(fixture.tenant.last("/mtls/token"))
        #expect(form(refresh)["grant_type"] == "refresh_token")
        _ = await browser.step("\(wiki)/.gatepost/sign-out", method: "POST", origin: wiki)
        await fixture.world.flow.settled()
        #expect(fixture.tenant.refresh.givenBack == ["refresh-2"])
        let back = try #require(fixture.tenant.last("/mtls/revoke"))
        for request in [refresh, back] {
            #expect(request.clientCertificatePEM == pair.chain && request.clientKeyPEM == pair.key)
            #expect(form(request)["client_id"] == "client")
        }
        for path in ["/token", "/revoke", "/userinfo"] { #expect(fixture.tenant.count(path) == 0) }
    }

    @Test("a client that the provider knows by another key is refused, and the session goes on")
    func wrongKey() async throws {
        let pair = try TestKeys.p256.get()
        let key = try SigningKey(pem: pair.key)
        let fixture = fixture(.assertion(try AssertionKey(keyPEM: pair.key)), .key(key.publicKey))
        let (_, id) = try await fixture.signIn()
        let other = try SigningKey(pem: try TestKeys.rsa.get().key).publicKey
        fixture.tenant.change { $0.registered["client"] = .key(other) }
        try await fixture.refreshOnce(id)
        #expect(await fixture.session(id) != nil)
        #expect(await fixture.row(id)?.failure == "client-refused")
        #expect(form(fixture.tenant.last("/token"))["client_secret"] == nil)
    }

    // MARK: Claims challenges

    @Test(
        "a resource that demands claims at a refresh ends the sign-in; the next navigation asks for them",
        arguments: [true, false])
    func demanded(_ sendsIDToken: Bool) async throws {
        let fixture = RefreshWorld()
        let isDemanding = FetchResponse(
            status: 401,
            fields: [
                (
                    "www-authenticate",
                    "Bearer error=\"insufficient_claims\", claims=\""
                        + Base64.encode(Array(#"{"access_token":{"acrs":{"value":"c1"}}}"#.utf8)) + "\""
                )
            ])
        let good = FakeProvider.json(["sub": "person-1", "groups": ["staff"]])
        fixture.tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.userinfoAnswer = { _ in good }
        }
        fixture.tenant.refreshing {
            $0.sendsIDToken = sendsIDToken
            $0.claims = { $0["groups"] = nil }
        }
        let (browser, id) = try await fixture.signIn()
        fixture.tenant.misbehave {
            $0.userinfoAnswer = { grant in
                grant?.parameters["claims"]?.contains("\"c1\"") == true ? good : isDemanding
            }
        }
        try await fixture.refreshOnce(id)
        #expect(await fixture.session(id) == nil)
        #expect(await fixture.row(id) == nil)
        let end = try #require(fixture.results.endings.first)
        #expect(end.end.failure == .interaction("claims-demanded"))
        #expect(end.sessions.count == 2)
        #expect(await browser.go("\(wiki)/").session?.groups == ["staff"])
        #expect(fixture.tenant.authorizations.last?["claims"]?.contains("\"c1\"") == true)
    }
}
