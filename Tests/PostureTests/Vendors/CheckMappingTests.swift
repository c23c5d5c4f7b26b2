import Access
import JSON
import Testing

@testable import Posture

@Suite("Single checks in records of Falcon, Defender and Workspace ONE")
struct CheckMappingTests {
    private func states(_ verdict: Verdict) -> [String: Verdict.Check.State] {
        Dictionary(verdict.checks.map { ($0.title, $0.state) }, uniquingKeysWith: { first, _ in first })
    }

    @Test("000.22 the assessment's signals pass or fail by their own word, and end with the assessment")
    func falcon() throws {
        let now = CrowdStrikeMappingTests.now
        let fresh = try CrowdStrikeMappingTests.verdict()
        #expect(states(fresh) == ["Secure Boot": .fail, "Disk encryption": .pass])
        let old = try CrowdStrikeMappingTests.verdict(
            CrowdStrikeMappingTests.host(),
            CrowdStrikeMappingTests.assessment(83, modified: now - 86_400))
        #expect(old.checks.isEmpty && old.score == nil)
    }

    @Test(
        "002.2 onboarding, sensor and exposure of a machine",
        arguments: [
            ("exposureLevel", "High", Verdict.Check.State.fail), ("exposureLevel", "Medium", .pass),
            ("healthStatus", "Inactive", .fail), ("healthStatus", "Splendid", .unknown),
            ("onboardingStatus", "CanBeOnboarded", .fail), ("onboardingStatus", "", .unknown),
        ])
    func defender(_ id: String, _ word: String, _ state: Verdict.Check.State) throws {
        let verdict = try DefenderMappingTests.verdict([id: .string(word)])
        #expect(verdict.checks.first { $0.id == id }?.state == state)
        let without = try DefenderMappingTests.verdict(["exposureLevel": .null])
        #expect(!without.checks.contains { $0.id == "exposureLevel" })
    }

    @Test("the console's policies by name, and what it says of compromise") func workspaceOne() throws {
        func policy(_ name: JSONValue, _ isMet: JSONValue) -> JSONValue {
            ["PolicyName": name, "CompliantStatus": isMet]
        }
        let verdict = try WorkspaceOneMappingTests.verdict([
            "ComplianceSummary": [
                "DeviceCompliance": [
                    policy("Encryption", true), policy("Passcode", false), policy("Passcode", true),
                    policy("Roaming", .null), policy(7, false),
                ]
            ]
        ])
        #expect(
            states(verdict) == [
                "Not compromised": .pass, "Encryption": .pass, "Passcode": .fail, "Roaming": .unknown,
            ])
    }
}
