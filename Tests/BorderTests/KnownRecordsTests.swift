import Access
import Border
import Testing

@Suite("The records that reactors may still use")
struct KnownRecordsTests {
    static func record(
        _ digest: UInt8, session: String, person: String = "p", device: String? = nil,
        application: String = "wiki", until: Int64 = 900
    ) -> SessionRecord {
        var record = ValueTests.record
        record.tokenDigest = [digest]
        record.session = session
        record.person = person
        record.device = device
        record.application = application
        record.residual.validUntilSeconds = until
        record.streamsUntilSeconds = until
        return record
    }

    static func digests(_ records: KnownRecords) -> [[UInt8]] {
        records.all.map(\.tokenDigest).sorted { $0.lexicographicallyPrecedes($1) }
    }

    @Test func `a record that moved to another device is ended with that one, and not with the one before`() {
        var records = KnownRecords()
        records.keep(Self.record(1, session: "s", device: "old"), nowSeconds: 0)
        records.apply(.replace(Self.record(1, session: "s", device: "new")), nowSeconds: 0)
        records.apply(.endDevice("old"), nowSeconds: 0)
        #expect(records.count == 1)
        records.apply(.endDevice("new"), nowSeconds: 0)
        #expect(records.count == 0)
    }

    @Test func `a replacement of what is not known is not kept`() {
        var records = KnownRecords()
        records.apply(.replace(Self.record(1, session: "s")), nowSeconds: 0)
        #expect(records.count == 0)
    }

    @Test func `a record is forgotten at its end, and not a second before`() {
        var records = KnownRecords()
        records.keep(Self.record(1, session: "s", until: 900), nowSeconds: 0)
        records.forgetEnded(nowSeconds: 899)
        #expect(records.count == 1)
        records.forgetEnded(nowSeconds: 900)
        #expect(records.count == 0)
    }

    @Test(arguments: 1...40)
    func `what is left after any row of revocations is what a look at every record leaves`(
        _ seed: UInt64
    ) {
        var random = BinaryTests.Seeded(seed: seed)
        var records = KnownRecords()
        var model: [[UInt8]: SessionRecord] = [:]
        func name(_ kind: String) -> String { "\(kind)\(Int.random(in: 0..<4, using: &random))" }
        for step in 0..<200 {
            let record = Self.record(
                .random(in: 0..<24, using: &random), session: name("s"), person: name("p"),
                device: Bool.random(using: &random) ? name("d") : nil, application: name("a"),
                until: .random(in: 0..<100, using: &random))
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                let session = name("s")
                records.apply(.endSession(session), nowSeconds: 0)
                model = model.filter { $0.value.session != session }
            case 1:
                let person = name("p")
                records.apply(.endPerson(person), nowSeconds: 0)
                model = model.filter { $0.value.person != person }
            case 2:
                let device = name("d")
                records.apply(.endDevice(device), nowSeconds: 0)
                model = model.filter { $0.value.device != device }
            case 3:
                let application = name("a")
                records.apply(.endApplication(application), nowSeconds: 0)
                model = model.filter { $0.value.application != application }
            case 4:
                let now = Int64.random(in: 0..<100, using: &random)
                records.forgetEnded(nowSeconds: now)
                model = model.filter { $0.value.streamsUntilSeconds > now }
            case 5:
                records.apply(.replace(record), nowSeconds: 0)
                if model[record.tokenDigest] != nil { model[record.tokenDigest] = record }
                // What is open under another secret of the session goes on as long.
                for (digest, known) in model where known.session == record.session {
                    model[digest]?.streamsUntilSeconds = max(
                        known.streamsUntilSeconds, record.streamsUntilSeconds)
                }
            case _:
                records.keep(record, nowSeconds: 0)
                model[record.tokenDigest] = record
            }
            let expected = model.values.map { KnownRecord($0) }
            #expect(Set(records.all) == Set(expected), "seed \(seed), step \(step)")
        }
    }
}
