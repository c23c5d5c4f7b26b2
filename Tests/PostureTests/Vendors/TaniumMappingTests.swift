import Access
import JSON
import Testing

@testable import Posture

@Suite("An endpoint of Tanium becomes a verdict")
struct TaniumMappingTests {
    static let now = Setting.start
    static let connection = ProviderConnection(
        integration: "tanium", provider: "tanium", deviceAgeSecondsMax: 604_800)

    static func node(_ replaced: [String: JSONValue?] = [:]) -> JSONValue {
        var node: JSONObject = [
            "id": "MTo6", "computerID": 4_711, "serialNumber": "PF3ABCDE", "isVirtual": false,
            "systemUUID": "4C4C4544-0000-4000-8000-000000000001",
            "eidLastSeen": .string(GraphFake.date(now - 60)),
            "macAddresses": ["7c-21-4a-0b-1c-2d"], "risk": ["totalScore": 210, "riskLevel": "Low"],
        ]
        for (name, value) in replaced { node[name] = value }
        return .object(node)
    }

    static func verdict(_ replaced: [String: JSONValue?] = [:]) throws -> Verdict {
        try #require(TaniumEndpoint(node(replaced))).record(of: connection, nowSeconds: now).verdict
    }

    static func risk(_ score: JSONValue, _ level: JSONValue) -> JSONValue {
        ["totalScore": score, "riskLevel": level]
    }

    static let levels: [(JSONValue, Verdict.Risk?, Verdict.State)] = [
        ("Low", .low, .compliant), ("Medium", .medium, .compliant), ("HIGH", .high, .compliant),
        ("critical", .critical, .compliant), (.null, nil, .compliant), ("Apocalyptic", nil, .unknown),
        ("", nil, .unknown), (7, nil, .unknown),
    ]

    @Test("004.2 the risk level in its order; an unheard word makes all of it unknown", arguments: levels)
    func level(_ word: JSONValue, _ risk: Verdict.Risk?, _ state: Verdict.State) throws {
        let verdict = try Self.verdict(["risk": Self.risk(210, word)])
        #expect(verdict.risk == risk && verdict.state == state)
    }

    static let scores: [(JSONValue, Int64?)] = [
        (1, 1), (1_000, 1_000), (0, nil), (1_001, nil), (.null, nil), ("210", nil), (209.2, 210),
        (1_000.5, nil),
    ]

    @Test(
        "the total score is 1 to 1000, higher is worse; fractions count as the next worse", arguments: scores)
    func score(_ raw: JSONValue, _ value: Int64?) throws {
        let verdict = try Self.verdict(["risk": Self.risk(raw, "Low")])
        #expect(verdict.score?.value == value && verdict.score?.higherIsBetter != true)
    }

    @Test("004.13 seen within 7 days: a second less is fresh, exactly 7 days and the future are not")
    func age() throws {
        for (age, isFresh) in [
            (604_799, true), (604_800, false), (-300, true), (-301, false),
        ] as [(Int64, Bool)] {
            let verdict = try Self.verdict(["eidLastSeen": .string(GraphFake.date(Self.now - age))])
            #expect(verdict.isFresh(atSeconds: Self.now) == isFresh, "\(age)")
        }
        #expect(try !Self.verdict(["eidLastSeen": nil]).isFresh(atSeconds: Self.now))
    }

    @Test("004.11 that it is listed means managed; computer id, serial, UUID and MAC name it") func keys()
        throws
    {
        let verdict = try Self.verdict(["isVirtual": true])
        #expect(verdict.isManaged == true && verdict.labels == ["managed", "risk:low", "virtual"])
        #expect(
            verdict.matchKey
                == "hardware-uuid=4c4c4544-0000-4000-8000-000000000001;mac=7c214a0b1c2d;serial=PF3ABCDE;"
                + "tanium-computer-id=4711")
        #expect(
            try Self.verdict(["computerID": "4711"]).matchKey == Self.verdict().matchKey, "text or number")
        #expect(TaniumEndpoint(Self.node(["id": .null])) == nil)
    }

    @Test("only high and critical risk ask the person for something") func remedies() throws {
        #expect(try Self.verdict().remedies.isEmpty)
        #expect(try Self.verdict(["risk": Self.risk(870, "Critical")]).remedies[0].contains("as critical"))
    }

    @Test("errors name the field that a gateway does not have, and only optional ones are left out")
    func unknownFields() {
        func unknown(_ message: String) -> String? {
            TaniumQuery.unknownField([["message": .string(message)]])
        }
        #expect(unknown("Cannot query field \"risk\" on type \"Endpoint\".") == "risk")
        #expect(unknown("Cannot query field \"eidLastSeen\" on type \"Endpoint\".") == nil)
        #expect(unknown("risk is unavailable") == nil)
        #expect(
            !TaniumQuery.list([]).contains("risk") && TaniumQuery.list(["risk"]).contains("risk{totalScore"))
    }
}
