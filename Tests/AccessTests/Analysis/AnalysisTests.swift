import Access
import Testing

@Suite("Analysis of an application whose staff needs a good device")
struct AnalysisTests {
    static let staff = ApplicationPolicy(
        name: "staff", action: .allow, include: [everyDomain, inGroup("staff")],
        require: [deviceIs(.compliant)])
    static let help = ApplicationPolicy(
        name: "help", action: .bypass, include: [pathIs("/help")],
        restriction: Restriction(methods: [.get, .head]))

    private func reach(_ policies: [ApplicationPolicy], _ query: ReachQuery) -> ApplicationReach {
        let app = application(policies)
        var analysis = PolicyAnalysis(snapshot([healthy], [app]), fromSeconds: now)
        return analysis.reach(of: app, query)
    }

    private func dead(_ policies: [ApplicationPolicy], _ devices: [DevicePolicy] = [healthy]) -> [DeadPolicy]
    {
        let app = application(policies)
        var analysis = PolicyAnalysis(snapshot(devices, [app]), fromSeconds: now)
        let findings = analysis.unreachable(in: app)
        #expect(findings.bounds.isEmpty)
        return findings.dead
    }

    @Test("a device that its provider calls bad reaches what asks for no device, and nothing else")
    func badDevice() {
        let bad = DeviceQuery(
            isShown: true, platform: .macos, sayings: [.init(integration: "intune", state: .noncompliant)])
        let found = reach([Self.staff, Self.help], ReachQuery(device: bad))
        #expect(found.policies.map(\.policy) == [1])
        #expect(found.policies.first?.example.path.hasPrefix("/help") == true)
        #expect(!found.isForEverybody && found.bounds.isEmpty)
    }

    @Test("what is left of a policy is told in its own words, without what the question settles")
    func remainder() {
        let good = DeviceQuery(isShown: true, deviceClass: .compliant)
        let found = reach([Self.staff], ReachQuery(device: good))
        #expect(
            found.policies.map(\.whom) == [
                "email domain is one of: corp.example, or member of one of: staff"
            ])
        let inStaff = reach([Self.staff], ReachQuery(device: good, groups: ["staff"]))
        #expect(inStaff.policies.map(\.whom) == [""] && inStaff.isForEverybody)
        let foreign = reach(
            [Self.staff], ReachQuery(device: good, email: "eve@other.example", groups: ["staff"]))
        #expect(foreign.policies.first?.example.session?.person.email == "eve@other.example")
    }

    @Test("nobody without a device, on another platform, or by another provider's word is let in")
    func refusals() {
        #expect(reach([Self.staff], ReachQuery(device: DeviceQuery(isShown: false))).policies.isEmpty)
        let other = DeviceQuery(isShown: true, platform: .windows)
        #expect(reach([Self.staff], ReachQuery(device: other)).policies.isEmpty)
        let denied = DeviceQuery(isShown: true, deviceClass: .denied)
        #expect(reach([Self.staff], ReachQuery(device: denied)).policies.isEmpty)
    }

    @Test("an exception that has ended is dead, one that ends in a second is not")
    func ended() {
        func until(_ seconds: Int64) -> ApplicationPolicy {
            var policy = Self.staff
            policy.require.append(.until(.init(seconds: seconds)))
            return policy
        }
        #expect(dead([until(now)]).map(\.cause) == [.neverMatches])
        #expect(dead([until(now + 1)]).isEmpty)
    }

    @Test("a class that no device policy gives is never met")
    func impossibleClass() {
        #expect(dead([Self.staff], []).map(\.cause) == [.neverMatches])
        #expect(dead([Self.staff], [healthy]).isEmpty)
    }

    @Test("two policies that only together leave nothing are both named, one that is not needed is not")
    func together() {
        let get = ApplicationPolicy(name: "get", action: .allow, include: [methodIs(.get)])
        let idle = ApplicationPolicy(name: "idle", action: .allow, include: [pathIs("/x")])
        let rest = ApplicationPolicy(
            name: "rest", action: .allow, include: [.everyone], exclude: [methodIs(.get)])
        #expect(dead([get, idle, rest, Self.staff]).map(\.cause) == [.shadowed([0, 2])])
    }

    @Test("a block behind what lets in is dead; a path with parameters keeps one alive")
    func parameters() {
        let all = ApplicationPolicy(name: "all", action: .allow, include: [pathIs("/a")])
        let block = ApplicationPolicy(name: "block", action: .block, include: [pathIs("/a")])
        // `/a;x` is blocked as `/a`, and let in by nothing.
        #expect(dead([all, block]).isEmpty)
        let every = ApplicationPolicy(name: "every", action: .bypass, include: [.everyone])
        #expect(dead([every, block]).map(\.cause) == [.shadowed([0])])
    }

    @Test("a device policy is dead behind one with a lower bound, alive before it")
    func devicePolicies() {
        func score(_ name: String, _ priority: Int, _ value: Int64) -> DevicePolicy {
            let rule = DeviceRule.score(integration: "falcon", comparison: .greaterOrEqual, value: value)
            return devicePolicy(name, priority, [rule], .compliant)
        }
        let behind = PolicyAnalysis(snapshot([score("low", 1, 50), score("high", 2, 60)]), fromSeconds: now)
        let dead = behind.unreachableDevicePolicies().dead
        #expect(dead.map(\.policy) == ["high"] && dead.map(\.shadows) == [["low"]])
        let before = PolicyAnalysis(snapshot([score("high", 1, 60), score("low", 2, 50)]), fromSeconds: now)
        #expect(before.unreachableDevicePolicies().dead.isEmpty)
    }

    @Test(
        "policies in another order are equal where no case tells them apart, and told by a case where one does"
    )
    func equality() throws {
        let first = snapshot([healthy], [application([Self.staff, Self.help])])
        let same = snapshot([healthy], [application([Self.help, Self.staff])])
        var wider = Self.staff
        wider.require = [deviceIs(.compliant, .partial)]
        let other = snapshot([healthy], [application([wider, Self.help])])
        let analysis = PolicyAnalysis(first, fromSeconds: now)
        // `help` refuses POST below /help, `staff` lets it in: the order matters.
        guard case .different(let order) = analysis.comparison(with: same)[0].1 else {
            Issue.record("the order of a restriction matters")
            return
        }
        #expect(order.example.path.hasPrefix("/help"))
        guard case .different(let found) = analysis.comparison(with: other)[0].1 else {
            Issue.record("a wider policy is different")
            return
        }
        #expect(!found.example.decision(by: first, for: first.applications[0]).1.isForward)
        #expect(found.example.decision(by: other, for: other.applications[0]).1.isForward)
        let missing = analysis.comparison(with: snapshot([healthy], []))
        #expect(missing[0].1 == .onlyInFirst)
    }

    @Test("a rule that only warns for now makes policies differ later")
    func warning() {
        var strict = healthy
        strict.strategies = [CheckStrategy(.deny, warnsUntilSeconds: now + 60)]
        var lax = healthy
        lax.strategies = [CheckStrategy(.report)]
        let app = application([Self.staff])
        let analysis = PolicyAnalysis(snapshot([strict], [app]), fromSeconds: now)
        guard case .different(let found) = analysis.comparison(with: snapshot([lax], [app]))[0].1 else {
            Issue.record("they differ from then on")
            return
        }
        #expect(found.example.nowSeconds == now + 60)
    }
}
