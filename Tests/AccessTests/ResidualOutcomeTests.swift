import Testing

@testable import Access

@Suite("What a residual comes to, in one word, and what names it")
struct ResidualOutcomeTests {
    static func policy(
        _ action: PolicyAction, asks: Bool = false, methods: [RequestMethod]? = nil,
        reason: Reason = .policyAllows
    ) -> ResidualPolicy {
        ResidualPolicy(
            name: "p", action: action,
            anyOf: asks ? [.path(PathCondition(prefixes: ["/a"], exact: []))] : [], allOf: [], noneOf: [],
            restriction: methods.map { Restriction(methods: $0) }, reason: reason)
    }

    static func residual(
        _ policies: [ResidualPolicy], signedIn: Bool = true, refusal: Reason = .noPolicyMatches
    ) -> Residual {
        Residual(
            policyIdentity: "i", isSignedIn: signedIn, validUntilSeconds: 9, policies: policies,
            refusal: refusal, dependsOn: [.session(id: "s")])
    }

    @Test(
        arguments: [
            (residual([policy(.allow)]), Outcome.forward, Reason.policyAllows),
            (
                residual([policy(.bypass, asks: true, reason: .policyBypasses), policy(.allow)]), .forward,
                .policyAllows
            ),
            (
                residual([policy(.block, asks: true, reason: .policyBlocks), policy(.allow)]), .partly,
                .policyAllows
            ),
            (residual([policy(.allow, methods: [.get])]), .partly, .policyAllows),
            (residual([policy(.allow, asks: true)]), .partly, .policyAllows),
            (
                residual([policy(.allow, asks: true), policy(.block, reason: .policyBlocks)]), .partly,
                .policyAllows
            ),
            (
                residual([policy(.allow, asks: true, methods: [.get]), policy(.allow)]), .partly,
                .policyAllows
            ),
            (residual([policy(.block, reason: .policyBlocks), policy(.allow)]), .refuse, .policyBlocks),
            (residual([policy(.block, reason: .signInRequired)], signedIn: false), .signIn, .signInRequired),
            (residual([policy(.block, asks: true, reason: .policyBlocks)]), .refuse, .noPolicyMatches),
            (residual([]), .refuse, .noPolicyMatches),
            (residual([], refusal: .sessionEnded), .signIn, .sessionEnded),
            (residual([], signedIn: false, refusal: .signInRequired), .signIn, .signInRequired),
        ])
    func outcome(_ residual: Residual, _ outcome: Outcome, _ reason: Reason) {
        #expect(residual.outcome == outcome && residual.leadingReason == reason)
    }

    @Test func `every change that a request could notice changes the text, and time and policy do not`() {
        let base = Self.residual([Self.policy(.allow, asks: true)])
        var others: [Residual] = []
        func other(_ change: (inout Residual) -> Void) {
            var changed = base
            change(&changed)
            others.append(changed)
        }
        other { $0.isSignedIn = false }
        other { $0.refusal = .deviceRequired }
        other { $0.policies = [] }
        other { $0.policies[0].name = "q" }
        other { $0.policies[0].action = .block }
        other { $0.policies[0].reason = .policyBypasses }
        other { $0.policies[0].allOf = $0.policies[0].anyOf }
        other { $0.policies[0].anyOf = [] }
        other { $0.policies[0].noneOf = $0.policies[0].anyOf }
        other { $0.policies[0].restriction = Restriction() }
        other { $0.policies[0].restriction = Restriction(methods: []) }
        other { $0.policies[0].restriction = Restriction(limits: [.banner("x")]) }
        other { $0.dependsOn = [] }
        other { $0.dependsOn = [.session(id: "s\" \"x")] }
        let texts = Set(others.map(\.contentText)).union([base.contentText])
        #expect(texts.count == others.count + 1)
        var same = base
        same.validUntilSeconds = 10
        same.policyIdentity = "j"
        #expect(same.contentText == base.contentText)
        same.policies[0].name = "q"
        same.dependsOn = []
        #expect(same.effect == base.effect && others[4].effect != base.effect)
    }
}
