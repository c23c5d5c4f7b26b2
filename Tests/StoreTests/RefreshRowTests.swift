import Access
import Foundation
import GRDB
import Store
import Testing

@testable import Store

@Suite("Refresh tokens at rest")
struct RefreshRowTests {
    let folder: TemporaryFolder
    let store: SQLiteStore

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    private func row(_ id: String, due: Int64? = 1_900, provider: String = "corp") -> StoredRefresh {
        StoredRefresh(
            sessionID: id, provider: provider, sealedToken: "sealed-\(id)", dueAtSeconds: due,
            refreshedAtSeconds: 1_000)
    }

    private func keep(_ id: String, seed: Int, due: Int64? = 1_900, provider: String = "corp") async throws {
        try await store.insert(Fixture.global(id, seed: seed))
        try await store.keep(row(id, due: due, provider: provider))
    }

    @Test("a row comes back as it was kept, in every member")
    func whole() async throws {
        try await store.insert(Fixture.global("g", seed: 1))
        var full = row("g")
        full.unansweredSinceSeconds = 5
        full.endingsKnown = 8
        full.failingSinceSeconds = 6
        full.failure = "provider-unavailable"
        full.failureCount = 7
        try await store.keep(full)
        #expect(try await store.refresh(sessionID: "g") == full)
        try await store.keep(row("g", due: nil))
        #expect(try await store.refreshes(sessionIDs: ["g", "none"]) == [row("g", due: nil)])
    }

    @Test(
        "it is refused for a session that is gone or below another, and goes with its session, whatever ends it"
    )
    func fate() async throws {
        await #expect(throws: StoreError.self) { try await store.keep(row("none")) }
        try await keep("a", seed: 1)
        try await store.insert(Fixture.application("app", of: "a", seed: 2))
        await #expect(throws: StoreError.self) { try await store.keep(row("app")) }
        try await store.remove(sessionIDs: ["a"])
        #expect(try await store.refresh(sessionID: "a") == nil)
        try await keep("b", seed: 3)
        try await store.removeExpired(nowSeconds: 10_000)
        #expect(try await store.refresh(sessionID: "b") == nil)
        try await keep("c", seed: 4)
        try await store.removeRefresh(sessionID: "c")
        #expect(try await store.refresh(sessionID: "c") == nil)
        #expect(try await store.session(id: "c") != nil)
    }

    @Test("what is due comes by provider, the longest due first, at most so many; what rests never comes")
    func due() async throws {
        for (index, due) in ([2_000, 1_000, 1_500, nil, 1_501, 5_000] as [Int64?]).enumerated() {
            try await keep("s\(index)", seed: index + 1, due: due)
        }
        try await keep("other", seed: 99, due: 1, provider: "else")
        func due(_ now: Int64, _ latest: Int64 = .max, _ limit: Int = 10) async throws -> [String] {
            try await store.dueRefreshes(of: "corp", nowSeconds: now, latestSeconds: latest, limit: limit)
                .map(\.sessionID)
        }
        #expect(try await due(1_500) == ["s1", "s2"])
        #expect(try await due(1_501) == ["s1", "s2", "s4"])
        #expect(try await due(1_500, .max, 1) == ["s1"])
        #expect(try await due(999) == [])
        // Made by a clock that has jumped back since.
        #expect(try await due(1_000, 4_999) == ["s1", "s5"])
        #expect(try await due(1_000, 5_000) == ["s1"])
        try await store.wake(refreshesOf: ["s3", "s0", "none"], atSeconds: 900)
        #expect(try await due(999) == ["s3"])
        #expect(
            try await store.refreshTallies()
                == [
                    "corp": RefreshTally(known: 6, resting: 0, failing: 0),
                    "else": RefreshTally(known: 1, resting: 0, failing: 0),
                ])
    }

    @Test(
        "what was not confirmed for long comes by provider: failing since then, or never asked since it was due"
    )
    func overdue() async throws {
        for (index, (due, failing))
            in ([
                (2_000, nil), (1_000, nil), (1_001, nil), (nil, nil), (9_000, 500), (nil, 500), (1, 501),
                (1, 700),
            ] as [(Int64?, Int64?)]).enumerated()
        {
            try await store.insert(Fixture.global("s\(index)", seed: index + 1))
            var kept = row("s\(index)", due: due)
            kept.failingSinceSeconds = failing
            try await store.keep(kept)
        }
        try await keep("other", seed: 99, due: 1, provider: "else")
        func overdue(
            _ failing: Int64, _ due: Int64, _ limit: Int = 10, resting: Int64 = .min
        ) async throws -> [String] {
            try await store.overdueRefreshes(
                of: "corp", failingSinceSeconds: failing, restingSinceSeconds: resting, dueSinceSeconds: due,
                limit: limit
            ).map(\.sessionID).sorted()
        }
        #expect(try await overdue(499, .min) == [])
        #expect(try await overdue(500, .min) == ["s4", "s5"])
        #expect(try await overdue(501, 999) == ["s4", "s5", "s6"])
        #expect(try await overdue(500, 1_000) == ["s1", "s4", "s5"])
        #expect(try await overdue(1_001, 1_001) == ["s1", "s2", "s4", "s5", "s6", "s7"])
        #expect(try await overdue(1_001, 1_001, 3).count == 3)
        // s5 rests: it counts only from a second on, s4 with an appointment always.
        #expect(try await overdue(500, .min, resting: 500) == ["s4", "s5"])
        #expect(try await overdue(500, .min, resting: 501) == ["s4"])
    }

    @Test("token and sessions change together or not at all")
    func together() async throws {
        try await keep("g", seed: 1)
        try await store.insert(Fixture.application("app", of: "g", seed: 2))
        let global = try #require(try await store.session(id: "g"))
        let app = try #require(try await store.session(id: "app"))
        var (newGlobal, newApp, next) = (global, app, row("g"))
        newGlobal.groups = ["x"]
        newApp.groups = ["x"]
        next.sealedToken = "next"
        var elsewhere = app
        elsewhere.name = "changed meanwhile"
        #expect(try await store.replace(app, with: elsewhere))
        let changes = [SessionChange(global, newGlobal), SessionChange(app, newApp)]
        #expect(try await store.replace(row("g"), with: next, sessions: changes) == .sessionChanged)
        #expect(try await store.session(id: "g") == global)
        #expect(try await store.refresh(sessionID: "g") == row("g"))
        newApp = elsewhere
        newApp.groups = ["x"]
        let again = [SessionChange(global, newGlobal), SessionChange(elsewhere, newApp)]
        #expect(try await store.replace(row("g"), with: next, sessions: again) == .done)
        #expect(try await store.session(id: "app") == newApp)
        #expect(try await store.replace(row("g"), with: next, sessions: []) == .refreshChanged)
        #expect(try await store.end(refreshing: row("g")) == [])
        #expect(Set(try await store.end(refreshing: next).map(\.id)) == ["g", "app"])
        #expect(try await store.replace(next, with: next, sessions: []) == .refreshChanged)
        #expect(try await store.session(id: "g") == nil)
    }

    @Test(
        "the index of the provider's names follows a refresh, and a name that was ended meanwhile refuses it")
    func names() async throws {
        try await keep("g", seed: 1)
        var asked = row("g")
        #expect(try await store.replace(row("g"), with: asked, sessions: []) == .done)
        let global = try #require(try await store.session(id: "g"))
        func named(_ sid: String) -> StoredSession {
            var session = global
            session.claims["sid"] = .text(sid)
            return session
        }
        func end(_ sid: String, at seconds: Int64) async throws -> [String]? {
            let scope = EndingScope.providerSession(
                provider: global.identityProvider, sid: sid, subject: nil)
            return try await store.end(scope, atSeconds: seconds, once: nil)?.sessions.map(\.id)
        }
        var answered = row("g")
        answered.sealedToken = "next"
        answered.refreshedAtSeconds = 1_510
        // What counts is which of the two was noted first, and not how it was dated.
        for (at, isFirst) in [
            (1_499, false), (1_499, true), (1_500, false), (1_500, true), (90_000, false), (90_000, true),
        ] as [(Int64, Bool)] {
            let sid = "s-\(at)-\(isFirst)"
            if isFirst { #expect(try await end(sid, at: at) == []) }
            let before = asked
            asked.unansweredSinceSeconds = 1_500
            asked.endingsKnown = try await store.endingCount()
            #expect(try await store.replace(before, with: asked, sessions: []) == .done)
            if !isFirst { #expect(try await end(sid, at: at) == []) }
            let changes = [SessionChange(global, named(sid))]
            let replaced = try await store.replace(asked, with: answered, sessions: changes)
            #expect(replaced == (isFirst ? .done : .sessionEnded), "\(sid)")
            #expect(try await store.refresh(sessionID: "g") == (isFirst ? answered : asked))
            guard isFirst else {
                #expect(try await store.session(id: "g") == global)
                continue
            }
            #expect(try await store.replace(named(sid), with: global))
            #expect(try await store.replace(answered, with: asked, sessions: []) == .done)
        }
        let changes = [SessionChange(global, named("s-new"))]
        #expect(try await store.replace(asked, with: answered, sessions: changes) == .done)
        #expect(try await end("s-1499-true", at: 1_600) == [])
        #expect(try await end("s-new", at: 1_600) == ["g"])
        #expect(try await store.refresh(sessionID: "g") == nil)
    }

    @Test("what is due is found through the index, however many are not")
    func index() async throws {
        let path = folder.file("sessions.sqlite")
        for condition in ["due_at <= 5", "due_at > 5"] {
            let plan = try await DatabaseQueue(path: path).read { db in
                try Row.fetchAll(
                    db,
                    sql: """
                        EXPLAIN QUERY PLAN SELECT * FROM session_refreshes
                        WHERE identity_provider = 'corp' AND \(condition) ORDER BY due_at LIMIT 16
                        """
                ).map { $0["detail"] as String }.joined(separator: "; ")
            }
            #expect(plan.contains("USING INDEX session_refreshes_due"), "\(plan)")
            #expect(!plan.contains("TEMP B-TREE"), "\(plan)")
        }
    }
}
