import Access
import Store
import Testing

@Suite("The store compares names byte for byte")
struct ExactTextTests {
    static let composed = "caf\u{e9}"
    static let decomposed = "cafe\u{301}"
    let folder: TemporaryFolder
    let store: SQLiteStore

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    @Test func `devices, pins and owners of equivalent names are different ones`() async throws {
        var first = Fixture.device(Self.composed, pins: ["tanium-computer-id": Self.composed])
        first.ownerSubject = Self.composed
        try await store.upsert(first)
        #expect(try await store.device(id: Self.decomposed) == nil)
        #expect(try await store.device(pinnedKind: "tanium-computer-id", value: Self.decomposed) == nil)
        try await store.upsert(Fixture.device(Self.decomposed, pins: ["tanium-computer-id": Self.decomposed]))
        #expect(try await store.devices().count == 2)
        var successor = Fixture.device("next")
        successor.ownerSubject = Self.decomposed
        let fresh = successor
        let error = await #expect(throws: StoreError.self) {
            try await store.upsert(fresh, superseding: Self.composed)
        }
        #expect(error?.kind == .conflict)
    }

    @Test func `sessions of equivalent subjects and issuers belong to different people`() async throws {
        var session = Fixture.global("g1", seed: 1, subject: Self.composed)
        session.issuer = "https://\(Self.composed).example"
        try await store.insert(session)
        func count(_ issuer: String, _ subject: String) async throws -> Int {
            try await store.sessions(.person(issuer: issuer, subject: subject), limit: 10).count
        }
        #expect(try await count(session.issuer, Self.composed) == 1)
        #expect(try await count(session.issuer, Self.decomposed) == 0)
        #expect(try await count("https://\(Self.decomposed).example", Self.composed) == 0)
    }

    @Test func `verdicts of equivalent native ids and integrations are kept apart`() async throws {
        try await store.upsert(
            [VerdictRow(Fixture.verdict(Self.composed)), VerdictRow(Fixture.verdict(Self.decomposed))],
            of: "intune")
        try await store.upsert(
            [VerdictRow(Fixture.verdict("n", integration: Self.composed))], of: Self.composed)
        #expect(try await store.verdicts(integration: "intune").count == 2)
        #expect(try await store.verdicts(integration: Self.decomposed).isEmpty)
        try await store.removeVerdicts([Self.decomposed], of: "intune")
        let left = try await store.verdicts(integration: "intune").map(\.nativeID)
        #expect(left.count == 1 && left[0].utf8.elementsEqual(Self.composed.utf8))
    }
}
