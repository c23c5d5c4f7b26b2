import Fetch
import Signatures

/// The key set of one transmitter: cached, fetched once for everybody who waits, and again for a key that
/// it does not have, at most once a minute; the last good set counts for a day while the transmitter cannot
/// be reached.
actor SignalKeys {
    static let freshSeconds: Int64 = 3_600
    static let staleSecondsMax: Int64 = 86_400
    static let refetchSecondsMin: Int64 = 60
    static let failureSeconds: Int64 = 5
    static let bytesMax = 512 << 10

    private let fetch: @Sendable () async -> Result<JWKSet, ConnectorFailure>
    private var set: JWKSet?
    private var fetchedAtSeconds: Int64 = 0
    private var askAgainSeconds: Int64 = .min
    private var refetchedAtSeconds: Int64?
    private var lastFailure: ConnectorFailure?
    private var flight: Task<Result<JWKSet, ConnectorFailure>, Never>?

    init(fetch: @escaping @Sendable () async -> Result<JWKSet, ConnectorFailure>) { self.fetch = fetch }

    /// The keys that may have signed a token; empty when the transmitter has none that fits.
    ///
    /// - Throws: when no set can be had, and when it may not be asked for again yet: that says nothing
    ///   about the token, which would be lost if it were refused for a key that is merely new.
    func candidates(
        keyID: String?, algorithm: SignatureAlgorithm, nowSeconds: Int64
    ) async throws(ConnectorFailure) -> [VerificationKey] {
        let found = try await current(nowSeconds).candidates(keyID: keyID, algorithm: algorithm)
        guard found.isEmpty else { return found }
        if flight == nil {
            if let last = refetchedAtSeconds, (0..<Self.refetchSecondsMin).contains(nowSeconds - last) {
                throw ConnectorFailure(.throttled, "the token names a key that is not known yet")
            }
            refetchedAtSeconds = nowSeconds
        }
        await ask(nowSeconds)
        if let lastFailure { throw lastFailure }
        return set?.candidates(keyID: keyID, algorithm: algorithm) ?? []
    }

    private func current(_ nowSeconds: Int64) async throws(ConnectorFailure) -> JWKSet {
        let age = nowSeconds - fetchedAtSeconds
        if let set, (0..<Self.freshSeconds).contains(age) { return set }
        if flight != nil || nowSeconds >= askAgainSeconds { await ask(nowSeconds) }
        let stale = nowSeconds - fetchedAtSeconds
        if let set, stale < Self.freshSeconds + Self.staleSecondsMax { return set }
        throw lastFailure ?? ConnectorFailure(.unavailable, "the key set cannot be read")
    }

    private func ask(_ nowSeconds: Int64) async {
        let fetch = fetch
        let task = flight ?? Task { await fetch() }
        flight = task
        let result = await task.value
        guard flight == task else { return }
        flight = nil
        switch result {
        case .success(let fresh):
            set = fresh
            fetchedAtSeconds = nowSeconds
            lastFailure = nil
        case .failure(let failure):
            lastFailure = failure
            askAgainSeconds = nowSeconds + Self.failureSeconds
        }
    }
}
