import Access
import Border
import Config
import Foundation
import GRDB
import Identity
import JSON
import Store
import Testing

@testable import Control

@Suite("Reloads: what changed, what was refused, and what the next control process has to find out")
struct ReloadWordsTests {
    @Test("the command says what changed, without any value, and then that nothing did")
    func changes() async throws {
        let house = try Gatehouse()
        let second = """
              second:
                host: second.corp.example
                upstreams: [ "http://127.0.0.1:9" ]
                identity-providers: [ corp ]
                policies: [ { name: all, action: allow, include: [ { everyone: true } ] } ]

            """
        try house.rewrite { $0.replacing("applications:\n", with: "applications:\n" + second) }
        let answer = await house.control.execute(["command": "reload"])
        #expect(answer["changes"] == ["+ application second"], "\(answer)")
        #expect(answer["text"]?.string?.contains("configuration reloaded") == true)
        let again = await house.control.execute(["command": "reload"])
        #expect(again["changes"] == [] && again["text"]?.string?.contains("nothing changed") == true)
        try house.rewrite { $0.replacing(second, with: "") }
        #expect(await house.control.execute(["command": "reload"])["changes"] == ["- application second"])
        let status = await house.control.execute(["command": "status"])["configuration"]
        #expect(status?["reloads"] == 3 && status?["reloads_refused"] == 0)
    }

    @Test("a changed secret is told as changed settings and by no byte of it") func secret() async throws {
        let house = try Gatehouse()
        let file = house.folder.appending(path: "secrets/corp")
        try Data("another-one".utf8).write(to: file)
        let answer = await house.control.execute(["command": "reload"])
        #expect(answer["changes"] == ["~ identity provider corp: settings"], "\(answer)")
    }

    @Test("a refused reload: the command says why, the status counts it, and the old configuration stays")
    func refused() async throws {
        let house = try Gatehouse()
        let before = house.control.snapshot
        try house.rewrite { $0.replacing("version: 1", with: "version: 2") }
        let answer = await house.control.execute(["command": "reload"])
        #expect(answer["error"]?.string?.contains("version") == true, "\(answer)")
        #expect(house.control.snapshot == before && house.reactors.snapshots.isEmpty)
        let status = await house.control.execute(["command": "status"])
        #expect(status["configuration"]?["reloads_refused"] == 1)
        #expect(status["text"]?.string?.contains("the last reload was refused") == true)
        try house.rewrite { $0.replacing("version: 2", with: "version: 1") }
        _ = await house.control.execute(["command": "reload"])
        let after = await house.control.execute(["command": "status"])
        #expect(after["configuration"]?["refusal"] == .null)
        #expect(after["text"]?.string?.contains("refused") == false)
    }

    @Test("a store that fails while sessions are held against it is asked again, each time later")
    func reconcileAgain() async throws {
        let house = try Gatehouse()
        let (_, session, cookie) = try await house.signIn()
        let record = SessionRecord(
            sequence: 0, tokenDigest: cookie.tokenDigest, session: session.id, person: "p", device: nil,
            application: "wiki",
            residual: Residual(
                policyIdentity: "", isSignedIn: true, validUntilSeconds: house.now + 60, policies: [],
                refusal: .noPolicyMatches, dependsOn: []),
            identityFields: [], expiresAtSeconds: house.now + 60)
        let file = house.folder.appending(path: "state/sessions.sqlite").path
        try Self.rename("sessions", "away", in: file)
        var gone = record
        gone.session = "a-session-that-is-gone"
        gone.tokenDigest = [UInt8](repeating: 9, count: 32)
        let pauses = Pauses()
        let living = await house.control.endGone([KnownRecord(record), KnownRecord(gone)]) { seconds in
            guard await pauses.add(seconds) == 7 else { return }
            try? Self.rename("away", "sessions", in: file)
        }
        #expect(await pauses.all == [1, 2, 4, 8, 16, 30, 30])
        let ended = house.reactors.revocations.compactMap { revocation -> String? in
            guard case .endSession(let id) = revocation.effect else { return nil }
            return id
        }
        #expect(ended == [gone.session] && ended != [session.id])
        #expect(living.map(\.session) == [session.id])
    }

    private static func rename(_ old: String, _ new: String, in file: String) throws {
        try DatabaseQueue(path: file).write { try $0.execute(sql: "ALTER TABLE \(old) RENAME TO \(new)") }
    }

    private actor Pauses {
        private(set) var all: [Int64] = []
        func add(_ seconds: Int64) -> Int {
            all.append(seconds)
            return all.count
        }
    }
}
