import Access
import Foundation
import GRDB
import Testing

@testable import Store

@Suite("Ending sessions by what a provider calls them")
struct EndingTests {
    let folder: TemporaryFolder
    let store: SQLiteStore

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    private func global(_ id: String, _ seed: Int, sid: String?, subject: String = "ada") -> StoredSession {
        var session = Fixture.global(id, seed: seed, subject: subject)
        session.claims["sid"] = sid.map { .text($0) }
        return session
    }

    private func application(_ id: String, _ seed: Int, under global: StoredSession) -> StoredSession {
        var session = global
        session.id = id
        session.kind = .application
        session.tokenDigest = Fixture.digest(seed)
        session.globalID = global.id
        session.application = "wiki"
        return session
    }

    private func end(_ scope: EndingScope, at seconds: Int64 = 2_000) async throws -> Set<String> {
        let ended = try #require(try await store.end(scope, atSeconds: seconds, once: nil))
        #expect(ended.isComplete)
        return Set(ended.sessions.map(\.id))
    }

    struct ScopeCase: CustomTestStringConvertible {
        var testDescription: String
        var scope: EndingScope
        var ended: Set<String>
    }

    static let scopeTable = [
        ScopeCase(
            testDescription: "sid alone: that session with what is below it",
            scope: .providerSession(provider: "corp", sid: "s-1", subject: nil), ended: ["a", "a1"]),
        ScopeCase(
            testDescription: "sid and sub: that session, and those of the person that have no sid",
            scope: .providerSession(provider: "corp", sid: "s-1", subject: "ada"), ended: ["a", "a1", "c"]),
        ScopeCase(
            testDescription: "sid of one person and sub of another: not the one's",
            scope: .providerSession(provider: "corp", sid: "s-1", subject: "bob"), ended: []),
        ScopeCase(
            testDescription: "the sid at another registration of the same issuer",
            scope: .providerSession(provider: "managed", sid: "s-1", subject: nil), ended: ["e"]),
        ScopeCase(
            testDescription: "a sid in other letters is another one",
            scope: .providerSession(provider: "corp", sid: "S-1", subject: nil), ended: []),
        ScopeCase(
            testDescription: "sub at one registration",
            scope: .providerSubject(provider: "corp", subject: "ada"), ended: ["a", "a1", "b", "c"]),
        ScopeCase(
            testDescription: "a person at all registrations of the issuer",
            scope: .person(issuer: "https://login.corp.example", subject: "ada"),
            ended: ["a", "a1", "b", "c", "e"]),
        ScopeCase(
            testDescription: "everything that one provider made", scope: .provider("corp"),
            ended: ["a", "a1", "b", "c", "d"]),
        ScopeCase(
            testDescription: "what one provider made under its issuer",
            scope: .issuer(provider: "corp", issuer: "https://login.corp.example"),
            ended: ["a", "a1", "b", "c", "d"]),
        ScopeCase(
            testDescription: "under another issuer it made nothing",
            scope: .issuer(provider: "corp", issuer: "https://login.corp.example/"), ended: []),
        ScopeCase(
            testDescription: "one sign-in by our id, and no other of that name",
            scope: .signIn(id: "a", provider: "corp", sid: "s-2"), ended: ["a", "a1"]),
        ScopeCase(
            testDescription: "a session of an application is no sign-in",
            scope: .signIn(id: "a1", provider: "corp", sid: "s-1"), ended: []),
    ]

    @Test("a scope ends exactly its sessions", arguments: scopeTable)
    func scopes(_ c: ScopeCase) async throws {
        let first = global("a", 1, sid: "s-1")
        var managed = global("e", 6, sid: "s-1")
        managed.identityProvider = "managed"
        for session in [
            first, global("b", 2, sid: "s-2"), global("c", 3, sid: nil), application("a1", 4, under: first),
            global("d", 5, sid: "s-4", subject: "bob"), managed,
        ] { try await store.insert(session) }
        #expect(try await end(c.scope) == c.ended)
        let left = Set(try await store.sessions(.all, limit: 100).map(\.id))
        #expect(left == Set(["a", "a1", "b", "c", "d", "e"]).subtracting(c.ended))
        let names = try await store.sessionsFile.read {
            try String.fetchAll($0, sql: "SELECT session_id FROM provider_sessions")
        }
        #expect(Set(names).isSubset(of: left), "a name outlived its session")
    }

    @Test("a sign-in that is renewed is found by its new name and no longer by its old one")
    func renewed() async throws {
        let old = global("a", 1, sid: "s-1")
        try await store.insert(old)
        #expect(try await store.replace(old, with: global("a", 1, sid: "s-2")))
        #expect(try await end(.providerSession(provider: "corp", sid: "s-1", subject: nil)) == [])
        #expect(try await end(.providerSession(provider: "corp", sid: "s-2", subject: nil)) == ["a"])
    }

    @Test("what is good once ends something once, however many send it at the same moment")
    func once() async throws {
        try await store.insert(global("a", 1, sid: "s-1"))
        let nonce = OneTime(digest: Fixture.digest(77), expiresAtSeconds: 9_000)
        let store = store
        let taken = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    try await store.end(.provider("corp"), atSeconds: 2_000, once: nonce) != nil
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(taken == 1)
        try await store.insert(global("b", 2, sid: "s-1"))
        #expect(try await store.end(.provider("corp"), atSeconds: 2_001, once: nonce) == nil)
        #expect(try await store.session(id: "b") != nil, "a replay ended a new session")
    }

    struct MarkCase: CustomTestStringConvertible {
        var testDescription: String
        var scope: EndingScope
        var isMeant: Bool
    }

    static let markTable = [
        MarkCase(
            testDescription: "its sid",
            scope: .providerSession(provider: "corp", sid: "s-1", subject: nil), isMeant: true),
        MarkCase(
            testDescription: "another sid of the same person",
            scope: .providerSession(provider: "corp", sid: "s-2", subject: "ada"), isMeant: false),
        MarkCase(
            testDescription: "its sid elsewhere",
            scope: .providerSession(provider: "managed", sid: "s-1", subject: nil), isMeant: false),
        MarkCase(
            testDescription: "its subject",
            scope: .providerSubject(provider: "corp", subject: "ada"), isMeant: true),
        MarkCase(
            testDescription: "another subject",
            scope: .providerSubject(provider: "corp", subject: "bob"), isMeant: false),
        MarkCase(
            testDescription: "its person",
            scope: .person(issuer: "https://login.corp.example", subject: "ada"), isMeant: true),
        MarkCase(
            testDescription: "the same subject of another issuer",
            scope: .person(issuer: "https://other.example", subject: "ada"), isMeant: false),
        MarkCase(testDescription: "its provider", scope: .provider("corp"), isMeant: true),
        MarkCase(testDescription: "another provider", scope: .provider("managed"), isMeant: false),
        MarkCase(
            testDescription: "its provider's issuer",
            scope: .issuer(provider: "corp", issuer: "https://login.corp.example"), isMeant: true),
        MarkCase(
            testDescription: "its issuer at another provider",
            scope: .issuer(provider: "managed", issuer: "https://login.corp.example"), isMeant: false),
        MarkCase(
            testDescription: "another issuer of its provider",
            scope: .issuer(provider: "corp", issuer: "https://other.example"), isMeant: false),
        MarkCase(
            testDescription: "another sign-in of its sid",
            scope: .signIn(id: "b", provider: "corp", sid: "s-1"), isMeant: true),
        MarkCase(
            testDescription: "a sign-in of another sid",
            scope: .signIn(id: "a", provider: "corp", sid: "s-2"), isMeant: false),
        MarkCase(
            testDescription: "a sign-in of its sid elsewhere",
            scope: .signIn(id: "a", provider: "managed", sid: "s-1"), isMeant: false),
    ]

    @Test("a sign-in finds what ended before it was kept, by each of its names", arguments: markTable)
    func marks(_ c: MarkCase) async throws {
        _ = try await end(c.scope, at: 3_000)
        _ = try await end(c.scope, at: 2_000)
        let found = try await store.lastEnding(of: global("a", 1, sid: "s-1"))
        #expect(found?.atSeconds == (c.isMeant ? 3_000 : nil), "the latest one counts")
    }

    @Test("what a clock noted that has gone back since is dated as of now, and nothing else is")
    func settled() async throws {
        let now: Int64 = 3_000
        let latest = now + EndingsAhead.toleranceSeconds
        _ = try await end(.provider("corp"), at: latest)
        #expect(try await store.settleEndings(nowSeconds: now) == nil)
        #expect(try await store.lastEnding(of: global("a", 1, sid: nil))?.atSeconds == latest)
        _ = try await end(.provider("managed"), at: latest + 1)
        try await store.noteEnding(of: SignInNames(persons: [.email("x@corp.example")]), atSeconds: 90_000)
        let ahead = try await store.settleEndings(nowSeconds: now)
        #expect(ahead == EndingsAhead(count: 2, seconds: 87_000))
        #expect(try await store.lastEnding(of: global("a", 1, sid: nil))?.atSeconds == latest)
        var other = global("b", 2, sid: nil)
        other.identityProvider = "managed"
        #expect(try await store.lastEnding(of: other)?.atSeconds == now)
        other.identityProvider = "third"
        other.email = "x@corp.example"
        #expect(try await store.lastEnding(of: other)?.atSeconds == now)
        #expect(try await store.settleEndings(nowSeconds: now) == nil)
        // It goes like every other one.
        try await store.removeExpired(nowSeconds: now + 1 + EndingRows.rememberedSeconds)
        #expect(try await store.lastEnding(of: other) == nil)
    }

    @Test("endings are counted, whatever the clock does and however many are forgotten")
    func counted() async throws {
        let session = global("a", 1, sid: nil)
        var known = try await store.endingCount()
        for second in [9_000, 2_000, 2_000, 5_000] as [Int64] {
            _ = try await end(.provider("corp"), at: second)
            let last = try #require(try await store.lastEnding(of: session))
            #expect(last.atSeconds == 9_000)
            #expect(last.number > known)
            known = try await store.endingCount()
            #expect(last.number == known)
        }
        // Somebody else's is counted and is no ending of this one.
        try await store.noteEnding(of: SignInNames(persons: [.email("x@corp.example")]), atSeconds: 2_000)
        #expect(try await store.lastEnding(of: session)?.number == known)
        #expect(try await store.endingCount() > known)
        known = try await store.endingCount()
        _ = try await store.settleEndings(nowSeconds: 3_000)
        #expect(try await store.lastEnding(of: session)?.atSeconds == 3_000)
        try await store.removeExpired(nowSeconds: 90_000)
        #expect(try await store.lastEnding(of: session) == nil)
        #expect(try await store.endingCount() == known)
        _ = try await end(.provider("corp"), at: 1_000)
        #expect(try #require(try await store.lastEnding(of: session)).number > known)
    }

    @Test("the latest of several is the latest by the clock and by the count apart")
    func latest() async throws {
        _ = try await end(.person(issuer: Fixture.global("a", seed: 1).issuer, subject: "ada"), at: 9_000)
        _ = try await end(.provider("corp"), at: 2_000)
        let last = try #require(try await store.lastEnding(of: global("a", 1, sid: nil)))
        #expect(last.atSeconds == 9_000)
        #expect(last.number == (try await store.endingCount()))
    }

    @Test("a browser that was signed out is known by each of its names for an hour, and by no other")
    func signedOutBrowsers() async throws {
        try await store.noteSignOut(ofBrowsers: [], atSeconds: 2_000)
        try await store.noteSignOut(ofBrowsers: ["a", "b"], atSeconds: 2_000)
        try await store.noteSignOut(ofBrowsers: ["b"], atSeconds: 2_001)
        for (name, isOut) in [("a", true), ("b", true), ("A", false), ("", false), ("c", false)] {
            #expect(try await store.isSignedOut(browser: name) == isOut, "\(name)")
        }
        #expect(try await store.lastEnding(of: global("a", 1, sid: "b")) == nil)
        await store.close()
        let next = try SQLiteStore(folder: folder.path)
        #expect(try await next.isSignedOut(browser: "a"), "also after a restart")
        try await next.removeExpired(nowSeconds: 2_000 + EndingRows.rememberedSeconds)
        #expect(try await next.isSignedOut(browser: "a"))
        try await next.removeExpired(nowSeconds: 2_001 + EndingRows.rememberedSeconds)
        #expect(try await !next.isSignedOut(browser: "a"))
        #expect(try await next.isSignedOut(browser: "b"))
    }

    @Test("a sign-in without a name is meant by an ending with its person, and only then")
    func unnamed() async throws {
        _ = try await end(.providerSession(provider: "corp", sid: "s-9", subject: nil))
        #expect(try await store.lastEnding(of: global("a", 1, sid: nil)) == nil)
        _ = try await end(.providerSession(provider: "corp", sid: "s-9", subject: "ada"))
        #expect(try await store.lastEnding(of: global("a", 1, sid: nil))?.atSeconds == 2_000)
    }

    @Test("an ending is remembered for an hour: exactly at it still, one second past it no longer")
    func forgotten() async throws {
        _ = try await end(.provider("corp"), at: 2_000)
        try await store.removeExpired(nowSeconds: 2_000 + EndingRows.rememberedSeconds)
        #expect(try await store.lastEnding(of: global("a", 1, sid: nil))?.atSeconds == 2_000)
        try await store.removeExpired(nowSeconds: 2_001 + EndingRows.rememberedSeconds)
        #expect(try await store.lastEnding(of: global("a", 1, sid: nil)) == nil)
    }

    @Test("more than one transaction holds is ended in several, and nobody stays")
    func many() async throws {
        let count = EndingRows.signInsMax + 1
        let store = store
        try await store.sessionsFile.write { db in
            for index in 0..<count {
                let session = Fixture.global("g\(index)", seed: index)
                try SessionRows.insert(session, db, file: "")
            }
        }
        let first = try #require(try await store.end(.provider("corp"), atSeconds: 2_000, once: nil))
        #expect(!first.isComplete)
        #expect(first.sessions.count == EndingRows.signInsMax)
        let second = try #require(try await store.end(.provider("corp"), atSeconds: 2_000, once: nil))
        #expect(second.isComplete)
        #expect(second.sessions.count == 1)
    }

    @Test("what would end is counted with what is below it and without what has expired")
    func counts() async throws {
        let ada = global("a", 1, sid: nil)
        var gone = Fixture.global("x", seed: 9, subject: "old", expires: 1_500)
        gone.deviceID = nil
        for session in [
            ada, application("a1", 2, under: ada), application("a2", 3, under: ada),
            global("b", 4, sid: nil, subject: "bob"), gone,
        ] { try await store.insert(session) }
        let all = try await store.count(.provider("corp"), nowSeconds: 1_500)
        #expect(all == SessionCount(signIns: 2, sessions: 2, persons: 2))
        let before = try await store.count(.provider("corp"), nowSeconds: 1_499)
        #expect(before == SessionCount(signIns: 3, sessions: 2, persons: 3))
        let one = try await store.count(.ids(["a"]), nowSeconds: 1_500)
        #expect(one == SessionCount(signIns: 1, sessions: 2, persons: 1), "a sign-in with all below it")
        let application = try await store.count(.application("wiki"), nowSeconds: 1_500)
        #expect(application == SessionCount(signIns: 0, sessions: 2, persons: 1))
        #expect(try await store.count(.application("hr"), nowSeconds: 1_500) == SessionCount())
    }

    @Test("sessions are found by an index, whoever asks")
    func plans() async throws {
        let plans = try await store.sessionsFile.read { db in
            try [
                "SELECT session_id FROM provider_sessions WHERE provider = 'a' AND sid = 'b'",
                "SELECT id FROM sessions WHERE identity_provider = 'a' AND subject = 'b'",
                "SELECT id FROM sessions WHERE issuer = 'a' AND subject = 'b'",
                "SELECT id FROM sessions WHERE identity_provider = 'a'",
                "SELECT id FROM sessions WHERE application = 'a'",
                "SELECT DISTINCT identity_provider FROM sessions",
            ].map { sql in
                try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN \(sql)").map { $0["detail"] as String }
                    .joined(separator: "; ")
            }
        }
        for plan in plans { #expect(plan.contains("INDEX"), "\(plan)") }
    }

    @Test("sessions of an older schema are found by what their claims call them")
    func migrated() async throws {
        await store.close()
        let path = folder.file("sessions.sqlite")
        let session = global("a", 1, sid: "s-1")
        do {
            let queue = try DatabaseQueue(path: path)
            try await queue.write { db in
                // As it was one step before; later steps come again as well.
                let tables = [
                    "provider_sessions", "endings", "session_keys", "session_refreshes",
                    "revoked_certificates", "statement_times", "ended_cookies", "revocation_lists",
                    "revoked_pins", "ending_counts", "browser_names",
                ]
                for table in tables {
                    try db.execute(sql: "DROP TABLE \(table)")
                }
                for index in ["sessions_provider", "sessions_application"] {
                    try db.execute(sql: "DROP INDEX \(index)")
                }
                for column in ["key_proven_at", "secret_until"] {
                    try db.execute(sql: "ALTER TABLE sessions DROP COLUMN \(column)")
                }
                for column in ["key_level", "chip_id", "is_chip_maker_known"] {
                    try db.execute(sql: "ALTER TABLE devices DROP COLUMN \(column)")
                }
                try db.execute(sql: "PRAGMA user_version = 4")
                try db.execute(
                    sql: """
                        INSERT INTO sessions (id, kind, token_digest, host, identity_provider, issuer,
                          subject, groups, claims, authenticated_at, created_at, expires_at)
                        VALUES ('a', 'global', x'01', 'auth', 'corp', 'i', 'ada', '[]', ?, 0, 0, 10000),
                          ('b', 'global', x'02', 'auth', 'corp', 'i', 'ada', '[]', '{}', 0, 0, 10000)
                        """, arguments: [try JSONColumn.text(session.claims)])
            }
            try queue.close()
        }
        let again = try SQLiteStore(folder: folder.path)
        let scope = EndingScope.providerSession(provider: "corp", sid: "s-1", subject: nil)
        let ended = try await again.end(scope, atSeconds: 1, once: nil)
        #expect(ended?.sessions.map(\.id) == ["a"])
        #expect(try await again.session(id: "b") != nil)
    }
}
