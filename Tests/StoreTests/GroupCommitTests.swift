import Access
import Foundation
import GRDB
import Testing

@testable import Store

@Suite("Group commit")
struct GroupCommitTests {
    let folder: TemporaryFolder
    let file: OpenFile

    init() throws {
        folder = try TemporaryFolder()
        let migrations = ["CREATE TABLE t (n INTEGER PRIMARY KEY NOT NULL, filler BLOB) STRICT"]
        file = try OpenFile(
            DatabaseFile(path: folder.file("t.sqlite"), durability: .full, migrations: migrations))
    }

    private func count() async throws -> Int {
        try await file.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM t") ?? 0 }
    }

    @Test func `every waiter is answered with its own outcome, and a failed write undoes only itself`()
        async throws
    {
        let outcomes = await withTaskGroup(of: (Int, StoreError?).self) { group in
            for index in 0..<400 {
                group.addTask {
                    do throws(StoreError) {
                        // Every tenth one writes a row and then fails: the row must not stay.
                        try await file.write { db in
                            try db.execute(sql: "INSERT INTO t (n) VALUES (?)", arguments: [index])
                            guard index % 10 != 0 else {
                                throw StoreError(.conflict, file: "", what: "", remedy: "")
                            }
                        }
                        return (index, nil)
                    } catch { return (index, error) }
                }
            }
            return await group.reduce(into: [(Int, StoreError?)]()) { $0.append($1) }
        }
        #expect(outcomes.count == 400)
        for (index, error) in outcomes {
            #expect((error?.kind == .conflict) == (index % 10 == 0), "\(index)")
        }
        #expect(try await count() == 360)
    }

    @Test func `parallel writes share commits`() async throws {
        let before = await file.commitCount
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<500 {
                group.addTask {
                    try await file.write {
                        try $0.execute(sql: "INSERT INTO t (n) VALUES (?)", arguments: [index])
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await count() == 500)
        #expect(await file.commitCount - before < 250)
    }

    @Test func `a full disk is reported to every waiter of the commit, and nothing of it stays`() async throws
    {
        try await file.write { try $0.execute(sql: "INSERT INTO t (n) VALUES (-1)") }
        // The engine's own page limit behaves like a full disk (SQLite, "PRAGMA max_page_count").
        try await file.pool.writeWithoutTransaction { db in
            let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            try db.execute(sql: "PRAGMA max_page_count = \(pages)")
        }
        let big = Data(repeating: 7, count: 100_000)
        let error = await #expect(throws: StoreError.self) {
            try await file.write { try $0.execute(sql: "INSERT INTO t VALUES (1, ?)", arguments: [big]) }
        }
        #expect(error?.kind == .full)
        #expect(try await count() == 1)
        try await file.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = 100000") }
        try await file.write { try $0.execute(sql: "INSERT INTO t VALUES (1, ?)", arguments: [big]) }
        #expect(try await count() == 2)
    }

    @Test func `a cancelled caller does not undo its write`() async throws {
        let task = Task { try await file.write { try $0.execute(sql: "INSERT INTO t (n) VALUES (1)") } }
        task.cancel()
        try await task.value
        #expect(try await count() == 1)
    }

    @Test func `the writer waits for the disk: synchronous is FULL where it was asked for`() async throws {
        let full = try await file.pool.writeWithoutTransaction {
            try Int.fetchOne($0, sql: "PRAGMA synchronous")
        }
        #expect(full == 2)
        let normal = try OpenFile(
            DatabaseFile(path: folder.file("n.sqlite"), durability: .normal, migrations: []))
        #expect(
            try await normal.pool.writeWithoutTransaction { try Int.fetchOne($0, sql: "PRAGMA synchronous") }
                == 1)
    }
}
