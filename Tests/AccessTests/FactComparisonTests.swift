import Testing

@testable import Access

@Suite("A rule that compares a fact of the agent with a number or a version")
struct FactComparisonTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let fact: ClaimValue?
        let comparison: Comparison
        let value: String
        let outcome: Ternary
        var testDescription: String {
            "\(fact.map(\.description) ?? "absent") \(comparison.rawValue) \(value)"
        }
        init(_ fact: ClaimValue?, _ comparison: Comparison, _ value: String, _ outcome: Ternary) {
            (self.fact, self.comparison, self.value, self.outcome) = (fact, comparison, value, outcome)
        }
    }

    static let table: [Row] = [
        Row(.integer(14), .lessOrEqual, "14", .yes), Row(.integer(15), .lessOrEqual, "14", .no),
        Row(.integer(13), .less, "14", .yes), Row(.integer(14), .less, "14", .no),
        Row(.integer(2), .greaterOrEqual, "2", .yes), Row(.integer(0), .greaterOrEqual, "2", .no),
        Row(.integer(0), .equal, "0", .yes), Row(.integer(1), .equal, "0", .no),
        Row(.integer(1), .greater, "0", .yes), Row(.integer(0), .greater, "0", .no),
        Row(.text("6.1.0-18-amd64"), .greaterOrEqual, "6.1", .yes),
        Row(.text("6.1.0-18-amd64"), .greaterOrEqual, "6.1.1", .no),
        Row(.text("5.15.0-91-generic"), .greaterOrEqual, "6", .no),
        Row(.text("6.10.1"), .greaterOrEqual, "6.9", .yes), Row(.text("12"), .equal, "12.0", .yes),
        Row(.text("24.04"), .greater, "22.04", .yes), Row(.text("6.1."), .equal, "6.1", .yes),
        // What cannot be compared is not known, and so never a reason to let somebody in or to lift a block.
        Row(nil, .greaterOrEqual, "1", .indeterminate), Row(.text(""), .less, "1", .indeterminate),
        Row(.text("trixie/sid"), .greaterOrEqual, "12", .indeterminate),
        Row(.text("v6.1"), .greaterOrEqual, "6", .indeterminate),
        Row(.text("6..1"), .greaterOrEqual, "6", .indeterminate),
        Row(.text("1.2.3.4.5"), .greaterOrEqual, "1", .indeterminate),
        Row(.text("9999999999"), .greaterOrEqual, "1", .indeterminate),
        Row(.text(String(repeating: "1", count: 5_000)), .greaterOrEqual, "1", .indeterminate),
        Row(.flag(true), .equal, "1", .indeterminate), Row(.list(["14"]), .equal, "14", .indeterminate),
        Row(.integer(6), .greaterOrEqual, "6.1", .indeterminate),
    ]

    @Test("000.1 numbers and versions compare as such; anything else is not known", arguments: table)
    func compares(_ row: Row) throws {
        let rule = DeviceRule.agentFactIs(
            integration: "agents", name: "fact", comparison: row.comparison, value: row.value)
        let facts = row.fact.map { ["fact": $0] } ?? [:]
        let result = snapshot([devicePolicy("only", 1, [rule], .compliant)]).deviceResult(
            of: device(statement: statement(facts: facts)), for: person(), owner: .samePerson, atSeconds: now)
        let line = try #require(result.lines.first { $0.rule == "only.rules[0]" })
        #expect(line.outcome == row.outcome)
        #expect(line.fact == "fact")
        #expect((line.remedy == nil) == (row.outcome == .yes))
    }

    @Test("two comparisons that let different devices in have different names") func content() {
        func rule(_ comparison: Comparison, _ value: String, _ name: String = "tpm") -> DeviceRule {
            .agentFactIs(integration: "agents", name: name, comparison: comparison, value: value)
        }
        let rules = [rule(.less, "2"), rule(.lessOrEqual, "2"), rule(.less, "3"), rule(.less, "2", "kernel")]
        let texts = rules.map { snapshot([devicePolicy("p", 1, [$0], .compliant)]).contentText }
        #expect(Set(texts).count == rules.count)
    }
}

@Suite("What people read about a custom check that failed")
struct CheckRemedyTests {
    static let remedies = ["agents": ["check-auditd": "Run: systemctl start auditd"]]

    private func line(_ result: Bool?, of name: String = "check-auditd") -> ExplainLine? {
        let policy = devicePolicy(
            "checked", 1, [.agentFact(integration: "agents", name: name, values: [.flag(true)])], .compliant)
        let facts = result.map { [name: ClaimValue.flag($0)] } ?? [:]
        return snapshot([policy]).explain(
            session(), device(statement: statement(facts: facts)), for: wantsCompliant, atSeconds: now
        ).saying(Self.remedies).lines.first { $0.rule == "checked.rules[0]" }
    }

    @Test("004.2 a failed check says what its administrator wrote, in every explanation") func failed() {
        #expect(line(false)?.remedy == "Run: systemctl start auditd")
        #expect(line(true)?.remedy == nil)
        #expect(line(false, of: "check-other")?.remedy == "Set check-other on this device to true.")
    }

    @Test("004.2 a check that is not known is not called failed") func unknown() {
        #expect(line(nil)?.outcome == .indeterminate)
        #expect(line(nil)?.remedy?.contains("systemctl") == false)
    }

    @Test("004.2 the condition check of an application says it, too") func condition() {
        let app = application(
            [
                ApplicationPolicy(
                    name: "p", action: .allow, include: [.everyone],
                    require: [.check(.init(integration: "agents", name: "check-auditd", isAgent: true))])
            ])
        let facts = device(statement: statement(facts: ["check-auditd": .flag(false)]))
        let record = snapshot().explain(session(), facts, for: app, atSeconds: now).saying(Self.remedies)
        #expect(
            record.lines.contains {
                $0.remedy == "Run: systemctl start auditd" && $0.rule.hasPrefix("p.require")
            })
    }
}
