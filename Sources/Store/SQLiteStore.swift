import Foundation
import GRDB
import Synchronization

/// The store in three SQLite files of one folder: `sessions.sqlite` (sessions, nonces, devices, enrolment
/// tokens), `verdicts.sqlite` and `audit.sqlite`, so that a big synchronisation never delays a sign-out.
///
/// Sessions and audit are on the disk when a write is acknowledged, also across a power cut; verdicts survive
/// a killed process (they are fetched again). The folder has mode 0700, the files 0600.
public final class SQLiteStore: GatewayStore {
    /// The most that one listing returns.
    public static let listingMax = 100_000

    let sessionsFile: OpenFile
    let verdictsFile: OpenFile
    let auditFile: OpenFile

    /// Opens the files, making folder and files where there are none.
    ///
    /// - Throws: `.corrupt`, `.newerSchema` or `.inaccessible`, naming the file and what to do. A damaged
    ///   file is
    ///   never replaced by an empty one.
    public init(folder: String) throws(StoreError) {
        try Self.prepare(folder)
        sessionsFile = try OpenFile(
            DatabaseFile(path: "\(folder)/sessions.sqlite", durability: .full, migrations: Schema.sessions))
        verdictsFile = try OpenFile(
            DatabaseFile(path: "\(folder)/verdicts.sqlite", durability: .normal, migrations: Schema.verdicts))
        auditFile = try OpenFile(
            DatabaseFile(path: "\(folder)/audit.sqlite", durability: .full, migrations: Schema.audit))
    }

    /// Ends all access. Writes that were accepted are committed first; later calls throw `.closed`.
    public func close() async {
        for file in [sessionsFile, verdictsFile, auditFile] { await file.close() }
    }

    private static func prepare(_ folder: String) throws(StoreError) {
        var status = stat()
        if stat(folder, &status) != 0 {
            // Only the last part is made: a mistyped path should not grow a tree.
            guard mkdir(folder, 0o700) == 0 else {
                throw StoreError(
                    .inaccessible, file: folder, what: "cannot be made: \(String(cString: strerror(errno)))",
                    remedy: "make the folder above it, and give the gateway's user the right to write there")
            }
            return
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw StoreError(.inaccessible, file: folder, what: "is not a folder", remedy: "name a folder")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw StoreError(
                .inaccessible, file: folder, what: "is open to others", remedy: "chmod 700 \(folder)")
        }
    }
}

/// One open file: reads beside each other, writes through the group commit.
final class OpenFile: Sendable {
    let path: String
    let pool: DatabasePool
    private let committer: GroupCommitter
    /// Reads that have a connection or wait for one.
    private let reading = Atomic<Int>(0)
    private let reads = Atomic<Int>(0)

    init(_ file: DatabaseFile) throws(StoreError) {
        path = file.path
        pool = try file.open()
        committer = GroupCommitter(pool: pool, file: file.path)
    }

    func write<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        try await committer.write(body)
    }

    /// A read sees every write that was acknowledged before it began.
    ///
    /// - Parameter isShort: it looks at a few rows by their keys. It then runs where it is called, while a connection
    ///   is free: handing it to another thread and back costs more than the look.
    func read<Value: Sendable>(
        isShort: Bool = false, _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        let path = path
        reads.add(1, ordering: .relaxed)
        // Counted from before a connection is taken until after it was given back: whoever is within the bound finds
        // one, or waits for its being handed back.
        let readers = reading.add(1, ordering: .relaxed).newValue
        if isShort, readers <= DatabaseFile.readersMax {
            defer { reading.subtract(1, ordering: .relaxed) }
            let result = Result { try readHere(body) }
            return try result.mapError { $0 as? StoreError ?? StoreError($0, file: path) }.get()
        }
        // The engine's own asynchronous read would throw when the caller's task is cancelled; this one
        // answers.
        let result: Result<Value, StoreError> = await withCheckedContinuation { waiter in
            pool.asyncUnsafeRead { access in
                let outcome = Result { try access.get().readTransaction(body) }
                waiter.resume(returning: outcome.mapError { $0 as? StoreError ?? StoreError($0, file: path) })
            }
        }
        reading.subtract(1, ordering: .relaxed)
        return try result.get()
    }

    /// Not `async`: of the engine's two reads of one name this is the one that stays on its thread.
    private func readHere<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try pool.unsafeRead { try $0.readTransaction(body) }
    }

    /// Reads so far.
    var readCount: Int { reads.load(ordering: .relaxed) }

    /// Transactions so far.
    var commitCount: Int { get async { await committer.commitCount } }

    func close() async {
        await committer.close()
        // Waits for what was accepted before; the answer itself does not matter any more.
        try? await pool.writeWithoutTransaction { _ in }
        try? pool.close()
    }
}

/// Lists, claims and statements as JSON text in a column.
enum JSONColumn {
    static func text<Value: Encodable>(_ value: Value) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    static func value<Value: Decodable>(_ text: String, _ column: String, file: String) throws -> Value {
        do { return try JSONDecoder().decode(Value.self, from: Data(text.utf8)) } catch {
            throw StoreError(
                .malformedRow, file: file, what: "column \(column) of a row cannot be read",
                remedy: StoreError.corruptRemedy)
        }
    }
}
