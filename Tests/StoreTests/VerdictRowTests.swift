import Access
import Testing

@testable import Store

@Suite("Verdicts as bytes and as rows")
struct VerdictRowTests {
    let folder: TemporaryFolder
    let store: SQLiteStore

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    private static func packed(_ verdict: Verdict) -> Verdict? {
        PackedVerdict(verdict).unpacked(integration: verdict.integration)
    }

    @Test("every member comes back as it was, over a thousand random verdicts")
    func roundTrip() {
        for seed in 0..<1_000 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let verdict = Fixture.random(&random)
            #expect(Self.packed(verdict) == verdict, "seed \(seed)")
            let record = PackedVerdict(verdict)
            #expect(record.head.state == verdict.state && record.nativeID == verdict.nativeID, "seed \(seed)")
            #expect(record.head.observedAtSeconds == verdict.observedAtSeconds, "seed \(seed)")
            #expect(record.head.fetchedAtSeconds == verdict.fetchedAtSeconds, "seed \(seed)")
            #expect(record.head.expiresAtSeconds == verdict.expiresAtSeconds, "seed \(seed)")
            #expect(record.head.graceUntilSeconds == verdict.graceUntilSeconds, "seed \(seed)")
            #expect(
                record.isAbout(verdict.nativeID) && !record.isAbout(verdict.nativeID + "x"), "seed \(seed)")
        }
    }

    @Test("001.25 which call said it costs some twenty bytes a record")
    func provenance() {
        var verdict = Fixture.verdict("a")
        let before = PackedVerdict(verdict).bytes.count
        verdict.provenance = Verdict.Provenance(
            transport: .apiPoll, endpoint: "/v1.0/deviceManagement/managedDevices",
            requestID: "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11")
        let packed = PackedVerdict(verdict)
        print("measured: \(before) bytes a record without its call, \(packed.bytes.count) with it")
        #expect(packed.bytes.count - before == 20)
        #expect(Self.packed(verdict) == verdict)
        // Cut anywhere, it is damage and nothing else.
        for end in before..<packed.bytes.count {
            #expect(PackedVerdict(bytes: Array(packed.bytes[..<end])) == nil, "\(end)")
        }
    }

    @Test("every word of every enumeration has its place in the format")
    func words() {
        for state in Verdict.State.allCases {
            var verdict = Fixture.verdict("a")
            verdict.state = state
            #expect(Self.packed(verdict)?.state == state)
        }
        for strength in Verdict.Strength.allCases {
            var verdict = Fixture.verdict("a")
            verdict.matchStrength = strength
            #expect(Self.packed(verdict)?.matchStrength == strength)
        }
        for risk in Verdict.Risk.allCases {
            var verdict = Fixture.verdict("a")
            verdict.risk = risk
            #expect(Self.packed(verdict)?.risk == risk)
        }
        for transport in Verdict.Provenance.Transport.allCases {
            var verdict = Fixture.verdict("a")
            verdict.provenance = Verdict.Provenance(transport: transport, endpoint: "/devices")
            #expect(Self.packed(verdict)?.provenance == verdict.provenance)
        }
        for state in Verdict.Check.State.allCases {
            var verdict = Fixture.verdict("a")
            verdict.checks = [Verdict.Check(id: "c", title: "", state: state)]
            #expect(Self.packed(verdict)?.checks == verdict.checks)
        }
    }

    @Test("sentences that everybody gets are not kept, and come back; others are")
    func standardRemedies() {
        var verdict = Fixture.verdict("a")
        verdict.remedies = ["Do this."]
        let lean = PackedVerdict(verdict, standardRemedies: ["Do this."])
        #expect(lean.bytes.count < PackedVerdict(verdict).bytes.count)
        #expect(PackedVerdict(bytes: lean.bytes) != nil)
        let back = lean.unpacked(integration: "intune") { state, provider in
            state == .compliant && provider == "intune" ? ["Do this."] : ["wrong"]
        }
        #expect(back == verdict)
        let other = PackedVerdict(verdict, standardRemedies: ["Do that."])
        #expect(other.unpacked(integration: "intune") { _, _ in ["wrong"] } == verdict)
        verdict.remedies = []
        let none = PackedVerdict(verdict, standardRemedies: [])
        #expect(none.unpacked(integration: "intune") { _, _ in ["wrong"] } == verdict)
    }

    @Test("a record takes no more memory than its bytes, whatever their number")
    func capacity() {
        for length in 0..<700 {
            var verdict = Fixture.verdict("a")
            verdict.rawState = String(repeating: "x", count: length)
            let bytes = PackedVerdict(verdict).bytes
            // What the allocator rounds up to.
            #expect(bytes.capacity - bytes.count < 32, "\(bytes.count) bytes")
        }
    }

    @Test("names of machines and people are written short, and read as they were written before")
    func shortKeys() throws {
        let owner = "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"
        var verdict = Fixture.verdict("a")
        verdict.matchKey = "serial=S;other-names=x;owner=\(owner)"
        let long = PackedVerdict(verdict)
        verdict.matchKey = "serial=S;device-name=x;owner=\(owner)"
        let short = PackedVerdict(verdict)
        // The word and its sign: one byte in place of a mark, a length and themselves.
        #expect(long.bytes.count - short.bytes.count == "device-name=".utf8.count)
        #expect(Self.packed(verdict)?.matchKey == verdict.matchKey)
        #expect(short.names()?.keys.last == .init(word: "owner", value: owner))
        // A word of as many letters that has no short form: so was this one written before it had one.
        let text = Array("other-names=x".utf8)
        let place = try #require(
            long.bytes.indices.first { long.bytes[$0...].starts(with: text) })
        var old = long.bytes
        old.replaceSubrange(place..<(place + text.count), with: Array("device-name=x".utf8))
        let read = try #require(PackedVerdict(bytes: old))
        #expect(read.names() == short.names())
        #expect(read.unpacked(integration: "intune") == short.unpacked(integration: "intune"))
    }

    @Test("bytes that are cut short, longer, or of another layout are refused")
    func damage() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<50 {
            let bytes = PackedVerdict(Fixture.random(&random)).bytes
            #expect(PackedVerdict(bytes: bytes) != nil)
            for length in bytes.indices { #expect(PackedVerdict(bytes: Array(bytes[..<length])) == nil) }
            #expect(PackedVerdict(bytes: bytes + [0]) == nil)
            var other = bytes
            other[0] = PackedVerdict.version + 1
            #expect(PackedVerdict(bytes: other) == nil)
        }
    }

    @Test("one flipped byte is refused or read as another verdict, and never a trap")
    func flips() {
        var random = SeededGenerator(seed: 11)
        let bytes = PackedVerdict(Fixture.random(&random)).bytes
        for index in bytes.indices {
            for bit in 0..<8 {
                var other = bytes
                other[index] ^= 1 << UInt8(bit)
                if let record = PackedVerdict(bytes: other) {
                    #expect(record.unpacked(integration: "intune") != nil)
                }
            }
        }
    }

    @Test("names are what unpacking finds, and bytes that do not unpack have none, over random damage")
    func names() throws {
        for seed in 0..<400 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let verdict = Fixture.random(&random)
            let record = PackedVerdict(verdict)
            let names = try #require(record.names(), "seed \(seed)")
            #expect(names.labels == verdict.labels, "seed \(seed)")
            let keys = names.keys.map { $0.value.isEmpty ? $0.word : "\($0.word)=\($0.value)" }
            #expect(keys.joined(separator: ";") == verdict.matchKey, "seed \(seed)")
            for _ in 0..<50 {
                var bytes = record.bytes
                bytes[Int.random(in: bytes.indices, using: &random)] = .random(in: 0...255, using: &random)
                let isReadable = PackedVerdict(unchecked: bytes).unpacked(integration: "intune") != nil
                #expect((PackedVerdict(bytes: bytes) != nil) == isReadable, "seed \(seed)")
            }
        }
    }

    @Test("the later verdict of one device wins")
    func later() async throws {
        try await store.upsert([VerdictRow(Fixture.verdict("a", fetched: 100))], of: "intune")
        try await store.upsert([VerdictRow(Fixture.verdict("a", fetched: 200))], of: "intune")
        #expect(try await store.verdicts(integration: "intune") == [Fixture.verdict("a", fetched: 200)])
    }

    @Test("pages begin behind the last one and end with what is there")
    func pages() async throws {
        let all = ["a", "b", "c", "d", "e"].map { VerdictRow(Fixture.verdict($0)) }
        try await store.upsert(all, of: "intune")
        try await store.upsert([VerdictRow(Fixture.verdict("b", integration: "other"))], of: "other")
        #expect(try await store.verdictRows(of: "intune", after: nil, limit: 2) == Array(all[..<2]))
        #expect(try await store.verdictRows(of: "intune", after: "b", limit: 2) == Array(all[2..<4]))
        #expect(try await store.verdictRows(of: "intune", after: "d", limit: 2) == Array(all[4...]))
        #expect(try await store.verdictRows(of: "intune", after: "e", limit: 2).isEmpty)
    }

    @Test("one verdict is read by its provider's id, and by no other name")
    func single() async throws {
        try await store.upsert(["a", "b"].map { VerdictRow(Fixture.verdict($0)) }, of: "intune")
        try await store.upsert([VerdictRow(Fixture.verdict("c", integration: "other"))], of: "other")
        #expect(
            try await store.verdictRow(of: "intune", nativeID: "a") == VerdictRow(Fixture.verdict("a")))
        for absent in ["c", "A", "", "a\u{0}", "%"] {
            #expect(try await store.verdictRow(of: "intune", nativeID: absent) == nil, "\(absent)")
        }
    }

    @Test("an id with a NUL byte is no other record's: nothing is written, read or removed under it")
    func namesWithNUL() async throws {
        let known = VerdictRow(Fixture.verdict("a"))
        try await store.upsert([known], of: "intune")
        var foreign = VerdictRow(Fixture.verdict("b"))
        for name in ["a\u{0}", "a\u{0}b", "\u{0}"] {
            foreign.nativeID = name
            await #expect(throws: StoreError.self) {
                try await store.upsert([VerdictRow(Fixture.verdict("c")), foreign], of: "intune")
            }
            #expect(try await store.verdictRow(of: "intune", nativeID: name) == nil)
            try await store.removeVerdicts([name], of: "intune")
        }
        #expect(try await store.verdictRows(of: "intune", after: nil, limit: 9) == [known])
    }

    @Test("what is removed is gone, of its integration only")
    func removal() async throws {
        for name in ["intune", "other"] {
            try await store.upsert([VerdictRow(Fixture.verdict("a", integration: name))], of: name)
        }
        try await store.removeVerdicts(["a", "never there"], of: "intune")
        #expect(try await store.verdicts(integration: "intune").isEmpty)
        #expect(try await store.verdicts(integration: "other").count == 1)
    }

    @Test("the state of a synchronisation belongs to its integration")
    func states() async throws {
        let state = SyncState(
            integration: "intune", completedAtSeconds: 500, deltaLink: "https://graph/delta")
        try await store.upsert(state)
        #expect(try await store.syncState(integration: "intune") == state)
        #expect(try await store.syncState(integration: "other") == nil)
    }
}
