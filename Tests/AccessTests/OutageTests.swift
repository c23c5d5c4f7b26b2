import Access
import Testing

@Suite("A silent provider: what an application makes of verdicts that expired 100 s ago")
struct OutageTests {
    private func decides(
        _ outage: OutageSetting, _ verdicts: [Verdict], accepts: DeviceClass = .compliant,
        noMatch: DeviceClass = .denied, at: Int64 = now, policies: [DevicePolicy] = [healthy]
    ) -> (isForward: Bool, reason: Reason?, validUntil: Int64) {
        var app = application([
            .init(name: "p", action: .allow, include: [.everyone], require: [deviceIs(accepts)])
        ])
        app.outage = outage
        let snapshot = snapshot(policies, noMatch: noMatch)
        let shown = session(expires: .max)
        let residual = snapshot.residual(of: shown, device(verdicts), for: app, atSeconds: at)
        let decision = residual.decide(request(), path: Array("/".utf8).span, atSeconds: at)
        return (decision.isForward, residual.reason(for: decision), residual.validUntilSeconds)
    }

    private static let expired = verdict(observed: now - 1_000, expires: now - 100)

    @Test("fail-closed: an expired verdict says nothing") func failClosed() {
        let answer = decides(.failClosed, [Self.expired])
        #expect(!answer.isForward && answer.reason == .postureStale)
    }

    @Test("partial: access for partial devices, and no more") func partial() {
        #expect(!decides(.partial, [Self.expired]).isForward)
        #expect(decides(.partial, [Self.expired], accepts: .partial).isForward)
        #expect(!decides(.failClosed, [Self.expired], accepts: .partial).isForward)
        #expect(!decides(.partial, [], accepts: .partial).isForward, "a device never seen gets nothing")
    }

    @Test("unsafe-last-verdict counts until its last second, and the residual ends with it") func extended() {
        let setting = OutageSetting.unsafeLastVerdict(seconds: 200)
        let answer = decides(setting, [Self.expired])
        #expect(answer.isForward && answer.validUntil == now + 100)
        #expect(decides(setting, [Self.expired], at: now + 99).isForward)
        #expect(!decides(setting, [Self.expired], at: now + 100).isForward)
    }

    @Test(
        "no setting reaches beyond seven days",
        arguments: [OutageSetting.partial, .unsafeLastVerdict(seconds: .max)])
    func sevenDays(_ setting: OutageSetting) {
        let week = now - 100 + 604_800
        let accepts: DeviceClass = setting == .partial ? .partial : .compliant
        #expect(decides(setting, [Self.expired], accepts: accepts, at: week - 1).isForward)
        #expect(!decides(setting, [Self.expired], accepts: accepts, at: week).isForward)
    }

    @Test("a negative duration is none") func negative() {
        #expect(!decides(.unsafeLastVerdict(seconds: -5), [Self.expired]).isForward)
    }

    @Test(
        "an explicit non-compliant, fresh or old, of any provider, takes the setting away",
        arguments: [Verdict.State.noncompliant, .notManaged], [now + 100, now - 5_000])
    func explicit(_ state: Verdict.State, _ expires: Int64) {
        let bad = verdict(state, integration: "falcon", native: "f", expires: expires)
        for setting in [OutageSetting.partial, .unsafeLastVerdict(seconds: 604_800)] {
            for accepts in [DeviceClass.compliant, .partial] {
                let with = decides(setting, [Self.expired, bad], accepts: accepts)
                let without = decides(.failClosed, [Self.expired, bad], accepts: accepts)
                #expect(with.isForward == without.isForward && !with.isForward)
            }
        }
    }

    @Test("a device that went silent while its provider answers is no outage") func silent() {
        var fetched = Self.expired
        fetched.fetchedAtSeconds = fetched.expiresAtSeconds
        #expect(!decides(.unsafeLastVerdict(seconds: 200), [fetched]).isForward)
        fetched.fetchedAtSeconds -= 1
        #expect(decides(.unsafeLastVerdict(seconds: 200), [fetched]).isForward)
    }

    @Test("a grace ends when the provider said so") func grace() {
        let policy = devicePolicy(
            "g", 1, [.tags(integration: "intune", matchesAll: false, values: ["in-grace"])], .compliant)
        var inGrace = Self.expired
        inGrace.state = .grace
        inGrace.graceUntilSeconds = now + 50
        let setting = OutageSetting.unsafeLastVerdict(seconds: 604_800)
        #expect(decides(setting, [inGrace], at: now + 49, policies: [policy]).isForward)
        #expect(!decides(setting, [inGrace], at: now + 50, policies: [policy]).isForward)
        inGrace.graceUntilSeconds = nil
        #expect(decides(setting, [inGrace], at: now + 50, policies: [policy]).isForward)
    }

    @Test("conditions of the application read verdicts as its device policies do") func conditions() {
        let score = Condition.score(.init(integration: "intune", comparison: .greater, value: 50))
        var scored = Self.expired
        scored.score = .init(value: 60, minimum: 1, maximum: 100, higherIsBetter: true)
        let shown = device([scored])
        #expect(!meets(score, session(), shown).isForward)
        #expect(meets(score, session(), shown, outage: .unsafeLastVerdict(seconds: 101)).isForward)
        #expect(!meets(score, session(), shown, outage: .unsafeLastVerdict(seconds: 100)).isForward)
    }

    @Test("another person's device stays denied") func owner() {
        var app = application([
            .init(name: "p", action: .allow, include: [.everyone], require: [deviceIs(.partial)])
        ])
        app.outage = .partial
        #expect(decide(session(), device([Self.expired], owner: "bob"), app) == .refuse(.deviceOwnerMismatch))
    }
}
