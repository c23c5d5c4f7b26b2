import GRDB
import Synchronization

/// Writes to one file, batched: what arrives while a commit waits for the disk goes into the next one
/// together.
///
/// No timer is involved, so a lone write is committed at once, and under load a write waits for at most the
/// commit that is under way (a few milliseconds) before its own begins. Each waiter is answered after the
/// commit that holds its write.
actor GroupCommitter {
    /// Writes in one transaction.
    static let batchMax = 256
    /// Writes that may wait; beyond this the disk is too slow and callers hear so.
    static let waitingMax = 8_192

    private struct Job: Sendable {
        /// Does the write inside the transaction and keeps its outcome; returns what went wrong.
        ///
        /// - Parameter isAlone: nothing else is in the transaction, which then undoes what a savepoint would.
        var run: @Sendable (Database, _ isAlone: Bool) -> StoreError?
        /// Tells the waiter: the outcome when nil, otherwise why the whole transaction failed.
        var answer: @Sendable (StoreError?) -> Void
    }

    /// The outcome of one write until its transaction is committed.
    private final class Outcome<Value: Sendable>: Sendable {
        let value = Mutex<Result<Value, StoreError>?>(nil)
    }

    private let pool: DatabasePool
    private let file: String
    private var waiting: [Job] = []
    private var isCommitting = false
    private var isClosed = false
    /// Transactions so far, for tests of the batching.
    private(set) var commitCount = 0

    init(pool: DatabasePool, file: String) {
        self.pool = pool
        self.file = file
    }

    /// Runs `body` in a transaction that other writes share, in a savepoint of its own.
    ///
    /// A body that throws undoes only itself. Cancelling the caller's task does not undo a write: the caller
    /// could not know whether it had happened.
    func write<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        guard !isClosed else {
            throw StoreError(.closed, file: file, what: "is closed", remedy: "restart the gateway")
        }
        guard waiting.count < Self.waitingMax else {
            throw StoreError(
                .busy, file: file, what: "\(waiting.count) writes are waiting for the disk",
                remedy: "use a faster disk")
        }
        let result = await withCheckedContinuation {
            (waiter: CheckedContinuation<Result<Value, StoreError>, Never>) in
            waiting.append(job(body, waiter))
            startCommitting()
        }
        return try result.get()
    }

    /// Refuses further writes; those that wait are still committed.
    func close() { isClosed = true }

    private func job<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value,
        _ waiter: CheckedContinuation<Result<Value, StoreError>, Never>
    ) -> Job {
        let outcome = Outcome<Value>()
        let file = file
        return Job(
            run: { db, isAlone in
                do {
                    let value = try isAlone ? body(db) : db.savepoint(body)
                    outcome.value.withLock { $0 = .success(value) }
                    return nil
                } catch {
                    let failure = error as? StoreError ?? StoreError(error, file: file)
                    outcome.value.withLock { $0 = .failure(failure) }
                    return failure
                }
            },
            answer: { failure in
                let kept = outcome.value.withLock { $0 }
                if let failure {
                    waiter.resume(returning: .failure(failure))
                } else if let kept {
                    waiter.resume(returning: kept)
                } else {
                    preconditionFailure("a transaction was committed without one of its writes having run")
                }
            })
    }

    private func startCommitting() {
        guard !isCommitting else { return }
        isCommitting = true
        // A task of its own: the engine's asynchronous calls would end with the caller's cancelled task.
        Task { await commitAll() }
    }

    private func commitAll() async {
        while !waiting.isEmpty {
            let batch = Array(waiting.prefix(Self.batchMax))
            waiting.removeFirst(batch.count)
            commitCount += 1
            let failure = await commit(batch)
            for job in batch { job.answer(failure) }
        }
        isCommitting = false
    }

    /// nil when the batch is on the disk.
    private func commit(_ batch: [Job]) async -> StoreError? {
        do {
            try await pool.writeWithoutTransaction { db in
                try db.writeTransaction { db in
                    for job in batch {
                        let failure = job.run(db, batch.count == 1)
                        // Some failures (a full disk) end the whole transaction by themselves; going on would
                        // make each later write a transaction of its own that nobody is told about.
                        if let failure, batch.count == 1 || !db.isInsideTransaction { throw failure }
                    }
                }
            }
            return nil
        } catch {
            return error as? StoreError ?? StoreError(error, file: file)
        }
    }
}
