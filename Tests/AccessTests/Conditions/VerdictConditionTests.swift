import Access
import Testing

@Suite("Conditions on what an integration says of the device")
struct VerdictConditionTests {
    @Test(
        "score compares at the bound and beside it",
        arguments: [49, 50, 51], [Comparison.less, .lessOrEqual, .equal, .greaterOrEqual, .greater])
    func score(_ value: Int64, _ comparison: Comparison) {
        let condition = Condition.score(.init(integration: "intune", comparison: comparison, value: 50))
        let expected = [
            Comparison.less: value < 50, .lessOrEqual: value <= 50, .equal: value == 50,
            .greaterOrEqual: value >= 50, .greater: value > 50,
        ]
        #expect(
            meets(
                condition, session(),
                compliantDevice {
                    $0.score = .init(value: value, minimum: 1, maximum: 100, higherIsBetter: true)
                }
            ).isForward == expected[comparison])
    }

    @Test(
        "what is not known never grants and never lifts a block",
        arguments: [
            Condition.score(.init(integration: "intune", comparison: .greater, value: 50)),
            .risk(.init(integration: "intune", comparison: .lessOrEqual, level: .low)),
            .check(.init(integration: "intune", name: "passcode", isAgent: false)),
            .check(.init(integration: "agents", name: "disk-encryption", isAgent: true)),
            .setting(.init(integration: "intune", name: "passcode", states: [.pass])),
            .verdictAge(.init(integration: "falcon", reportedSecondsMax: 60)),
            .matchStrength(.init(integration: "falcon", minimum: .weak)),
        ])
    func unknown(_ condition: Condition) {
        #expect(!meets(condition, session(), healthyDevice).isForward)
        #expect(stops(condition, session(), healthyDevice))
        #expect(meets(condition).reason == .deviceRequired)
        #expect(stops(condition))
    }

    @Test("002.2 risk compares by level", arguments: Verdict.Risk.allCases)
    func risk(_ level: Verdict.Risk) {
        let condition = Condition.risk(.init(integration: "intune", comparison: .lessOrEqual, level: .low))
        let answer = meets(condition, session(), compliantDevice { $0.risk = level })
        #expect(answer.isForward == [.none, .informational, .low].contains(level))
        if !answer.isForward { #expect(answer.reason == .postureNonCompliant) }
    }

    struct Setting: Sendable {
        var states: [Verdict.Check.State]
        var meets: Bool
        var stops: Bool
    }

    static let settings: [Setting] = [
        .init(states: [.pass], meets: true, stops: true), .init(states: [.fail], meets: false, stops: false),
        .init(states: [.notApplicable], meets: true, stops: true),
        .init(states: [.unknown], meets: false, stops: true), .init(states: [], meets: false, stops: true),
        .init(states: [.pass, .notApplicable], meets: true, stops: true),
        .init(states: [.pass, .fail], meets: false, stops: true),
        .init(states: [.pass, .unknown], meets: false, stops: true),
    ]

    @Test(
        "002.13 the state of a setting, by id or title; settings of one name must agree", arguments: settings,
        ["p1", "Passcode"])
    func setting(_ c: Setting, _ name: String) {
        let condition = Condition.setting(
            .init(integration: "intune", name: name, states: [.pass, .notApplicable]))
        let device = compliantDevice { verdict in
            verdict.checks = c.states.map { .init(id: "p1", title: "Passcode", state: $0) }
            verdict.checks.append(.init(id: "p2", title: "Firewall", state: .fail))
        }
        #expect(meets(condition, session(), device).isForward == c.meets)
        #expect(stops(condition, session(), device) == c.stops)
    }

    @Test("an unknown state can be asked for by name") func unknownState() {
        let condition = Condition.setting(.init(integration: "intune", name: "p1", states: [.unknown]))
        let device = compliantDevice { $0.checks = [.init(id: "p1", title: "", state: .unknown)] }
        #expect(meets(condition, session(), device).isForward)
        #expect(
            !meets(
                condition, session(),
                compliantDevice {
                    $0.state = .unknown; $0.checks = device.verdicts[0].checks
                }
            ).isForward)
    }

    @Test(
        "a check of the agent passes when its fact is true",
        arguments: [ClaimValue.flag(true): true, .flag(false): false, .text("true"): false])
    func check(_ fact: ClaimValue, _ isMet: Bool) {
        let condition = Condition.check(.init(integration: "agents", name: "firewall", isAgent: true))
        let shown = device([verdict()], statement: statement(facts: ["firewall": fact]))
        #expect(meets(condition, session(), shown).isForward == isMet)
    }

    @Test(
        "both ages count, each at its limit and one past it",
        arguments: [(500, 400, true), (501, 400, false), (500, 401, false)])
    func age(_ reported: Int64, _ fetched: Int64, _ isMet: Bool) {
        let condition = Condition.verdictAge(
            .init(integration: "intune", reportedSecondsMax: 500, fetchedSecondsMax: 400))
        let device = compliantDevice {
            $0.observedAtSeconds = now - reported
            $0.fetchedAtSeconds = now - fetched
        }
        let answer = meets(condition, session(), device)
        #expect(answer.isForward == isMet)
        #expect(stops(condition, session(), device), "too old lifts no block")
        if isMet { #expect(answer.validUntil == now + 1) } else { #expect(answer.reason == .postureStale) }
    }

    @Test("a match counts from its minimum on", arguments: Verdict.Strength.allCases)
    func strength(_ strength: Verdict.Strength) {
        let condition = Condition.matchStrength(.init(integration: "intune", minimum: .medium))
        #expect(
            meets(condition, session(), compliantDevice { $0.matchStrength = strength }).isForward
                == (strength != .weak))
    }

    @Test("a denied device meets nothing that helps, whatever its verdicts say") func denied() {
        let condition = Condition.check(.init(integration: "agents", name: "disk-encryption", isAgent: true))
        let others = device([verdict()], statement: statement(), owner: "bob")
        #expect(!meets(condition, session(), others).isForward)
        #expect(stops(condition, session(), others))
        #expect(meets(condition, session(), device([verdict()], statement: statement())).isForward)
    }

    @Test("a condition names the verdict that it read") func dependsOn() {
        let app = application([
            .init(
                name: "p", action: .allow,
                include: [.score(.init(integration: "falcon", comparison: .greater, value: 5))])
        ])
        let shown = device([verdict(integration: "falcon", native: "f-1", score: 60)])
        let residual = snapshot([], []).residual(of: session(), shown, for: app, atSeconds: now)
        #expect(residual.dependsOn.map(\.text) == ["device:mac-1", "session:s1", "verdict:falcon:f-1"])
    }
}
