import Access
import Store

/// What the store has to hear of what the cache took.
struct VerdictWrites: Sendable {
    let integration: String
    /// Where the records are; what stands there when they are written is the newest.
    var slots: [UInt32] = []
    /// Native ids of records that are no more.
    var removed: [String] = []
    var state: SyncState?

    init(integration: String) { self.integration = integration }

    /// Adds what another one has to say of records, each once.
    mutating func add(recordsOf other: VerdictWrites) {
        var known = Set(slots)
        slots += other.slots.filter { known.insert($0).inserted }
        var gone = Set(removed.map { ExactKey($0) })
        removed += other.removed.filter { gone.insert(ExactKey($0)).inserted }
    }
}

extension VerdictCache {
    /// Writes what was taken, as it is now. Whoever is affected has been told before: the disk may be slow.
    ///
    /// - Throws: when the store failed. Memory keeps what it took, and the next call writes it as well: changes are
    ///   told once, and a later position without them would call what they replaced confirmed after a start.
    func persist(_ writes: VerdictWrites) async throws(StoreError) {
        let table = table(writes.integration)
        var all = writes
        if let left = table.unwritten { all.add(recordsOf: left) }
        let failures = table.failedWrites
        do throws(StoreError) {
            try await write(all, of: table, after: failures)
        } catch {
            if let left = table.unwritten { all.add(recordsOf: left) }
            table.unwritten = all
            table.failedWrites += 1
            throw error
        }
        // Unless somebody else has failed meanwhile.
        if table.failedWrites == failures { table.unwritten = nil }
    }

    /// - Parameter failures: of `table` when `writes` was made whole.
    private func write(
        _ writes: VerdictWrites, of table: VerdictTable, after failures: Int
    ) async throws(StoreError) {
        for start in stride(from: 0, to: writes.slots.count, by: SQLiteStore.verdictsPerStep) {
            let end = min(start + SQLiteStore.verdictsPerStep, writes.slots.count)
            try await store.upsert(
                writes.slots[start..<end].compactMap { table.row(at: $0) }, of: writes.integration)
        }
        // What came back meanwhile was written by whoever brought it.
        let removed = writes.removed.filter { table.slot(of: $0) == nil }
        try await store.removeVerdicts(removed, of: writes.integration)
        // Last: after a crash before it the same comes once more, and taking it twice changes nothing. Not when
        // something else could not be written meanwhile.
        guard let state = writes.state, table.failedWrites == failures else { return }
        try await store.upsert(state)
    }
}
