import Access
import Fetch
import JSON
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("What a vendor says over HTTP decides the class of a device")
struct ClassificationTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var setup: VendorFixture.Setup
        var change: JSONObject
        var rules: [DeviceRule]
        var expected: DeviceClass
        var testDescription: String { name }
    }

    static func score(_ comparison: Comparison, _ value: Int64) -> DeviceRule {
        .score(integration: "it", comparison: comparison, value: value)
    }
    static func tags(_ values: String...) -> DeviceRule {
        .tags(integration: "it", matchesAll: false, values: values)
    }
    static let running = DeviceRule.sensorRunning(integration: "it", true)

    static let scores: [Row] = [
        ("at the bound", .greaterOrEqual, 65, 65, .compliant),
        ("one below", .greaterOrEqual, 65, 64, .partial),
        ("more than the bound", .greater, 65, 65, .partial), ("one more", .greater, 65, 66, .compliant),
        ("equal", .equal, 65, 65, .compliant), ("not equal", .equal, 65, 66, .partial),
        ("less or equal", .lessOrEqual, 65, 65, .compliant), ("one above", .lessOrEqual, 65, 66, .partial),
        ("less", .less, 65, 64, .compliant), ("not less", .less, 65, 65, .partial),
        ("never assessed", .greaterOrEqual, 1, 0, .partial),
    ].map { (name: String, comparison: Comparison, bound: Int64, value: Int64, expected: DeviceClass) in
        Row(
            name: name, setup: .crowdStrike, change: ["zta": .integer(value)],
            rules: [score(comparison, bound)],
            expected: expected)
    }

    @Test("000.19 the score of Zero Trust Assessment classifies the device", arguments: scores)
    func scored(_ row: Row) async throws { try await check(row) }

    static let sensors: [Row] = [
        Row(
            name: "score and sensor", setup: .crowdStrike, change: ["zta": 80],
            rules: [score(.greaterOrEqual, 65), running],
            expected: .compliant),
        Row(
            name: "score without sensor", setup: .crowdStrike,
            change: ["zta": 80, "last_seen": .string(Timestamp.rfc3339(TestClock.start - 3_600))],
            rules: [score(.greaterOrEqual, 65), running], expected: .partial),
        Row(
            name: "sensor without score", setup: .crowdStrike, change: ["zta": 64],
            rules: [score(.greaterOrEqual, 65), running], expected: .partial),
        Row(
            name: "reduced", setup: .crowdStrike, change: ["zta": 80, "reduced_functionality_mode": "yes"],
            rules: [score(.greaterOrEqual, 65), running], expected: .partial),
    ]

    @Test("000.24 the running sensor is one more qualifier: both must hold", arguments: sensors)
    func sensor(_ row: Row) async throws { try await check(row) }

    static let isolated: [Row] =
        ["contained", "containment_pending", "lift_containment_pending"].map {
            Row(
                name: $0, setup: .crowdStrike, change: ["status": .string($0), "zta": 100],
                rules: [tags("compliant")],
                expected: .partial)
        } + [
            Row(
                name: "compromised", setup: .workspaceOne, change: ["CompromisedStatus": true],
                rules: [tags("compliant")], expected: .partial),
            Row(
                name: "normal", setup: .crowdStrike, change: [:], rules: [tags("compliant")],
                expected: .compliant),
        ]

    @Test("002.3 an isolated or compromised device does not comply, whatever its score", arguments: isolated)
    func contained(_ row: Row) async throws { try await check(row) }

    static func risk(
        _ setup: VendorFixture.Setup, _ member: String, _ word: JSONValue, _ expected: DeviceClass
    ) -> Row {
        Row(
            name: "\(setup.name) \(word.serializedText())", setup: setup,
            change: JSONObject([(member, word)]),
            rules: [.risk(integration: "it", comparison: .lessOrEqual, value: .medium)], expected: expected)
    }
    static func exposure(_ word: JSONValue, _ expected: DeviceClass) -> Row {
        Row(
            name: "exposure \(word.serializedText())", setup: .defender, change: ["exposureLevel": word],
            rules: [tags("exposure:none", "exposure:low")], expected: expected)
    }
    static let risks: [Row] = [
        risk(.defender, "riskScore", "None", .compliant), risk(.defender, "riskScore", "Medium", .compliant),
        risk(.defender, "riskScore", "High", .partial), risk(.defender, "riskScore", .null, .partial),
        risk(.defender, "riskScore", "Strange", .partial), risk(.tanium, "riskLevel", "Medium", .compliant),
        risk(.tanium, "riskLevel", "High", .partial), risk(.tanium, "riskLevel", "Critical", .partial),
        exposure("Low", .compliant), exposure("None", .compliant), exposure("Medium", .partial),
        exposure("High", .partial), exposure(.null, .partial), exposure("Strange", .partial),
    ]

    @Test(
        "002.2 risk and exposure take part: at the bound, beside it, unknown and not yet known",
        arguments: risks)
    func risky(_ row: Row) async throws { try await check(row) }

    private func check(_ row: Row) async throws {
        let fixture = try VendorFixture(row.setup)
        fixture.change(row.change)
        let keys = FaultMatrixTests.keys[row.setup.name] ?? FaultMatrixTests.serials
        guard case .records(let found) = await (try fixture.connector()).fetch([try #require(keys.alice)])
        else {
            Issue.record("no answer")
            return
        }
        let verdict = try #require(found.first).verdict
        let policy = DevicePolicy(
            name: "p", platform: .windows, priority: 1, rules: row.rules, result: .compliant)
        let snapshot = PolicySnapshot(identity: "", devicePolicies: [policy], applications: [])
        let device = DeviceFacts(id: "d", platform: .windows, verdicts: [verdict])
        let result = snapshot.deviceResult(of: device, for: nil, owner: .any, atSeconds: fixture.clock.now)
        #expect(result.deviceClass == row.expected, "\(result.lines)")
        // Once everything is too old, nothing of it counts.
        let later = snapshot.deviceResult(
            of: device, for: nil, owner: .any, atSeconds: verdict.expiresAtSeconds)
        #expect(later.deviceClass == .partial)
    }
}
