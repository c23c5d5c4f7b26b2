import Signatures
import Store

/// Token ids that were taken, for seven days, also over a restart.
///
/// The store can only use an id up, not look whether it is. An id that is used up before its effects are
/// carried out would lose the event when the process ends in between, one used up after them would carry it
/// out again with each redelivery. So each id has a few marks: one is used up by each attempt, and the rest
/// when it succeeded.
struct SeenTokens: Sendable {
    static let rememberedSeconds: Int64 = 7 * 86_400
    /// Processes that may end in the middle of the same event.
    static let attemptsMax = 4
    /// Attempts that failed in this process are remembered one by one.
    static let unfinishedMax = 10_000

    /// Names a token at one stream.
    struct Key: Hashable, Sendable {
        fileprivate var text: String

        init(stream: String, issuer: String, tokenID: String) {
            text = [stream, issuer, tokenID].map { "\($0.utf8.count):\($0)" }.joined()
        }

        fileprivate func mark(_ attempt: Int) -> [UInt8] {
            Digest.sha256(Array("signal \(attempt) \(text)".utf8))
        }
    }

    private var underWay: Set<Key> = []
    private var unfinished: [Key: Int] = [:]

    /// Notes that a token is about to be carried out; false when another delivery of it is. `release` must
    /// follow.
    mutating func claim(_ key: Key) -> Bool { underWay.insert(key).inserted }

    /// The attempt of this process that failed before.
    func failedAttempt(_ key: Key) -> Int? { unfinished[key] }

    mutating func release(_ key: Key, failedAttempt: Int?) {
        underWay.remove(key)
        if unfinished.count >= Self.unfinishedMax { unfinished = [:] }
        unfinished[key] = failedAttempt
    }

    /// - Returns: the number of this attempt; nil when the token was carried out.
    static func attempt(
        _ key: Key, store: any GatewayStore, nowSeconds: Int64
    ) async throws(StoreError) -> Int? {
        for attempt in 1...attemptsMax {
            let isFirst = try await store.consumeNonce(
                key.mark(attempt), expiresAtSeconds: nowSeconds + rememberedSeconds)
            if isFirst { return attempt }
        }
        return nil
    }

    /// Uses up what is left.
    static func finish(
        _ key: Key, attempt: Int, store: any GatewayStore, nowSeconds: Int64
    ) async throws(StoreError) {
        for later in (attempt + 1)..<max(attempt + 1, attemptsMax + 1) {
            _ = try await store.consumeNonce(
                key.mark(later), expiresAtSeconds: nowSeconds + rememberedSeconds)
        }
    }
}
