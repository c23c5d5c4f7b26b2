import Access
import Testing

@Suite("token: a client with a bearer token of a configured issuer")
struct TokenTests {
    static func client(
        _ issuer: String = "ci", _ subject: String = "repo:corp/wiki:ref:refs/heads/main",
        _ claims: [String: ClaimValue] = ["environment": .text("production")]
    ) -> ServiceFacts {
        ServiceFacts(
            id: "jwt_1", name: "token:\(issuer):\(subject)", expiresAtSeconds: now + 60,
            token: TokenFacts(issuer: issuer, subject: subject, claims: claims))
    }
    static let production = TokenCondition(
        issuer: "ci", subjects: ["repo:corp/wiki:ref:refs/heads/main"],
        claims: [ClaimCondition(name: "environment", values: [.text("production"), .text("staging")])])

    private func isIn(_ service: ServiceFacts?, _ condition: TokenCondition = production) -> Bool {
        meets(.token(condition), nil, service: service, action: .service).isForward
    }

    private func meets(
        _ condition: Condition, _ session: SessionFacts?, service: ServiceFacts?, action: PolicyAction
    ) -> (isForward: Bool, validUntil: Int64, reason: Reason?) {
        AccessTests.meets(condition, session, nil, service: service, request(), action)
    }

    @Test("issuer, subject and every claim have to be as asked, byte for byte") func asked() {
        #expect(isIn(Self.client()))
        #expect(
            isIn(Self.client("ci", "repo:corp/wiki:ref:refs/heads/main", ["environment": .text("staging")])))
        let listed: [String: ClaimValue] = ["environment": .list(["x", "production"])]
        #expect(isIn(Self.client("ci", "repo:corp/wiki:ref:refs/heads/main", listed)))
        #expect(isIn(Self.client("ci", "anything", [:]), TokenCondition(issuer: "ci")))
        #expect(!isIn(Self.client("CI")))
        #expect(!isIn(Self.client("other")))
        #expect(!isIn(Self.client("ci", "repo:corp/wiki:ref:refs/heads/Main")))
        #expect(!isIn(Self.client("ci", "repo:corp/wiki:ref:refs/heads/main2")))
        #expect(!isIn(Self.client("ci", Self.client().token?.subject ?? "", [:])))
        let claims: [ClaimValue] = [
            .text("Production"), .text("prod"), .list([]), .list(["x"]), .flag(true), .integer(1),
        ]
        for claim in claims {
            #expect(!isIn(Self.client("ci", Self.client().token?.subject ?? "", ["environment": claim])))
        }
    }

    @Test("a person, nobody, a service token and a certificate are no bearer token") func others() {
        #expect(!isIn(nil))
        let named = ServiceFacts(
            id: "x", name: Self.client().name, expiresAtSeconds: now + 60)
        #expect(!isIn(named))
        #expect(!meets(.token(Self.production), session(), service: nil, action: .allow).isForward)
        #expect(!meets(.token(Self.production), session(), service: nil, action: .service).isForward)
        // One request has one client: a token beside a session does not count.
        #expect(
            !meets(.token(Self.production), session(), service: Self.client(), action: .service).isForward)
    }

    @Test("a service condition never means a bearer token of that subject") func names() {
        let condition = Condition.service(ServiceCondition(names: ["backup"]))
        #expect(!meets(condition, nil, service: Self.client("ci", "backup"), action: .service).isForward)
    }

    @Test("a claim that is not there lifts no block") func absent() {
        let app = application([
            .init(name: "no", action: .block, include: [.token(Self.production)]),
            .init(name: "yes", action: .service, include: [.everyone]),
        ])
        func decide(_ service: ServiceFacts) -> Bool {
            let residual = snapshot().residual(of: nil, nil, service: service, for: app, atSeconds: now)
            return residual.decide(request(), path: Array("/".utf8).span, atSeconds: now).isForward
        }
        let subject = Self.client().token?.subject ?? ""
        #expect(!decide(Self.client()))
        #expect(!decide(Self.client("ci", subject, [:])))
        #expect(decide(Self.client("ci", subject, ["environment": .text("lab")])))
        #expect(decide(Self.client("ci", "other", [:])))
        #expect(decide(Self.client("other")))
    }

    @Test("its end bounds the residual, to the second") func end() {
        let app = application([.init(name: "p", action: .service, include: [.token(Self.production)])])
        func residual(_ at: Int64) -> Residual {
            snapshot().residual(of: nil, nil, service: Self.client(), for: app, atSeconds: at)
        }
        #expect(residual(now).validUntilSeconds == now + 60)
        #expect(residual(now + 59).policies.count == 1)
        #expect(residual(now + 60).policies.isEmpty)
    }

    @Test("explained: what was asked and what the token says") func explained() {
        let app = application([.init(name: "p", action: .service, include: [.token(Self.production)])])
        let lines = snapshot().explain(
            nil, nil, service: Self.client("ci", "other", [:]), for: app, atSeconds: now
        ).lines
        #expect(lines.contains { $0.rule == "service" && $0.condition == "a bearer token that counts" })
        #expect(
            lines.contains {
                $0.observed == "ci: other, environment absent" && $0.outcome == .no && $0.remedy != nil
                    && $0.source == "bearer token"
            })
    }

    @Test("analysis knows tokens that two policies tell apart, and one that nothing reaches") func analysed()
    {
        let app = application([
            .init(name: "main", action: .service, include: [.token(Self.production)]),
            .init(name: "same", action: .service, include: [.token(Self.production)]),
            .init(name: "rest", action: .service, include: [.token(TokenCondition(issuer: "ci"))]),
            .init(
                name: "people", action: .allow, include: [.token(TokenCondition(issuer: "ci"))]),
        ])
        var analysis = PolicyAnalysis(snapshot([], [app]), fromSeconds: now)
        let findings = analysis.unreachable(in: app)
        #expect(findings.bounds.isEmpty)
        #expect(findings.dead.map { app.policies[$0.policy].name } == ["same", "people"])
    }
}
