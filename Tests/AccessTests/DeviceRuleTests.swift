import Access
import Testing

struct RuleCase: Sendable, CustomTestStringConvertible {
    let name: String
    let rule: DeviceRule
    let device: DeviceFacts
    let outcome: Ternary
    /// The word when the one compliant policy with this rule does not hold.
    let reason: Reason?
    init(
        _ name: String, _ rule: DeviceRule, _ device: DeviceFacts, _ outcome: Ternary, _ reason: Reason? = nil
    ) {
        (self.name, self.rule, self.device, self.outcome, self.reason) = (name, rule, device, outcome, reason)
    }
    var testDescription: String { name }
}

private func tags(_ values: String..., all: Bool = false) -> DeviceRule {
    .tags(integration: "intune", matchesAll: all, values: values)
}
private func falcon(_ verdict: Verdict) -> DeviceFacts { device([verdict]) }
private func score(_ comparison: Comparison, _ value: Int64) -> DeviceRule {
    .score(integration: "intune", comparison: comparison, value: value)
}

/// Every rule is the only rule of the only policy (compliant, macOS); `yes` makes the device compliant.
private func check(_ row: RuleCase) throws {
    let policy = devicePolicy("only", 1, [row.rule], .compliant)
    let result = snapshot([policy]).deviceResult(
        of: row.device, for: person(), owner: .samePerson, atSeconds: now)
    let line = try #require(result.lines.first { $0.rule == "only.rules[0]" })
    #expect(line.outcome == row.outcome)
    #expect(result.deviceClass == (row.outcome == .yes ? .compliant : .partial))
    #expect(result.reason == row.reason)
    #expect(
        (line.remedy == nil) == (row.outcome == .yes), "a failing line says what to do, a met one does not")
}

@Suite("A rule about a verdict, asked alone")
struct VerdictRuleTests {
    static let table: [RuleCase] = [
        RuleCase("no verdict at all", tags("compliant"), device(), .indeterminate, .postureMissing),
        RuleCase(
            "only another integration's", tags("compliant"), device([verdict(integration: "x")]),
            .indeterminate, .postureMissing),
        RuleCase("003.13 the built-in label compliant", tags("compliant"), device([verdict()]), .yes),
        RuleCase(
            "003.13 the built-in label noncompliant", tags("noncompliant"), device([verdict(.noncompliant)]),
            .yes),
        RuleCase(
            "003.13 noncompliant is not compliant", tags("compliant"), device([verdict(.noncompliant)]), .no,
            .postureNonCompliant),
        RuleCase(
            "a label cannot contradict the state", tags("compliant"),
            device([verdict(.noncompliant, labels: ["compliant"])]), .no, .postureNonCompliant),
        RuleCase(
            "grace alone is not compliant", tags("compliant"), device([verdict(.grace)]), .no,
            .postureNonCompliant),
        RuleCase(
            "grace that counts as compliant", tags("compliant"),
            device([verdict(.grace, labels: ["compliant"])]),
            .yes),
        RuleCase(
            "grace on its last second", tags("in-grace"), device([verdict(.grace, grace: now + 1)]), .yes),
        RuleCase(
            "grace exactly at its end", tags("in-grace"), device([verdict(.grace, grace: now)]),
            .indeterminate,
            .postureStale),
        RuleCase(
            "one second before it expires", tags("compliant"), device([verdict(expires: now + 1)]), .yes),
        RuleCase(
            "exactly at its expiry", tags("compliant"), device([verdict(expires: now)]), .indeterminate,
            .postureStale),
        RuleCase(
            "age before state", tags("compliant"), device([verdict(.noncompliant, expires: now)]),
            .indeterminate,
            .postureStale),
        RuleCase(
            "observed as far ahead as clocks may differ", tags("compliant"),
            device([verdict(observed: now + 300)]), .yes),
        RuleCase(
            "observed one second further ahead", tags("compliant"), device([verdict(observed: now + 301)]),
            .indeterminate, .postureStale),
        RuleCase(
            "unknown", tags("compliant"), device([verdict(.unknown)]), .indeterminate, .postureIndeterminate),
        RuleCase(
            "error", tags("registered"), device([verdict(.error)]), .indeterminate, .postureIndeterminate),
        RuleCase(
            "ambiguous", tags("registered"), device([verdict(.ambiguous)]), .indeterminate,
            .postureIndeterminate),
        RuleCase(
            "delegated", tags("registered"), device([verdict(.delegated)]), .indeterminate,
            .postureIndeterminate),
        RuleCase(
            "not found", tags("registered"), device([verdict(.notFound)]), .indeterminate, .postureMissing),
        RuleCase("asked for exactly that: unknown", tags("unknown"), device([verdict(.unknown)]), .yes),
        RuleCase("asked for exactly that: not-found", tags("not-found"), device([verdict(.notFound)]), .yes),
        RuleCase(
            "not-managed, of a device not managed", tags("not-managed"),
            device([verdict(.notManaged)]), .yes),
        RuleCase(
            "not-managed, of a device not found", tags("not-managed"), device([verdict(.notFound)]), .yes),
        RuleCase(
            "not-managed, of a managed device", tags("not-managed"), device([verdict()]), .no,
            .postureNonCompliant),
        RuleCase(
            "not-managed, of an unknown device", tags("not-managed"), device([verdict(.unknown)]),
            .indeterminate,
            .postureIndeterminate),
        RuleCase(
            "not-managed, expired", tags("not-managed"), device([verdict(.notManaged, expires: now)]),
            .indeterminate, .postureStale),
        RuleCase("000.15 matches-any: one of two", tags("x", "registered"), device([verdict()]), .yes),
        RuleCase("000.15 matches-any: none", tags("x", "y"), device([verdict()]), .no, .postureNonCompliant),
        RuleCase(
            "000.15 matches-all: both", tags("compliant", "registered", all: true),
            device([verdict()]), .yes),
        RuleCase(
            "000.15 matches-all: one of two", tags("compliant", "x", all: true), device([verdict()]), .no,
            .postureNonCompliant),
        RuleCase(
            "000.15 matches-any of nothing", tags(), device([verdict()]), .indeterminate,
            .postureIndeterminate),
        RuleCase(
            "000.15 matches-all of nothing", tags(all: true), device([verdict()]), .indeterminate,
            .postureIndeterminate),
    ]
    @Test(arguments: table) func labels(_ row: RuleCase) throws { try check(row) }

    static let numbers: [RuleCase] = [
        RuleCase("000.23 >= at the value", score(.greaterOrEqual, 60), falcon(verdict(score: 60)), .yes),
        RuleCase(
            "000.23 >= one below", score(.greaterOrEqual, 60), falcon(verdict(score: 59)), .no,
            .postureNonCompliant),
        RuleCase(
            "000.23 > at the value", score(.greater, 60), falcon(verdict(score: 60)), .no,
            .postureNonCompliant),
        RuleCase("000.23 > one above", score(.greater, 60), falcon(verdict(score: 61)), .yes),
        RuleCase("000.23 = at the value", score(.equal, 60), falcon(verdict(score: 60)), .yes),
        RuleCase(
            "000.23 = one above", score(.equal, 60), falcon(verdict(score: 61)), .no, .postureNonCompliant),
        RuleCase("000.23 <= at the value", score(.lessOrEqual, 60), falcon(verdict(score: 60)), .yes),
        RuleCase(
            "000.23 <= one above", score(.lessOrEqual, 60), falcon(verdict(score: 61)), .no,
            .postureNonCompliant),
        RuleCase("000.23 < one below", score(.less, 60), falcon(verdict(score: 59)), .yes),
        RuleCase(
            "000.23 < at the value", score(.less, 60), falcon(verdict(score: 60)), .no, .postureNonCompliant),
        RuleCase("no score", score(.less, 60), falcon(verdict()), .indeterminate, .postureIndeterminate),
        RuleCase(
            "a score outside its scale", score(.greater, 60), falcon(verdict(score: 101)), .indeterminate,
            .postureIndeterminate),
        RuleCase(
            "a score in an unknown state", score(.greater, 60), falcon(verdict(.unknown, score: 90)),
            .indeterminate, .postureIndeterminate),
        RuleCase(
            "risk at the bound", .risk(integration: "intune", comparison: .lessOrEqual, value: .low),
            device([verdict(risk: .low)]), .yes),
        RuleCase(
            "risk one step above", .risk(integration: "intune", comparison: .lessOrEqual, value: .low),
            device([verdict(risk: .medium)]), .no, .postureNonCompliant),
        RuleCase(
            "no risk", .risk(integration: "intune", comparison: .lessOrEqual, value: .low),
            device([verdict()]),
            .indeterminate, .postureIndeterminate),
        RuleCase(
            "000.24 the sensor runs", .sensorRunning(integration: "intune", true),
            device([verdict(sensor: true)]), .yes),
        RuleCase(
            "000.24 the sensor does not run", .sensorRunning(integration: "intune", true),
            device([verdict(sensor: false)]), .no, .postureNonCompliant),
        RuleCase(
            "000.24 nothing is known of the sensor", .sensorRunning(integration: "intune", true),
            device([verdict()]), .indeterminate, .postureIndeterminate),
        RuleCase("managed", .managed(integration: "intune", true), device([verdict()]), .yes),
        RuleCase(
            "not managed by state, whatever the flag says", .managed(integration: "intune", true),
            device([verdict(.notManaged, managed: true)]), .no, .postureNonCompliant),
        RuleCase(
            "management not told", .managed(integration: "intune", true), device([verdict(managed: nil)]),
            .indeterminate, .postureIndeterminate),
        RuleCase(
            "not managed, of a device not found", .managed(integration: "intune", false),
            device([verdict(.notFound)]), .yes),
    ]
    @Test(arguments: numbers) func otherRules(_ row: RuleCase) throws { try check(row) }

    static let several: [RuleCase] = [
        RuleCase(
            "the worst of two records counts", tags("compliant"),
            device([verdict(), verdict(.noncompliant, native: "d-2")]), .no, .postureNonCompliant),
        RuleCase(
            "also when the worst has expired", tags("compliant"),
            device([verdict(), verdict(.noncompliant, native: "d-2", expires: now)]), .indeterminate,
            .postureStale),
        RuleCase("two that agree", tags("registered"), device([verdict(), verdict(native: "d-2")]), .yes),
        RuleCase(
            "two that disagree", tags("registered"), device([verdict(), verdict(native: "d-2", labels: [])]),
            .indeterminate, .postureIndeterminate),
    ]
    @Test(arguments: several) func severalRecords(_ row: RuleCase) throws { try check(row) }

    @Test(
        "a verdict matched more weakly than the policy asks says nothing",
        arguments: Verdict.Strength.allCases)
    func strength(_ asked: Verdict.Strength) {
        for have in Verdict.Strength.allCases {
            let result = snapshot([devicePolicy("p", 1, [compliantTag], .compliant, strength: asked)])
                .deviceResult(of: device([verdict(strength: have)]), for: nil, owner: .any, atSeconds: now)
            let order: [Verdict.Strength] = [.weak, .medium, .strong]
            let isEnough = (order.firstIndex(of: have) ?? 0) >= (order.firstIndex(of: asked) ?? 9)
            #expect(result.deviceClass == (isEnough ? .compliant : .partial))
        }
    }
}

@Suite("A rule about the agent's statement, asked alone")
struct StatementRuleTests {
    private static let week: Int64 = 604_800
    private static let managed = DeviceRule.agentManaged(integration: "agents", lastSeenSecondsMax: week)
    private static func fact(_ values: ClaimValue...) -> DeviceRule {
        .agentFact(integration: "agents", name: "disk-encryption", values: values)
    }
    private static func says(_ statement: AgentStatement) -> DeviceFacts { device(statement: statement) }

    static let table: [RuleCase] = [
        RuleCase("no statement", managed, device(), .indeterminate, .postureRequired),
        RuleCase(
            "another integration's statement", managed, says(statement(integration: "x")), .indeterminate,
            .postureRequired),
        RuleCase("one second before it expires", managed, says(statement(expires: now + 1)), .yes),
        RuleCase(
            "exactly at its expiry", managed, says(statement(expires: now)), .indeterminate,
            .postureRequired),
        RuleCase(
            "004.13 managed and seen exactly 7 days ago", managed, says(statement(lastSeen: now - week)), .yes
        ),
        RuleCase(
            "004.13 managed and seen one second longer ago", managed,
            says(statement(lastSeen: now - week - 1)),
            .indeterminate, .lastSeenStale),
        RuleCase(
            "004.13 seen today but not managed", managed, says(statement(managed: false)), .no,
            .deviceNotManaged),
        RuleCase(
            "004.13 seen in the future within the skew", managed, says(statement(lastSeen: now + 300)), .yes),
        RuleCase(
            "004.13 seen further in the future", managed, says(statement(lastSeen: now + 301)),
            .indeterminate,
            .lastSeenStale),
        RuleCase(
            "004.13 seen at the end of time", managed, says(statement(lastSeen: .max)), .indeterminate,
            .lastSeenStale),
        RuleCase(
            "004.13 seen before all time", managed, says(statement(lastSeen: .min)), .indeterminate,
            .lastSeenStale),
        RuleCase("a fact with the value", fact(.flag(true)), says(statement()), .yes),
        RuleCase(
            "a fact with another value", fact(.flag(false)), says(statement()), .no, .postureNonCompliant),
        RuleCase("a fact of another type", fact(.text("true")), says(statement()), .no, .postureNonCompliant),
        RuleCase(
            "a fact that the agent does not know", fact(.flag(true)), says(statement(facts: [:])),
            .indeterminate,
            .postureIndeterminate),
        RuleCase(
            "the minimum version", .agentVersion(integration: "agents", minimum: "7.2.1"), says(statement()),
            .yes),
        RuleCase(
            "10 is more than 9", .agentVersion(integration: "agents", minimum: "9.9"),
            says(statement(version: "10.0")), .yes),
        RuleCase(
            "one below the minimum", .agentVersion(integration: "agents", minimum: "7.2.2"),
            says(statement()), .no,
            .postureNonCompliant),
        RuleCase(
            "a version that is none", .agentVersion(integration: "agents", minimum: "7"),
            says(statement(version: "7.x")), .indeterminate, .postureIndeterminate),
        RuleCase(
            "a version of many digits", .agentVersion(integration: "agents", minimum: "7"),
            says(statement(version: "99999999999999999999")), .indeterminate, .postureIndeterminate),
        RuleCase(
            "the key level", .agentKey(integration: "agents", minimum: .claimed), says(statement()), .yes),
        RuleCase(
            "a key level below", .agentKey(integration: "agents", minimum: .attested), says(statement()), .no,
            .postureNonCompliant),
    ]
    @Test(arguments: table) func statementRule(_ row: RuleCase) throws { try check(row) }
}
