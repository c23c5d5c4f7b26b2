import Access
import Foundation
import GRDB
import Testing

@testable import Store

@Suite("What was ended by names from outside, as a sign-in under way asks for it")
struct NamedEndingTests {
    let folder: TemporaryFolder
    let store: SQLiteStore

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    static let issuer = "https://login.corp.example"

    /// Ada's, which her provider calls s-1, made with the token j-1 of the tenant t-1.
    private static func signIn(_ change: (inout StoredSession) -> Void = { _ in }) -> StoredSession {
        var session = Fixture.global("a", seed: 1)
        session.claims = ["sid": .text("s-1"), "tid": .text("t-1"), "uti": .text("u-1")]
        session.claims.merge(StoredSession.tokenClaims(id: "j-1")) { $1 }
        change(&session)
        return session
    }

    private static let unnamed = signIn { $0.claims = [:] }

    private static func token(_ id: String, of issuer: String = issuer) -> SignInNames.Token {
        SignInNames.Token(issuer: issuer, id: id)
    }

    private static func person(_ subject: String, of issuer: String = issuer) -> SignInNames.Person {
        .identity(issuer: issuer, subject: subject)
    }

    struct Case: CustomTestStringConvertible {
        var testDescription: String
        var names: SignInNames
        var isMeant: Bool
        /// The same, where the provider told none of these names.
        var isUnnamedMeant: Bool

        init(_ what: String, _ names: SignInNames, _ isMeant: Bool, unnamed: Bool) {
            testDescription = what
            self.names = names
            self.isMeant = isMeant
            isUnnamedMeant = unnamed
        }
    }

    private static let ada = person("ada")
    private static let table: [Case] = [
        Case("the person", SignInNames(persons: [ada]), true, unnamed: true),
        Case("somebody else", SignInNames(persons: [person("bob")]), false, unnamed: false),
        Case("in other letters", SignInNames(persons: [person("Ada")]), false, unnamed: false),
        Case(
            "the same subject of another issuer",
            SignInNames(persons: [person("ada", of: "https://other.example")]), false, unnamed: false),
        Case("the address", SignInNames(persons: [.email("ada@corp.example")]), true, unnamed: true),
        Case("another address", SignInNames(persons: [.email("bob@corp.example")]), false, unnamed: false),
        Case(
            "any of several persons", SignInNames(persons: [person("bob"), .email("ada@corp.example")]), true,
            unnamed: true),
        Case("the session", SignInNames(sessions: ["s-1"]), true, unnamed: false),
        Case("another session", SignInNames(sessions: ["s-2"]), false, unnamed: false),
        Case("any of several sessions", SignInNames(sessions: ["s-2", "s-1"]), true, unnamed: false),
        Case("the token", SignInNames(tokens: [token("j-1")]), true, unnamed: false),
        Case("the token as Entra calls it", SignInNames(tokens: [token("u-1")]), true, unnamed: false),
        Case("another token", SignInNames(tokens: [token("j-2")]), false, unnamed: false),
        Case(
            "the token's id of another issuer",
            SignInNames(tokens: [token("j-1", of: "https://other.example")]),
            false, unnamed: false),
        Case(
            "another session, but the token", SignInNames(sessions: ["s-2"], tokens: [token("j-1")]), true,
            unnamed: false),
        Case("the tenant", SignInNames(tenants: ["t-1"]), true, unnamed: false),
        Case("another tenant", SignInNames(tenants: ["t-2"]), false, unnamed: false),
        Case(
            "the person's session: where it is not known which it is, it may be the one",
            SignInNames(persons: [ada], sessions: ["s-1"]), true, unnamed: true),
        Case(
            "another session of the person", SignInNames(persons: [ada], sessions: ["s-2"]), false,
            unnamed: true),
        Case(
            "another token of the person", SignInNames(persons: [ada], tokens: [token("j-2")]), false,
            unnamed: true),
        Case(
            "the person in another tenant", SignInNames(persons: [ada], tenants: ["t-2"]), false,
            unnamed: true),
        Case(
            "somebody else's session of that name", SignInNames(persons: [person("bob")], sessions: ["s-1"]),
            false, unnamed: false),
        Case(
            "the session in another tenant", SignInNames(sessions: ["s-1"], tenants: ["t-2"]), false,
            unnamed: false),
        Case(
            "the token in its tenant", SignInNames(tokens: [token("j-1")], tenants: ["t-1"]), true,
            unnamed: false),
    ]

    @Test("exactly what was meant has ended, and the latest time counts", arguments: table)
    func meant(_ c: Case) async throws {
        try await store.noteEnding(of: c.names, atSeconds: 3_000)
        try await store.noteEnding(of: c.names, atSeconds: 2_000)
        #expect(try await store.lastEnding(of: Self.signIn())?.atSeconds == (c.isMeant ? 3_000 : nil))
        #expect(try await store.lastEnding(of: Self.unnamed)?.atSeconds == (c.isUnnamedMeant ? 3_000 : nil))
        // By the same rule by which sessions are found that there are.
        #expect(c.names.covers(Self.signIn()) == c.isMeant)
        #expect(c.names.covers(Self.unnamed) == c.isUnnamedMeant)
    }

    @Test("no names end nothing")
    func none() async throws {
        try await store.noteEnding(of: SignInNames(), atSeconds: 2_000)
        #expect(try await store.lastEnding(of: Self.signIn()) == nil)
    }

    @Test("of two endings by one name each is judged by what else it named")
    func several() async throws {
        try await store.noteEnding(of: SignInNames(persons: [Self.ada], sessions: ["s-1"]), atSeconds: 2_000)
        try await store.noteEnding(of: SignInNames(persons: [Self.ada], sessions: ["s-2"]), atSeconds: 3_000)
        #expect(try await store.lastEnding(of: Self.signIn())?.atSeconds == 2_000)
        #expect(
            try await store.lastEnding(of: Self.signIn { $0.claims["sid"] = .text("s-2") })?.atSeconds
                == 3_000)
    }

    @Test("a person who was ended by one name is found by another that is linked to it only afterwards")
    func linkedLater() async throws {
        try await store.noteEnding(of: SignInNames(persons: [Self.person("other")]), atSeconds: 2_000)
        #expect(try await store.lastEnding(of: Self.signIn()) == nil)
        for subject in ["other", "ada"] {
            try await store.link(issuer: Self.issuer, subject: subject, account: "o@t")
        }
        #expect(try await store.lastEnding(of: Self.signIn())?.atSeconds == 2_000)
    }

    @Test("names that run into each other are not the same")
    func separated() async throws {
        let names = SignInNames(persons: [Self.person("da", of: Self.issuer + "a")])
        try await store.noteEnding(of: names, atSeconds: 2_000)
        let quoted = SignInNames(tokens: [Self.token("\",\"j-1")])
        try await store.noteEnding(of: quoted, atSeconds: 2_000)
        #expect(try await store.lastEnding(of: Self.signIn()) == nil)
    }

    @Test("it is remembered for an hour: exactly at it still, one second past it no longer")
    func forgotten() async throws {
        try await store.noteEnding(of: SignInNames(persons: [Self.ada]), atSeconds: 2_000)
        try await store.removeExpired(nowSeconds: 2_000 + EndingRows.rememberedSeconds)
        #expect(try await store.lastEnding(of: Self.signIn())?.atSeconds == 2_000)
        try await store.removeExpired(nowSeconds: 2_001 + EndingRows.rememberedSeconds)
        #expect(try await store.lastEnding(of: Self.signIn()) == nil)
    }

    @Test("a row that cannot be read is an error, and no reason to let somebody in")
    func unreadable() async throws {
        try await store.sessionsFile.write { db in
            try db.execute(
                sql: "INSERT INTO endings (kind, owner, name, at) VALUES ('named-session', 's-1', '{', 2000)")
        }
        await #expect(throws: StoreError.self) { try await store.lastEnding(of: Self.signIn()) }
    }

    @Test("of several endings by different names the latest counts, whichever name it was by")
    func latest() async throws {
        let all = [
            SignInNames(persons: [Self.ada]), SignInNames(persons: [.email("ada@corp.example")]),
            SignInNames(persons: [Self.ada], sessions: ["s-1"]), SignInNames(sessions: ["s-1"]),
            SignInNames(tokens: [Self.token("j-1")]), SignInNames(tenants: ["t-1"]),
        ]
        for last in all.indices {
            let own = try NamedEndingTests()
            for (index, names) in all.enumerated() {
                try await own.store.noteEnding(of: names, atSeconds: index == last ? 3_000 : 2_000)
            }
            #expect(try await own.store.lastEnding(of: Self.signIn())?.atSeconds == 3_000, "\(last)")
        }
    }

    struct NewName: CustomTestStringConvertible {
        var testDescription: String
        var names: SignInNames
        var change: @Sendable (inout StoredSession) -> Void
    }

    static let newNames = [
        NewName(testDescription: "its session", names: SignInNames(sessions: ["s-2"])) {
            $0.claims["sid"] = .text("s-2")
        },
        NewName(testDescription: "its token", names: SignInNames(tokens: [token("j-2")])) {
            $0.claims[StoredSession.tokenClaim] = .text("j-2")
        },
        NewName(testDescription: "its tenant", names: SignInNames(tenants: ["t-2"])) {
            $0.claims["tid"] = .text("t-2")
        },
        NewName(testDescription: "the person", names: SignInNames(persons: [.email("ada@new.example")])) {
            $0.email = "ada@new.example"
        },
    ]

    @Test(
        "a refresh that brings a name which was ended since it was asked is refused, and before that it is not",
        arguments: newNames)
    func refreshed(_ c: NewName) async throws {
        // Which of the two was first is counted: whatever the clock says of them, it may have gone back or ahead.
        for ended in [0, 1_499, 1_500, 1_510, 1_511, 90_000] as [Int64] {
            for isFirst in [true, false] {
                let own = try NamedEndingTests()
                let old = Self.signIn()
                try await own.store.insert(old)
                if isFirst { try await own.store.noteEnding(of: c.names, atSeconds: ended) }
                let asked = StoredRefresh(
                    sessionID: "a", provider: "corp", sealedToken: "first", dueAtSeconds: 1_500,
                    refreshedAtSeconds: 600, unansweredSinceSeconds: 1_500,
                    endingsKnown: try await own.store.endingCount())
                try await own.store.keep(asked)
                if !isFirst { try await own.store.noteEnding(of: c.names, atSeconds: ended) }
                var answered = asked
                answered.refreshedAtSeconds = 1_510
                answered.unansweredSinceSeconds = nil
                var new = old
                c.change(&new)
                let change = SessionChange(old, new)
                let replaced = try await own.store.replace(asked, with: answered, sessions: [change])
                #expect(replaced == (isFirst ? .done : .sessionEnded), "\(ended)")
                #expect(try await own.store.session(id: "a") == (isFirst ? new : old))
            }
        }
    }

    @Test("one that was asked before endings were counted is refused by every ending of its new names")
    func uncounted() async throws {
        for isEnded in [true, false] {
            let own = try NamedEndingTests()
            let old = Self.signIn()
            try await own.store.insert(old)
            let asked = StoredRefresh(
                sessionID: "a", provider: "corp", sealedToken: "first", dueAtSeconds: 1_500,
                refreshedAtSeconds: 600, unansweredSinceSeconds: 1_500)
            try await own.store.keep(asked)
            let name = isEnded ? "new" : "other"
            try await own.store.noteEnding(
                of: SignInNames(persons: [.email("\(name)@corp.example")]), atSeconds: 1_000)
            var new = old
            new.email = "new@corp.example"
            var answered = asked
            answered.unansweredSinceSeconds = nil
            let replaced = try await own.store.replace(
                asked, with: answered, sessions: [SessionChange(old, new)])
            #expect(replaced == (isEnded ? .sessionEnded : .done))
        }
    }
}
