import Access
import GRDB
import Testing

@testable import Store

@Suite("Endings whose hour is over, by a clock that may have jumped")
struct ForgottenEndingTests {
    let folder: TemporaryFolder
    let store: SQLiteStore
    private static let global = Fixture.global("g", seed: 1, expires: 1_000_000)
    private static let scope = EndingScope.providerSession(provider: "corp", sid: "s-1", subject: nil)

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    private static func refresh(unansweredSince: Int64?, known: Int64?) -> StoredRefresh {
        StoredRefresh(
            sessionID: "g", provider: "corp", sealedToken: "sealed", dueAtSeconds: 1_900,
            refreshedAtSeconds: 1_000, unansweredSinceSeconds: unansweredSince, endingsKnown: known)
    }

    private func end(_ scope: EndingScope = scope, at seconds: Int64 = 2_000) async throws {
        _ = try await store.end(scope, atSeconds: seconds, once: nil)
    }

    /// What the answer brings.
    private static var named: StoredSession {
        var session = global
        session.claims["sid"] = .text("s-1")
        return session
    }

    @Test("a refresh that was asked before one finds it, however late its answer comes")
    func unanswered() async throws {
        try await store.insert(Self.global)
        let asked = Self.refresh(unansweredSince: 1_990, known: try await store.endingCount())
        try await store.keep(asked)
        try await end()
        for now in [2_001 + EndingRows.rememberedSeconds, 90_000] {
            try await store.removeExpired(nowSeconds: now)
            let changes = [SessionChange(Self.global, Self.named)]
            let answered = Self.refresh(unansweredSince: nil, known: nil)
            #expect(try await store.replace(asked, with: answered, sessions: changes) == .sessionEnded)
        }
    }

    @Test("what that refresh has not to see goes after its hour: what was before it, or after its answer")
    func answered() async throws {
        try await end(.provider("other"))
        try await store.insert(Self.global)
        let known = try await store.endingCount()
        let asked = Self.refresh(unansweredSince: 1_990, known: known)
        try await store.keep(asked)
        try await end()
        try await store.removeExpired(nowSeconds: 90_000)
        #expect(try await store.forgottenEndings() == known)
        var other = Self.global
        other.identityProvider = "other"
        #expect(try await store.lastEnding(of: other) == nil)
        #expect(try await store.lastEnding(of: Self.named)?.number == known + 1)
        let answered = Self.refresh(unansweredSince: nil, known: known)
        #expect(try await store.replace(asked, with: answered, sessions: []) == .done)
        try await store.removeExpired(nowSeconds: 90_000)
        #expect(try await store.lastEnding(of: Self.named) == nil)
        #expect(try await store.forgottenEndings() == known + 1)
        #expect(try await store.endingCount() == known + 1)
    }

    @Test("one asked before endings were counted keeps all of them")
    func uncounted() async throws {
        try await store.insert(Self.global)
        try await store.keep(Self.refresh(unansweredSince: 1_990, known: nil))
        try await end()
        try await store.removeExpired(nowSeconds: 90_000)
        #expect(try await store.lastEnding(of: Self.named) != nil)
        #expect(try await store.forgottenEndings() == 0)
    }

    @Test("beyond the last so many it ends with a new name instead, and goes on under its old one")
    func tooMany() async throws {
        try await store.insert(Self.global)
        let known = try await store.endingCount()
        let asked = Self.refresh(unansweredSince: 1_990, known: known)
        try await store.keep(asked)
        try await end()
        try await store.sessionsFile.write { db in
            try db.run(
                sql: "UPDATE ending_counts SET count = ?", arguments: [known + 1 + EndingRows.waitingMax])
        }
        try await store.removeExpired(nowSeconds: 2_000 + EndingRows.rememberedSeconds)
        #expect(try await store.lastEnding(of: Self.named) != nil, "its hour is not over")
        try await store.removeExpired(nowSeconds: 2_001 + EndingRows.rememberedSeconds)
        #expect(try await store.lastEnding(of: Self.named) == nil)
        #expect(try await store.forgottenEndings() == known + 1)
        let answered = Self.refresh(unansweredSince: nil, known: known)
        let renamed = [SessionChange(Self.global, Self.named)]
        #expect(try await store.replace(asked, with: answered, sessions: renamed) == .sessionEnded)
        var regrouped = Self.global
        regrouped.groups = []
        let changes = [SessionChange(Self.global, regrouped)]
        #expect(try await store.replace(asked, with: answered, sessions: changes) == .done)
    }

    @Test("one more is still remembered, and the number of the last one survives a restart")
    func bounds() async throws {
        try await store.insert(Self.global)
        let known = try await store.endingCount()
        try await store.keep(Self.refresh(unansweredSince: 1_990, known: known))
        try await end()
        try await store.sessionsFile.write { db in
            try db.run(sql: "UPDATE ending_counts SET count = ?", arguments: [known + EndingRows.waitingMax])
        }
        try await store.removeExpired(nowSeconds: 90_000)
        #expect(try await store.lastEnding(of: Self.named) != nil)
        #expect(try await store.forgottenEndings() == 0)
        try await store.removeRefresh(sessionID: "g")
        try await store.removeExpired(nowSeconds: 90_000)
        #expect(try await store.forgottenEndings() == known + 1)
        await store.close()
        let again = try SQLiteStore(folder: folder.path)
        #expect(try await again.forgottenEndings() == known + 1)
        #expect(try await again.endingCount() == known + EndingRows.waitingMax)
    }
}
