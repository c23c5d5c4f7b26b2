import Access
import Border
import Config
import Foundation
import Identity
import JSON
import Store
import Testing

@testable import Control

@Suite("Rules that only report are counted: whom they would affect")
struct ReportedRulesTests {
    /// The vault's device policy with one rule that only reports and one that will deny.
    private func house() async throws -> Gatehouse {
        let house = try Gatehouse(
            Gatehouse.config.replacing(
                "rules: [ { agent: agents, managed: true } ]",
                with: "rules: [ { agent: agents, managed: true }, "
                    + "{ agent: agents, facts: { firewall: true }, strategy: report }, "
                    + "{ agent: agents, facts: { screen-lock: true }, strategy: deny, warn-until: 2027-03-01 } ]"
            ))
        for (device, owner) in [("d1", "ada"), ("d2", "ada"), ("d3", "bob")] {
            try await house.enroll(device, owner: "\(owner)@corp.example")
        }
        return house
    }

    /// Signs in at the vault with what the agent says of the device, and decides.
    private func use(
        _ house: Gatehouse, _ device: String, by name: String, at application: String = "vault",
        _ facts: [String: ClaimValue]
    ) async throws -> (global: StoredSession, record: SessionRecord) {
        let (global, _, cookie) = try await house.signIn(
            "\(name)@corp.example", at: application, device: device)
        try await house.change(global.id) { $0.statement?.facts = facts }
        return (global, try #require(await house.pulled(cookie.tokenDigest, application)))
    }

    private func counts(_ house: Gatehouse) -> [[Int]] {
        house.control.decisions.reported.counts(
            under: house.control.services.config.policy, atSeconds: house.now
        ).map { [$0.devices, $0.persons] }
    }

    private func lines(_ house: Gatehouse, _ kind: String) throws -> [JSONValue] {
        house.control.decisions.log?.flush(milliseconds: 10_000)
        let file = try #require(house.control.decisions.log?.status.file)
        return try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
            .compactMap { try? JSONValue(parsing: Array($0.utf8)) }.filter { $0["kind"]?.string == kind }
    }

    @Test("001.18 distinct devices and persons are counted by rule, in text, JSON and the decision's line")
    func counted() async throws {
        let house = try await house()
        #expect(counts(house) == [[0, 0], [0, 0]])
        let bad: [String: ClaimValue] = ["firewall": .flag(false), "screen-lock": .flag(true)]
        for (device, name) in [("d1", "ada"), ("d1", "ada"), ("d2", "ada"), ("d3", "bob")] {
            // Nobody is kept out.
            let record = try await use(house, device, by: name, bad).record
            #expect(record.residual.outcome.letsIn)
        }
        #expect(counts(house) == [[3, 2], [0, 0]])
        let status = await house.control.execute(["command": "status"])
        let rules = try #require(status["reported_rules"]?.array)
        #expect(rules.map { $0["devices"]?.integer } == [3, 0])
        #expect(rules.map { $0["persons"]?.integer } == [2, 0])
        #expect(rules[0]["policy"] == "any-linux" && rules[0]["rule"] == 1 && rules[0]["effect"] == "report")
        #expect(rules[1]["effect"] == "deny" && rules[1]["until"] == 1_803_859_200)
        let text = try #require(status["text"]?.string)
        #expect(text.contains("whom they would affect") && text.contains("deny from 2027-03-01"))
        let warnings = try #require(lines(house, "decision").first?["warnings"]?.array)
        #expect(warnings.count == 1 && warnings[0]["rule"] == 1 && warnings[0]["outcome"] == "no")
        #expect(warnings[0]["reason"] == "posture-non-compliant")
    }

    @Test("001.18 who was mended is counted no more, and what is not known counts as affected")
    func mended() async throws {
        let house = try await house()
        let (global, _) = try await use(house, "d1", by: "ada", ["firewall": .flag(false)])
        #expect(counts(house) == [[1, 1], [1, 1]])
        try await house.change(global.id) {
            $0.statement?.facts = ["firewall": .flag(true), "screen-lock": .flag(true)]
        }
        await house.control.deviceChanged("d1", 0)
        #expect(counts(house) == [[0, 0], [0, 0]])
        #expect(try lines(house, "decision").map { $0["warnings"]?.array?.count } == [2, nil])
    }

    @Test("a rule is listed until its day, and counts from nothing when it is written anew")
    func ends() async throws {
        let house = try await house()
        _ = try await use(house, "d1", by: "ada", ["firewall": .flag(false)])
        #expect(counts(house) == [[1, 1], [1, 1]])
        // A reload of something else keeps the counts.
        try house.rewrite { $0.replacing("X-Remote-User: email", with: "X-User: email") }
        try await house.control.reload()
        #expect(counts(house) == [[1, 1], [1, 1]])
        let policy = house.control.services.config.policy
        let day: Int64 = 1_803_859_200
        let reported = house.control.decisions.reported
        #expect(reported.counts(under: policy, atSeconds: day - 1).count == 2)
        #expect(reported.counts(under: policy, atSeconds: day).count == 1)
        try house.rewrite { $0.replacing("firewall: true", with: "firewall: false") }
        try await house.control.reload()
        #expect(counts(house) == [[0, 0], [1, 1]])
    }

    @Test("the log is told once an hour, when it has changed") func told() async throws {
        let house = try await house()
        let reported = house.control.decisions.reported
        let policy = house.control.services.config.policy
        #expect(reported.report(under: policy, atSeconds: house.now) != nil)
        #expect(reported.report(under: policy, atSeconds: house.now + 3_600) == nil)
        _ = try await use(house, "d1", by: "ada", [:])
        #expect(reported.report(under: policy, atSeconds: house.now + 3_599) == nil)
        #expect(reported.report(under: policy, atSeconds: house.now + 3_600) != nil)
    }

    @Test("beyond its bound a count says that it is a lower one", arguments: [1, 2])
    func bound(_ pairsMax: Int) throws {
        let fixture = DecisionFixture()
        let policy = DecisionFixture.policy
        let reported = ReportedRules(pairsMax: pairsMax)
        for name in ["a", "b"] {
            var device = fixture.device()
            device.id = name
            var made = try fixture.made("vault", device: device)
            made.deviceResult = DeviceResult(
                deviceClass: .compliant, validUntilSeconds: fixture.now, dependsOn: [], reason: nil,
                warnings: [
                    CheckWarning(
                        policy: "healthy", rule: 0,
                        condition: policy.devicePolicies[0].rules[0].description, outcome: .no,
                        reason: .postureNonCompliant, effect: .report, untilSeconds: nil, remedy: "-")
                ])
            reported.note(made)
            reported.note(made)
        }
        var listed = policy
        listed.devicePolicies[0].strategies = [CheckStrategy(.report), .require]
        let counts = reported.counts(under: listed, atSeconds: fixture.now)
        #expect(counts.map(\.devices) == [pairsMax] && counts.map(\.isLeast) == [pairsMax < 2])
        reported.keep(PolicySnapshot(identity: "", devicePolicies: [], applications: []))
        #expect(reported.counts(under: listed, atSeconds: fixture.now).map(\.devices) == [0])
    }
}
