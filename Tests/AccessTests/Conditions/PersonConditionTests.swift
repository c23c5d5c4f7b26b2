import Access
import Testing

/// One condition, one person: as include of an allow, and as include of a block before an allow for everyone.
struct PersonCase: Sendable, CustomTestStringConvertible {
    let name: String
    let condition: Condition
    let person: PersonFacts
    let outcome: Ternary
    init(_ name: String, _ condition: Condition, _ person: PersonFacts, _ outcome: Ternary) {
        (self.name, self.condition, self.person, self.outcome) = (name, condition, person, outcome)
    }
    var testDescription: String { name }
}

@Suite(
    "Conditions about the person: yes lets in, no and not-known do not; yes and not-known block, no does not")
struct PersonConditionTests {
    static let mail = Condition.email(.init(addresses: ["ada@corp.example"]))
    static let role = Condition.claim(.init(name: "role", values: [.text("admin")]))
    static let table: [PersonCase] = [
        PersonCase("email: the address", mail, person(), .yes),
        PersonCase("email: case is folded", mail, person(email: "Ada@Corp.Example"), .yes),
        PersonCase("email: another address", mail, person(email: "bob@corp.example"), .no),
        PersonCase("email: a longer address", mail, person(email: "ada@corp.example.evil"), .no),
        PersonCase(
            "email: Kelvin sign is no k", .email(.init(addresses: ["k@x"])),
            person(email: "\u{212a}@x"), .no),
        PersonCase("email: none or unverified", mail, person(email: nil), .indeterminate),
        PersonCase("domain: the domain", everyDomain, person(), .yes),
        PersonCase("domain: case is folded", everyDomain, person(email: "ada@CORP.example"), .yes),
        PersonCase("domain: a subdomain", everyDomain, person(email: "ada@hr.corp.example"), .no),
        PersonCase("domain: a longer name", everyDomain, person(email: "ada@evilcorp.example"), .no),
        PersonCase("domain: a trailing dot", everyDomain, person(email: "ada@corp.example."), .no),
        PersonCase("domain: two @", everyDomain, person(email: "ada@evil@corp.example"), .indeterminate),
        PersonCase("domain: no @", everyDomain, person(email: "corp.example"), .indeterminate),
        PersonCase("domain: nothing before @", everyDomain, person(email: "@corp.example"), .indeterminate),
        PersonCase("domain: nothing after @", everyDomain, person(email: "ada@"), .indeterminate),
        PersonCase("domain: no address", everyDomain, person(email: nil), .indeterminate),
        PersonCase("group: member", inGroup("staff"), person(), .yes),
        PersonCase("group: one of two", inGroup("x", "staff"), person(), .yes),
        PersonCase("group: another case", inGroup("Staff"), person(), .no),
        PersonCase("group: none", inGroup("staff"), person(groups: []), .no),
        PersonCase("group: equal only as Unicode", inGroup("\u{e9}"), person(groups: ["e\u{301}"]), .no),
        PersonCase(
            "group: the provider cut the list", inGroup("staff"),
            person(groups: [], claims: ["_claim_names": .text("groups")]), .indeterminate),
        PersonCase("claim: equal", role, person(claims: ["role": .text("admin")]), .yes),
        PersonCase("claim: in a list", role, person(claims: ["role": .list(["user", "admin"])]), .yes),
        PersonCase("claim: another value", role, person(claims: ["role": .text("user")]), .no),
        PersonCase(
            "claim: the text true is not the flag", .claim(.init(name: "mfa", values: [.flag(true)])),
            person(claims: ["mfa": .text("true")]), .no),
        PersonCase(
            "claim: a flag", .claim(.init(name: "mfa", values: [.flag(true)])),
            person(claims: ["mfa": .flag(true)]), .yes),
        PersonCase(
            "claim: a number", .claim(.init(name: "level", values: [.integer(3)])),
            person(claims: ["level": .integer(3)]), .yes),
        PersonCase(
            "claim: another number", .claim(.init(name: "level", values: [.integer(3)])),
            person(claims: ["level": .integer(4)]), .no),
        PersonCase("claim: absent", role, person(), .indeterminate),
        PersonCase(
            "claim: no values listed", .claim(.init(name: "role", values: [])),
            person(claims: ["role": .text("admin")]), .no),
        PersonCase("provider: the one", .identityProvider(.init(names: ["entra"])), person(), .yes),
        PersonCase("provider: another", .identityProvider(.init(names: ["okta"])), person(), .no),
        PersonCase("everyone who is signed in", .everyone, person(email: nil), .yes),
    ]

    @Test(arguments: table) func asInclude(_ row: PersonCase) {
        let app = application([ApplicationPolicy(name: "a", action: .allow, include: [row.condition])])
        let expected: Decision = row.outcome == .yes ? .forward(policy: 0) : .refuse(.noPolicyMatches)
        #expect(decide(session(row.person), nil, app) == expected)
    }

    @Test(arguments: table) func asRequire(_ row: PersonCase) {
        let app = application([
            ApplicationPolicy(name: "a", action: .allow, include: [.everyone], require: [row.condition])
        ])
        #expect(decide(session(row.person), nil, app).isForward == (row.outcome == .yes))
    }

    @Test(arguments: table) func asExclude(_ row: PersonCase) {
        let app = application([
            ApplicationPolicy(name: "a", action: .allow, include: [.everyone], exclude: [row.condition])
        ])
        #expect(decide(session(row.person), nil, app).isForward == (row.outcome == .no))
    }

    @Test(arguments: table) func asBlock(_ row: PersonCase) {
        let app = application([
            ApplicationPolicy(name: "b", action: .block, include: [row.condition]),
            ApplicationPolicy(name: "a", action: .allow, include: [.everyone]),
        ])
        let expected: Decision = row.outcome == .no ? .forward(policy: 0) : .refuse(.policyBlocks)
        #expect(decide(session(row.person), nil, app) == expected)
    }

    @Test(arguments: table) func explainTellsTheOutcome(_ row: PersonCase) throws {
        let app = application([ApplicationPolicy(name: "a", action: .allow, include: [row.condition])])
        let record = snapshot().explain(session(row.person), nil, for: app, atSeconds: now)
        let line = try #require(record.lines.first { $0.rule == "a.include[0]" })
        #expect(line.outcome == row.outcome)
        #expect(line.condition == row.condition.description)
        #expect((line.remedy == nil) == (row.outcome == .yes))
        #expect(!line.observed.isEmpty)
    }
}
