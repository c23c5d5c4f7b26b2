import Access
import Testing

@Suite("Clients without a person: action service")
struct ServiceTests {
    static let backup = ServiceFacts(id: "t1", name: "backup", expiresAtSeconds: now + 60)
    static let policy = ApplicationPolicy(
        name: "machines", action: .service, include: [.service(.init(names: ["backup"]))])

    private func decide(
        _ policies: [ApplicationPolicy], _ session: SessionFacts? = nil, _ device: DeviceFacts? = nil,
        service: ServiceFacts? = backup, at: Int64 = now
    ) -> Decision {
        let residual = snapshot().residual(
            of: session, device, service: service, for: application(policies), atSeconds: at)
        return residual.decide(request(), path: Array("/".utf8).span, atSeconds: at)
    }

    @Test("a proven service is let in by its name, and never sent to a sign-in") func named() {
        #expect(decide([Self.policy]).isForward)
        let other = ServiceFacts(id: "t2", name: "Backup", expiresAtSeconds: now + 60)
        #expect(decide([Self.policy], service: other) == .refuse(.noPolicyMatches))
        #expect(decide([Self.policy], service: nil) == .signIn)
    }

    @Test("its proof ends to the second, and bounds the residual") func expiry() {
        let residual = snapshot().residual(
            of: nil, nil, service: Self.backup, for: application([Self.policy]), atSeconds: now)
        #expect(residual.validUntilSeconds == now + 60)
        #expect(residual.dependsOn == [.service(id: "t1")])
        #expect(decide([Self.policy], at: now + 59).isForward)
        #expect(decide([Self.policy], at: now + 60) == .signIn)
    }

    @Test("a person is no service and a service no person") func apart() {
        let people = ApplicationPolicy(name: "people", action: .allow, include: [.everyone])
        #expect(decide([people]) == .refuse(.noPolicyMatches))
        #expect(decide([Self.policy], session()) == .refuse(.noPolicyMatches))
        // Whoever showed a session is no service, also when the session has ended.
        #expect(decide([Self.policy], session(expires: now)) == .signIn)
        let any = ApplicationPolicy(name: "any", action: .service, include: [.everyone])
        #expect(decide([any], session()) == .refuse(.noPolicyMatches))
    }

    @Test("a block on people stops no service, a block on a service stops it") func blocks() {
        let contractors = ApplicationPolicy(name: "no", action: .block, include: [inGroup("contractors")])
        #expect(decide([contractors, Self.policy]).isForward)
        let named = ApplicationPolicy(
            name: "no", action: .block, include: [.service(.init(names: ["backup"]))])
        #expect(decide([named, Self.policy]) == .refuse(.policyBlocks))
    }

    @Test(
        "003.16 a machine with a certificate and a bad verdict is held, by the same rules as people's devices"
    )
    func machine() {
        var strict = Self.policy
        strict.require = [deviceIs(.compliant)]
        var limited = Self.policy
        limited.name = "quarantine"
        limited.require = [deviceIs(.partial)]
        limited.restriction = Restriction(pathPrefixes: ["/repair"])
        let good = device([verdict()], owner: nil)
        let bad = device([verdict(.noncompliant)], owner: nil)
        #expect(decide([strict, limited], nil, good).isForward)
        #expect(decide([strict, limited], nil, bad) == .refuse(.restrictedPath))
        #expect(decide([strict], nil, bad) == .refuse(.postureNonCompliant))
        #expect(decide([strict], nil, nil) == .refuse(.deviceRequired))
        #expect(decide([strict], nil, device([], owner: nil)) == .refuse(.postureMissing))
    }

    @Test("what a service policy might take away stays away while its match is not known") func withheld() {
        var unsure = Self.policy
        unsure.require = [deviceIs(.compliant)]
        unsure.restriction = Restriction(methods: [.head])
        var open = Self.policy
        open.name = "open"
        #expect(decide([unsure, open]) == .refuse(.restrictedMethod))
        #expect(decide([unsure, open], nil, device([verdict(.noncompliant)], owner: nil)).isForward)
    }

    @Test("explained: whose token, and until when") func explained() {
        let app = application([Self.policy])
        let lines = snapshot().explain(nil, nil, service: Self.backup, for: app, atSeconds: now).lines
        #expect(lines.contains { $0.rule == "service" && $0.outcome == .yes && $0.source == "service t1" })
        let late = snapshot().explain(nil, nil, service: Self.backup, for: app, atSeconds: now + 60).lines
        #expect(late.contains { $0.rule == "service" && $0.remedy == "Get a new service token." })
    }
}
