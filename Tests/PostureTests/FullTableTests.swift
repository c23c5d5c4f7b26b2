import Access
import Testing

@testable import Posture

@Suite("Tables of the handshake that are full")
struct FullTableTests {
    static func transaction(_ id: String, session: String, at seconds: Int64 = 0) -> Transaction {
        Transaction(
            id: id, globalSession: session, application: "wiki", returnPath: "/", agent: "agents",
            deviceOwner: .samePerson, startedAtSeconds: seconds)
    }

    static func challenge(_ transaction: String, until seconds: Int64 = 60) -> IssuedChallenge {
        IssuedChallenge(
            transaction: transaction, transactionHash: "h", challengeHash: "c", expiresAtSeconds: seconds)
    }

    static func nonce(_ number: Int) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }

    static func word(_ act: () throws(PostureRefusal) -> Void) -> Reason? {
        do throws(PostureRefusal) {
            try act()
            return nil
        } catch { return error.reason }
    }

    @Test("100,000 challenges: one more is refused, those that live count, and ended ones make room")
    func nonces() throws {
        var table = NonceTable()
        let count = NonceTable.countMax
        #expect(count == 100_000)
        for number in 0..<count {
            // Half of them end ten seconds later.
            try table.issue(
                Self.nonce(number), Self.challenge("t\(number)", until: number % 2 == 0 ? 60 : 70),
                nowSeconds: 0)
        }
        let another = Self.nonce(count)
        #expect(
            Self.word { () throws(PostureRefusal) in
                try table.issue(another, Self.challenge("new"), nowSeconds: 0)
            } == .overloaded)
        #expect(table.count == count)
        // Refusing cost nobody anything.
        #expect(try table.consume(Self.nonce(0), nowSeconds: 59).transaction == "t0")
        #expect(try table.consume(Self.nonce(count - 1), nowSeconds: 59).transaction == "t\(count - 1)")
        // The last second in which ended ones are kept, to be told from unknown ones.
        let kept = 60 + NonceTable.keptSeconds - 1
        #expect(
            Self.word { () throws(PostureRefusal) in
                try table.issue(another, Self.challenge("new", until: kept + 60), nowSeconds: kept)
            } == .overloaded)
        try table.issue(another, Self.challenge("new", until: kept + 61), nowSeconds: kept + 1)
        #expect(table.count == count / 2 + 1)
        #expect(try table.consume(another, nowSeconds: kept + 2).transaction == "new")
    }

    @Test("50,000 device checks: one more is refused, those that live count, and ended ones make room")
    func transactions() throws {
        var table = Transactions()
        let count = Transactions.countMax
        #expect(count == 50_000)
        for number in 0..<count {
            try table.start(
                Self.transaction("t\(number)", session: "s\(number)", at: number < count / 2 ? 0 : 10))
        }
        #expect(
            Self.word { () throws(PostureRefusal) in
                try table.start(Self.transaction("new", session: "new", at: 10))
            } == .overloaded)
        #expect(table.count == count)
        #expect(try table.find("t0", globalSession: "s0", nowSeconds: 599).id == "t0")
        #expect(
            Self.word { () throws(PostureRefusal) in
                try table.start(Self.transaction("new", session: "new", at: 599))
            } == .overloaded)
        try table.start(Self.transaction("new", session: "new", at: 600))
        #expect(table.count == count / 2 + 1)
        let last = "\(count - 1)"
        #expect(try table.find("t" + last, globalSession: "s" + last, nowSeconds: 609).id == "t" + last)
    }

    @Test("in a full table a session's sixth check takes its own oldest one's place, and nobody else's")
    func ownPlace() throws {
        var table = Transactions(countMax: 10)
        for number in 0..<5 { try table.start(Self.transaction("a\(number)", session: "a")) }
        for number in 0..<5 { try table.start(Self.transaction("b\(number)", session: "b")) }
        #expect(try table.start(Self.transaction("a5", session: "a")) == "a0")
        #expect(table.count == 10)
        for number in 0..<5 {
            #expect(try table.find("b\(number)", globalSession: "b", nowSeconds: 1).id == "b\(number)")
        }
        var nonces = NonceTable(countMax: 8)
        for number in 0..<8 {
            try nonces.issue(Self.nonce(number), Self.challenge("t\(number / 4)"), nowSeconds: 0)
        }
        try nonces.issue(Self.nonce(9), Self.challenge("t0"), nowSeconds: 0)
        #expect(nonces.count == 8)
        for number in 4..<8 {
            #expect(try nonces.consume(Self.nonce(number), nowSeconds: 1).transaction == "t1")
        }
        #expect(
            Self.word { () throws(PostureRefusal) in
                _ = try nonces.consume(Self.nonce(0), nowSeconds: 1)
            } == .nonceUnknown)
    }

    @Test("a flood from one session leaves room for every other one") func flood() throws {
        var table = Transactions(countMax: 50)
        var nonces = NonceTable(countMax: 200)
        for number in 0..<10_000 {
            let displaced = try table.start(Self.transaction("f\(number)", session: "flood"))
            if let displaced { nonces.remove(transaction: displaced) }
            for turn in 0..<5 {
                try nonces.issue(
                    Self.nonce(number * 5 + turn), Self.challenge("f\(number)"), nowSeconds: 0)
            }
        }
        #expect(table.count == 5 && nonces.count == 20)
        for number in 0..<45 {
            try table.start(Self.transaction("o\(number)", session: "o\(number)"))
            for turn in 0..<4 {
                try nonces.issue(
                    Self.nonce(100_000 + number * 4 + turn), Self.challenge("o\(number)"), nowSeconds: 0)
            }
        }
        #expect(table.count == 50 && nonces.count == 200)
    }
}
