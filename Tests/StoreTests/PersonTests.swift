import Store
import Testing

@Suite("Persons in the SQLite store: several subjects, one account")
struct PersonTests {
    let folder: TemporaryFolder
    let store: SQLiteStore
    static let issuer = "https://login.corp.example"

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    @Test("004.15 subjects of one account are one person, the first one seen in front, also after a restart")
    func linked() async throws {
        #expect(try await store.subjects(issuer: Self.issuer, subject: "z") == ["z"])
        #expect(try await store.link(issuer: Self.issuer, subject: "z", account: "o@t") == ["z"])
        #expect(try await store.link(issuer: Self.issuer, subject: "a", account: "o@t") == ["z", "a"])
        #expect(try await store.link(issuer: Self.issuer, subject: "z", account: "o@t") == ["z", "a"])
        await store.close()
        let again = try SQLiteStore(folder: folder.path)
        #expect(try await again.subjects(issuer: Self.issuer, subject: "a") == ["z", "a"])
    }

    @Test("other issuers, other accounts and subjects that nobody linked stay apart")
    func apart() async throws {
        try await store.link(issuer: Self.issuer, subject: "a", account: "o@t")
        try await store.link(issuer: "https://other.example", subject: "b", account: "o@t")
        try await store.link(issuer: Self.issuer, subject: "c", account: "p@t")
        #expect(try await store.subjects(issuer: Self.issuer, subject: "a") == ["a"])
        #expect(try await store.subjects(issuer: "https://other.example", subject: "b") == ["b"])
        #expect(try await store.subjects(issuer: "https://other.example", subject: "a") == ["a"])
        // A subject that turns out to be somebody else leaves the account.
        try await store.link(issuer: Self.issuer, subject: "c", account: "o@t")
        #expect(try await store.subjects(issuer: Self.issuer, subject: "a") == ["a", "c"])
        try await store.link(issuer: Self.issuer, subject: "c", account: "p@t")
        #expect(try await store.subjects(issuer: Self.issuer, subject: "a") == ["a"])
    }

    @Test("a person's sessions are those of every subject, also when the named one has none")
    func sessions() async throws {
        var second = Fixture.global("g2", seed: 2, subject: "ada-2")
        second.email = nil
        try await store.insert(Fixture.global("g1", seed: 1))
        try await store.insert(second)
        try await store.insert(Fixture.global("g3", seed: 3, subject: "bob"))
        let person = SessionQuery.person(issuer: Self.issuer, subject: "ada")
        #expect(try await store.sessions(person, limit: 10).map(\.id) == ["g1"])
        for subject in ["ada", "ada-2"] {
            try await store.link(issuer: Self.issuer, subject: subject, account: "o@t")
        }
        #expect(Set(try await store.sessions(person, limit: 10).map(\.id)) == ["g1", "g2"])
        try await store.remove(sessionIDs: ["g1"])
        #expect(try await store.sessions(person, limit: 10).map(\.id) == ["g2"])
        let elsewhere = SessionQuery.person(issuer: "https://other.example", subject: "ada")
        #expect(try await store.sessions(elsewhere, limit: 10).isEmpty)
    }

    @Test("an ending of a person reaches a sign-in under way by a registration that nobody had linked yet")
    func endedBeforeTheLink() async throws {
        try await store.link(issuer: Self.issuer, subject: "ada", account: "o@t")
        _ = try await store.end(
            .person(issuer: Self.issuer, subject: "ada"), atSeconds: 2_000, once: nil)
        try await store.link(issuer: Self.issuer, subject: "ada-2", account: "o@t")
        try await store.link(issuer: Self.issuer, subject: "bob", account: "p@t")
        for (subject, ending) in [("ada", 2_000), ("ada-2", 2_000), ("bob", nil), ("cy", nil)]
            as [(String, Int64?)]
        {
            let late = Fixture.global("late", seed: 9, subject: subject)
            #expect(try await store.lastEnding(of: late)?.atSeconds == ending, "\(subject)")
        }
        var elsewhere = Fixture.global("late", seed: 9, subject: "ada-2")
        elsewhere.issuer = "https://other.example"
        #expect(try await store.lastEnding(of: elsewhere) == nil)
    }
}
