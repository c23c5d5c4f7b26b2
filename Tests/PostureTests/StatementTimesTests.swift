import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

@Suite("The newest statement about a device counts, older ones do not although they have not ended")
struct StatementTimesTests {
    static func stated(_ age: Int64, counter: Int64, managed: Bool = true) -> ModeSetting.Answer {
        var answer = ModeSetting.stated {
            $0["iat"] = .integer(ModeSetting.now - age)
            $0["managed"] = .bool(managed)
        }
        answer.counter = counter
        return answer
    }

    @Test("the same one counts as often as it comes, one second older is refused and told")
    func older() async throws {
        let setting = try ModeSetting()
        #expect(try await setting.refusal(Self.stated(60, counter: 1)) == nil)
        #expect(try await setting.refusal(Self.stated(60, counter: 2)) == nil)
        let refusal = try await setting.refusal(Self.stated(61, counter: 3))
        #expect(refusal?.reason == .statementExpired && refusal?.isAlert == true)
        #expect(try await setting.refusal(Self.stated(59, counter: 4)) == nil)
        #expect(try await setting.refusal(Self.stated(60, counter: 5))?.reason == .statementExpired)
    }

    @Test("what a newer one took back at first sight stays taken back, also after a restart")
    func takenBack() async throws {
        let setting = try ModeSetting()
        // Never seen before, and not managed any more: no device is kept, but its word is.
        let first = try await setting.refusal(Self.stated(10, counter: 1, managed: false))
        #expect(first?.reason == .deviceNotManaged)
        let second = try await setting.refusal(Self.stated(3_000, counter: 2))
        #expect(second?.reason == .statementExpired)
        try await setting.service.load()
        let third = try await setting.refusal(Self.stated(3_000, counter: 3))
        #expect(third?.reason == .statementExpired)
        #expect(try await setting.refusal(Self.stated(9, counter: 4)) == nil)
    }

    @Test("who has only a statement and not the key moves nothing") func unproven() async throws {
        let setting = try ModeSetting()
        var thief = Self.stated(5, counter: 1)
        thief.signer = .generateP256()
        #expect(try await setting.refusal(thief)?.reason == .signatureInvalid)
        #expect(try await setting.refusal(Self.stated(60, counter: 2)) == nil)
    }

    @Test("a store that cannot remember the newer one refuses the proof, and the next one tries again")
    func storeFails() async throws {
        let setting = try ModeSetting()
        await setting.store.failDeviceWrites(true)
        #expect(try await setting.refusal(Self.stated(60, counter: 1))?.reason == .storeUnavailable)
        #expect(try await setting.store.statementTimes().isEmpty)
        await setting.store.failDeviceWrites(false)
        #expect(try await setting.refusal(Self.stated(60, counter: 2)) == nil)
        #expect(try await setting.store.statementTimes().values.sorted() == [ModeSetting.now - 60])
    }

    @Test("a time is kept until every older statement has ended, and not for long after")
    func bounded() throws {
        var times = StatementTimes()
        let now = ModeSetting.now
        for number in 0..<1_000 {
            try times.take(now, of: "statement:agents:d\(number)", nowSeconds: now)
        }
        #expect(times.count == 1_000)
        try times.take(now + 86_399, of: "one", nowSeconds: now + 86_399)
        #expect(times.count == 1_001)
        #expect(throws: PostureRefusal.self) {
            try times.take(now - 1, of: "statement:agents:d7", nowSeconds: now + 86_398)
        }
        try times.take(now + 90_000, of: "two", nowSeconds: now + 90_000)
        #expect(times.count == 2)
    }

    @Test("the store keeps the newest time of each device and forgets it when it is a day old")
    func stored() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore(folder: folder.path + "/store")
        for issued: Int64 in [1_000, 3_000, 2_000] {
            try await store.noteStatement(ofDevice: "a", issuedAtSeconds: issued)
        }
        try await store.noteStatement(ofDevice: "A", issuedAtSeconds: 10)
        #expect(try await store.statementTimes() == ["a": 3_000, "A": 10])
        try await store.removeExpired(nowSeconds: 86_400 + 2_999)
        #expect(try await store.statementTimes() == ["a": 3_000])
        try await store.removeExpired(nowSeconds: 86_400 + 3_000)
        #expect(try await store.statementTimes().isEmpty)
        await store.close()
    }
}
