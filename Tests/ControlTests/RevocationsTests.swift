import Access
import Border
import Testing

@testable import Control

@Suite("Revocations are numbered, and nothing older is laid over them")
struct RevocationsTests {
    private let reactors = RecordingReactors()

    private func record(
        _ session: String = "s", sequence: UInt64 = 0, digest: UInt8 = 1, device: String? = nil,
        renewAt: Int64 = 60
    ) -> SessionRecord {
        let residual = Residual(
            policyIdentity: "p", isSignedIn: true, validUntilSeconds: 100, policies: [],
            refusal: .policyBlocks,
            dependsOn: [])
        var record = SessionRecord(
            sequence: sequence, tokenDigest: [UInt8](repeating: digest, count: 32), session: session,
            person: "i s",
            device: device, application: "wiki", residual: residual, identityFields: [],
            expiresAtSeconds: 1_000)
        record.renewAtSeconds = renewAt
        return record
    }

    private func fresh(_ revocations: Revocations, digest: UInt8 = 1, at now: Int64 = 0) -> SessionRecord? {
        revocations.fresh([UInt8](repeating: digest, count: 32), application: "wiki", nowSeconds: now)
    }

    @Test func `sequences grow by one`() {
        let revocations = Revocations(reactors: reactors)
        revocations.send([.endSession("a"), .endPerson("b")])
        revocations.send([.endDevice("c")])
        #expect(reactors.revocations.map(\.sequence) == [1, 2, 3])
        #expect(revocations.sequence == 3)
    }

    @Test func `a record loaded before its session was touched replaces nothing`() {
        let revocations = Revocations(reactors: reactors)
        let early = revocations.sequence
        #expect(revocations.send([.replace(record(sequence: early))]).isEmpty)
        #expect(revocations.send([.replace(record(sequence: early))]) == ["s"])
        #expect(reactors.revocations.count == 1)
        #expect(revocations.send([.replace(record(sequence: revocations.sequence))]).isEmpty)
        #expect(reactors.revocations.count == 2)
    }

    @Test("a record is overtaken by the end of what it belongs to, and by nothing else")
    func overtaken() {
        let effects: [(Revocation.Effect, Bool)] = [
            (.endSession("s"), true), (.endSession("other"), false), (.endPerson("x"), true),
            (.endDevice("x"), true), (.endApplication("x"), true),
            (.replace(record("other", sequence: 9)), false),
        ]
        for (effect, isOvertaken) in effects {
            let revocations = Revocations(reactors: reactors)
            let early = revocations.sequence
            revocations.send([effect])
            #expect(revocations.send([.replace(record(sequence: early))]).isEmpty != isOvertaken, "\(effect)")
        }
    }

    @Test func `devices are open while a session on them lasts, and not one second longer`() {
        let revocations = Revocations(reactors: reactors)
        revocations.send([
            .replace(record("a", digest: 1, device: "d1")), .replace(record("b", digest: 2, device: "d2")),
            .replace(record("c", digest: 3)),
        ])
        #expect(revocations.open(nowSeconds: 999).devices == ["d1", "d2"])
        #expect(revocations.open(nowSeconds: 999).people.count == 1)
        let later = revocations.open(nowSeconds: 1_000)
        #expect(later.devices.isEmpty && later.people.isEmpty)
        revocations.send([.endSession("a")])
        #expect(revocations.open(nowSeconds: 0).devices == ["d2"])
    }

    @Test func `two tokens of one session are replaced together`() {
        let revocations = Revocations(reactors: reactors)
        let both = [record(digest: 1), record(digest: 2)]
        #expect(revocations.send(both.map { .replace($0) }).isEmpty)
        #expect(reactors.revocations.count == 2)
    }

    @Test func `a record made while its session ended is not kept for others`() {
        let revocations = Revocations(reactors: reactors)
        let early = record(sequence: revocations.sequence)
        revocations.send([.endSession("s")])
        revocations.keep(early, nowSeconds: 0)
        #expect(fresh(revocations) == nil)
        revocations.keep(record(sequence: revocations.sequence), nowSeconds: 0)
        #expect(fresh(revocations) != nil)
    }

    @Test func `a kept record is as good as one loaded now`() {
        let revocations = Revocations(reactors: reactors)
        revocations.keep(record(), nowSeconds: 0)
        revocations.send([.endSession("other")])
        #expect(fresh(revocations)?.sequence == 1)
    }

    @Test("a kept record is handed out until its renewal is due, and no longer")
    func renewalDue() {
        let revocations = Revocations(reactors: reactors)
        revocations.keep(record(renewAt: 60), nowSeconds: 0)
        #expect(fresh(revocations, at: 59) != nil)
        #expect(fresh(revocations, at: 60) == nil)
        revocations.keep(record(renewAt: 5_000), nowSeconds: 0)
        #expect(fresh(revocations, at: 99) != nil)
        #expect(fresh(revocations, at: 100) == nil)
    }

    @Test("what ends is forgotten: by session, person, device, application")
    func forgotten() {
        for effect: Revocation.Effect in [
            .endSession("s"), .endPerson("i s"), .endDevice("d"), .endApplication("wiki"),
        ] {
            let revocations = Revocations(reactors: reactors)
            revocations.keep(record(device: "d"), nowSeconds: 0)
            revocations.keep(record(digest: 2, device: "d"), nowSeconds: 0)
            revocations.send([effect])
            #expect(fresh(revocations) == nil && fresh(revocations, digest: 2) == nil, "\(effect)")
        }
    }

    @Test func `another application's record is not handed out`() {
        let revocations = Revocations(reactors: reactors)
        revocations.keep(record(), nowSeconds: 0)
        let other = revocations.fresh([UInt8](repeating: 1, count: 32), application: "vault", nowSeconds: 0)
        #expect(other == nil)
    }

    @Test func `a new policy overtakes every record that was made under the old one`() {
        let revocations = Revocations(reactors: reactors)
        let early = record(sequence: revocations.sequence)
        revocations.keep(early, nowSeconds: 0)
        revocations.forgetRecords()
        #expect(fresh(revocations) == nil)
        revocations.keep(early, nowSeconds: 0)
        #expect(fresh(revocations) == nil)
        #expect(revocations.send([.replace(early)]) == ["s"])
    }

    @Test func `a full table loses short cuts and never more than its bound`() {
        var table = SessionTable()
        func digest(_ index: Int) -> [UInt8] { withUnsafeBytes(of: index) { Array($0) } }
        func keep(_ index: Int) {
            var one = record("s\(index)")
            one.tokenDigest = digest(index)
            table.keep(one, nowSeconds: 0)
        }
        func isFresh(_ index: Int) -> Bool {
            table.fresh(digest(index), application: "wiki", nowSeconds: 0) != nil
        }
        for index in 0..<SessionTable.recordsMax { keep(index) }
        #expect(table.count == SessionTable.recordsMax)
        keep(SessionTable.recordsMax)
        #expect(isFresh(SessionTable.recordsMax))
        // To look at all of them for each new one would take longer than to make it.
        let room = SessionTable.recordsMax / 16
        #expect(table.count == SessionTable.recordsMax - room + 1)
        for index in 1..<room { keep(SessionTable.recordsMax + index) }
        #expect(table.count == SessionTable.recordsMax)
        #expect((0..<room).allSatisfy { isFresh(SessionTable.recordsMax + $0) })
    }

    @Test(.timeLimit(.minutes(10))) func `however many send at once, the lane sees every number in order`()
        async
    {
        let revocations = Revocations(reactors: reactors)
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<50 {
                group.addTask { for _ in 0..<20 { revocations.send([.endSession("\(index)")]) } }
            }
        }
        #expect(reactors.revocations.map(\.sequence) == Array(1...1_000))
    }
}
