import Access
import Border
import Identity
import Store
import Testing

@testable import Control
@testable import Posture

@Suite("Whoever loses something hears of it before anybody is renewed", .timeLimit(.minutes(10)))
struct CutOrderTests {
    private func replaced(_ house: Gatehouse, from seen: Int) -> [SessionRecord] {
        house.reactors.revocations.dropFirst(seen).compactMap { revocation in
            guard case .replace(let record) = revocation.effect else { return nil }
            return record
        }
    }

    @Test("the last device of an answer is cut before the first is renewed") func cutFirst() async throws {
        let guarded = try await GuardHouse(6)
        defer { guarded.end() }
        guarded.house.advance(1)
        await guarded.say(.compliant, of: Array(0..<5))
        await guarded.say(.noncompliant, of: [5])
        let seen = guarded.house.reactors.revocations.count
        await guarded.tell(Array(0..<6))
        let records = replaced(guarded.house, from: seen)
        #expect(records.first?.session == guarded.people[5].session.id)
        #expect(records.map(\.residual.policies.isEmpty) == [true] + Array(repeating: false, count: 5))
    }

    @Test("only a record that lets somebody in carries an assertion, held ones too") func assertions()
        async throws
    {
        let guarded = try await GuardHouse(12)
        defer { guarded.end() }
        let before = try #require(guarded.latest(0))
        #expect(!before.identityFields.isEmpty)
        await guarded.become(.unknown, Array(0..<12))
        let held = try #require(guarded.latest(0))
        #expect(guarded.held.first?.losses.count == 12)
        #expect(String(decoding: held.identityFields, as: UTF8.self).hasPrefix("Gatepost-Assertion: ey"))
        #expect(held.identityFields != before.identityFields)
        await guarded.become(.noncompliant, [0])
        let cut = try #require(guarded.latest(0))
        #expect(cut.residual.policies.isEmpty)
        #expect(cut.identityFields.isEmpty)
        #expect(
            await guarded.house.pulled(guarded.people[0].digest, "vault")?.identityFields.isEmpty == true)
        await guarded.become(.compliant, [0])
        #expect(guarded.latest(0)?.identityFields.isEmpty == false)
    }

    @Test("every session is decided when one answer is about more devices than are read at once")
    func manyDevices() async throws {
        let guarded = try await GuardHouse(203)
        defer { guarded.end() }
        let second = try await guarded.signIn(202)
        await guarded.become(.noncompliant, Array(0..<203))
        #expect(guarded.openCount == 0)
        #expect(
            guarded.house.control.revocations.latest(second.session.id)?.residual.policies.isEmpty == true)
        await guarded.become(.compliant, Array(0..<203))
        #expect(guarded.openCount == 203)
    }

    @Test("what several devices have open ends when nobody can read whose they are") func unreadable()
        async throws
    {
        let guarded = try await GuardHouse(3)
        defer { guarded.end() }
        let seen = guarded.house.reactors.revocations.count
        try guarded.house.breakSessions()
        await guarded.house.control.services.posture.announceChange(
            [ExactKey("d0"), ExactKey("d1"), ExactKey("d2")])
        await guarded.house.reactors.wait { $0.count >= seen + 3 }
        let ended = guarded.house.reactors.revocations.dropFirst(seen).map(\.effect)
        #expect(ended == [.endDevice("d0"), .endDevice("d1"), .endDevice("d2")])
    }

    @Test("sign-ins that were read before somebody else's word about a session are read again for it")
    func reread() async throws {
        let guarded = try await GuardHouse(1)
        defer { guarded.end() }
        let control = guarded.house.control
        var global = guarded.people[0].global
        // As it was read before its device was proven.
        global.deviceID = nil
        let old = ReadSignIns(sequence: control.revocations.sequence, byID: [global.id: global])
        await guarded.become(.compliant, [0])
        var batch = control.beginBatch(.device("d0"), eventNanoseconds: 1)
        try await control.decideAnew(globals: [global.id], read: old, &batch)
        try await control.settle(batch)
        #expect(guarded.isOpen(0))
        // Read after everything that was said, it is believed.
        let new = ReadSignIns(sequence: control.revocations.sequence, byID: [global.id: global])
        batch = control.beginBatch(.device("d0"), eventNanoseconds: 1)
        try await control.decideAnew(globals: [global.id], read: new, &batch)
        try await control.settle(batch)
        #expect(!guarded.isOpen(0))
    }

    @Test("a session that somebody decided later is not given the older decision") func later() async throws {
        let guarded = try await GuardHouse(1)
        defer { guarded.end() }
        let control = guarded.house.control
        var batch = control.beginBatch(.device("d0"), eventNanoseconds: 1)
        try await control.decideAnew(globals: [guarded.people[0].global.id], &batch)
        #expect(batch.unchanged.map(\.record.session) == [guarded.people[0].session.id])
        // Meanwhile a reactor asked for it, and the device had gone bad.
        guarded.house.advance(60)
        await guarded.say(.noncompliant, of: [0])
        control.revocations.send([.endSession("another")])
        #expect(
            await guarded.house.pulled(guarded.people[0].digest, "vault")?.residual.policies.isEmpty == true)
        let seen = guarded.house.reactors.revocations.count
        try await control.settle(batch)
        #expect(replaced(guarded.house, from: seen).map(\.residual.policies.isEmpty) == [true])
    }

    @Test("a person with the same device in two sign-ins loses both") func twoSignIns() async throws {
        let guarded = try await GuardHouse(1)
        defer { guarded.end() }
        let second = try await guarded.signIn(0, at: "wiki")
        let seen = guarded.house.reactors.revocations.count
        await guarded.become(.noncompliant, [0])
        let told = Set(replaced(guarded.house, from: seen).map(\.session))
        #expect(told.contains(guarded.people[0].session.id))
        await guarded.house.reactors.wait { revocations in
            revocations.dropFirst(seen).contains { revocation in
                if case .replace(let record) = revocation.effect {
                    record.session == second.session.id
                } else {
                    false
                }
            }
        }
    }
}
