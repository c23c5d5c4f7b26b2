import Foundation
import GRDB
import Synchronization
import Testing

@testable import Store

@Suite("Statements that are prepared once, and reads where they are asked")
struct PreparedTests {
    let folder: TemporaryFolder
    let file: OpenFile

    init() throws {
        folder = try TemporaryFolder()
        let migrations = ["CREATE TABLE t (n INTEGER PRIMARY KEY NOT NULL) STRICT"]
        file = try OpenFile(
            DatabaseFile(path: folder.file("t.sqlite"), durability: .full, migrations: migrations))
    }

    private func count(isShort: Bool) async throws -> Int {
        try await file.read(isShort: isShort) { try $0.value(Int.self, sql: "SELECT count(*) FROM t") ?? 0 }
    }

    @Test func `a write that fails alone leaves nothing, and the next one is whole`() async throws {
        for round in 0..<3 {
            let error = await #expect(throws: StoreError.self) {
                try await file.write { db in
                    try db.run(sql: "INSERT INTO t (n) VALUES (?)", arguments: [100 + round])
                    throw StoreError(.conflict, file: "", what: "", remedy: "")
                }
            }
            #expect(error?.kind == .conflict)
            try await file.write { try $0.run(sql: "INSERT INTO t (n) VALUES (?)", arguments: [round]) }
            #expect(try await count(isShort: true) == round + 1)
        }
    }

    @Test func `a doubled key is refused as often as it comes, by the same prepared statement`() async throws
    {
        try await file.write { try $0.run(sql: "INSERT INTO t (n) VALUES (?)", arguments: [1]) }
        for _ in 0..<3 {
            let error = await #expect(throws: StoreError.self) {
                try await file.write { try $0.run(sql: "INSERT INTO t (n) VALUES (?)", arguments: [1]) }
            }
            #expect(error?.kind == .conflict)
        }
        #expect(try await count(isShort: true) == 1)
    }

    @Test func `a short read sees every write that was acknowledged before it`() async throws {
        for number in 0..<200 {
            try await file.write { try $0.run(sql: "INSERT INTO t (n) VALUES (?)", arguments: [number]) }
            #expect(try await count(isShort: true) == number + 1)
        }
    }

    @Test func `a short read beside listings that have every connection waits for its turn, and is answered`()
        async throws
    {
        let gate = DispatchSemaphore(value: 0)
        let begun = AsyncStream<Void>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<DatabaseFile.readersMax {
                group.addTask {
                    try await file.read { _ in
                        begun.continuation.yield()
                        gate.wait()
                    }
                }
            }
            var running = begun.stream.makeAsyncIterator()
            for _ in 0..<DatabaseFile.readersMax { await running.next() }
            // More than there are threads for tasks: none of them may be held by one.
            let short = (0..<64).map { _ in Task { try await count(isShort: true) } }
            // A write needs none of these connections.
            try await file.write { try $0.run(sql: "INSERT INTO t (n) VALUES (1)") }
            for _ in 0..<DatabaseFile.readersMax { gate.signal() }
            for read in short {
                let found = try await read.value
                #expect((0...1).contains(found))
            }
            try await group.waitForAll()
        }
        #expect(try await count(isShort: true) == 1)
    }

    @Test func `reads side by side, short and long, all see whole transactions`() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for pair in 0..<100 {
                    try await file.write { db in
                        try db.run(sql: "INSERT INTO t (n) VALUES (?)", arguments: [2 * pair])
                        try db.run(sql: "INSERT INTO t (n) VALUES (?)", arguments: [2 * pair + 1])
                    }
                }
            }
            for index in 0..<300 {
                group.addTask {
                    let found = try await count(isShort: index % 3 != 0)
                    #expect(found % 2 == 0)
                }
            }
            try await group.waitForAll()
        }
        #expect(try await count(isShort: false) == 200)
    }
}
