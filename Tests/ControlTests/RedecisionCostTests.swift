import Access
import Border
import Foundation
import Identity
import Testing

@testable import Control
@testable import Posture
@testable import Store

/// By counting and not by the clock: what each session costs while thousands are decided anew.
@Suite("What a change of many devices costs each of their sessions", .timeLimit(.minutes(10)))
struct RedecisionCostTests {
    private struct Spent: Equatable {
        var evaluations: Int
        var reads: Int
        var told: Int

        init(_ house: Gatehouse) {
            evaluations = house.control.decisions.evaluations.value
            reads = house.store.sessionsFile.readCount
            told = house.reactors.revocations.count
        }

        static func - (left: Spent, right: Spent) -> Spent {
            var spent = left
            spent.evaluations -= right.evaluations
            spent.reads -= right.reads
            spent.told -= right.told
            return spent
        }
    }

    @Test("one evaluation and one word to the reactors; of the store two reads for two hundred devices")
    func counted() async throws {
        // With a grace for what is open, as every real device check has one.
        let guarded = try await GuardHouse(401, graceSeconds: 3_600)
        defer { guarded.end() }
        let everybody = Array(0..<401)
        for (state, open) in [(Verdict.State.noncompliant, 0), (.compliant, 401)] {
            let before = Spent(guarded.house)
            await guarded.become(state, everybody)
            let spent = Spent(guarded.house) - before
            #expect(guarded.openCount == open)
            #expect(spent.evaluations == 401, "\(state)")
            #expect(spent.told == 401, "\(state): a session is told of once, however many streams it has")
            #expect(spent.reads <= 6, "\(state): three steps of two hundred devices")
        }
    }

    @Test("a reload evaluates each session once, too") func reload() async throws {
        let guarded = try await GuardHouse(120, graceSeconds: 3_600)
        defer { guarded.end() }
        let control = guarded.house.control
        let before = Spent(guarded.house)
        try await control.redecide(
            .all, limit: 10_000, control.beginBatch(.reload(1), eventNanoseconds: 0))
        let spent = Spent(guarded.house) - before
        #expect(spent.evaluations == 120)
        #expect(spent.told == 120)
        #expect(spent.reads <= 2)
    }

    @Test("once a proof has run out for new requests, what is open is evaluated by itself: twice, not more")
    func grace() async throws {
        let guarded = try await GuardHouse(3, config: Self.agentConfig, graceSeconds: 3_600)
        defer { guarded.end() }
        guarded.house.advance(900)
        // The first time the guard asks what was lost; from then on there is nothing to lose.
        await guarded.become(.compliant, [0, 1, 2])
        let before = Spent(guarded.house)
        await guarded.become(.compliant, [0, 1, 2])
        #expect((Spent(guarded.house) - before).evaluations == 6)
        let record = try #require(guarded.latest(0))
        #expect(record.residual.policies.isEmpty)
        #expect(record.whatIsOpen.policies.count == 1)
    }

    /// Devices are compliant by what their agent signed.
    private static let agentConfig = GuardHouse.config.replacingOccurrences(
        of: "{ custom: health, tags: { matches-any: [ compliant ] } }",
        with: "{ agent: agents, managed: true }")
}

@Suite("What is urgent does not wait for what is much", .timeLimit(.minutes(10)))
struct UrgentChangeTests {
    @Test("a device that goes bad alone is cut while a synchronisation of hundreds is still carried out")
    func overtakes() async throws {
        let guarded = try await GuardHouse(301)
        defer { guarded.end() }
        let (house, posture) = (guarded.house, guarded.house.control.services.posture)
        house.advance(1)
        await guarded.say(.noncompliant, of: Array(0...300))
        let seen = house.reactors.revocations.count
        await posture.announceChange(Set((0..<300).map { ExactKey("d\($0)") }))
        await posture.announceChange([ExactKey("d300")])
        await house.reactors.wait { $0.count >= seen + 301 }
        let order = house.reactors.revocations.dropFirst(seen).map(\.effect)
        let place = try #require(
            order.firstIndex { effect in
                if case .replace(let record) = effect {
                    record.session == guarded.people[300].session.id
                } else {
                    false
                }
            })
        #expect(place < 300, "one after all others would have waited for them")
        #expect(guarded.openCount == 0)
    }

    @Test("of one answer, devices that somebody calls bad come first; beyond fifty it is a lane of its own")
    func order() async throws {
        let posture = try Gatehouse(GuardHouse.config, fetcher: Outside()).control.services.posture
        let many = Set((100..<151).map { ExactKey("d\($0)") })
        await posture.announceChange(many, bad: [ExactKey("d150"), ExactKey("d149"), ExactKey("elsewhere")])
        await posture.announceChange(Set((100..<150).map { ExactKey("d\($0)") }), bad: [ExactKey("d120")])
        var bulk = posture.bulkChanges.makeAsyncIterator()
        var few = posture.changes.makeAsyncIterator()
        for (index, id) in ["d149", "d150", "d100", "d101"].enumerated() {
            let change = try #require(await bulk.next())
            #expect(change.deviceID == id)
            #expect(change.followedBy == 50 - index)
        }
        for id in ["d120", "d100"] { #expect(await few.next()?.deviceID == id) }
    }
}
