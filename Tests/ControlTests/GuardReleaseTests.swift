import Access
import Border
import Config
import Foundation
import Identity
import JSON
import Posture
import Store
import Testing

@testable import Control

@Suite("How a hold ends, what it refuses meanwhile, and reloads", .timeLimit(.minutes(10)))
struct GuardReleaseTests {
    private func cause(_ text: String) -> JSONValue { ["command": "held-release", "cause": .string(text)] }

    @Test("held shows cause, integration, sessions and applications; status names it") func shown()
        async throws
    {
        let guarded = try await GuardHouse(12)
        defer { guarded.end() }
        #expect(await guarded.house.control.execute(["command": "held"])["text"] == "nothing is held")
        await guarded.become(.notFound, Array(0..<12))
        guarded.house.advance(180)
        let answer = await guarded.house.control.execute(["command": "held"])
        let row = answer["text"]?.string?.split(separator: "\n").dropFirst().first
        let cells = row?.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        #expect(cells == "absence:health health 3 min 23 h 12 12 vault")
        let change = try #require(answer["changes"]?.array?.first)
        #expect(change["integrations"] == ["health"] && change["sessions"] == 12)
        #expect(change["would_be_cut"]?.array?.count == 12)
        let status = await guarded.house.control.execute(["command": "status"])
        #expect(
            status["text"]?.string?.contains(
                "held for 3 min: 12 sessions by absence:health; see gatepost held")
                == true)
        #expect(status["held"]?.array?.count == 1)
    }

    @Test("a release cuts at once, names whose process asked for it, and lets the rest of the change follow")
    func release() async throws {
        let guarded = try await GuardHouse(30)
        defer { guarded.end() }
        await guarded.become(.notFound, Array(0..<20))
        #expect(guarded.openCount == 30)
        let unknown = await guarded.house.control.execute(cause("absence:other"), uid: 7)
        #expect(unknown["error"]?.string?.contains("nothing is held under absence:other") == true)
        #expect(guarded.openCount == 30)
        let answer = await guarded.house.control.execute(cause("absence:health"), uid: 4_711)
        #expect(answer["text"] == "20 sessions released")
        #expect(guarded.openCount == 10 && guarded.held.isEmpty)
        let trail = try await guarded.audit("change-released")
        #expect(trail.count == 1 && trail[0].contains(#""by":"uid 4711""#))
        // The same silence goes on: what it takes later is not held again.
        await guarded.become(.notFound, Array(20..<30))
        #expect(guarded.openCount == 0)
        // After a quiet window the guard is awake again.
        await guarded.become(.compliant, Array(0..<30))
        guarded.house.advance(300)
        await guarded.become(.notFound, Array(0..<30))
        #expect(guarded.openCount == 30 && guarded.held.count == 1)
    }

    @Test("a hold ends by itself: not a second before its time, and then it cuts") func end() async throws {
        let guarded = try await GuardHouse(12, blastRadius: "{ hold: 10m }")
        defer { guarded.end() }
        await guarded.become(.notFound, Array(0..<12))
        guarded.house.advance(599)
        await guarded.house.control.keepUp()
        #expect(guarded.openCount == 12)
        await guarded.house.control.renew(guarded.people[0].digest, "vault")
        let last = try #require(guarded.latest(0))
        #expect(last.residual.validUntilSeconds == guarded.house.now + 1, "no record outlives the hold")
        #expect(last.streamsUntilSeconds == guarded.house.now + 1)
        guarded.house.advance(1)
        await guarded.house.control.renew(guarded.people[1].digest, "vault")
        #expect(!guarded.isOpen(1), "a renewal is cut although nobody swept yet")
        await guarded.house.control.keepUp()
        #expect(guarded.openCount == 0 && guarded.held.isEmpty)
        #expect(try await guarded.audit("change-released").first?.contains(#""by":"time""#) == true)
    }

    @Test("a clock that jumps back does not lengthen a hold; one that jumps ahead ends it") func jumps()
        async throws
    {
        let guarded = try await GuardHouse(12, blastRadius: "{ hold: 10m }")
        defer { guarded.end() }
        await guarded.become(.notFound, Array(0..<12))
        guarded.house.advance(400)
        await guarded.house.control.keepUp()
        guarded.house.advance(-300)
        await guarded.house.control.keepUp()
        #expect(guarded.held.first?.remainingSeconds == 200, "what has passed has passed")
        guarded.house.advance(200)
        await guarded.house.control.keepUp()
        #expect(guarded.openCount == 0)
        let ahead = try await GuardHouse(12, blastRadius: "{ hold: 10m }")
        defer { ahead.end() }
        await ahead.become(.notFound, Array(0..<12))
        ahead.house.advance(100_000)
        await ahead.house.control.keepUp()
        #expect(ahead.openCount == 0 && ahead.held.isEmpty)
    }

    @Test("meanwhile a new session on a held device is refused in words of its own, and no check is begun")
    func refused() async throws {
        let guarded = try await GuardHouse(12)
        defer { guarded.end() }
        await guarded.become(.notFound, Array(0..<12))
        let sessions = Sessions(store: guarded.house.store, ring: guarded.house.control.ring)
        let settings = IdentityApplication(
            name: "vault", host: "vault.corp.example", identityProviders: ["corp"], sessionSeconds: 3_600)
        let (_, cookie) = try await sessions.createApplication(
            settings, under: guarded.people[0].global, nowSeconds: guarded.house.now)
        let record = try #require(await guarded.house.pulled(cookie.tokenDigest, "vault"))
        #expect(record.residual.policies.isEmpty && record.residual.refusal == .changeHeld)
        guarded.house.advance(1_000)
        let response = await guarded.house.control.answer(
            guarded.house.request(
                "/", host: "vault.corp.example",
                [Field("cookie", String(cookie.setCookie.prefix { $0 != ";" }))],
                purpose: .refused(.postureRequired)))
        #expect(response.status == 403 && response.reason == .changeHeld)
        #expect(String(decoding: response.body, as: UTF8.self).contains("change-held"))
        #expect(guarded.isOpen(0), "what was open goes on")
        // An application that does not ask for the device is as it was.
        let elsewhere = try await guarded.signIn(0, at: "wiki")
        let wiki = await guarded.house.pulled(elsewhere.digest, "wiki")
        #expect(wiki?.residual.policies.isEmpty == false)
    }

    @Test("renewals beside the batch neither escape the hold nor get more than they had") func concurrent()
        async throws
    {
        let guarded = try await GuardHouse(40)
        defer { guarded.end() }
        let before = guarded.people.indices.map { guarded.latest($0)?.residual.policies }
        guarded.house.advance(61)
        await guarded.say(.notFound, of: Array(0..<40))
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await guarded.tell(Array(0..<40)) }
            for person in guarded.people {
                group.addTask { await guarded.house.control.renew(person.digest, "vault") }
                group.addTask { _ = await guarded.house.pull(person.digest, "vault") }
            }
        }
        // Those that came before the batch was open may be cut up to the bounds, and no more.
        #expect(guarded.openCount >= 30)
        for index in guarded.people.indices where guarded.isOpen(index) {
            #expect(guarded.latest(index)?.residual.policies == before[index])
        }
        let told = guarded.house.reactors.sent.compactMap { sent -> SessionRecord? in
            if case .session(_, let record?) = sent.message { record } else { nil }
        }
        #expect(told.allSatisfy { $0.residual.policies.isEmpty || $0.residual.policies == before[0] })
    }

    // MARK: Reloads

    static func narrowed(_ text: String) -> String {
        text.replacing("require: [ { device: compliant } ]", with: "require: [ { group: staff } ]")
    }

    @Test("a reload that would cut too many holds them on the old decision, and says so") func reload()
        async throws
    {
        let guarded = try await GuardHouse(12)
        defer { guarded.end() }
        // A device that somebody calls non-compliant is cut whatever the reason.
        await guarded.say(.noncompliant, of: [11])
        let original = try String(
            contentsOf: guarded.house.folder.appending(path: "gatepost.yaml"), encoding: .utf8)
        try guarded.house.rewrite(Self.narrowed)
        let outcome = try await guarded.house.control.reload()
        let name = "reload:\(guarded.house.control.services.config.policy.identity.prefix(12))"
        #expect(outcome.remark == "11 sessions held; release with: gatepost held release --cause \(name)")
        #expect(guarded.openCount == 11 && !guarded.isOpen(11))
        #expect(guarded.held.map(\.cause.id) == [name])
        // A new session is decided by the new policy; its device is not in doubt.
        let fresh = try await guarded.signIn(0)
        let record = await guarded.house.pulled(fresh.digest, "vault")
        #expect(record?.residual.policies.isEmpty == true && record?.residual.refusal != .changeHeld)
        // The old text again: everybody has what they had, and nothing is held.
        try guarded.house.rewrite { _ in original }
        #expect(try await guarded.house.control.reload().remark == nil)
        #expect(guarded.held.isEmpty && guarded.openCount == 11)
    }

    @Test(
        "a bad or revoked device is cut by a reload that holds the others, also where nobody asks for devices"
    )
    func badDevices() async throws {
        let guarded = try await GuardHouse(14)
        defer { guarded.end() }
        var wiki: [GuardHouse.Person] = []
        for index in 0..<14 { wiki.append(try await guarded.signIn(index, at: "wiki")) }
        await guarded.become(.noncompliant, [0])
        #expect(try await guarded.house.control.services.posture.revoke(deviceID: "d1"))
        try guarded.house.rewrite {
            $0.replacing(
                "email-domain: corp.example } ] }\n  vault", with: "email-domain: x.example } ] }\n  vault")
        }
        #expect(try await guarded.house.control.reload().heldSessions == 12)
        let open = wiki.indices.filter { index in
            guarded.house.control.revocations.latest(wiki[index].session.id)?.residual.policies.isEmpty
                == false
        }
        #expect(open == Array(2..<14))
    }

    @Test("a release of a held reload cuts; a bad word during it does too") func releasedReload() async throws
    {
        let guarded = try await GuardHouse(12)
        defer { guarded.end() }
        try guarded.house.rewrite(Self.narrowed)
        #expect(try await guarded.house.control.reload().heldSessions == 12)
        await guarded.become(.noncompliant, [3])
        #expect(!guarded.isOpen(3) && guarded.openCount == 11)
        _ = await guarded.house.control.execute(["command": "held-release"])
        #expect(guarded.openCount == 0 && guarded.held.isEmpty)
    }

    @Test("a reload below the bounds, and one that grants more, holds nothing") func small() async throws {
        let guarded = try await GuardHouse(10)
        defer { guarded.end() }
        try guarded.house.rewrite(Self.narrowed)
        #expect(try await guarded.house.control.reload().remark == nil)
        #expect(guarded.openCount == 0)
        try guarded.house.rewrite {
            $0.replacing("require: [ { group: staff } ]", with: "require: [ { device: partial } ]")
        }
        #expect(try await guarded.house.control.reload().remark == nil)
        #expect(guarded.held.isEmpty)
    }

    @Test("silence under a held reload keeps the hold, and its release does not open what silence closed")
    func both() async throws {
        let guarded = try await GuardHouse(12)
        defer { guarded.end() }
        try guarded.house.rewrite(Self.narrowed)
        try await guarded.house.control.reload()
        await guarded.become(.notFound, Array(0..<12))
        #expect(guarded.openCount == 12 && guarded.held.map(\.cause.isAbsence) == [false])
        _ = await guarded.house.control.execute(["command": "held-release"])
        #expect(guarded.openCount == 0)
    }

    @Test("the age of the person's own proof is no silence: it ends during a hold as ever") func proof()
        async throws
    {
        let guarded = try await GuardHouse(
            12,
            config: GuardHouse.config.replacingOccurrences(
                of: "rules: [ {", with: "rules: [ { agent: agents, managed: true }, {"))
        defer { guarded.end() }
        await guarded.become(.notFound, Array(0..<12))
        #expect(guarded.openCount == 12)
        guarded.house.advance(898)
        await guarded.house.control.renew(guarded.people[0].digest, "vault")
        #expect(guarded.isOpen(0) && guarded.latest(0)?.residual.validUntilSeconds == guarded.house.now + 1)
        guarded.house.advance(1)
        await guarded.house.control.renew(guarded.people[0].digest, "vault")
        #expect(!guarded.isOpen(0))
    }
}
