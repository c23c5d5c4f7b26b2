import Access
import Testing

@Suite("What a stronger sign-in could open")
struct StepUpTests {
    static let phr = Condition.authenticationContext(.init(values: ["phr", "c2"]))
    static let mfa = Condition.authenticationMethod(.init(methods: ["mfa"]))
    static let recent = Condition.authenticatedWithin(.init(secondsMax: 600))

    private func allow(
        _ name: String = "staff", include: [Condition] = [everyDomain], require: [Condition] = [],
        exclude: [Condition] = []
    ) -> ApplicationPolicy {
        ApplicationPolicy(
            name: name, action: .allow, include: include, require: require, exclude: exclude)
    }

    private func offers(
        _ policies: [ApplicationPolicy], _ claims: [String: ClaimValue] = [:], authenticated: Int64 = 0,
        _ device: DeviceFacts? = nil
    ) -> [StepUpOffer] {
        var ada = person(claims: claims)
        ada.authenticatedAtSeconds = authenticated
        return snapshot().stepUps(of: session(ada), device, for: application(policies), atSeconds: now)
    }

    @Test("002.20 what a policy lacks of the sign-in is offered, and all that it asks of it")
    func offered() {
        let found = offers([allow(require: [Self.phr, Self.mfa, Self.recent])], ["acr": .text("c2")])
        #expect(
            found.map(\.stepUp) == [
                StepUp(
                    contexts: [["phr", "c2"]], methods: [["mfa"]], ageSecondsMax: 600, isAgeShort: true)
            ])
        #expect(found.first?.policy == "staff")
        let decided = found.first?.residual.decide(request(), path: Array("/".utf8).span, atSeconds: now)
        #expect(decided == .forward(policy: 0))
    }

    @Test("nothing is offered where the sign-in is not what is missing")
    func notOffered() {
        #expect(offers([allow(require: [Self.phr])], ["acr": .text("phr")]).isEmpty, "nothing is missing")
        #expect(offers([allow(require: [Self.phr, inGroup("admins")])]).isEmpty, "no group, no way in")
        #expect(offers([allow(require: [Self.phr, deviceIs(.compliant)])]).isEmpty, "no device")
        #expect(offers([allow(exclude: [Self.phr])], ["acr": .text("phr")]).isEmpty, "weaker is not asked")
        #expect(offers([allow(include: [everyDomain, Self.phr])]).isEmpty, "an alternative holds already")
        #expect(offers([allow()]).isEmpty)
        let block = ApplicationPolicy(name: "never", action: .block, include: [.everyone])
        #expect(offers([block, allow(require: [Self.phr])]).isEmpty, "a block stands before it")
        let unaskable = Condition.authenticationContext(.init(values: ["two words", "a\"b", ""]))
        #expect(offers([allow(require: [unaskable])]).isEmpty, "no parameter can say it")
    }

    @Test("what another policy grants anyway makes no offer")
    func others() {
        let other = allow("other", require: [pathIs("/open")])
        let hopeless = allow("strong", require: [Self.phr, deviceIs(.compliant)])
        #expect(offers([other, hopeless]).isEmpty)
        #expect(offers([other, allow("strong", require: [Self.phr])]).map(\.policy) == ["strong"])
    }

    @Test("a session that does not count is offered nothing")
    func notCounted() {
        let app = application([allow(require: [Self.phr])])
        let foreign = session(person(), by: "other")
        let ended = session(person(), expires: now)
        #expect(snapshot().stepUps(of: foreign, nil, for: app, atSeconds: now).isEmpty)
        #expect(snapshot().stepUps(of: ended, nil, for: app, atSeconds: now).isEmpty)
        #expect(!snapshot().stepUps(of: session(), nil, for: app, atSeconds: now).isEmpty)
    }

    @Test("a block's exception is a way in, together with what the policy behind it asks")
    func blockException() {
        let block = ApplicationPolicy(
            name: "weak", action: .block, include: [.everyone], exclude: [Self.phr, inGroup("exempt")])
        let found = offers([block, allow(require: [Self.mfa])], ["acr": .text("pwd")])
        #expect(found.map(\.stepUp) == [StepUp(contexts: [["phr", "c2"]], methods: [["mfa"]])])
    }

    @Test("groups and alternatives are looked into; each alternative is an offer of its own")
    func alternatives() {
        let strong = Condition.meets(
            ConditionGroup(name: "strong", include: [Self.phr, Self.mfa], require: [Self.recent]))
        let found = offers([allow(require: [strong])], authenticated: now - 601)
        #expect(
            found.map(\.stepUp) == [
                StepUp(contexts: [["phr", "c2"]], ageSecondsMax: 600, isAgeShort: true),
                StepUp(methods: [["mfa"]], ageSecondsMax: 600, isAgeShort: true),
            ])
        #expect(
            offers([allow(require: [strong])], authenticated: now - 600).allSatisfy {
                !$0.stepUp.isAgeShort
            }, "exactly at the limit the age is not what is missing")
    }

    @Test("an offer opens the requests that its policy opens, and no others")
    func requests() {
        let admin = allow("admin", require: [Self.phr, pathIs("/admin"), methodIs(.get)])
        let found = offers([admin, allow("rest", exclude: [pathIs("/admin")])])
        let residual = found.first?.residual
        func opens(_ path: String, _ method: RequestMethod = .get) -> Bool {
            if case .forward? = residual?.decide(
                request(method), path: Array(path.utf8).span, atSeconds: now)
            {
                return true
            }
            return false
        }
        #expect(found.count == 1)
        #expect(opens("/admin"))
        #expect(!opens("/admin", .post))
    }

    @Test("more than a browser can carry is not offered: exactly at the bound, and one past it")
    func bounded() {
        func wanting(_ bytes: Int) -> [StepUpOffer] {
            let value = String(repeating: "x", count: bytes)
            return offers([allow(require: [.authenticationContext(.init(values: [value]))])])
        }
        #expect(wanting(253).count == 1)
        #expect(wanting(254).isEmpty)
    }

    @Test("what came is held against what was asked by the conditions themselves")
    func unmet() {
        let asked = StepUp(contexts: [["phr"]], methods: [["mfa", "hwk"]], ageSecondsMax: 60)
        var ada = person(claims: ["acrs": .list(["phr"]), "amr": .list(["hwk"])])
        ada.authenticatedAtSeconds = now - 60
        #expect(asked.unmet(by: ada, atSeconds: now).isEmpty)
        #expect(asked.unmet(by: ada, atSeconds: now + 1).map(\.came) == ["authenticated 61 s ago"])
        ada.authenticatedAtSeconds = 0
        ada.claims = ["acr": .text("pwd")]
        #expect(
            asked.unmet(by: ada, atSeconds: now).map(\.came) == [
                "pwd", "the provider names none", "the provider does not say when",
            ])
        ada.authenticatedAtSeconds = now + 301
        #expect(asked.unmet(by: ada, atSeconds: now).count == 3, "a time from the future is none")
    }

    @Test("no offer widens: over random policies each is what the evaluator grants, and only to who lacks it")
    func law() {
        let values = ["a", "b"]
        for seed in UInt64(1)...400 {
            var random = SeededGenerator(seed: seed)
            func condition(_ random: inout SeededGenerator) -> Condition {
                switch Int.random(in: 0..<6, using: &random) {
                case 0: .authenticationContext(.init(values: [random.pick(values)]))
                case 1: .authenticationMethod(.init(methods: [random.pick(values)]))
                case 2: Self.recent
                case 3: inGroup(random.pick(["staff", "admins"]))
                case 4: pathIs(random.pick(["/a", "/b"]))
                case _: .everyone
                }
            }
            let policies = (0..<3).map { index in
                ApplicationPolicy(
                    name: "p\(index)", action: random.chance(30) ? .block : .allow,
                    include: [condition(&random)], require: random.chance(60) ? [condition(&random)] : [],
                    exclude: random.chance(40) ? [condition(&random)] : [])
            }
            let claims: [String: ClaimValue] = random.chance(50) ? ["acr": .text("a")] : [:]
            for offer in offers(policies, claims) {
                let wanted = offer.stepUp
                #expect(!wanted.unmet(by: person(claims: claims), atSeconds: now).isEmpty, "seed \(seed)")
                var stronger = person(claims: claims)
                if !wanted.contexts.isEmpty { stronger.claims["acr"] = nil }
                stronger.claims["acrs"] = .list(wanted.contexts.compactMap(\.first))
                if !wanted.methods.isEmpty {
                    stronger.claims["amr"] = .list(wanted.methods.compactMap(\.first))
                }
                if wanted.ageSecondsMax != nil { stronger.authenticatedAtSeconds = now }
                for path in ["/", "/a", "/b"] {
                    let bytes = Array(path.utf8)
                    let supposed = offer.residual.decide(request(), path: bytes.span, atSeconds: now)
                    let real = decide(session(stronger), nil, application(policies), path: path)
                    #expect(supposed == real, "seed \(seed) \(path)")
                }
            }
        }
    }
}

@Suite("Who is sent to the device check")
struct DeviceHopeTests {
    private func helps(
        _ policies: [ApplicationPolicy], _ session: SessionFacts = session(),
        _ method: RequestMethod = .get, path: String = "/"
    ) -> Bool {
        snapshot().couldDeviceHelp(
            session, for: application(policies), request(method), path: Array(path.utf8).span, atSeconds: now)
    }

    private func allow(
        _ require: [Condition], include: [Condition] = [everyDomain], restriction: Restriction? = nil
    ) -> ApplicationPolicy {
        ApplicationPolicy(
            name: "p\(require.hashValue)", action: .allow, include: include, require: require,
            restriction: restriction)
    }

    @Test("a device helps whom a policy would let in with it")
    func helpful() {
        let healthy = deviceIs(.compliant)
        #expect(helps([allow([healthy])]))
        #expect(helps([allow([.meets(ConditionGroup(name: "g", include: [healthy]))])]))
        #expect(helps([allow([healthy, StepUpTests.phr])]), "the stronger sign-in comes after it")
        let bad = ApplicationPolicy(name: "bad", action: .block, include: [deviceIs(.denied)])
        #expect(helps([bad, allow([healthy])]), "a better device lifts the block")
        let reading = Restriction(methods: [.get], pathPrefixes: nil)
        #expect(
            helps([allow([deviceIs(.partial)], restriction: reading), allow([healthy])], session(), .post),
            "what the first policy restricts, the second gives")
    }

    @Test("no device helps whom no policy admits")
    func hopeless() {
        let healthy = deviceIs(.compliant)
        let stranger = session(person(email: "eve@other.example", groups: []))
        #expect(!helps([allow([healthy])], stranger))
        #expect(!helps([allow([healthy, inGroup("admins")])]))
        #expect(!helps([allow([healthy, inGroup("admins"), StepUpTests.phr])]))
        #expect(!helps([allow([healthy, pathIs("/docs")])]), "not this request")
        let block = ApplicationPolicy(name: "never", action: .block, include: [.everyone])
        #expect(!helps([block, allow([healthy])]))
        #expect(!helps([]))
        #expect(!helps([allow([healthy])], session(person(), by: "other")))
        #expect(!helps([allow([healthy])], session(person(), expires: now)))
    }
}
