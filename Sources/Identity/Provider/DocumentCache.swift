/// Documents of providers by key: fresh ones from memory, one fetch for everybody who waits, the last good one while
/// the provider is down, and no second question right after a failure.
actor DocumentCache<Key: Hashable & Sendable, Value: Sendable> {
    typealias Fetched = (value: Value, freshSeconds: Int64)
    typealias Flight = Task<Result<Fetched, IdentityError>, Never>

    private struct Entry {
        var value: Value?
        var freshUntilSeconds: Int64 = 0
        /// Until then the last value is better than none.
        var usableUntilSeconds: Int64 = 0
        /// After a failure nobody asks again before this second.
        var askAgainSeconds: Int64 = 0
        var lastError: IdentityError?
        var flight: Flight?
    }

    private var entries: [Key: Entry] = [:]

    /// How long a document is used past its freshness when no newer one can be had.
    static var staleSecondsMax: Int64 { 86_400 }
    /// How long a failure is remembered.
    static var failureSeconds: Int64 { 5 }
    /// More keys than any configuration has; reached only by reloads that change issuers.
    static var entriesMax: Int { 256 }

    /// - Parameter isForced: asks even though the document is fresh.
    func value(
        _ key: Key, isForced: Bool, nowSeconds: Int64,
        fetch: @escaping @Sendable () async -> Result<Fetched, IdentityError>
    ) async throws(IdentityError) -> Value {
        let entry = entries[key] ?? Entry()
        if !isForced, let value = entry.value, nowSeconds < entry.freshUntilSeconds { return value }
        if entry.flight == nil, (1...Self.failureSeconds).contains(entry.askAgainSeconds - nowSeconds),
            let error = entry.lastError
        {
            guard let value = entry.value, nowSeconds < entry.usableUntilSeconds else { throw error }
            return value
        }
        let flight = entry.flight ?? begin(key, fetch)
        let result = await flight.value
        // Everybody who waited comes by here: only the first writes the outcome down.
        if entries[key]?.flight == flight { settle(key, result, nowSeconds) }
        switch result {
        case .success(let fetched):
            return fetched.value
        case .failure(let error):
            guard let entry = entries[key], let value = entry.value, nowSeconds < entry.usableUntilSeconds
            else {
                throw error
            }
            return value
        }
    }

    /// What the fetch that is under way brings; nil when there is none, or when it fails.
    func underWay(_ key: Key) async -> Value? {
        guard let flight = entries[key]?.flight, case .success(let fetched) = await flight.value else {
            return nil
        }
        return fetched.value
    }

    private func begin(
        _ key: Key, _ fetch: @escaping @Sendable () async -> Result<Fetched, IdentityError>
    ) -> Flight {
        if entries.count >= Self.entriesMax, entries[key] == nil {
            entries = entries.filter { $0.value.flight != nil }
        }
        // A task of its own: a person who goes away must not end the fetch for everybody else.
        let flight = Flight { await fetch() }
        entries[key, default: Entry()].flight = flight
        return flight
    }

    private func settle(_ key: Key, _ result: Result<Fetched, IdentityError>, _ nowSeconds: Int64) {
        var entry = entries[key] ?? Entry()
        entry.flight = nil
        switch result {
        case .success(let fetched):
            entry.value = fetched.value
            entry.freshUntilSeconds = nowSeconds + fetched.freshSeconds
            entry.usableUntilSeconds = entry.freshUntilSeconds + Self.staleSecondsMax
            entry.lastError = nil
            entry.askAgainSeconds = 0
        case .failure(let error):
            entry.lastError = error
            entry.askAgainSeconds = nowSeconds + Self.failureSeconds
        }
        entries[key] = entry
    }
}
