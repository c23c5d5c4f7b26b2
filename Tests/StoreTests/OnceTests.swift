import Access
import Store
import Testing

@Suite("What may happen once happens once")
struct OnceTests {
    let folder: TemporaryFolder
    let store: SQLiteStore

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    @Test func `of fifty parallel uses of one nonce exactly one is accepted`() async throws {
        let accepted = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 {
                group.addTask { try await store.consumeNonce(Fixture.digest(1), expiresAtSeconds: 2_000) }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(accepted == 1)
    }

    @Test func `a consumed nonce stays consumed after a restart and in the second of its expiry`()
        async throws
    {
        #expect(try await store.consumeNonce(Fixture.digest(1), expiresAtSeconds: 2_000))
        try await store.removeExpired(nowSeconds: 2_000)
        await store.close()
        let again = try SQLiteStore(folder: folder.path)
        #expect(try await again.consumeNonce(Fixture.digest(1), expiresAtSeconds: 2_000) == false)
        try await again.removeExpired(nowSeconds: 2_001)
        #expect(try await again.consumeNonce(Fixture.digest(1), expiresAtSeconds: 2_000))
    }

    @Test func `of fifty parallel uses of one enrolment token exactly one gets it`() async throws {
        let token = EnrollmentToken(
            tokenDigest: Fixture.digest(7), issuer: "https://login.corp.example", subject: "ada",
            email: "ada@corp.example", expectedSerial: "SN-1", expiresAtSeconds: 2_000)
        try await store.insert(token)
        let redeemed = try await withThrowingTaskGroup(of: EnrollmentToken?.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await store.redeem(enrollmentTokenDigest: token.tokenDigest, nowSeconds: 1_999)
                }
            }
            return try await group.reduce(into: [EnrollmentToken]()) {
                if let token = $1 { $0.append(token) }
            }
        }
        #expect(redeemed == [token])
    }

    @Test func `an enrolment token is worthless exactly at its expiry`() async throws {
        let token = EnrollmentToken(
            tokenDigest: Fixture.digest(7), issuer: "i", subject: "s", expiresAtSeconds: 2_000)
        try await store.insert(token)
        #expect(try await store.redeem(enrollmentTokenDigest: token.tokenDigest, nowSeconds: 2_000) == nil)
        #expect(try await store.redeem(enrollmentTokenDigest: Fixture.digest(8), nowSeconds: 1_000) == nil)
    }
}

@Suite("Devices, verdicts and audit in the SQLite store")
struct RecordStoreTests {
    let folder: TemporaryFolder
    let store: SQLiteStore

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    @Test func `a device is found by its id and by each pinned id`() async throws {
        let device = Fixture.device("d1", pins: ["serial": "SN-1", "intune-device-id": "abc"])
        try await store.upsert(device)
        try await store.upsert(Fixture.device("d2"))
        #expect(try await store.device(id: "d1") == device)
        #expect(try await store.device(pinnedKind: "serial", value: "SN-1") == device)
        #expect(try await store.device(pinnedKind: "serial", value: "abc") == nil)
        #expect(try await store.device(id: "d3") == nil)
        #expect(try await store.devices().map(\.id) == ["d1", "d2"])
    }

    @Test func `an id that only looks the same takes the place of the one before`() async throws {
        try await store.upsert(Fixture.device("d1", pins: ["serial": "caf\u{e9}"]))
        try await store.upsert(Fixture.device("d1", pins: ["serial": "cafe\u{301}"]))
        let id = try await store.device(id: "d1")?.pinnedIDs["serial"]
        #expect(id.map { Array($0.utf8) } == Array("cafe\u{301}".utf8))
        try await store.upsert(Fixture.device("d1", pins: [:]))
        #expect(try await store.device(pinnedKind: "serial", value: "cafe\u{301}") == nil)
    }

    @Test func `an id pinned to one device is refused to another, which stays as it was`() async throws {
        try await store.upsert(Fixture.device("d1", pins: ["serial": "SN-1"]))
        try await store.upsert(Fixture.device("d2", pins: ["serial": "SN-2"]))
        let thief = Fixture.device("d2", pins: ["serial": "SN-1"])
        let error = await #expect(throws: StoreError.self) { try await store.upsert(thief) }
        #expect(error?.kind == .conflict)
        #expect(try await store.device(id: "d2")?.pinnedIDs == ["serial": "SN-2"])
    }

    @Test func `a revoked device stays revoked and a counter never goes back`() async throws {
        var device = Fixture.device("d1")
        device.isRevoked = true
        try await store.upsert(device)
        device.isRevoked = false
        device.counter = 4
        try await store.upsert(device)
        #expect(try await store.device(id: "d1")?.isRevoked == true)
        #expect(try await store.device(id: "d1")?.counter == 5)
    }

    @Test func `a revoked device gives its ids back, and a late write does not pin them again`() async throws
    {
        var device = Fixture.device("d1", pins: ["serial": "SN-1"])
        try await store.upsert(device)
        device.isRevoked = true
        try await store.upsert(device)
        #expect(try await store.device(pinnedKind: "serial", value: "SN-1") == nil)
        device.isRevoked = false
        try await store.upsert(device)
        #expect(try await store.device(id: "d1")?.pinnedIDs == [:])
        try await store.upsert(Fixture.device("d2", pins: ["serial": "SN-1"]))
        #expect(try await store.device(pinnedKind: "serial", value: "SN-1")?.id == "d2")
    }

    @Test func `a device that takes another's place revokes it and gets its ids in one step`() async throws {
        try await store.upsert(Fixture.device("d1", pins: ["serial": "SN-1", "entra-device-id": "old"]))
        try await store.upsert(Fixture.device("d2", pins: ["serial": "SN-1"]), superseding: "d1")
        let old = try await store.device(id: "d1")
        #expect(old?.isRevoked == true && old?.supersededBy == "d2" && old?.pinnedIDs == [:])
        #expect(try await store.device(id: "d2")?.pinnedIDs == ["serial": "SN-1"])
        await store.close()
        let again = try SQLiteStore(folder: folder.path)
        #expect(try await again.device(id: "d1")?.supersededBy == "d2")
    }

    static let refusals: [(String, @Sendable (inout StoredDevice) -> Void, String)] = [
        ("another subject", { $0.ownerSubject = "bob" }, "d1"),
        ("another issuer", { $0.ownerIssuer = "https://other.example" }, "d1"),
        ("a device that is not there", { _ in }, "d9"),
        ("a device that was revoked before", { _ in }, "revoked"),
        ("an id of a third device", { $0.pinnedIDs["entra-device-id"] = "third" }, "d1"),
    ]

    @Test(arguments: 0..<5) func `a place that is not free is refused and nothing changes`(_ index: Int)
        async throws
    {
        let (what, change, target) = Self.refusals[index]
        try await store.upsert(Fixture.device("d1", pins: ["serial": "SN-1"]))
        try await store.upsert(Fixture.device("d3", pins: ["entra-device-id": "third"]))
        var revoked = Fixture.device("revoked")
        revoked.isRevoked = true
        try await store.upsert(revoked)
        let before = try await store.devices()
        var device = Fixture.device("d2", pins: ["serial": "SN-1"])
        change(&device)
        let fresh = device
        let error = await #expect(throws: StoreError.self, "\(what)") {
            try await store.upsert(fresh, superseding: target)
        }
        #expect(error?.kind == .conflict, "\(what)")
        #expect(try await store.devices() == before, "\(what)")
    }

    @Test func `audit records come newest first and keep their order`() async throws {
        for index in 0..<5 {
            try await store.appendAudit(kind: "session-revoked", atSeconds: 7, json: "{\"n\":\(index)}")
        }
        let records = try await store.audit(limit: 3)
        #expect(records.map(\.json) == ["{\"n\":4}", "{\"n\":3}", "{\"n\":2}"])
        #expect(records[0].sequence > records[1].sequence)
    }
}
