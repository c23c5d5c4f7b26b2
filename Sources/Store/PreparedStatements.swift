import GRDB

/// Statements of ours are prepared once for each connection: reading their text, and asking what they may touch, costs
/// many times what running them does.
///
/// Only for texts of which there are few: nothing that was prepared is forgotten before its connection is.
extension Database {
    /// Runs a statement that answers nothing.
    func run(sql: String, arguments: StatementArguments = StatementArguments()) throws {
        try cachedStatement(sql: sql).execute(arguments: arguments)
    }

    /// The first row of an answer.
    func row(sql: String, arguments: StatementArguments = StatementArguments()) throws -> Row? {
        try Row.fetchOne(cachedStatement(sql: sql), arguments: arguments)
    }

    /// Every row of an answer.
    func rows(sql: String, arguments: StatementArguments = StatementArguments()) throws -> [Row] {
        try Row.fetchAll(cachedStatement(sql: sql), arguments: arguments)
    }

    /// The first column of the first row; nil for NULL, too.
    func value<Value: DatabaseValueConvertible & StatementColumnConvertible>(
        _ type: Value.Type, sql: String, arguments: StatementArguments = StatementArguments()
    ) throws -> Value? {
        try Value.fetchOne(cachedStatement(sql: sql), arguments: arguments)
    }

    /// The first column of every row.
    func values<Value: DatabaseValueConvertible & StatementColumnConvertible>(
        _ type: Value.Type, sql: String, arguments: StatementArguments = StatementArguments()
    ) throws -> [Value] {
        try Value.fetchAll(cachedStatement(sql: sql), arguments: arguments)
    }

    /// Does all of `body` on one state of the file.
    func readTransaction<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try run(sql: "BEGIN DEFERRED TRANSACTION")
        // Nothing was written, so how it ends changes nothing but the lock.
        defer { if (try? run(sql: "COMMIT TRANSACTION")) == nil { leaveTransaction() } }
        return try body(self)
    }

    /// Does all of `body` in one transaction that may write, or none of it.
    func writeTransaction(_ body: (Database) throws -> Void) throws {
        // Immediate: a transaction that begins by reading could be refused at its first write.
        try run(sql: "BEGIN IMMEDIATE TRANSACTION")
        do {
            try body(self)
            try run(sql: "COMMIT TRANSACTION")
        } catch {
            leaveTransaction()
            throw error
        }
    }

    /// Does all of `body`, or nothing of it, within a transaction that goes on.
    func savepoint<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try run(sql: "SAVEPOINT job")
        do {
            let value = try body(self)
            try run(sql: "RELEASE SAVEPOINT job")
            return value
        } catch {
            // Some failures (a full disk) have ended the whole transaction by themselves.
            if isInsideTransaction {
                try run(sql: "ROLLBACK TRANSACTION TO SAVEPOINT job")
                try run(sql: "RELEASE SAVEPOINT job")
            }
            throw error
        }
    }

    private func leaveTransaction() {
        if isInsideTransaction { try? rollback() }
    }
}
