import Access
import Fetch
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Identity
@testable import gatepost_lab

@Suite("What real providers do, and signs people in all the same")
struct ToleranceTests {
    @Test("odd and still right", arguments: FaultTable.tolerated)
    func tolerated(_ fault: OpenIDFault) async throws {
        let stage = try Stage()
        try stage.fault(fault.rawValue)
        let ending = try await Visitor(stage).go("https://wiki.corp.example/deep?a=b")
        #expect(stage.provider.faults.timesHappened(fault) > 0, "the fault never happened")
        #expect(ending.session?.identityProvider == "staff", "\(ending)")
    }

    @Test("a provider that says nothing of when proves no time: absent, 0 and a fraction are what they are")
    func authTimes() async throws {
        let times: [(OpenIDFault, Int64)] = [
            (.noAuthTime, 0), (.zeroAuthTime, 0), (.floatingAuthTime, Stage.start),
        ]
        for (fault, expected) in times {
            let stage = try Stage()
            try stage.fault(fault.rawValue)
            let session = try await Visitor(stage).go("https://wiki.corp.example/").session
            #expect(session?.authenticatedAtSeconds == expected, "\(fault)")
        }
    }

    @Test("iss in the answer counts also where nobody announced it: another provider's is refused")
    func unannouncedIssuer() async throws {
        let stage = try Stage()
        try stage.fault("iss-parameter-unannounced")
        try stage.fault("wrong-iss-parameter")
        let refusal = try await Visitor(stage).go("https://wiki.corp.example/").refusal
        #expect(refusal?.detail.contains("iss of the answer") == true)
        let silent = try Stage()
        try silent.fault("iss-parameter-unannounced")
        try silent.fault("no-iss-parameter")
        #expect(try await Visitor(silent).go("https://wiki.corp.example/").session != nil)
    }

    @Test(
        "a provider that keeps the browser (a page, JSON, a failure) has signed nobody in, and may go on later",
        arguments: [(OpenIDFault.authorizeBroken, 500), (.authorizeJSON, 401), (.authorizePage, 200)])
    func stranded(_ fault: OpenIDFault, _ status: Int) async throws {
        let stage = try Stage()
        try stage.fault(fault.rawValue)
        let visitor = Visitor(stage)
        guard case .stuck(let found) = try await visitor.go("https://wiki.corp.example/deep") else {
            Issue.record("not kept there")
            return
        }
        #expect(found == status)
        #expect(stage.provider.faults.timesHappened(fault) == 1)
        #expect(try await stage.sessions.isEmpty)
        #expect(stage.provider.evidence.withLock { $0.tokenRequests } == 0)
        // The person reloads the provider's page while the state is good, or begins anew at the application.
        try stage.fault("none")
        stage.advance(599)
        let authorize = try #require(visitor.trail.last)
        #expect(try await visitor.go(authorize).session != nil)
        #expect(try await Visitor(stage).go("https://wiki.corp.example/deep").session != nil)
    }

    @Test("keys rotate without overlap: the next sign-in finds the new one, and the old one signs nobody in")
    func rotation() async throws {
        let stage = try Stage()
        #expect(try await Visitor(stage).go("https://wiki.corp.example/").session != nil)
        let old = try #require(stage.provider.state.withLock { $0.keys.last?.publicKey.thumbprint })
        try stage.fault("rotate-keys")
        #expect(stage.provider.state.withLock { $0.keys.map(\.publicKey.thumbprint) } != [old])
        #expect(try await Visitor(stage).go("https://wiki.corp.example/").session != nil)
        let sets = stage.fetcher.asked.filter { $0.url.hasSuffix("/keys") }
        #expect(sets.count == 2, "one more question, not one per sign-in")
        // Whoever kept the old key goes on signing with it.
        stage.advance(61)
        let before = try await stage.sessions.map(\.id).sorted()
        try stage.fault("withdrawn-key")
        let ending = try await Visitor(stage).go("https://wiki.corp.example/")
        #expect(stage.provider.faults.timesHappened(.withdrawnKey) == 1)
        #expect(ending.refusal?.reason == .identityProviderRefused, "\(ending)")
        #expect(ending.refusal?.detail.contains("no key of staff fits") == true)
        #expect(try await stage.sessions.map(\.id).sorted() == before)
    }

    /// A logout token of the lab, as the provider would send it.
    private func logout(_ stage: Stage, _ fault: LogoutFault?) async throws -> BackchannelLogout {
        let client = try #require(stage.provider.clients.first { $0.id == "gatepost" })
        let request = stage.provider.logoutRequest(to: client, subject: "lab-0001", sid: nil, fault: fault)
        let step = FlowRequest(
            host: Stage.authHost, path: "/.gatepost/backchannel-logout/staff", method: "POST",
            body: request.body, nowSeconds: stage.now)
        return await stage.flow.backchannelLogout(
            step, contentType: request.contentType, from: NetworkAddress(v4: 0x7f00_0001))
    }

    @Test("keys rotate without overlap: the old one signs nobody out, the new one does")
    func rotationAndLogout() async throws {
        let stage = try Stage()
        let visitor = Visitor(stage)
        #expect(try await visitor.go("https://wiki.corp.example/").session != nil)
        try stage.fault("rotate-keys")
        // The first look at the new set is a sign-in's.
        #expect(try await Visitor(stage).go("https://hr.corp.example/").session != nil)
        stage.advance(61)
        guard case .refused(let what, false) = try await logout(stage, .withdrawnKey) else {
            Issue.record("the old key's token was taken")
            return
        }
        #expect(what.contains("no key of staff fits"), "\(what)")
        #expect(try await visitor.session(at: "https://wiki.corp.example/") != nil)
        guard case .done = try await logout(stage, nil) else {
            Issue.record("the new key's token was refused")
            return
        }
        #expect(try await visitor.session(at: "https://wiki.corp.example/") == nil)
    }

    /// The token's claims are no address; userinfo's may be.
    static let addresses: [([OpenIDFault], String?)] = [
        ([.unverifiedEmail], nil), ([.noEmail], "alice@corp.example"), ([.noEmail, .refusedUserinfo], nil),
    ]

    @Test(
        "an address that is not verified is nobody's, and one that is absent is userinfo's",
        arguments: addresses)
    func address(_ faults: [OpenIDFault], _ expected: String?) async throws {
        let stage = try Stage()
        for fault in faults { try stage.fault(fault.rawValue) }
        let session = try #require(try await Visitor(stage).go("https://wiki.corp.example/").session)
        for fault in faults { #expect(stage.provider.faults.timesHappened(fault) > 0, "\(fault)") }
        #expect(session.subject == "lab-0001" && session.email == expected)
        let global = try #require(session.globalID)
        #expect(try await stage.store.session(id: global)?.email == expected)
    }

    @Test("two workers with different sets for a moment cost two more questions and no sign-in")
    func disagreement() async throws {
        let stage = try Stage()
        try stage.fault("stale-jwks", count: 2)
        #expect(try await Visitor(stage).go("https://wiki.corp.example/").session != nil)
        #expect(stage.provider.faults.timesHappened(.staleKeySet) == 2)
        #expect(stage.fetcher.asked.filter { $0.url.hasSuffix("/keys") }.count == 3)
    }

    @Test("a random sub per client makes two people of two registrations, each with a session of its own")
    func pairwise() async throws {
        let stage = try Stage()
        try stage.fault("pairwise-sub")
        let visitor = Visitor(stage)
        let staff = try #require(try await visitor.go("https://wiki.corp.example/").session)
        let people = try #require(try await visitor.go("https://hr.corp.example/").session)
        #expect(staff.subject != people.subject)
        #expect(people.identityProvider == "hr-staff")
        // The first one goes on.
        #expect(try await visitor.session(at: "https://wiki.corp.example/")?.id == staff.id)
    }

    @Test(
        "userinfo that is somebody else's, or no answer, gives nothing, and groups count as unknown",
        arguments: OpenIDProvider.userinfoFaults)
    func userinfo(_ fault: OpenIDFault) async throws {
        let stage = try Stage()
        try stage.fault(fault.rawValue)
        if fault == .slowUserinfo { stage.fetcher.limit(milliseconds: 2_000) }
        let session = try await Visitor(stage).go("https://wiki.corp.example/").session
        #expect(stage.provider.faults.timesHappened(fault) > 0)
        #expect(session?.subject == "lab-0001")
        #expect(session?.groups == [])
        #expect(session?.email == nil)
        #expect(session?.claims[ClaimReader.unknownGroupsClaim] == .flag(true))
        #expect(stage.provider.evidence.withLock { $0.trapped } == 0, "the access token stays here")
    }

    @Test(
        "a code is never redeemed twice, so a provider that revokes what a replayed code gave revokes nothing"
    )
    func replay() async throws {
        let stage = try Stage()
        let visitor = Visitor(stage)
        let callback = try await visitor.callback()
        let jar = visitor.jars
        #expect(try await visitor.go(callback).session != nil)
        let alive = stage.provider.state.withLock { $0.tokens.count }
        visitor.jars[Stage.authHost, default: []] += jar[Stage.authHost] ?? []
        _ = await visitor.step(callback)
        #expect(stage.provider.state.withLock { $0.tokens.count } == alive)
        #expect(stage.provider.evidence.withLock { $0.tokenRequests } == 1)
    }
}
