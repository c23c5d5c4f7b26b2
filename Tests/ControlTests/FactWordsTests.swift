import Border
import Identity
import Store
import Testing

@testable import Access
@testable import Control
@testable import Posture

@Suite("Every fact of an agent has its own plain words on the block page")
struct FactWordsTests {
    @Test("004.2 the facts that a gateway reads are the facts that people are told about")
    func whole() {
        #expect(Set(FactRemedy.table.keys) == Set(StatementFacts.shapes.keys))
        for (fact, row) in FactRemedy.table {
            if case .flag? = StatementFacts.shapes[fact] {
                #expect(row.leadsTo != nil, "\(fact)")
            } else {
                #expect(row.leadsTo == nil, "\(fact)")
            }
        }
    }

    /// A rule that a healthy device meets.
    private static func rule(_ fact: String, _ shape: StatementFacts.Shape) -> DeviceRule {
        switch shape {
        case .flag:
            .agentFact(
                integration: "agents", name: fact, values: [.flag(FactRemedy.table[fact]?.leadsTo ?? true)])
        case .number: .agentFactIs(integration: "agents", name: fact, comparison: .lessOrEqual, value: "7")
        case .text, .list: .agentFact(integration: "agents", name: fact, values: [.text("this")])
        }
    }

    @Test("004.2 on every platform: a sentence of people's words, short enough for a small screen")
    func words() {
        for (fact, shape) in StatementFacts.shapes {
            for platform in Platform.allCases.map(Optional.some) + [nil] {
                let text = Self.rule(fact, shape).remedy(on: platform)
                let note = "\(fact) on \(platform?.rawValue ?? "no platform"): \(text)"
                #expect(text.hasSuffix(".") && (20...260).contains(text.count), "\(note)")
                #expect(!text.hasPrefix("Set \(fact)") && !text.hasPrefix("Bring \(fact)"), "\(note)")
                // The name in the configuration is for administrators; it stands below, in the line of the rule.
                #expect(!fact.contains("-") || !text.contains(fact), "\(note)")
                // A word that no small screen can break would widen the page.
                #expect(text.split(separator: " ").allSatisfy { $0.count <= 24 }, "\(note)")
            }
        }
    }

    private static let config = Gatehouse.config.replacing(
        "rules: [ { agent: agents, managed: true } ]",
        with: "rules: [ { agent: agents, managed: true, facts: { firewall: true, "
            + "screen-lock-seconds: \"<= 900\", edr-running: true }, minimum-version: \"2.5\" } ]")

    @Test("the block page has the words of each fact that fails, and of no other") func page() async throws {
        let house = try Gatehouse(Self.config)
        try await house.enroll("d1")
        let (global, _, cookie) = try await house.signIn(at: "vault", device: "d1")
        try await Sessions(store: house.store, ring: house.control.ring).change(global.id) {
            $0.statement?.facts = [
                "firewall": .flag(false), "screen-lock-seconds": .integer(901), "edr-running": .flag(true),
            ]
        }
        let answer = await house.control.answer(
            house.request(
                "/", host: "vault.corp.example",
                [Field("cookie", String(cookie.setCookie.prefix { $0 != ";" }))],
                purpose: .refused(.devicePartial)))
        #expect(answer.status == 403)
        let html = String(decoding: answer.body, as: UTF8.self)
        for words in [
            "<p>Switch on the firewall: sudo ufw enable (Debian, Ubuntu)", "Asked for: at most 15 minutes.",
            "<p>Update Gatepost’s agent on this device to version 2.5 or later: install",
            "Check: agents fact firewall is one of: true",
        ] {
            #expect(html.contains(words), "\(words): \(html)")
        }
        #expect(!html.contains("No protection software runs"))
    }
}
