import Access
import Testing

@Suite("Corners that tables of guarantees do not pass")
struct EdgeTests {
    @Test("what a residual never leaves to ask grants nothing, and everyone is everyone") func strange() {
        func decides(_ condition: Condition) -> Bool {
            let policy = ResidualPolicy(
                name: "p", action: .allow, anyOf: [condition], allOf: [], noneOf: [], restriction: nil,
                reason: .policyAllows)
            let residual = Residual(
                policyIdentity: "", isSignedIn: true, validUntilSeconds: .max, policies: [policy],
                refusal: .noPolicyMatches, dependsOn: [])
            return residual.decide(request(), path: Array("/".utf8).span, atSeconds: now).isForward
        }
        #expect(decides(.everyone))
        #expect(
            !decides(everyDomain) && !decides(.tag(.init(tags: ["a"])))
                && !decides(.until(.init(seconds: .max))))
    }

    @Test("every kind of condition describes itself") func descriptions() {
        let group = Condition.meets(.init(name: "pilots", include: [.everyone]))
        #expect("\(group)" == "meets: pilots" && "\(Condition.everyone)" == "everyone")
        #expect("\(pathIs("/a"))" == "path is at or below: /a")
        #expect("\(Condition.path(.init(prefixes: [], exact: ["/b"])))" == "path is exactly: /b")
        #expect("\(Condition.certificate(.init()))" == "client certificate")
        #expect("\(everyDomain)" == "email domain is one of: corp.example")
    }

    @Test("a list claim equals the same list only") func lists() {
        let condition = Condition.claim(.init(name: "roles", values: [.list(["a", "b"])]))
        #expect(meets(condition, signedIn(["roles": .list(["a", "b"])])).isForward)
        #expect(!meets(condition, signedIn(["roles": .list(["a"])])).isForward)
        #expect(!meets(condition, signedIn(["roles": .list(["b", "a"])])).isForward)
    }

    @Test("a service client is asked nothing about a person, and is told so") func noPerson() {
        let service = ServiceFacts(id: "t", name: "backup", expiresAtSeconds: now + 9)
        let app = application([.init(name: "no", action: .block, include: [inGroup("x")])])
        let lines = snapshot().explain(nil, nil, service: service, for: app, atSeconds: now).lines
        #expect(lines.contains { $0.source == "a service client is no person" && $0.outcome == .no })
    }

    @Test("an owner without an issuer is nobody's owner") func owner() {
        var shown = device([verdict()])
        shown.ownerIssuer = nil
        let result = snapshot().deviceResult(of: shown, for: person(), owner: .samePerson, atSeconds: now)
        #expect(result.reason == .deviceUnknown && result.lines.first?.observed == "? ada")
    }

    @Test("an outage setting explains what it changed, by policy or default") func outage() {
        let expired = verdict(expires: now - 1)
        func explained(_ policies: [DevicePolicy]) -> String? {
            snapshot(policies, noMatch: .denied).deviceResult(
                of: device([expired]), for: person(), owner: .any, outage: .partial, atSeconds: now
            ).lines.first { $0.rule == "outage" }?.observed
        }
        #expect(explained([healthy]) == "healthy")
        let doubtful = devicePolicy(
            "no", 1, [.sensorRunning(integration: "intune", false)], .denied, onUnknown: .deny)
        #expect(explained([doubtful]) == nil, "the sensor is not known, with or without the setting")
        let graceless = devicePolicy(
            "no", 1, [.managed(integration: "intune", false)], .denied, onUnknown: .deny)
        let lenient = snapshot([graceless]).deviceResult(
            of: device([expired]), for: person(), owner: .any, outage: .partial, atSeconds: now)
        #expect(lenient.deviceClass == .partial && lenient.lines.contains { $0.observed == "a default" })
    }

    @Test("a version of more than four numbers is none") func version() {
        let rule = DeviceRule.agentVersion(integration: "agents", minimum: "1.2.3.4.5")
        let shown = device([], statement: statement())
        let result = snapshot([devicePolicy("v", 1, [rule], .compliant)])
            .deviceResult(of: shown, for: person(), owner: .any, atSeconds: now)
        #expect(result.reason == .postureIndeterminate)
    }

    @Test("small things that others rely on") func small() {
        let policy = snapshot([], [application([])])
        #expect(policy.application(named: "wiki") != nil && policy.application(named: "Wiki") == nil)
        #expect(Set([ExactKey("\u{e9}"), ExactKey("e\u{301}"), ExactKey("\u{e9}")]).count == 2)
        #expect(
            verdict(expires: now + 1).isFresh(atSeconds: now)
                && !verdict(expires: now).isFresh(atSeconds: now))
        var signed = statement(expires: now + 10)
        #expect(device([], statement: signed).forWhatIsOpen.statement?.expiresAtSeconds == now + 10)
        signed.openUntilSeconds = now + 60
        #expect(device([], statement: signed).forWhatIsOpen.statement?.expiresAtSeconds == now + 60)
        #expect(device([]).forWhatIsOpen.statement == nil)
        let named = snapshot(
            [], [application([]), Application(name: "a\rb", identityProviders: [], policies: [])])
        #expect(named.contentText.contains("\"a\\rb\""))
        #expect(
            named.contentText.firstRange(of: "a\\rb")!.lowerBound
                < named.contentText.firstRange(of: "wiki")!.lowerBound)
    }
}
