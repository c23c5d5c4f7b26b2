import Access
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("One person at two registrations of one tenant: another sub, the same oid and tid")
struct SamePersonTests {
    static let tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47"
    static let object = "00000000-0000-0000-66f3-3332eca7ea81"
    let world = World(issuer: "https://login.example/\(tenant)/v2.0")
    let hr = "https://hr.corp.example:8443"

    init() { says([:]) }

    /// `sub` is another one for each client, as the tenant's are.
    private func says(_ claims: [String: JSONValue]) {
        world.tenant.misbehave { faults in
            faults.claims = { token in
                token["sub"] = .string("pairwise-\(token["aud"]?.string ?? "")")
                token["oid"] = .string(Self.object)
                token["tid"] = .string(Self.tenant)
                for (name, value) in claims { token[name] = value.isNull ? nil : value }
            }
        }
    }

    private func globals() async -> [StoredSession] {
        await world.store.rows.values.filter { $0.kind == .global }
            .sorted { $0.identityProvider < $1.identityProvider }
    }

    @Test("004.15 the second registration's session knows the first one's name of the person")
    func linked() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        await browser.go("\(hr)/")
        let found = await globals()
        try #require(found.map(\.subject) == ["pairwise-client", "pairwise-client-managed"])
        #expect(Sessions.isPerson(found[1], issuer: world.tenant.issuer, subject: "pairwise-client"))
        #expect(Sessions.isPerson(found[1], issuer: world.tenant.issuer, subject: "pairwise-client-managed"))
        #expect(!Sessions.isPerson(found[1], issuer: "https://other.example", subject: "pairwise-client"))
        #expect(!Sessions.isPerson(found[1], issuer: world.tenant.issuer, subject: "pairwise-third"))
        let person = SessionQuery.person(issuer: world.tenant.issuer, subject: "pairwise-client")
        #expect(try await world.store.sessions(person, limit: 10).count == 4)
    }

    @Test("004.15 ending a person's sessions ends those of every registration")
    func endedEverywhere() async throws {
        await Browser(world).go("\(wiki)/")
        await Browser(world).go("\(hr)/")
        let ended = try await world.flow.sessions.end(
            issuer: world.tenant.issuer, subject: "pairwise-client")
        #expect(ended.count == 4)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("no session says it outside: application sessions carry nothing of it, and a new sign-in keeps it")
    func inside() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        let session = try #require(await browser.go("\(hr)/").session)
        #expect(session.claims.keys.allSatisfy { !$0.hasPrefix("gatepost") })
        browser.jars["hr.corp.example"] = []
        world.advance(60)
        let managed = await globals()[1]
        browser.jars["auth.corp.example"] = browser.jars["auth.corp.example"]
        await browser.go("\(hr)/")
        #expect(await world.store.rows[managed.id]?.claims[Sessions.subjectsClaim] != nil)
    }

    @Test(
        "what is no account of the issuer's own tenant links nobody",
        arguments: [
            ["oid": .null], ["tid": .null], ["oid": "ann"], ["tid": "corp"], ["oid": 7],
            ["tid": "72f988bf-86f1-41af-91ab-2d7cd011db48"], ["oid": "00000000-0000-0000-66f3-3332eca7ea8"],
            ["oid": "00000000-0000-0000-66f3-3332eca7ea8g"],
            ["oid": ["00000000-0000-0000-66f3-3332eca7ea81"]],
        ] as [[String: JSONValue]])
    func notLinked(_ claims: [String: JSONValue]) async throws {
        says(claims)
        await Browser(world).go("\(wiki)/")
        await Browser(world).go("\(hr)/")
        let found = await globals()
        try #require(found.count == 2)
        #expect(!Sessions.isPerson(found[1], issuer: world.tenant.issuer, subject: "pairwise-client"))
    }

    @Test("letters of either case are one account")
    func folded() {
        var person = PersonFacts(
            issuer: "https://login.example/\(Self.tenant.uppercased())/v2.0", subject: "s")
        person.claims = ["oid": .text("ABCDEF00-0000-0000-66f3-3332eca7ea81"), "tid": .text(Self.tenant)]
        #expect(PersonAccount.name(of: person) == "abcdef00-0000-0000-66f3-3332eca7ea81@\(Self.tenant)")
        person.issuer = "https://\(Self.tenant)/v2.0"
        #expect(PersonAccount.name(of: person) == nil, "a host is no path")
        person.issuer = "https://login.example/v2.0?\(Self.tenant)"
        #expect(PersonAccount.name(of: person) == nil)
    }

    @Test("a store that cannot note it makes no session")
    func storeDown() async throws {
        let browser = Browser(world)
        let callback = await browser.go("\(wiki)/", pauseAtProvider: true).callback ?? ""
        await world.store.breakDown()
        #expect(await browser.step(callback)?.refusal?.reason == .storeUnavailable)
        await world.store.breakDown(false)
        #expect(await world.store.rows.isEmpty)
    }
}
