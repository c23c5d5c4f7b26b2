import Access
import Foundation
import Testing

@Suite("Records written before a member existed")
struct CompatibleCodingTests {
    private func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    @Test("a verdict without checks is written as before, and one from before is read") func verdicts() throws
    {
        let plain = verdict()
        let written = try text(plain)
        #expect(!written.contains("checks"))
        #expect(try JSONDecoder().decode(Verdict.self, from: Data(written.utf8)) == plain)
        var checked = plain
        checked.checks = [.init(id: "a", title: "A", state: .notApplicable)]
        let again = try text(checked)
        #expect(again.contains("\"not_applicable\""))
        #expect(try JSONDecoder().decode(Verdict.self, from: Data(again.utf8)) == checked)
    }

    @Test("a device policy without strategies and a result without warnings are written as before")
    func policies() throws {
        let written = try text(healthy)
        #expect(!written.contains("strategies"))
        #expect(try JSONDecoder().decode(DevicePolicy.self, from: Data(written.utf8)) == healthy)
        var other = healthy
        other.strategies = [CheckStrategy(.deny, warnsUntilSeconds: 5)]
        #expect(try JSONDecoder().decode(DevicePolicy.self, from: Data(try text(other).utf8)) == other)
        let result = snapshot([other]).deviceResult(of: healthyDevice, for: nil, owner: .any, atSeconds: 1)
        #expect(try JSONDecoder().decode(DeviceResult.self, from: Data(try text(result).utf8)) == result)
        var warned = result
        warned.warnings = [
            CheckWarning(
                policy: "p", rule: 0, condition: "c", outcome: .no, reason: .postureStale, effect: .deny,
                untilSeconds: 9, remedy: "r")
        ]
        #expect(try JSONDecoder().decode(DeviceResult.self, from: Data(try text(warned).utf8)) == warned)
        var plain = result
        plain.warnings = []
        #expect(try !text(plain).contains("warnings"))
        #expect(try JSONDecoder().decode(DeviceResult.self, from: Data(try text(plain).utf8)) == plain)
    }

    @Test("every condition and limit survives the border") func residuals() throws {
        for seed in UInt64(0)..<500 {
            var random = RandomPolicies(seed: seed)
            let app = random.application()
            let data = Data(try text(app).utf8)
            #expect(try JSONDecoder().decode(Application.self, from: data) == app, "seed \(seed)")
        }
    }
}
