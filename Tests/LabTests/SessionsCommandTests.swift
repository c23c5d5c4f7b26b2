import ArgumentParser
import Foundation
import Identity
import Signatures
import Store
import Testing

@testable import gatepost_lab

@Suite("Many sessions for a load test")
struct SessionsCommandTests {
    /// A stopped gateway's folder with one session, and the file of its cookie.
    private struct Stopped {
        let folder = FileManager.default.temporaryDirectory.appending(path: "lab-sessions-\(UUID())").path
        let ring: KeyRing
        var like: String { "\(folder)/cookie" }

        init(kind: StoredSession.Kind = .application) async throws {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            ring = try KeyRing(folder: "\(folder)/keys")
            let store = try SQLiteStore(folder: folder)
            let global = SessionCookie.mint(ring: ring)
            let application = SessionCookie.mint(ring: ring)
            try await store.insert(Self.session("global", .global, global))
            try await store.insert(Self.session("first", .application, application))
            await store.close()
            let like = kind == .global ? global : application
            try write("theme=dark; \(SessionCookie.name)=\(like.value)")
        }

        private static func session(
            _ id: String, _ kind: StoredSession.Kind, _ cookie: SessionCookie
        ) -> StoredSession {
            let now = Int64(Date().timeIntervalSince1970)
            return StoredSession(
                id: id, kind: kind, tokenDigest: cookie.tokenDigest,
                globalID: kind == .global ? nil : "global", application: kind == .global ? nil : "wiki",
                host: "wiki.localhost", identityProvider: "staff", issuer: "https://id.test",
                subject: "alice",
                authenticatedAtSeconds: now, createdAtSeconds: now, expiresAtSeconds: now + 3600)
        }

        func write(_ field: String) throws {
            try Data("\(field)\n".utf8).write(to: URL(filePath: like))
        }

        func command(count: Int = 3) throws -> SessionsCommand {
            try SessionsCommand.parse([
                "--store", folder, "--like", like, "--count", "\(count)", "--cookies", "\(folder)/cookies",
            ])
        }

        func remove() { try? FileManager.default.removeItem(atPath: folder) }
    }

    @Test("each copy is found by its own cookie, and nobody else can read the file of them")
    func copies() async throws {
        let stopped = try await Stopped()
        defer { stopped.remove() }
        try await stopped.command().run()
        let file = "\(stopped.folder)/cookies"
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map(String.init)
        #expect(Set(lines).count == 3)
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let store = try SQLiteStore(folder: stopped.folder)
        let now = Int64(Date().timeIntervalSince1970)
        var ids: Set<String> = ["first"]
        for line in lines {
            #expect(line.hasPrefix("theme=dark; "))
            let cookie = try #require(SessionCookie.of(cookieField: [line], ring: stopped.ring))
            let found = try await store.session(tokenDigest: cookie.tokenDigest, nowSeconds: now)
            ids.insert(try #require(found).id)
            #expect(found?.subject == "alice")
        }
        #expect(ids.count == 4)
        await store.close()
    }

    @Test(
        "a field without a cookie of these keys, and a session that is no application's, make nothing",
        arguments: ["theme=dark", "", "\(SessionCookie.name)=AAAA"])
    func noCookie(_ field: String) async throws {
        let stopped = try await Stopped()
        defer { stopped.remove() }
        try stopped.write(field)
        await #expect(throws: CommandFailure.self) { try await stopped.command().run() }
        let global = try await Stopped(kind: .global)
        defer { global.remove() }
        await #expect(throws: CommandFailure.self) { try await global.command().run() }
    }

    @Test("no sessions, and more than a million, are refused", arguments: [0, -1, 1_000_001])
    func bounds(_ count: Int) async throws {
        let stopped = try await Stopped()
        defer { stopped.remove() }
        #expect(throws: (any Error).self) { try stopped.command(count: count) }
    }
}
