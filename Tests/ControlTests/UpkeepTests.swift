import Access
import Border
import Config
import Foundation
import Identity
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import Control

@Suite("What the control plane does without being asked")
struct UpkeepTests {
    @Test func `sessions end on the reactors when they expire`() async throws {
        let house = try Gatehouse()
        let (global, session, _) = try await house.signIn(seconds: 100)
        house.advance(99)
        await house.control.keepUp()
        #expect(house.reactors.revocations.isEmpty)
        house.advance(1)
        await house.control.keepUp()
        let ended = house.reactors.revocations.compactMap { revocation -> String? in
            guard case .endSession(let id) = revocation.effect else { return nil }
            return id
        }
        #expect(Set(ended) == [global.id, session.id])
    }

    @Test func `endings of a clock that has gone back are dated anew, which is said once`() async throws {
        let house = try Gatehouse()
        let names = SignInNames(persons: [.email("ann@corp.example")])
        try await house.store.noteEnding(of: names, atSeconds: house.now + 5_000)
        let lines = try await heard("clock-went-back") { await house.control.keepUp() }
        #expect(lines.count == 1)
        #expect(lines.first?["endings"] == 1 && lines.first?["ahead_seconds"] == 5_000)
        house.advance(60)
        #expect(try await heard("clock-went-back") { await house.control.keepUp() }.isEmpty)
    }

    @Test func `ticket keys change every twelve hours, and the old one still opens tickets`() async throws {
        let house = try Gatehouse()
        let before = house.control.snapshot.ticketKeys
        await house.control.keepUp()
        house.advance(12 * 3_600 - 1)
        await house.control.keepUp()
        #expect(house.reactors.snapshots.isEmpty)
        house.advance(1)
        await house.control.keepUp()
        let snapshot = try #require(house.reactors.snapshots.first)
        #expect(snapshot.ticketKeys.first != before.first)
        #expect(snapshot.ticketKeys.contains(before[0]))
        #expect(snapshot.revision == 2)
        #expect(house.control.snapshot == snapshot)
        await house.control.keepUp()
        #expect(house.reactors.snapshots.count == 1)
    }

    @Test func `a clock that jumps back does not keep one ticket key for ever`() async throws {
        let house = try Gatehouse()
        await house.control.keepUp()
        house.advance(-10)
        await house.control.keepUp()
        #expect(house.reactors.snapshots.count == 1)
    }

    @Test func `a store that fails does not stop the keys from changing`() async throws {
        let house = try Gatehouse()
        await house.control.keepUp()
        try house.breakSessions()
        house.advance(12 * 3_600)
        await house.control.keepUp()
        #expect(house.reactors.snapshots.count == 1)
    }
}

@Suite("Reading the configuration again")
struct ReloadTests {
    private func message(_ house: Gatehouse) async -> String? {
        do throws(ControlFailure) {
            try await house.control.reload()
            return nil
        } catch {
            return error.what
        }
    }

    @Test func `a new policy is in force for open sessions at once`() async throws {
        let house = try Gatehouse()
        let (_, session, cookie) = try await house.signIn()
        _ = await house.pull(cookie.tokenDigest)
        try house.rewrite {
            $0.replacing(
                "email-domain: corp.example } ] }\n  vault", with: "email-domain: x.example } ] }\n  vault")
        }
        #expect(await message(house) == nil)
        #expect(house.reactors.snapshots.map(\.revision) == [2])
        guard case .replace(let record)? = house.reactors.revocations.last?.effect else {
            Issue.record("nothing was decided anew")
            return
        }
        #expect(record.session == session.id)
        #expect(record.residual.policies.isEmpty)
    }

    @Test func `a bad configuration changes nothing and names every problem`() async throws {
        let house = try Gatehouse()
        try house.rewrite {
            $0.replacing("wiki.corp.example", with: "not a host").replacing("version: 1", with: "version: 9")
        }
        let what = try #require(await message(house))
        #expect(what.contains("version"))
        #expect(what.contains("applications.wiki.host"))
        #expect(house.reactors.snapshots.isEmpty)
        #expect(house.control.snapshot.revision == 1)
    }

    @Test func `a configuration that the reactors cannot take changes nothing`() async throws {
        let house = try Gatehouse()
        house.reactors.refuseConfigurations("listener certificate: key values mismatch")
        try house.rewrite { $0.replacing("wiki.corp.example", with: "wiki2.corp.example") }
        #expect(await message(house) == "listener certificate: key values mismatch")
        #expect(house.control.snapshot.revision == 1)
        #expect(house.control.services.config.applications[0].host == "wiki.corp.example")
    }

    @Test(
        "what needs a restart is named and not half applied",
        arguments: [
            ("127.0.0.1:8443", "127.0.0.1:8444", "gateway.listeners"),
            ("provider: endpoint-agent", "provider: endpoint-agent\n    port: 17999", "integrations"),
            ("auth-host: auth.corp.example", "auth-host: auth2.corp.example", "gateway.auth-host"),
            ("  store: sqlite:state", "  public-port: 443\n  store: sqlite:state", "gateway.public-port"),
            ("store: sqlite:state", "store: sqlite:other", "gateway.store"),
            ("  store: sqlite:state", "  workers: 3\n  store: sqlite:state", "gateway.workers"),
            (
                "  store: sqlite:state", "  admin-socket: a.sock\n  store: sqlite:state",
                "gateway.admin-socket"
            ),
            ("  store: sqlite:state", "  keys-folder: k\n  store: sqlite:state", "gateway.keys-folder"),
        ])
    func restart(_ old: String, _ new: String, _ key: String) async throws {
        let house = try Gatehouse()
        try house.rewrite { $0.replacing(old, with: new) }
        let what = try #require(await message(house))
        #expect(what.hasPrefix(key) && what.contains(" changed; the running configuration stays;"), "\(what)")
        #expect(house.reactors.snapshots.isEmpty)
    }

    @Test func `a removed application's sessions end`() async throws {
        let house = try Gatehouse()
        let (_, session, _) = try await house.signIn(at: "wiki")
        try house.rewrite { text in
            let from = text.range(of: "  wiki:")!.lowerBound
            let to = text.range(of: "  vault:")!.lowerBound
            return text.replacingCharacters(in: from..<to, with: "")
        }
        #expect(await message(house) == nil)
        #expect(house.reactors.revocations.map(\.effect) == [.endSession(session.id)])
    }

    @Test func `a store that fails is told, with what to do`() async throws {
        let house = try Gatehouse()
        try house.rewrite { $0.replacing("wiki.corp.example", with: "wiki2.corp.example") }
        try house.breakSessions()
        #expect(await message(house)?.contains("reload again when the store works") == true)
    }
}
