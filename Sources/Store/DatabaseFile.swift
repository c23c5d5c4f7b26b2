import Foundation
import GRDB

/// One SQLite file of the store: how it is opened, checked and brought to the newest schema.
struct DatabaseFile {
    /// How much a commit waits for the disk (SQLite, "PRAGMA synchronous").
    enum Durability: String {
        /// An acknowledged write survives a power cut.
        case full = "FULL"
        /// It survives a killed process; a power cut may take the last seconds. Good enough for what is
        /// fetched again.
        case normal = "NORMAL"
    }

    /// "GPst": tells our files from other people's (SQLite, "PRAGMA application_id").
    static let applicationID: Int64 = 0x4750_7374
    static let busySeconds: TimeInterval = 5
    /// Connections that read beside each other.
    static let readersMax = 4

    let path: String
    let durability: Durability
    /// SQL that leads from version n to n + 1; the schema's version is their count.
    let migrations: [String]

    /// Opens the file, making it when there is none.
    func open() throws(StoreError) -> DatabasePool {
        try prepareFile()
        do {
            var configuration = Configuration()
            configuration.busyMode = .timeout(Self.busySeconds)
            configuration.maximumReaderCount = Self.readersMax
            configuration.label = path
            let pool = try DatabasePool(path: path, configuration: configuration)
            try pool.writeWithoutTransaction { db in
                // Here and not in `prepareDatabase`: the pool itself sets NORMAL after that, when it turns
                // WAL on.
                try db.execute(sql: "PRAGMA synchronous = \(durability.rawValue)")
                try checkOrigin(db)
                try checkPages(db)
                try migrate(db)
            }
            return pool
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(error, file: path)
        }
    }

    /// The file itself: mode 0600 from its first moment, and never silently a new one in place of a damaged
    /// one.
    private func prepareFile() throws(StoreError) {
        var status = stat()
        if stat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw StoreError(
                    .inaccessible, file: path, what: "is not a regular file", remedy: "move it away")
            }
            guard status.st_mode & 0o077 == 0 else {
                throw StoreError(
                    .inaccessible, file: path, what: "can be read by others", remedy: "chmod 600 \(path)")
            }
            guard status.st_size > 0 else { throw corrupt("is empty") }
            return
        }
        guard access("\(path)-wal", F_OK) != 0 else {
            throw corrupt("is missing, but its -wal file is there")
        }
        // O_EXCL: nobody may have put a link here since the look above. SQLite gives -wal and -shm the same
        // mode.
        let raw = Glibc.open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
        guard raw >= 0 else {
            throw StoreError(.inaccessible, file: path, what: reason(errno), remedy: StoreError.accessRemedy)
        }
        _ = close(raw)
    }

    private func checkOrigin(_ db: Database) throws {
        let found = try Int64.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let tables = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") ?? 0
        guard found != Self.applicationID, found != 0 || tables != 0 else { return }
        throw StoreError(
            .corrupt, file: path, what: "is a database of another program", remedy: StoreError.corruptRemedy)
    }

    private func checkPages(_ db: Database) throws {
        let answer = try String.fetchOne(db, sql: "PRAGMA quick_check(1)") ?? "no answer"
        guard answer != "ok" else { return }
        throw corrupt("is damaged (\(answer.prefix(200)))")
    }

    private func migrate(_ db: Database) throws {
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard version <= migrations.count else {
            throw StoreError(
                .newerSchema, file: path,
                what: "has schema version \(version); this program knows \(migrations.count)",
                remedy: "use the newer program or restore the backup from before the upgrade")
        }
        for (index, sql) in migrations.enumerated().dropFirst(version) {
            // One transaction per step: a killed upgrade resumes at the step that was not finished.
            try db.inTransaction(.immediate) {
                try db.execute(sql: sql)
                try db.execute(sql: "PRAGMA application_id = \(Self.applicationID)")
                try db.execute(sql: "PRAGMA user_version = \(index + 1)")
                return .commit
            }
        }
    }

    private func corrupt(_ what: String) -> StoreError {
        StoreError(.corrupt, file: path, what: what, remedy: StoreError.corruptRemedy)
    }

    private func reason(_ code: CInt) -> String { "cannot be made: \(String(cString: strerror(code)))" }
}

extension StoreError {
    static let corruptRemedy = "restore a backup, or move it away to begin with an empty one"
    static let accessRemedy = "give the gateway's user the right to write in the store's folder"

    /// What the database engine said, in our words.
    init(_ error: any Error, file: String) {
        guard let error = error as? DatabaseError else {
            self.init(.engine, file: file, what: "\(error)", remedy: "see the log before it")
            return
        }
        let said = error.message ?? "no message"
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            self.init(.corrupt, file: file, what: "is damaged (\(said))", remedy: Self.corruptRemedy)
        case .SQLITE_FULL:
            self.init(
                .full, file: file, what: "the disk or the quota is full",
                remedy: "free some space; nothing that was acknowledged is lost")
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH:
            self.init(.inaccessible, file: file, what: said, remedy: Self.accessRemedy)
        case .SQLITE_IOERR:
            self.init(.inaccessible, file: file, what: said, remedy: "check the disk and its mount")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            self.init(.busy, file: file, what: "is held by another process", remedy: "end the other process")
        case .SQLITE_CONSTRAINT:
            self.init(.conflict, file: file, what: said, remedy: "use another id or digest")
        case .SQLITE_MISUSE:
            self.init(.closed, file: file, what: "is closed", remedy: "restart the gateway")
        default:
            self.init(
                .engine, file: file, what: "\(error.resultCode): \(said)", remedy: "see the log before it")
        }
    }
}
