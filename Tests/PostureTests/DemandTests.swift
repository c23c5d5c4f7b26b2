import Access
import JSON
import Signatures
import Testing

@testable import Posture

@Suite("What an application asks of a handshake is offered, and checked again in the answer")
struct DemandTests {
    private func begin(
        _ setting: Setting, _ demand: PostureDemand?, session: String = "session-a"
    ) async throws -> (transaction: String, offer: JSONValue) {
        let id = try await setting.service.start(
            globalSession: session, application: "wiki", returnPath: "/x", demand: demand)
        return (id, try await setting.service.challenge(transaction: id, globalSession: session))
    }

    private func outcome(
        _ setting: Setting, _ agent: FakeAgent, _ demand: PostureDemand?, counter: Int64,
        bound: String? = nil, payload: (inout JSONObject) -> Void = { _ in }
    ) async throws -> Result<DeviceProof, PostureRefusal> {
        let (id, offer) = try await begin(setting, demand)
        let assertion = try agent.assertion(
            for: try #require(offer["challenge"]?.string), now: setting.clock.now, counter: counter,
            payload: payload)
        do throws(PostureRefusal) {
            return .success(
                try await setting.service.assert(
                    transaction: id, assertion: assertion, globalSession: "session-a",
                    issuer: Setting.person.issuer, subject: Setting.person.subject, boundThumbprint: bound))
        } catch { return .failure(error) }
    }

    @Test("a challenge offers only what the application accepts")
    func offered() async throws {
        let setting = try Setting()
        let spoken = AssertionVerifier.transports.sorted()
        let open = try await begin(setting, nil).offer
        #expect(open["transports"]?.array?.compactMap(\.string) == spoken)
        let fetch = try await begin(setting, PostureDemand(transports: [.fetch])).offer
        #expect(fetch["transports"] == ["fetch"])
        let popup = try await begin(setting, PostureDemand(transports: [.popup])).offer
        #expect(popup["transports"]?.array?.contains("fetch") == false)
        for (modes, isOffered) in [([HandshakeMode.x5c], true), ([.statement], false)] {
            let offer = try await begin(setting, PostureDemand(modes: modes)).offer
            let claims = try JWS(compact: try #require(offer["challenge"]?.string)).payloadObject
            #expect((claims["profiles"]?.array?.contains("x5c") ?? false) == isOffered, "\(modes)")
        }
    }

    @Test("004.10 an answer by a way or a mode that was not offered is a downgrade: refused, told, used up")
    func downgrade() async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        var counter: Int64 = 0
        for demand in [PostureDemand(transports: [.popup]), PostureDemand(modes: [.statement])] {
            counter += 1
            guard case .failure(let refusal) = try await outcome(setting, agent, demand, counter: counter)
            else {
                Issue.record("a downgrade passed")
                continue
            }
            #expect(refusal.reason == .statementInvalid && refusal.isAlert && !refusal.endsSession)
        }
        let (id, offer) = try await begin(setting, PostureDemand(transports: [.popup]))
        let assertion = try agent.assertion(
            for: try #require(offer["challenge"]?.string), now: setting.clock.now, counter: 9)
        #expect(await setting.refusal(id, assertion) == .statementInvalid)
        #expect(await setting.refusal(id, assertion) == .nonceUsed)
    }

    @Test(
        "004.6 the application's minimum version counts beside the integration's",
        arguments: [
            ("7.2.0", nil, nil), ("7.2.1", nil, .agentOutdated), ("8", nil, .agentOutdated),
            ("7.1", "7.2.0", nil), ("7.1", "7.3", .agentOutdated),
        ] as [(String, String?, Reason?)])
    func versions(_ ofApplication: String, _ ofIntegration: String?, _ expected: Reason?) async throws {
        let setting = try Setting(minimumVersion: ofIntegration)
        let agent = try await setting.enroll()
        let demand = PostureDemand(minimumVersion: ofApplication)
        switch try await outcome(setting, agent, demand, counter: 1) {
        case .success: #expect(expected == nil)
        case .failure(let refusal): #expect(refusal.reason == expected)
        }
    }

    @Test("the kept statement remembers mode, way, version and time, so that others can judge it")
    func kept() async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        let statement = try await outcome(setting, agent, PostureDemand(), counter: 1).get().statement
        #expect(statement.mode == .x5c && statement.transport == .fetch && statement.agentVersion == "7.2.0")
        #expect(statement.verifiedAtSeconds == setting.clock.now)
        let device = DeviceFacts(id: "d", platform: .linux, statement: statement)
        func application(_ demand: PostureDemand) -> Application {
            Application(name: "other", identityProviders: [], policies: [], posture: demand)
        }
        let now = setting.clock.now
        #expect(application(PostureDemand()).proofShortfall(of: device, atSeconds: now) == nil)
        #expect(
            application(PostureDemand(transports: [.popup])).proofShortfall(of: device, atSeconds: now)
                == .postureRequired)
        #expect(
            application(PostureDemand(minimumVersion: "8")).proofShortfall(of: device, atSeconds: now)
                == .agentOutdated)
    }

    @Test("what holds for a check is what was asked at its start, whatever is configured meanwhile")
    func whatever() async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        let strict = try await begin(setting, PostureDemand(minimumVersion: "9"))
        _ = try await begin(setting, PostureDemand())
        let assertion = try agent.assertion(
            for: try #require(strict.offer["challenge"]?.string), now: setting.clock.now, counter: 1)
        #expect(await setting.refusal(strict.transaction, assertion) == .agentOutdated)
    }

    @Test("another device's key at the re-check ends the session; other faults do not")
    func otherKey() async throws {
        let setting = try Setting()
        let first = try await setting.enroll()
        let second = try await setting.enroll()
        let bound = first.key.publicKey.thumbprint
        guard case .success = try await outcome(setting, first, nil, counter: 1, bound: bound) else {
            Issue.record("the same key was refused")
            return
        }
        guard case .failure(let refusal) = try await outcome(setting, second, nil, counter: 1, bound: bound)
        else {
            Issue.record("another key was accepted")
            return
        }
        #expect(refusal.reason == .sessionMismatch && refusal.endsSession && refusal.isAlert)
        // A forger has no enrolled key: nobody's session ends by what anybody can write.
        let forged = try await outcome(setting, second, nil, counter: 2, bound: bound) { $0["sub"] = "other" }
        guard case .failure(let fault) = forged else {
            Issue.record("a forgery was accepted")
            return
        }
        #expect(!fault.endsSession)
    }

    @Test("somebody else's enrolled device on the agent's port is refused and ends nobody's session")
    func squatter() async throws {
        let setting = try Setting()
        let own = try await setting.enroll()
        let foreign = try await setting.enroll(subject: "mallory")
        let bound = own.key.publicKey.thumbprint
        guard case .failure(let refusal) = try await outcome(setting, foreign, nil, counter: 1, bound: bound)
        else {
            Issue.record("somebody else's device was accepted")
            return
        }
        #expect(refusal.reason == .deviceOwnerMismatch && !refusal.endsSession && refusal.isAlert)
        // Where anybody's device counts, the bound key still does, and the stranger ends nothing either.
        let transaction = try await setting.service.start(
            globalSession: "session-a", application: "wiki", returnPath: "/", deviceOwner: .any)
        let offer = try await setting.service.challenge(
            transaction: transaction, globalSession: "session-a")
        let assertion = try foreign.assertion(
            for: try #require(offer["challenge"]?.string), now: setting.clock.now, counter: 2)
        do throws(PostureRefusal) {
            _ = try await setting.service.assert(
                transaction: transaction, assertion: assertion, globalSession: "session-a",
                issuer: Setting.person.issuer, subject: Setting.person.subject, boundThumbprint: bound)
            Issue.record("another key was accepted")
        } catch {
            #expect(error.reason == .sessionMismatch && !error.endsSession && error.isAlert)
        }
        guard case .success = try await outcome(setting, own, nil, counter: 1, bound: bound) else {
            Issue.record("the session's own device was refused afterwards")
            return
        }
    }
}
