import Access
import Fetch
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("What is known of a person beside the id token")
struct FurtherClaimsTests {
    let world = World()
    static let now: Int64 = 1_000_000
    static let object = "7b0e64dd-0000-4000-8000-00000000a11c"

    private func configure(_ change: (inout IdentityProviderRegistration) -> Void) async {
        var configuration = World.configuration
        change(&configuration.providers[0])
        await world.flow.replace(configuration: configuration)
    }

    /// A compact token of the tenant's own key, or of another.
    private func signed(_ claims: JSONObject, foreign: Bool = false) -> String {
        let key = SigningKey.generateP256()
        if !foreign {
            world.tenant.change { state in
                state.signer = ("k2", key)
                state.published = [("k2", key)]
            }
        }
        return JWS.sign(header: ["kid": "k2"], payload: claims, with: key)
    }

    // MARK: Signed userinfo

    struct Info: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var isTaken: Bool
        var isForeign = false
        var type = "application/jwt"
        var edit: @Sendable (inout JSONObject) -> Void

        init(
            _ name: String, taken: Bool = false, foreign: Bool = false, type: String = "application/jwt",
            _ edit: @escaping @Sendable (inout JSONObject) -> Void = { _ in }
        ) {
            (testDescription, isTaken, isForeign, self.type, self.edit) = (name, taken, foreign, type, edit)
        }
    }

    static let infos: [Info] = [
        .init("as it should be", taken: true),
        .init("with a parameter", taken: true, type: "Application/JWT ; a=b"),
        .init("aud as a list", taken: true) { $0["aud"] = ["x", "client"] },
        .init("exp one second before the skew ends", taken: true) { $0["exp"] = .integer(now - 119) },
        .init("exp exactly at the skew") { $0["exp"] = .integer(now - 120) },
        .init("exp no time") { $0["exp"] = "soon" },
        .init("iat in the future") { $0["iat"] = .integer(now + 121) },
        .init("nbf in the future") { $0["nbf"] = .integer(now + 121) },
        .init("another key", foreign: true), .init("no iss") { $0["iss"] = nil },
        .init("another iss") { $0["iss"] = "https://other.example" }, .init("no aud") { $0["aud"] = nil },
        .init("aud empty") { $0["aud"] = [] },
        .init("aud of the other client") { $0["aud"] = "client-managed" },
        .init("another subject") { $0["sub"] = "person-2" }, .init("no subject") { $0["sub"] = nil },
        .init("signed, but said to be JSON", type: "application/json"),
    ]

    @Test(
        "a signed answer counts exactly when it is the provider's, for us and about the person",
        arguments: infos)
    func signedUserinfo(_ row: Info) async {
        var claims: JSONObject = [
            "iss": "https://idp.example/tenant", "aud": "client", "sub": "person-1", "groups": ["staff"],
        ]
        row.edit(&claims)
        let compact = signed(claims, foreign: row.isForeign)
        world.tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.userinfoAnswer = { _ in
                FetchResponse(status: 200, fields: [("content-type", row.type)], body: Array(compact.utf8))
            }
        }
        let session = await Browser(world).go("\(wiki)/").session
        #expect(session?.groups == (row.isTaken ? ["staff"] : []))
        #expect((session?.claims["hasgroups"] == .flag(true)) == !row.isTaken)
    }

    @Test("an unsigned token in the place of a signed answer is none") func unsigned() async {
        let body = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJwZXJzb24tMSIsImdyb3VwcyI6WyJzdGFmZiJdfQ."
        world.tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.userinfoAnswer = { _ in
                FetchResponse(
                    status: 200, fields: [("content-type", "application/jwt")], body: Array(body.utf8))
            }
        }
        #expect(await Browser(world).go("\(wiki)/").session?.claims["hasgroups"] == .flag(true))
    }

    // MARK: Access tokens

    static let tokens: [Info] = [
        .init("as it should be", taken: true),
        .init("aud as a list", taken: true) { $0["aud"] = ["api://own"] },
        .init("azp ours", taken: true) { $0["azp"] = "client" }, .init("no client named", taken: true),
        .init("another key", foreign: true), .init("another audience") { $0["aud"] = "api://own2" },
        .init("our client id as the audience") { $0["aud"] = "client" },
        .init("no audience") { $0["aud"] = nil },
        .init("another issuer") { $0["iss"] = "https://other.example" }, .init("no exp") { $0["exp"] = nil },
        .init("expired") { $0["exp"] = .integer(now - 120) },
        .init("nbf in the future") { $0["nbf"] = 2_000_000 },
        .init("about somebody else") { $0["sub"] = "person-2" }, .init("about nobody") { $0["sub"] = nil },
        .init("given to another client") { $0["azp"] = "client-managed" },
        .init("given to another client in the way of RFC 9068") { $0["client_id"] = "x" },
        .init("given to another application") { $0["appid"] = "x" },
        .init("client that is no text") { $0["client_id"] = 1 },
    ]

    @Test(
        "chosen claims come from a token that holds in every respect; any other ends the sign-in",
        arguments: tokens)
    func accessToken(_ row: Info) async {
        await configure {
            $0.accessTokenClaims = AccessTokenClaims(
                audience: "api://own", names: ["deviceid", "name", "hd", "acr"])
        }
        var claims: JSONObject = [
            "iss": "https://idp.example/tenant", "aud": "api://own", "sub": "person-1",
            "exp": .integer(Self.now + 60), "deviceid": "d-1", "other": "x", "hd": "of the token",
            "acr": "phr",
        ]
        row.edit(&claims)
        let compact = signed(claims, foreign: row.isForeign)
        world.tenant.misbehave {
            $0.claims = {
                $0["hd"] = "of the id token"
                $0["acr"] = .null
            }
            $0.accessToken = { _ in compact }
        }
        let landing = await Browser(world).go("\(wiki)/")
        guard row.isTaken else {
            #expect(landing.refusal?.reason == .identityProviderRefused)
            #expect(await world.store.rows.isEmpty)
            return
        }
        let session = landing.session
        #expect(session?.claims["deviceid"] == .text("d-1"))
        #expect(session?.claims["other"] == nil, "only what is configured")
        #expect(session?.claims["hd"] == .text("of the id token"), "the id token goes before")
        #expect(session?.claims["acr"] == nil, "its null is an opinion, too")
    }

    @Test("where a provider has oid and tid, they say whom a token is about, and sub does not") func objects()
        async
    {
        await configure { $0.accessTokenClaims = AccessTokenClaims(audience: "a", names: ["deviceid"]) }
        for (oid, isTaken) in [(Self.object, true), ("other", false), (nil, false)] as [(String?, Bool)] {
            var claims: JSONObject = [
                "iss": "https://idp.example/tenant", "aud": "a", "sub": "pairwise", "exp": 2_000_000,
                "tid": "t",
                "deviceid": "d",
            ]
            claims["oid"] = oid.map { .string($0) }
            let compact = signed(claims)
            world.tenant.misbehave {
                $0.claims = {
                    $0["oid"] = .string(Self.object)
                    $0["tid"] = "t"
                }
                $0.accessToken = { _ in compact }
            }
            world.advance(61)
            #expect((await Browser(world).go("\(wiki)/").session != nil) == isTaken)
        }
    }

    @Test("an access token that is no JWT ends the sign-in only where claims of it are wanted") func opaque()
        async
    {
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        await configure { $0.accessTokenClaims = AccessTokenClaims(audience: "a", names: ["deviceid"]) }
        #expect(await Browser(world).go("\(wiki)/").refusal?.reason == .identityProviderRefused)
    }

    // MARK: Groups from Graph

    private func overage(
        _ hidden: JSONValue = ["groups": "src1"],
        _ graph: @escaping @Sendable (FetchRequest) -> FetchResponse
    ) async -> StoredSession? {
        await configure { $0.graphURL = "https://idp.example/tenant/graph/v1.0" }
        world.tenant.misbehave {
            $0.claims = {
                $0["groups"] = nil
                $0["oid"] = .string(Self.object)
                $0["_claim_names"] = hidden
                $0["_claim_sources"] = ["src1": ["endpoint": "https://evil.example/getMemberObjects"]]
            }
            $0.graph = { request, grant in
                grant == nil ? FetchResponse(status: 401) : graph(request)
            }
        }
        return await Browser(world).go("\(wiki)/").session
    }

    @Sendable private static func page(_ ids: [String], next: JSONValue? = nil) -> FetchResponse {
        var answer: JSONObject = ["value": .array(ids.map { .string($0) })]
        answer["@odata.nextLink"] = next
        return FakeProvider.json(answer)
    }

    private static let path = "/graph/v1.0/users/\(object)/getMemberObjects"

    @Test("hidden groups are asked of the configured Graph, with the sign-in's own token") func overage()
        async throws
    {
        let session = await overage { _ in Self.page(["g1", "g2"]) }
        #expect(session?.groups == ["g1", "g2"])
        #expect(session?.claims["hasgroups"] == nil)
        let request = try #require(world.tenant.last(Self.path))
        #expect(request.method == "POST" && request.body == Array(#"{"securityEnabledOnly":false}"#.utf8))
        #expect(request.clientCertificatePEM == nil)
        #expect(world.tenant.count("/userinfo") == 0)
    }

    @Test("hasgroups says the same; without either Graph is not asked") func otherWay() async {
        await configure { $0.graphURL = "https://idp.example/tenant/graph" }
        world.tenant.misbehave {
            $0.claims = {
                $0["groups"] = nil
                $0["oid"] = .string(Self.object)
                $0["hasgroups"] = true
            }
            $0.graph = { _, _ in Self.page(["g"]) }
        }
        #expect(await Browser(world).go("\(wiki)/").session?.groups == ["g"])
        let plain = World()
        #expect(await Browser(plain).go("\(wiki)/").session?.groups == ["staff", "admins"])
        #expect(plain.tenant.count("/graph/users/\(Self.object)/getMemberObjects") == 0)
    }

    @Test("without a configured Graph hidden groups stay unknown, whatever address the token names")
    func off() async {
        world.tenant.misbehave {
            $0.claims = {
                $0["groups"] = nil
                $0["_claim_names"] = ["groups": "src1"]
                $0["_claim_sources"] = ["src1": ["endpoint": "https://idp.example/tenant/graph/x"]]
            }
            $0.graph = { _, _ in Self.page(["admins"]) }
        }
        let session = await Browser(world).go("\(wiki)/").session
        #expect(session?.groups == [] && session?.claims["hasgroups"] == .flag(true))
        #expect(world.tenant.count("/graph/x") == 0)
    }

    @Test(
        "pages are read to the end, at the configured address only",
        arguments: [
            ("https://idp.example/tenant/graph/v1.0/next", ["a", "b"]),
            ("https://idp.example/tenant/graph/v1.0x/", []),
            ("https://evil.example/graph/v1.0/next", []),
            ("https://idp.example/tenant/graph/v1.0/next#x", []),
        ])
    func pages(_ next: String, _ groups: [String]) async {
        let session = await overage { request in
            request.url.hasSuffix("getMemberObjects")
                ? Self.page(["a"], next: .string(next)) : Self.page(request.method == "GET" ? ["b"] : [])
        }
        #expect(session?.groups == groups)
        #expect((session?.claims["hasgroups"] == .flag(true)) == groups.isEmpty)
    }

    @Test("exactly as many groups as a token may hold are taken; one more, and none") func bound() async {
        let most = (0..<ClaimReader.groupsMax).map { "g\($0)" }
        #expect(await overage { _ in Self.page(most) }?.groups.count == 2_000)
        let session = await overage { _ in Self.page(most + ["one more"].map { $0.replacing(" ", with: "") })
        }
        #expect(session?.groups == [] && session?.claims["hasgroups"] == .flag(true))
    }

    @Test(
        "what is no list of ids leaves the groups unknown, and the person signed in",
        arguments: [
            FetchResponse(
                status: 400, body: Array(#"{"error":{"code":"Directory_ResultSizeLimitExceeded"}}"#.utf8)),
            FetchResponse(status: 403), FetchResponse(status: 429), FetchResponse(status: 500),
            FetchResponse(status: 302),
            FetchResponse(status: 200, body: Array("<html>".utf8)),
            FetchResponse(status: 200, body: Array("{}".utf8)),
            FakeProvider.json(["value": "g"]), FakeProvider.json(["value": ["a", 1]]),
            FakeProvider.json(["value": [""]]),
            FakeProvider.json(["value": ["a b"]]), FakeProvider.json(["value": ["a"], "@odata.nextLink": 1]),
            FetchResponse(status: 401),
        ])
    func failing(_ answer: FetchResponse) async {
        let session = await overage { _ in answer }
        #expect(session?.groups == [] && session?.claims["hasgroups"] == .flag(true))
    }

    @Test("a list that goes round, or never ends, is not read for ever", arguments: [true, false])
    func endless(_ goesRound: Bool) async {
        let session = await overage { request in
            let next = goesRound ? "https://idp.example/tenant/graph/v1.0/x" : request.url + "x"
            return Self.page(["a"], next: .string(next))
        }
        #expect(session?.claims["hasgroups"] == .flag(true))
        #expect(world.tenant.count("/graph/v1.0/x") <= 1)
    }

    @Test(
        "an id that is no GUID never stands in a path",
        arguments: [
            "../../me", "7b0e64dd-0000-4000-8000-00000000a11g", "7b0e64dd00004000800000000000a11c", "",
            "7b0e64dd-0000-4000-8000-00000000a11c/x",
        ])
    func object(_ object: String) { #expect(!GroupOverage.isGUID(object)) }
}
