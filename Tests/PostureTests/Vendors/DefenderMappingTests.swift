import Access
import JSON
import Testing

@testable import Posture

@Suite("A machine of Defender for Endpoint becomes a verdict")
struct DefenderMappingTests {
    static let now = Setting.start
    static let connection = ProviderConnection(
        integration: "defender", provider: "defender", deviceAgeSecondsMax: 172_800)

    static func machine(_ replaced: [String: JSONValue?] = [:]) -> JSONValue {
        var machine: JSONObject = [
            "id": "a7c0d5e3b1f24968a0b7c4d2e9f80613572adc48", "healthStatus": "Active",
            "onboardingStatus": "onboarded", "riskScore": "Low", "exposureLevel": "Medium",
            "aadDeviceId": .string(GraphFake.entra(1)),
            "lastSeen": .string(GraphFake.date(now - 60).dropLast() + ".7654321Z"),
            "ipAddresses": [
                ["macAddress": "7C214A0B1C2D"], ["macAddress": .null], ["macAddress": "7E214A0B1C2D"],
            ],
        ]
        for (name, value) in replaced { machine[name] = value }
        return .object(machine)
    }

    static func verdict(_ replaced: [String: JSONValue?] = [:]) throws -> Verdict {
        try #require(DefenderMachine(machine(replaced))).record(of: connection, nowSeconds: now).verdict
    }

    static let health: [(String, Verdict.State, Bool?)] = [
        ("Active", .compliant, true), ("active", .compliant, true), ("Inactive", .noncompliant, false),
        ("ImpairedCommunication", .noncompliant, false), ("NoSensorData", .noncompliant, false),
        ("NoSensorDataImpairedCommunication", .noncompliant, false), ("Unknown", .unknown, nil),
        ("Splendid", .unknown, nil), ("", .unknown, nil),
    ]

    @Test("healthy is onboarded and active; words that are not known are unknown", arguments: health)
    func healthStatus(_ word: String, _ state: Verdict.State, _ isRunning: Bool?) throws {
        let verdict = try Self.verdict(["healthStatus": .string(word)])
        #expect(verdict.state == state && verdict.isSensorRunning == isRunning && verdict.rawState == word)
        #expect(verdict.labels.contains("healthy") == (state == .compliant))
    }

    static let onboarding: [(String, Verdict.State, Bool?)] = [
        ("Onboarded", .compliant, true), ("ONBOARDED", .compliant, true),
        ("CanBeOnboarded", .notManaged, false),
        ("Unsupported", .notManaged, false), ("InsufficientInfo", .notManaged, false),
        ("Soon", .unknown, nil),
    ]

    @Test("a machine that is not onboarded is not managed", arguments: onboarding)
    func onboarded(_ word: String, _ state: Verdict.State, _ isManaged: Bool?) throws {
        let verdict = try Self.verdict(["onboardingStatus": .string(word)])
        #expect(verdict.state == state && verdict.isManaged == isManaged)
    }

    static let risks: [(JSONValue?, Verdict.Risk?, Verdict.State)] = [
        ("None", Verdict.Risk.none, .compliant), ("Informational", .informational, .compliant),
        ("Low", .low, .compliant), ("medium", .medium, .compliant), ("High", .high, .compliant),
        (.null, nil, .compliant), (nil, nil, .compliant), ("Critical", nil, .unknown),
        ("Severe", nil, .unknown),
    ]

    @Test(
        "002.2 the risk in its order; null is no risk known, an unheard word makes all of it unknown",
        arguments: risks)
    func risk(_ word: JSONValue?, _ risk: Verdict.Risk?, _ state: Verdict.State) throws {
        let verdict = try Self.verdict(["riskScore": word])
        #expect(verdict.risk == risk && verdict.state == state)
    }

    @Test("002.2 the exposure level is a label; null is none, an unheard word makes all of it unknown")
    func exposure() throws {
        for word in ["None", "Low", "Medium", "HIGH"] {
            #expect(
                try Self.verdict(["exposureLevel": .string(word)]).labels.contains(
                    "exposure:\(word.lowercased())"))
        }
        #expect(try Self.verdict(["exposureLevel": .null]).state == .compliant)
        let strange = try Self.verdict(["exposureLevel": "Extreme"])
        #expect(strange.state == .unknown && !strange.labels.contains { $0.hasPrefix("exposure") })
    }

    @Test("a full report counts for 48 hours, and not from the future: 300 s are forgiven, 301 are not")
    func age() throws {
        for (age, isFresh) in [
            (172_799, true), (172_800, false), (-300, true), (-301, false),
        ] as [(Int64, Bool)] {
            let verdict = try Self.verdict(["lastSeen": .string(GraphFake.date(Self.now - age))])
            #expect(verdict.isFresh(atSeconds: Self.now) == isFresh, "\(age)")
        }
        #expect(try !Self.verdict(["lastSeen": .null]).isFresh(atSeconds: Self.now))
    }

    @Test("the Entra id and real MAC addresses name the machine; the nil id and randomised addresses do not")
    func keys() throws {
        #expect(try Self.verdict().matchKey == "entra-device-id=\(GraphFake.entra(1));mac=7c214a0b1c2d")
        #expect(
            try Self.verdict(["aadDeviceId": "00000000-0000-0000-0000-000000000000", "ipAddresses": .null])
                .matchKey
                == "")
        #expect(DefenderMachine(Self.machine(["id": .null])) == nil)
    }

    @Test("a person reads what to do: onboarding, silence, risk") func remedies() throws {
        #expect(try Self.verdict().remedies.isEmpty)
        #expect(try Self.verdict(["riskScore": "High"]).remedies[0].contains("high risk"))
        #expect(try Self.verdict(["healthStatus": "Inactive"]).remedies[0].contains("does not hear enough"))
        #expect(try Self.verdict(["onboardingStatus": "Unsupported"]).remedies[0].contains("not onboarded"))
    }
}
