import JSON
import Store
import Testing

@testable import Identity

@Suite("A provider that signs for many tenants")
struct TenantIssuersTests {
    private static let ours = "9b1f2d3c-0000-4000-8000-1234567890ab"
    private static let second = "9b1f2d3c-0000-4000-8000-1234567890ac"
    private static let foreign = "9b1f2d3c-0000-4000-8000-1234567890ad"
    private static let issuer = "https://idp.example/organizations/v2.0"

    private static func of(_ tenant: String) -> String { "https://idp.example/\(tenant)/v2.0" }

    /// A gateway that takes two tenants; the provider's tokens say `claims`.
    private func world(
        _ claims: @escaping @Sendable (inout JSONObject) -> Void,
        documented: String = "https://idp.example/{tenantid}/v2.0"
    ) -> World {
        let world = World(issuer: Self.issuer) { configuration in
            for index in configuration.providers.indices
            where configuration.providers[index].issuer == Self.issuer {
                configuration.providers[index].tenants = TenantIssuers(
                    issuer: Self.issuer, tenants: [Self.ours.uppercased(), Self.second])
            }
        }
        world.tenant.misbehave { faults in
            faults.metadata = { $0["issuer"] = .string(documented) }
            faults.claims = claims
        }
        return world
    }

    private func session(_ world: World) async -> StoredSession? {
        await Browser(world).go("\(wiki)/").session
    }

    @Test("each listed tenant is an issuer of its own", arguments: [ours, second])
    func listed(_ tenant: String) async throws {
        let world = world {
            $0["iss"] = .string(Self.of(tenant))
            $0["tid"] = .string(tenant)
        }
        #expect(try #require(await session(world)).issuer == Self.of(tenant))
    }

    static let refused: [(what: String, claims: [String: JSONValue])] = [
        ("a tenant that is not listed", ["iss": .string(of(foreign)), "tid": .string(foreign)]),
        ("tid is missing", ["iss": .string(of(ours))]),
        ("tid twice", ["iss": .string(of(ours)), "tid": [.string(ours), .string(ours)]]),
        ("tid of another one", ["iss": .string(of(ours)), "tid": .string(second)]),
        ("iss of another one", ["iss": .string(of(foreign)), "tid": .string(ours)]),
        ("tid in capitals", ["iss": .string(of(ours)), "tid": .string(ours.uppercased())]),
        ("the placeholder", ["iss": .string(of("{tenantid}")), "tid": "{tenantid}"]),
        ("the shared issuer", ["iss": .string(issuer), "tid": .string(ours)]),
        ("the shared segment as a tenant", ["iss": .string(issuer), "tid": "organizations"]),
        ("an empty tenant", ["iss": .string(of("")), "tid": ""]),
        ("a path within tid", ["iss": .string(of("\(ours)/x")), "tid": .string("\(ours)/x")]),
        ("iss is missing", ["tid": .string(ours)]),
        ("another host", ["iss": .string("https://evil.example/\(ours)/v2.0"), "tid": .string(ours)]),
    ]

    @Test("every other token signs nobody in", arguments: refused)
    func others(_ row: (what: String, claims: [String: JSONValue])) async throws {
        let world = world { claims in
            claims["iss"] = row.claims["iss"]
            claims["tid"] = row.claims["tid"]
        }
        #expect(await session(world) == nil, "\(row.what)")
        #expect(await world.store.rows.isEmpty)
    }

    @Test(
        "a document that names another issuer is somebody else's",
        arguments: [
            issuer, of(ours), "https://idp.example/{tenantid}/v1.0", "https://evil.example/{tenantid}/v2.0",
            "https://idp.example/{TenantId}/v2.0",
        ])
    func documents(_ documented: String) async {
        let world = world(
            {
                $0["iss"] = .string(Self.of(Self.ours))
                $0["tid"] = .string(Self.ours)
            }, documented: documented)
        #expect(await session(world) == nil)
    }

    @Test("without tenants the placeholder is no issuer")
    func one() async {
        let world = World(issuer: Self.issuer)
        world.tenant.misbehave { $0.metadata = { $0["issuer"] = "https://idp.example/{tenantid}/v2.0" } }
        #expect(await session(world) == nil)
    }

    @Test("only a segment that stands for all tenants becomes one of them")
    func segments() {
        for issuer in [Self.of(Self.ours), "https://common/v2.0", "https://idp.example/commons/v2.0", ""] {
            #expect(TenantIssuers(issuer: issuer, tenants: [Self.ours]) == nil, "\(issuer)")
        }
        let common = TenantIssuers(issuer: "https://idp.example/common/v2.0", tenants: [Self.ours])
        #expect(common?.admits(Self.of(Self.ours)) == true)
        #expect(common?.admits(Self.of(Self.second)) == false)
        #expect(common?.isDocumented(as: Self.of("{tenantid}")) == true)
    }

    /// What a token says of its address, and whether the address counts.
    static let addresses: [(verified: JSONValue?, owned: JSONValue?, counts: Bool)] = [
        (nil, nil, false), (false, nil, false), (nil, false, false), (nil, 0, false), (.null, nil, false),
        (nil, "perhaps", false), (true, false, false), (false, true, false), (true, nil, true),
        ("true", nil, true), (nil, true, true), (nil, 1, true), (nil, "1", true), (true, true, true),
    ]

    /// One tenant's administrator can write another tenant's address.
    @Test("an address counts only with an explicit yes", arguments: addresses)
    func verified(_ row: (verified: JSONValue?, owned: JSONValue?, counts: Bool)) async throws {
        let world = world {
            $0["iss"] = .string(Self.of(Self.ours))
            $0["tid"] = .string(Self.ours)
            $0["email_verified"] = row.verified
            $0["xms_edov"] = row.owned
        }
        let email = try #require(await session(world)).email
        #expect(email == (row.counts ? "ann.lee@corp.example" : nil))
    }

    @Test("at userinfo as well", arguments: [nil, false, true])
    func userinfo(_ verified: Bool?) async throws {
        let world = world {
            $0["iss"] = .string(Self.of(Self.ours))
            $0["tid"] = .string(Self.ours)
            $0["email"] = nil
        }
        var info: JSONObject = ["sub": "person-1", "email": "ceo@corp.example", "groups": []]
        info["email_verified"] = verified.map { .bool($0) }
        world.tenant.misbehave { [info] in $0.userinfo = info }
        let email = try #require(await session(world)).email
        #expect(email == (verified == true ? "ceo@corp.example" : nil))
    }

    @Test("a refresh that does not say yes takes the address away", arguments: addresses)
    func refreshed(_ row: (verified: JSONValue?, owned: JSONValue?, counts: Bool)) async throws {
        let fixture = RefreshWorld(issuer: Self.issuer) { configuration in
            for index in configuration.providers.indices
            where configuration.providers[index].issuer == Self.issuer {
                configuration.providers[index].tenants = TenantIssuers(
                    issuer: Self.issuer, tenants: [Self.ours])
            }
        }
        let named: @Sendable (inout JSONObject) -> Void = {
            $0["iss"] = .string(Self.of(Self.ours))
            $0["tid"] = .string(Self.ours)
        }
        fixture.tenant.misbehave {
            $0.metadata = { $0["issuer"] = "https://idp.example/{tenantid}/v2.0" }
            $0.claims = named
        }
        fixture.tenant.refreshing {
            $0.claims = {
                named(&$0)
                $0["email_verified"] = row.verified
                $0["xms_edov"] = row.owned
            }
        }
        let (_, id) = try await fixture.signIn()
        #expect(await fixture.session(id)?.email == "ann.lee@corp.example")
        try await fixture.refreshOnce(id)
        #expect(await fixture.row(id)?.failure == nil)
        #expect(
            try #require(await fixture.session(id)).email == (row.counts ? "ann.lee@corp.example" : nil))
    }
}
