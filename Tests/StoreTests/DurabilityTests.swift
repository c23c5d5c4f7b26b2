import Access
import Foundation
import GRDB
import Store
import Testing

@Suite("What the store does when files, disks and processes fail")
struct DurabilityTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func opening(_ path: String? = nil) -> StoreError? {
        do throws(StoreError) {
            _ = try SQLiteStore(folder: path ?? folder.path)
            return nil
        } catch { return error }
    }

    @Test func `an acknowledged session, nonce and audit record survive a killed process`() async throws {
        // The child takes the path from the environment, which exit tests inherit.
        setenv("GATEPOST_STORE_TEST", folder.path, 1)
        await #expect(processExitsWith: .signal(SIGKILL)) {
            let path = ProcessInfo.processInfo.environment["GATEPOST_STORE_TEST"] ?? ""
            let store = try SQLiteStore(folder: path)
            try await store.insert(Fixture.global("g1", seed: 1))
            _ = try await store.consumeNonce(Fixture.digest(2), expiresAtSeconds: 9_000)
            try await store.appendAudit(kind: "killed", atSeconds: 1, json: "{}")
            // More writes are under way when the process dies; only the acknowledged ones are asked for.
            for index in 100..<200 {
                Task { try await store.insert(Fixture.global("u\(index)", seed: index)) }
            }
            kill(getpid(), SIGKILL)
        }
        let store = try SQLiteStore(folder: folder.path)
        #expect(try await store.session(id: "g1") == Fixture.global("g1", seed: 1))
        #expect(try await store.consumeNonce(Fixture.digest(2), expiresAtSeconds: 9_000) == false)
        #expect(try await store.audit(limit: 1).map(\.kind) == ["killed"])
    }

    @Test(arguments: ["sessions.sqlite", "verdicts.sqlite", "audit.sqlite"])
    func `a damaged file is refused by name and left as it is`(_ name: String) async throws {
        let store = try SQLiteStore(folder: folder.path)
        await store.close()
        let garbage = Data((0..<8_192).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) })
        try garbage.write(to: URL(fileURLWithPath: folder.file(name)))
        chmod(folder.file(name), 0o600)
        let error = try #require(opening())
        #expect(error.kind == .corrupt)
        #expect(error.file == folder.file(name))
        #expect("\(error)".contains("restore a backup, or move it away"))
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file(name))) == garbage)
    }

    @Test func `damage inside a table is found at opening`() async throws {
        let store = try SQLiteStore(folder: folder.path)
        for index in 0..<500 { try await store.insert(Fixture.global("g\(index)", seed: index)) }
        await store.close()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: folder.file("sessions.sqlite")))
        #expect(bytes.count > 200_000)
        bytes.replaceSubrange(
            40_960..<(bytes.count - 8_192), with: Data(repeating: 0x5A, count: bytes.count - 49_152))
        try bytes.write(to: URL(fileURLWithPath: folder.file("sessions.sqlite")))
        chmod(folder.file("sessions.sqlite"), 0o600)
        #expect(opening()?.kind == .corrupt)
    }

    @Test func `an emptied file is damage, not a new store`() async throws {
        await (try SQLiteStore(folder: folder.path)).close()
        try Data().write(to: URL(fileURLWithPath: folder.file("sessions.sqlite")))
        chmod(folder.file("sessions.sqlite"), 0o600)
        #expect(opening()?.kind == .corrupt)
    }

    @Test func `a database of another program is refused and not changed`() throws {
        let other = try DatabaseQueue(path: folder.file("sessions.sqlite"))
        try other.write { try $0.execute(sql: "CREATE TABLE theirs (a)") }
        try other.close()
        chmod(folder.file("sessions.sqlite"), 0o600)
        #expect(opening()?.kind == .corrupt)
        let tables = try DatabaseQueue(path: folder.file("sessions.sqlite")).read {
            try String.fetchAll($0, sql: "SELECT name FROM sqlite_master")
        }
        #expect(tables == ["theirs"])
    }

    @Test func `a file of a newer version is refused`() async throws {
        await (try SQLiteStore(folder: folder.path)).close()
        let queue = try DatabaseQueue(path: folder.file("verdicts.sqlite"))
        try await queue.write { try $0.execute(sql: "PRAGMA user_version = 3") }
        try queue.close()
        let error = try #require(opening())
        #expect(error.kind == .newerSchema)
        #expect(error.what == "has schema version 3; this program knows 2")
    }

    @Test func `files and folder are for their owner only`() async throws {
        let store = try SQLiteStore(folder: folder.file("made"))
        try await store.insert(Fixture.global("g1", seed: 1))
        var status = stat()
        #expect(stat(folder.file("made"), &status) == 0 && status.st_mode & 0o777 == 0o700)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.file("made"))
        #expect(names.contains("sessions.sqlite-wal"))
        for name in names {
            #expect(
                stat(folder.file("made/\(name)"), &status) == 0 && status.st_mode & 0o777 == 0o600, "\(name)")
        }
    }

    @Test func `a file or folder that others can read is refused`() async throws {
        await (try SQLiteStore(folder: folder.path)).close()
        chmod(folder.file("sessions.sqlite"), 0o640)
        #expect(opening()?.kind == .inaccessible)
        chmod(folder.file("sessions.sqlite"), 0o600)
        chmod(folder.path, 0o750)
        #expect(opening()?.remedy == "chmod 700 \(folder.path)")
    }

    @Test func `a folder that cannot be written is a clear error`() throws {
        #expect(opening("/proc/gatepost")?.kind == .inaccessible)
        #expect(opening(folder.file("no/such/parent"))?.kind == .inaccessible)
        try Data().write(to: URL(fileURLWithPath: folder.file("plain")))
        #expect(opening(folder.file("plain"))?.what == "is not a folder")
        // Root may write everywhere, so the mode means something for other users only.
        guard getuid() != 0 else { return }
        chmod(folder.path, 0o500)
        #expect(opening()?.kind == .inaccessible)
    }

    @Test func `a closed store answers with an error instead of hanging`() async throws {
        let store = try SQLiteStore(folder: folder.path)
        await store.close()
        let write = await #expect(throws: StoreError.self) {
            try await store.insert(Fixture.global("g", seed: 1))
        }
        #expect(write?.kind == .closed)
        let read = await #expect(throws: StoreError.self) { try await store.session(id: "g") }
        #expect(read != nil)
    }
}
