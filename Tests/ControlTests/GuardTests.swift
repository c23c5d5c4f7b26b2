import Access
import Border
import Config
import Foundation
import JSON
import Posture
import Store
import Testing

@testable import Control

@Suite("What silence would take from too many at once is held", .timeLimit(.minutes(10)))
struct GuardTests {
    struct Bound: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var sessions: Int
        var lost: Int
        var isHeld: Bool
    }

    static let table: [Bound] = [
        Bound(testDescription: "exactly 20 %", sessions: 55, lost: 11, isHeld: false),
        Bound(testDescription: "one past 20 %", sessions: 55, lost: 12, isHeld: true),
        Bound(testDescription: "exactly 10 sessions, half of all", sessions: 20, lost: 10, isHeld: false),
        Bound(testDescription: "11 sessions, more than half", sessions: 20, lost: 11, isHeld: true),
        Bound(testDescription: "everybody, but few", sessions: 10, lost: 10, isHeld: false),
        Bound(testDescription: "everybody", sessions: 11, lost: 11, isHeld: true),
    ]

    @Test("a loss is held beyond both bounds, and cut at either", arguments: table)
    func bounds(_ row: Bound) async throws {
        let guarded = try await GuardHouse(row.sessions)
        defer { guarded.end() }
        #expect(guarded.openCount == row.sessions)
        await guarded.become(.notFound, Array(0..<row.lost))
        #expect(guarded.openCount == (row.isHeld ? row.sessions : row.sessions - row.lost))
        #expect(guarded.held.map(\.cause.id) == (row.isHeld ? ["absence:health"] : []))
        #expect(guarded.held.first?.losses.count ?? 0 == (row.isHeld ? row.lost : 0))
        #expect(try await guarded.audit("change-held").count == (row.isHeld ? 1 : 0))
    }

    @Test("what is held is what the session had, in steps of one record") func steps() async throws {
        let guarded = try await GuardHouse(12)
        defer { guarded.end() }
        let before = try #require(guarded.latest(3))
        await guarded.become(.unknown, Array(0..<12))
        let after = try #require(guarded.latest(3))
        #expect(after.residual.policies == before.residual.policies)
        #expect(after.residual.validUntilSeconds == guarded.house.now + 100)
        #expect(after.streamsUntilSeconds == guarded.house.now + 100)
        // Renewal goes on with the same, and a reactor that asks anew gets no more.
        guarded.house.advance(70)
        await guarded.house.control.renew(guarded.people[3].digest, "vault")
        let renewed = try #require(guarded.latest(3))
        #expect(renewed.residual.policies == before.residual.policies)
        #expect(renewed.residual.validUntilSeconds == guarded.house.now + 100)
        let pulled = await guarded.house.pulled(guarded.people[3].digest, "vault")
        #expect(pulled?.residual.policies == before.residual.policies)
    }

    @Test("001.24 of a mixed answer the non-compliant are cut at once, and only the silent ones are held")
    func mixed() async throws {
        let guarded = try await GuardHouse(30)
        defer { guarded.end() }
        guarded.house.advance(1)
        await guarded.say(.noncompliant, of: Array(0..<9))
        await guarded.say(.notManaged, of: [9])
        await guarded.say(.notFound, of: Array(10..<30))
        let seen = guarded.house.reactors.revocations.count
        await guarded.tell(Array(0..<30))
        #expect(guarded.people.indices.filter(guarded.isOpen) == Array(10..<30))
        let isOpen = guarded.house.reactors.revocations.dropFirst(seen).compactMap { revocation -> Bool? in
            guard case .replace(let record) = revocation.effect else { return nil }
            return !record.residual.policies.isEmpty
        }
        #expect(
            isOpen == Array(repeating: false, count: 10) + Array(repeating: true, count: 20), "bad ones first"
        )
        #expect(guarded.held.first?.losses.count == 20)
    }

    @Test("a mass of explicit words is never held") func massive() async throws {
        let guarded = try await GuardHouse(20)
        defer { guarded.end() }
        await guarded.become(.noncompliant, Array(0..<20))
        #expect(guarded.openCount == 0 && guarded.held.isEmpty)
    }

    @Test("a word that was bad before the silence is not held by it") func badBefore() async throws {
        let guarded = try await GuardHouse(20)
        defer { guarded.end() }
        guarded.house.advance(1)
        // Nobody is told of the bad word; the provider is silent when they are.
        await guarded.say(.noncompliant, of: [0])
        await guarded.tell([0])
        guarded.house.advance(1)
        await guarded.say(.notFound, of: Array(0..<20))
        await guarded.tell(Array(0..<20))
        #expect(!guarded.isOpen(0))
        #expect(guarded.openCount == 19)
    }

    @Test("during a hold an explicit word cuts at once, a revoked device too, and a sign-out ends")
    func during() async throws {
        let guarded = try await GuardHouse(14)
        defer { guarded.end() }
        await guarded.become(.notFound, Array(0..<14))
        #expect(guarded.openCount == 14)
        await guarded.become(.noncompliant, [0])
        #expect(!guarded.isOpen(0))
        _ = await guarded.house.control.execute(["command": "device-revoke", "device": "d1"])
        #expect(guarded.latest(1) == nil)
        let ended = await guarded.house.control.execute([
            "command": "session-revoke", "session": .string(guarded.people[2].session.id),
        ])
        #expect(ended["text"] == "1 session ended")
        #expect(guarded.latest(2) == nil)
        #expect(guarded.held.first?.losses.count == 11)
        #expect(guarded.openCount == 11)
    }

    @Test("a recovery ends the hold, and nobody is told anything else") func recovery() async throws {
        let guarded = try await GuardHouse(12, config: GuardHouse.unaged)
        defer { guarded.end() }
        await guarded.become(.error, Array(0..<12))
        #expect(guarded.held.first?.losses.count == 12)
        await guarded.become(.compliant, Array(0..<12))
        #expect(guarded.held.isEmpty && guarded.openCount == 12)
        #expect(guarded.latest(0)?.streamsUntilSeconds == guarded.house.now + 900)
        #expect(try await guarded.audit("change-released").isEmpty)
    }

    @Test("one device after the other counts together within the window, and not beyond it")
    func window() async throws {
        let guarded = try await GuardHouse(20)
        defer { guarded.end() }
        for index in 0..<10 { await guarded.become(.notFound, [index]) }
        #expect(guarded.openCount == 10, "exactly ten are cut")
        // The first was cut 299 s ago at the end of this: everything counts.
        guarded.house.advance(289)
        await guarded.become(.notFound, [10])
        #expect(guarded.openCount == 10, "the eleventh within the window is held")
        await guarded.become(.compliant, [10])
        guarded.house.advance(300)
        await guarded.become(.notFound, [10])
        #expect(guarded.openCount == 9, "a window later it is one alone")
    }

    @Test("verdicts that nobody renews end one by one: ten are cut, the others held") func expiry()
        async throws
    {
        let guarded = try await GuardHouse(20, config: GuardHouse.unaged)
        defer { guarded.end() }
        guarded.house.advance(3_599)
        await guarded.house.control.renew(guarded.people[0].digest, "vault")
        #expect(guarded.openCount == 20)
        guarded.house.advance(1)
        for person in guarded.people { await guarded.house.control.renew(person.digest, "vault") }
        #expect(guarded.openCount == 10)
        #expect(guarded.held.first?.cause.id == "absence:health")
        #expect(guarded.held.first?.losses.count == 10)
    }

    @Test("with off, everything is cut") func off() async throws {
        let guarded = try await GuardHouse(20, blastRadius: "off")
        defer { guarded.end() }
        await guarded.become(.notFound, Array(0..<20))
        #expect(guarded.openCount == 0 && guarded.held.isEmpty)
    }

    @Test("after a restart facts decide, and they are closed") func restart() async throws {
        let guarded = try await GuardHouse(12)
        defer { guarded.end() }
        await guarded.become(.notFound, Array(0..<12))
        #expect(guarded.openCount == 12)
        let config = try ConfigurationLoader.load(
            path: guarded.house.folder.appending(path: "gatepost.yaml").path)
        let now = guarded.house.now
        let again = try ControlPlane(
            configPath: "", config: config, store: guarded.house.store,
            keysFolder: config.gateway.keysFolder, reactors: guarded.house.reactors, nowSeconds: { now })
        try await again.services.posture.load()
        let ticket = Ticket(reactor: 0, slot: 1, generation: 9)
        await again.pull(ticket, guarded.people[0].digest, "vault")
        guard case .session(_, let record?)? = guarded.house.reactors.sent.last?.message else {
            Issue.record("no record")
            return
        }
        #expect(record.residual.policies.isEmpty && again.heldChanges().isEmpty)
    }
}
