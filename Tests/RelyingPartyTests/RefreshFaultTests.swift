import Fetch
import Store
import Synchronization
import Testing

@testable import Identity
@testable import gatepost_lab

/// What follows from one of the provider's faults, when it happens to a refresh.
enum RefreshOutcome: Sendable, Hashable {
    /// The sign-in goes on as if nothing were wrong.
    case refreshed
    /// It goes on, unchanged, and fails by this word.
    case failing(String)
    /// It ends, by this word.
    case ended(String)
}

/// Every way in which the lab's provider can fail a refresh, over real HTTP against the real refreshes and store.
@Suite("Refreshes at a provider that misbehaves")
struct RefreshFaultTests {
    /// Tells what was ended.
    private final class Endings: RefreshEffects {
        private let all = Mutex<[(word: String, count: Int)]>([])
        var words: [String] { all.withLock { $0.map(\.word) } }
        var counts: [Int] { all.withLock { $0.map(\.count) } }
        func ended(_ sessions: [StoredSession], by end: RefreshEnd) async {
            all.withLock { $0.append((end.word, sessions.count)) }
        }
        func changed(globalID: String) async {}
        func told(_ news: RefreshNews) {}
    }

    /// Somebody who is signed in at the wiki, and the refreshes of their sign-in.
    private final class Scene {
        let stage: Stage
        let visitor: Visitor
        let endings = Endings()
        let refreshes: SignInRefreshes
        private(set) var id = ""

        init() async throws {
            let stage = try Stage(refreshSeconds: 900)
            self.stage = stage
            visitor = Visitor(stage)
            refreshes = SignInRefreshes(
                store: stage.store, ring: stage.ring, fetcher: stage.fetcher, nowSeconds: { stage.now },
                random: { 0 })
        }

        func signIn() async throws {
            let session = try #require(try await visitor.go("https://wiki.corp.example/").session)
            id = try #require(session.globalID)
        }

        func row() async throws -> StoredRefresh? { try await stage.store.refresh(sessionID: id) }
        func session() async throws -> StoredSession? { try await stage.store.session(id: id) }

        /// What is due, and whatever follows; the session is in use.
        func refresh() async throws {
            let due = try #require(try await row()?.dueAtSeconds)
            stage.advance(max(0, due - stage.now))
            refreshes.uses.note(id, nowSeconds: stage.now)
            await refreshes.tick(await stage.flow.refreshSource(), for: endings)
            await refreshes.settled()
        }
    }

    static let switches: [(OpenIDFault, RefreshOutcome)] = [
        (.keepsRefreshToken, .refreshed), (.refreshWithoutIDToken, .refreshed),
        (.refreshProofNow, .refreshed),
        (.refreshNonce, .failing("answer-unusable")), (.refreshAudience, .failing("answer-unusable")),
        (.refreshSubject, .ended("subject-changed")), (.refreshRevoked, .ended("sign-in-revoked")),
        (.refreshPassword, .ended("sign-in-revoked")), (.refreshDevice, .ended("sign-in-revoked")),
        (.refreshInteraction, .ended("interaction-required")),
        (.refreshClient, .failing("client-refused")), (.refreshThrottled, .failing("provider-unavailable")),
        (.refreshOutage, .failing("provider-unavailable")),
        (.refreshAnswerLost, .failing("provider-unavailable")),
    ]

    @Test("each of the provider's own ways to fail a refresh", arguments: switches)
    func ownSwitch(_ fault: OpenIDFault, _ outcome: RefreshOutcome) async throws {
        try await run(fault, outcome)
    }

    /// What a refreshed id token cannot have: a nonce of its own, and the hash of a code.
    static let elsewhere: Set<OpenIDFault> = [
        .wrongNonce, .noNonce, .emptyNonce, .nonceNumber, .nonceList, .replayedToken, .wrongCodeHash,
        .codeHashNumber, .codeHashList,
    ]

    @Test(
        "a refreshed id token that is forged, another's or wrong changes nothing, and signs nobody out",
        arguments: (FaultTable.claims + FaultTable.signatures).filter { !elsewhere.contains($0.fault) })
    func tokens(_ row: FaultRow) async throws { try await run(row.fault, .failing("answer-unusable")) }

    /// A set that cannot be had leaves the one that is known, in which the new key is not.
    @Test(
        "a key or a key set that is none signs no refreshed token, and nobody is signed out",
        arguments: FaultTable.keys)
    func keys(_ row: FaultRow) async throws {
        try await run(
            row.fault, .failing("answer-unusable"), patience: row.patienceMilliseconds, afterRotation: true)
    }

    static let endpoint: [(OpenIDFault, String)] = [
        (.emptyRefusal, "client-refused"), (.serverError, "provider-unavailable"),
        (.htmlError, "provider-unavailable"), (.malformedJSON, "provider-unavailable"),
        (.hugeAnswer, "provider-unavailable"), (.tokenCut, "provider-unavailable"),
        (.slow, "provider-unavailable"), (.tokenMoved, "provider-unavailable"),
        (.tokenFound, "provider-unavailable"), (.tokenSeeOther, "provider-unavailable"),
        (.tokenTemporary, "provider-unavailable"), (.tokenPermanent, "provider-unavailable"),
        (.tokenDoubled, "provider-unavailable"), (.tokenHuge, "provider-unavailable"),
    ]

    @Test("an answer of the token endpoint that is none changes nothing", arguments: endpoint)
    func noAnswer(_ fault: OpenIDFault, _ word: String) async throws {
        try await run(fault, .failing(word), patience: fault == .slow ? 1_000 : nil)
    }

    /// - Parameter afterRotation: the provider has another key since the sign-in, so that its set is asked for.
    private func run(
        _ fault: OpenIDFault, _ outcome: RefreshOutcome, patience: Int? = nil, afterRotation: Bool = false
    ) async throws {
        let scene = try await Scene()
        try await scene.signIn()
        let before = try #require(try await scene.session())
        if afterRotation { try scene.stage.fault("rotate-keys") }
        try scene.stage.fault(fault.rawValue)
        scene.stage.fetcher.limit(milliseconds: patience)
        try await scene.refresh()
        #expect(scene.stage.provider.faults.timesHappened(fault) > 0, "the fault never happened")
        scene.stage.fetcher.limit(milliseconds: nil)
        switch outcome {
        case .refreshed:
            let row = try #require(try await scene.row())
            #expect(row.failure == nil && row.refreshedAtSeconds == scene.stage.now)
            #expect(try await scene.session()?.authenticatedAtSeconds == before.authenticatedAtSeconds)
            #expect(scene.endings.words.isEmpty)
        case .failing(let word):
            #expect(try await scene.row()?.failure == word)
            #expect(try await scene.session() == before, "nothing of it was used")
            #expect(scene.endings.words.isEmpty)
        case .ended(let word):
            #expect(try await scene.session() == nil)
            #expect(scene.endings.words == [word])
            #expect(scene.endings.counts == [2], "with the application's session")
        }
        #expect(scene.stage.provider.evidence.withLock { $0.trapped } == 0, "a redirect was followed")
    }

    @Test("an answer that was lost took its token along: the next refresh ends the sign-in, and says why")
    func lostAnswer() async throws {
        let scene = try await Scene()
        try await scene.signIn()
        try scene.stage.fault(OpenIDFault.refreshAnswerLost.rawValue, count: 1)
        try await scene.refresh()
        try await scene.refresh()
        #expect(try await scene.session() == nil)
        #expect(scene.endings.words == ["refresh-answer-lost"])
    }

    @Test("a provider that gives no refresh token keeps nobody out, and is never asked")
    func noToken() async throws {
        let scene = try await Scene()
        try scene.stage.fault(OpenIDFault.noRefreshToken.rawValue)
        try await scene.signIn()
        #expect(try await scene.row() == nil)
        #expect(try await scene.session() != nil)
    }

    static let revocations: [(OpenIDFault, FetchError.Kind?)] = [
        (.revocationDown, nil), (.revocationMoved, nil), (.revocationHuge, .tooLarge),
        (.revocationSlow, .timedOut),
    ]

    @Test(
        "signing out holds also where the provider does not take the token back, and the token goes nowhere else",
        arguments: revocations)
    func revocation(_ fault: OpenIDFault, _ failure: FetchError.Kind?) async throws {
        let scene = try await Scene()
        try await scene.signIn()
        try scene.stage.fault(fault.rawValue)
        if fault == .revocationSlow { scene.stage.fetcher.limit(milliseconds: 2_000) }
        _ = await scene.visitor.signOut(at: "wiki.corp.example")
        #expect(try await scene.stage.sessions.isEmpty, "nobody waits for the provider")
        #expect(try await scene.row() == nil)
        await scene.stage.flow.settled()
        #expect(scene.stage.provider.faults.timesHappened(fault) == 1)
        #expect(scene.stage.fetcher.failures.map(\.kind) == [failure].compactMap(\.self))
        #expect(scene.stage.provider.evidence.withLock { $0.trapped } == 0, "a redirect was followed")
    }

    @Test("a provider that stays down ends what it does not confirm, to the second")
    func grace() async throws {
        let scene = try await Scene()
        try await scene.signIn()
        try scene.stage.fault(OpenIDFault.refreshOutage.rawValue)
        try await scene.refresh()
        let since = try #require(try await scene.row()?.failingSinceSeconds)
        while scene.stage.now < since + 899 {
            scene.stage.advance(min(10, since + 899 - scene.stage.now))
            await tick(scene)
        }
        #expect(try await scene.session() != nil)
        scene.stage.advance(1)
        await tick(scene)
        #expect(try await scene.session() == nil)
        #expect(scene.endings.words == ["refresh-grace-over"])
    }

    private func tick(_ scene: Scene) async {
        scene.refreshes.uses.note(scene.id, nowSeconds: scene.stage.now)
        await scene.refreshes.tick(await scene.stage.flow.refreshSource(), for: scene.endings)
        await scene.refreshes.settled()
    }
}
