import Access
import Testing

@Suite("What comes of a rule that does not hold: its strategy")
struct StrategyTests {
    static let firewall = DeviceRule.agentFact(integration: "agents", name: "firewall", values: [.flag(true)])

    private func result(
        _ strategy: CheckStrategy, firewall: Bool?, onUnknown: OnUnknown = .cap, at: Int64 = now
    ) -> DeviceResult {
        var policy = devicePolicy("p", 10, [compliantTag, Self.firewall], .compliant, onUnknown: onUnknown)
        policy.strategies = [.require, strategy]
        let facts = firewall.map { ["firewall": ClaimValue.flag($0)] } ?? [:]
        let shown = device(
            [verdict(expires: now + 5_000_000)], statement: statement(expires: now + 5_000_000, facts: facts))
        return snapshot([policy]).deviceResult(of: shown, for: person(), owner: .samePerson, atSeconds: at)
    }

    struct Case: Sendable {
        var effect: CheckStrategy.Effect
        var onUnknown = OnUnknown.cap
        var failed: DeviceClass
        var unknown: DeviceClass
    }

    static let table: [Case] = [
        Case(effect: .require, failed: .partial, unknown: .partial),
        Case(effect: .report, failed: .compliant, unknown: .compliant),
        Case(effect: .partial, failed: .partial, unknown: .partial),
        Case(effect: .deny, failed: .denied, unknown: .partial),
        Case(effect: .deny, onUnknown: .deny, failed: .denied, unknown: .denied),
        Case(effect: .deny, onUnknown: .unsafeIgnore, failed: .denied, unknown: .compliant),
    ]

    @Test("each strategy has its effect on a rule that fails, and on one that is not known", arguments: table)
    func effects(_ c: Case) {
        let strategy = CheckStrategy(c.effect)
        let failed = result(strategy, firewall: false, onUnknown: c.onUnknown)
        let unknown = result(strategy, firewall: nil, onUnknown: c.onUnknown)
        #expect(failed.deviceClass == c.failed && unknown.deviceClass == c.unknown)
        #expect(result(strategy, firewall: true, onUnknown: c.onUnknown).deviceClass == .compliant)
        if c.failed != .compliant { #expect(failed.reason == .postureNonCompliant) }
        if c.unknown != .compliant { #expect(unknown.reason == .postureIndeterminate) }
    }

    @Test("001.18 a rule that only reports blocks nobody, and counts whom it would block") func report()
        throws
    {
        let counted = result(CheckStrategy(.report), firewall: false)
        let warning = try #require(counted.warnings.first)
        #expect(counted.warnings.count == 1 && warning.policy == "p" && warning.rule == 1)
        #expect(
            warning.outcome == .no && warning.reason == .postureNonCompliant && warning.untilSeconds == nil)
        #expect(!warning.remedy.isEmpty)
        #expect(counted.lines.contains { $0.condition.hasSuffix("(reported only)") && $0.outcome == .no })
        #expect(result(CheckStrategy(.report), firewall: true).warnings.isEmpty)
        #expect(result(CheckStrategy(.report), firewall: nil).warnings.first?.outcome == .indeterminate)
    }

    @Test(
        "a warning turns into its strategy in the very second of its date",
        arguments: CheckStrategy.Effect.allCases)
    func warnUntil(_ effect: CheckStrategy.Effect) {
        let strategy = CheckStrategy(effect, warnsUntilSeconds: now + 100)
        let before = result(strategy, firewall: false, at: now + 99)
        #expect(before.deviceClass == .compliant && before.warnings.first?.effect == effect)
        #expect(before.warnings.first?.untilSeconds == (effect == .report ? nil : now + 100))
        #expect(before.validUntilSeconds == now + 100)
        let after = result(strategy, firewall: false, at: now + 100)
        #expect(after.deviceClass == result(CheckStrategy(effect), firewall: false).deviceClass)
        #expect(after.validUntilSeconds == now + 1_000)
    }

    @Test("the policy's own class and an earlier cap still hold") func lowest() {
        var capped = devicePolicy("p", 10, [compliantTag, Self.firewall], .partial)
        capped.strategies = [.require, CheckStrategy(.partial)]
        let shown = device([verdict()], statement: statement(facts: ["firewall": .flag(false)]))
        let result = snapshot([capped]).deviceResult(of: shown, for: person(), owner: .any, atSeconds: now)
        #expect(result.deviceClass == .partial && result.reason == .devicePartial)
    }

    @Test("an assessment carries the warnings of the device to whoever counts them") func assessment() {
        var policy = devicePolicy("p", 10, [compliantTag, Self.firewall], .compliant)
        policy.strategies = [.require, CheckStrategy(.report)]
        let shown = device([verdict()], statement: statement(facts: [:]))
        let app = application([
            .init(name: "a", action: .allow, include: [.everyone], require: [deviceIs(.compliant)])
        ])
        let assessment = snapshot([policy]).assess(session(), shown, for: app, atSeconds: now)
        #expect(assessment.device?.warnings.count == 1)
        #expect(
            assessment.residual == snapshot([policy]).residual(of: session(), shown, for: app, atSeconds: now)
        )
    }
}
