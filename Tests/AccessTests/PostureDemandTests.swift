import Foundation
import Testing

@testable import Access

/// One proof, and whether an application with a demand accepts it.
struct ProofCase: Sendable, CustomTestStringConvertible {
    var name: String
    var demand: PostureDemand
    var statement: AgentStatement?
    var reason: Reason?
    var testDescription: String { name }

    init(_ name: String, _ demand: PostureDemand, _ statement: AgentStatement?, _ reason: Reason? = nil) {
        (self.name, self.demand, self.statement, self.reason) = (name, demand, statement, reason)
    }
}

/// Proven so many seconds ago at an integration with 3,600 s and 60 s of grace.
private func proof(
    _ ageSeconds: Int64, mode: HandshakeMode? = .x5c, transport: HandshakeTransport? = .fetch,
    version: String = "7.2.1", life: Int64 = 3_600, grace: Int64? = 60
) -> AgentStatement {
    AgentStatement(
        integration: "agents", verifiedAtSeconds: now - ageSeconds,
        expiresAtSeconds: now - ageSeconds + life,
        openUntilSeconds: grace.map { now - ageSeconds + life + $0 }, lastSeenSeconds: now - 3_600,
        isManaged: true, keyLevel: .claimed, agentVersion: version, osVersion: "12", facts: [:],
        mode: mode, transport: transport)
}

private let compliant = verdict(labels: ["compliant"])

private func app(_ demand: PostureDemand?, _ policies: [ApplicationPolicy]? = nil) -> Application {
    Application(
        name: "wiki", identityProviders: ["entra"],
        policies: policies ?? [
            ApplicationPolicy(
                name: "staff", action: .allow, include: [everyDomain], require: [deviceIs(.compliant)])
        ], posture: demand)
}

private func refusal(_ device: DeviceFacts, _ application: Application, at seconds: Int64 = now) -> Reason? {
    let decision = decide(session(), device, application, at: seconds)
    if case .refuse(let reason) = decision { return reason }
    return nil
}

@Suite("What an application asks of the proof of a device")
struct PostureDemandTests {
    private static let short = PostureDemand(ageSecondsMax: 300)
    private static let table: [ProofCase] = [
        .init("fresh", short, proof(0)),
        .init("one second before its age", short, proof(299)),
        .init("exactly at its age", short, proof(300), .postureRequired),
        .init("one second past it", short, proof(301), .postureRequired),
        .init("nothing was ever signed", short, nil, .postureRequired),
        .init(
            "the integration's bound is the outer one: one second before",
            PostureDemand(ageSecondsMax: 7_200),
            proof(3_599)),
        .init(
            "the integration's bound is the outer one: exactly", PostureDemand(ageSecondsMax: 7_200),
            proof(3_600), .postureRequired),
        .init("exactly as far in the future as clocks may differ", short, proof(-300)),
        .init("one second further: the clock was set back", short, proof(-301), .postureRequired),
        .init("an hour ahead", short, proof(-3_600), .postureRequired),
        .init("a mode that is not accepted", short, proof(0, mode: .unsafeStatic), .postureRequired),
        .init("the other accepted mode", short, proof(0, mode: .statement)),
        .init("the mode alone", PostureDemand(modes: [.statement]), proof(0), .postureRequired),
        .init("a way that is not accepted", PostureDemand(transports: [.popup]), proof(0), .postureRequired),
        .init("an accepted way", PostureDemand(transports: [.popup]), proof(0, transport: .popup)),
        .init("unwritten: one second before its age", .aging(ageSecondsMax: 900), proof(899)),
        .init("unwritten: exactly at its age", .aging(ageSecondsMax: 900), proof(900), .postureRequired),
        .init("unwritten: whatever its mode", .aging(ageSecondsMax: 900), proof(0, mode: .unsafeStatic)),
        .init(
            "unwritten: kept by a version that noted no mode", .aging(ageSecondsMax: 900), proof(0, mode: nil)
        ),
        .init("unwritten: nothing was ever signed", .aging(ageSecondsMax: 900), nil, .postureRequired),
        .init(
            "off: past the integration's age and the clock's", PostureDemand(ageSecondsMax: nil), proof(9_000)
        ),
        .init("off: of an unknown future", PostureDemand(ageSecondsMax: nil), proof(-9_000)),
        .init(
            "off: not every mode", PostureDemand(ageSecondsMax: nil), proof(0, mode: .unsafeStatic),
            .postureRequired),
        .init("kept by a version that noted no mode", short, proof(0, mode: nil), .postureRequired),
        .init("kept by a version that noted no way", short, proof(0, transport: nil), .postureRequired),
        .init("004.6 exactly the minimum version", PostureDemand(minimumVersion: "7.2.1"), proof(0)),
        .init("003.7 a newer version", PostureDemand(minimumVersion: "7.2.1"), proof(0, version: "7.10")),
        .init(
            "004.6 one below it", PostureDemand(minimumVersion: "7.2.2"), proof(0), .agentOutdated),
        .init(
            "a version that nobody can compare", PostureDemand(minimumVersion: "7"),
            proof(0, version: "7.2-beta"), .agentOutdated),
        .init(
            "too old and outdated: the next answer may come of a newer agent",
            PostureDemand(ageSecondsMax: 300, minimumVersion: "8"), proof(300), .postureRequired),
    ]

    @Test(
        "004.1 a healthy device is let in only while its proof is one that the application accepts",
        arguments: table)
    func counts(_ row: ProofCase) {
        let shown = device([compliant], statement: row.statement)
        #expect(refusal(shown, app(row.demand)) == row.reason)
        #expect(app(row.demand).proofShortfall(of: shown, atSeconds: now) == row.reason)
        #expect(refusal(shown, app(nil)) == nil, "without a demand the provider's word is enough")
    }

    @Test("a residual ends with the proof, and names the device that it hangs on, also when it refuses")
    func ends() {
        let shown = device([compliant], statement: proof(100))
        let open = snapshot().residual(of: session(), shown, for: app(Self.short), atSeconds: now)
        #expect(open.validUntilSeconds == now + 200)
        let old = device([compliant], statement: proof(300))
        let closed = snapshot().residual(of: session(), old, for: app(Self.short), atSeconds: now)
        #expect(closed.dependsOn.contains(.device(id: "mac-1")))
        #expect(closed.validUntilSeconds == now + 900)
        let early = device([compliant], statement: proof(-600))
        let waiting = snapshot().residual(of: session(), early, for: app(Self.short), atSeconds: now)
        #expect(waiting.validUntilSeconds == now + 300, "when the clock has come near, it is asked again")
    }

    @Test(
        "what is open has the integration's grace beyond the application's own age",
        arguments: [
            (299, true, true), (300, false, true), (359, false, true), (360, false, false),
            (4_000, false, false),
        ] as [(Int64, Bool, Bool)])
    func grace(_ age: Int64, _ isNewOpen: Bool, _ isOpen: Bool) {
        let shown = device([compliant], statement: proof(age))
        #expect((refusal(shown, app(Self.short)) == nil) == isNewOpen)
        #expect((refusal(shown.forWhatIsOpen, app(Self.short)) == nil) == isOpen)
        let bare = device([compliant], statement: proof(age, grace: nil))
        #expect((refusal(bare.forWhatIsOpen, app(Self.short)) == nil) == isNewOpen, "no grace is configured")
        let residual = snapshot().residual(
            of: session(), shown.forWhatIsOpen, for: app(Self.short), atSeconds: now)
        if isOpen { #expect(residual.validUntilSeconds == now + 360 - age) }
    }

    @Test("one proof is old at one application and fresh at the other")
    func shared() {
        let (brief, long) = (app(Self.short), app(PostureDemand(ageSecondsMax: 3_600)))
        for (age, isBrief, isLong) in [
            (299, true, true), (300, false, true), (3_599, false, true), (3_600, false, false),
        ]
            as [(Int64, Bool, Bool)]
        {
            let shown = device([compliant], statement: proof(age))
            #expect((refusal(shown, brief) == nil) == isBrief, "\(age)")
            #expect((refusal(shown, long) == nil) == isLong, "\(age)")
        }
    }

    @Test("it is to be repeated from four fifths of its life on, and never where its age decides nothing")
    func ages() {
        let shown = device([compliant], statement: proof(0))
        let start = now
        #expect(app(Self.short).proofAgesAtSeconds(of: shown, asksAgent: false) == start + 240)
        #expect(app(nil).proofAgesAtSeconds(of: shown, asksAgent: true) == start + 2_880)
        #expect(app(nil).proofAgesAtSeconds(of: shown, asksAgent: false) == nil)
        #expect(app(Self.short).proofAgesAtSeconds(of: device([compliant]), asksAgent: true) == nil)
        let asking = app(
            nil,
            [
                ApplicationPolicy(
                    name: "staff", action: .allow,
                    include: [.check(.init(integration: "agents", name: "firewall", isAgent: true))])
            ])
        #expect(asking.proofAgesAtSeconds(of: shown, asksAgent: false) == start + 2_880)
        let ageless = app(PostureDemand(ageSecondsMax: nil))
        #expect(ageless.proofAgesAtSeconds(of: shown, asksAgent: false) == nil)
        #expect(ageless.proofAgesAtSeconds(of: shown, asksAgent: true) == start + 2_880)
        let residual = snapshot().residual(of: session(), shown, for: ageless, atSeconds: now)
        let plain = snapshot().residual(of: session(), shown, for: app(nil), atSeconds: now)
        #expect(residual.validUntilSeconds == plain.validUntilSeconds, "no end of its own")
    }

    @Test("a proof that does not count takes nobody past a block, and says what is missing")
    func block() {
        let policies = [
            ApplicationPolicy(name: "ill", action: .block, include: [deviceIs(.denied)]),
            ApplicationPolicy(name: "staff", action: .allow, include: [everyDomain]),
        ]
        let old = device([compliant], statement: proof(300))
        #expect(refusal(old, app(Self.short, policies)) == .postureRequired)
        #expect(refusal(device([compliant], statement: proof(1)), app(Self.short, policies)) == nil)
    }

    @Test("a machine's device is proven by its connection, and not by a handshake")
    func machine() {
        let service = ServiceFacts(id: "s", name: "sync", expiresAtSeconds: now + 100)
        let policies = [
            ApplicationPolicy(
                name: "sync", action: .service, include: [.service(.init(names: ["sync"]))],
                require: [deviceIs(.compliant)])
        ]
        let residual = snapshot().residual(
            of: nil, device([compliant]), service: service, for: app(Self.short, policies), atSeconds: now)
        #expect(residual.policies.count == 1)
    }

    @Test("a proof for another integration is none here, also where nothing more is asked of it")
    func elsewhere() {
        for demand in [nil, PostureDemand()] {
            var application = app(demand)
            for (agent, expected) in [(nil, nil), ("agents", nil), ("lab", .postureRequired)]
                as [(String?, Reason?)]
            {
                application.agent = agent
                let device = device([compliant], statement: proof(42))
                #expect(refusal(device, application) == expected, "\(agent ?? "any")")
                #expect(application.proofShortfall(of: device, atSeconds: now) == expected)
            }
        }
    }

    @Test("explain says what was asked, what came, how old it is and what helps")
    func explained() throws {
        let demand = PostureDemand(transports: [.fetch, .popup], ageSecondsMax: 300, minimumVersion: "8")
        let record = snapshot().explain(
            session(), device([compliant], statement: proof(42)), for: app(demand), atSeconds: now)
        let line = try #require(record.lines.first { $0.rule == "posture" })
        #expect(
            line.condition
                == "the device proved itself by x5c or stmt, over fetch or popup, less than 300 s ago, "
                + "by an agent of version 8 or later")
        #expect(line.outcome == .no && line.ageSeconds == 42 && line.source == "agents (statement)")
        #expect(line.observed == "x5c over fetch, agent 7.2.1")
        #expect(line.remedy == "Update Gatepost’s agent on this device to version 8 or later.")
        #expect(record.residual.refusal == .agentOutdated && record.deviceClass == nil)
        #expect(
            PostureDemand.aging(ageSecondsMax: 900).description
                == "the device proved itself less than 900 s ago")
        #expect(
            PostureDemand(ageSecondsMax: nil).description
                == "the device proved itself by x5c or stmt, over fetch or popup or navigation, in this sign-in"
        )
    }
}

@Suite("The demand on proofs as a part of the policy")
struct PostureDemandLawTests {
    @Test("for every policy a proof that does not count is as good as none (5,000 seeds)")
    func asNone() {
        for seed in UInt64(0)..<5_000 {
            var random = RandomPolicies(seed: seed)
            let policy = snapshot(random.devicePolicies(nil))
            var application = random.application()
            application.posture = PostureDemand(ageSecondsMax: 300)
            let session = random.session()
            var shown = random.device()
            shown.statement?.mode = nil
            // It would be a proof of its own.
            shown.certificate = nil
            let with = policy.residual(of: session, shown, for: application, atSeconds: now)
            let without = policy.residual(of: session, nil, for: application, atSeconds: now)
            let (request, path) = random.request()
            let bytes = Array(path.utf8)
            let (one, other) = (
                with.decide(request, path: bytes.span, atSeconds: now),
                without.decide(request, path: bytes.span, atSeconds: now)
            )
            #expect(one.isForward == other.isForward, "seed \(seed)")
        }
    }

    @Test(
        "a demand lets nobody in who is not let in without it, and a proof that meets it changes nothing (5,000 seeds)"
    )
    func onlyLess() {
        var met = 0
        for seed in UInt64(0)..<5_000 {
            var random = RandomPolicies(seed: seed, isMonotone: true)
            let policy = snapshot(random.devicePolicies(.deny), noMatch: .denied, unsupported: .denied)
            let plain = random.application()
            var asking = plain
            asking.posture = PostureDemand(ageSecondsMax: 300)
            let session = random.session()
            var shown = random.device()
            let (request, path) = random.request()
            if decide(session, shown, asking, policy, request, path: path).isForward {
                #expect(decide(session, shown, plain, policy, request, path: path).isForward, "seed \(seed)")
            }
            shown.statement = proof(10)
            met += 1
            let (with, without) = (
                policy.residual(of: session, shown, for: asking, atSeconds: now),
                policy.residual(of: session, shown, for: plain, atSeconds: now)
            )
            #expect(with.policies == without.policies && with.refusal == without.refusal, "seed \(seed)")
        }
        #expect(met == 5_000)
    }

    @Test("two policies that differ in it have two names, and without it a policy keeps its own")
    func named() throws {
        func text(_ demand: PostureDemand?) -> String { snapshot([healthy], [app(demand)]).contentText }
        let demands: [PostureDemand?] = [
            nil, PostureDemand(), PostureDemand(modes: [.x5c]), PostureDemand(transports: [.fetch]),
            PostureDemand(ageSecondsMax: 901), PostureDemand(ageSecondsMax: nil),
            PostureDemand(minimumVersion: "1"), .aging(ageSecondsMax: 900),
            PostureDemand(minimumVersion: "2"),
        ]
        #expect(Set(demands.map(text)).count == demands.count)
        #expect(!text(nil).contains("posture"))
        #expect(
            text(PostureDemand(modes: [.x5c, .statement])) == text(PostureDemand(modes: [.statement, .x5c])),
            "the order of a set means nothing")
    }

    @Test("records from before are read, and written as before where nothing is asked or known")
    func coding() throws {
        let encoder = JSONEncoder()
        let plain = try encoder.encode(app(nil))
        #expect(!String(decoding: plain, as: UTF8.self).contains("posture"))
        #expect(try JSONDecoder().decode(Application.self, from: plain) == app(nil))
        for demand in [
            PostureDemand(modes: [.x5c], minimumVersion: "1"), PostureDemand(ageSecondsMax: nil),
            .aging(ageSecondsMax: 900),
        ] {
            let asking = app(demand)
            #expect(try JSONDecoder().decode(Application.self, from: encoder.encode(asking)) == asking)
        }
        let old = try encoder.encode(proof(1, mode: nil, transport: nil))
        #expect(!String(decoding: old, as: UTF8.self).contains("transport"))
        #expect(
            try JSONDecoder().decode(AgentStatement.self, from: old) == proof(1, mode: nil, transport: nil))
        let open = device([compliant], statement: proof(1)).forWhatIsOpen
        let text = String(decoding: try encoder.encode(open), as: UTF8.self)
        #expect(!text.contains("grace"), "how long what is open may wait is no fact")
    }

    @Test("analysis is about devices with a proof that counts, and never calls different demands equal")
    func analysed() {
        let first = snapshot([healthy], [app(PostureDemand(ageSecondsMax: 300))])
        let second = snapshot([healthy], [app(PostureDemand(ageSecondsMax: 600))])
        var analysis = PolicyAnalysis(first, fromSeconds: now)
        #expect(analysis.unreachable(in: first.applications[0]).dead.isEmpty)
        #expect(analysis.unreachable(in: first.applications[0]).bounds.isEmpty)
        guard case .undecided = analysis.comparison(with: second)[0].1 else {
            Issue.record("different demands were called \(analysis.comparison(with: second)[0].1)")
            return
        }
        #expect(analysis.comparison(with: first)[0].1 == .equal)
    }
}
