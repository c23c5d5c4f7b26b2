import Access

/// What was promised with one challenge.
struct IssuedChallenge: Sendable, Hashable {
    var transaction: String
    /// base64url(SHA-256(session id ‖ transaction id)), the challenge's `txh`.
    var transactionHash: String
    /// base64url(SHA-256(challenge JWS)): the assertion's `chh` must be this.
    var challengeHash: String
    var expiresAtSeconds: Int64
    /// The page said that it goes to the agent by itself with it.
    var isForUnaskedVisit = false
    /// A used nonce stays until its end, so that a replay is told from an unknown one.
    var isUsed = false
}

/// The nonces that are out, bounded as a whole and per transaction. Each is used up by the first attempt,
/// also by a failing one: an attacker gets one guess per challenge.
struct NonceTable: Sendable {
    static let countMax = 100_000
    /// A page renews its challenge every 45 s while a person reads a prompt: two live ones are normal.
    static let perTransactionMax = 4
    /// Kept after their end, so that "expired" and "used" stay distinguishable from "unknown" for a while.
    static let keptSeconds: Int64 = 300

    private var nonces: [[UInt8]: IssuedChallenge] = [:]
    private var byTransaction: [ExactKey: [[UInt8]]] = [:]
    private let countMax: Int
    private var sweptAtSeconds: Int64?

    init(countMax: Int = NonceTable.countMax) { self.countMax = countMax }

    var count: Int { nonces.count }

    mutating func issue(_ nonce: [UInt8], _ challenge: IssuedChallenge, nowSeconds: Int64)
        throws(PostureRefusal)
    {
        // Once a second is enough: a full table must not make every attempt walk all of it.
        if nonces.count >= countMax, sweptAtSeconds != nowSeconds { removeExpired(nowSeconds: nowSeconds) }
        var own = byTransaction[ExactKey(challenge.transaction)] ?? []
        if own.count >= Self.perTransactionMax { nonces[own.removeFirst()] = nil }
        guard nonces.count < countMax else {
            byTransaction[ExactKey(challenge.transaction)] = own.isEmpty ? nil : own
            throw PostureRefusal(.overloaded, "\(nonces.count) challenges are out")
        }
        own.append(nonce)
        byTransaction[ExactKey(challenge.transaction)] = own
        nonces[nonce] = challenge
    }

    /// Marks the nonce used and returns its challenge, or says why it cannot be used. One step: no await
    /// between the look and the mark, so of fifty parallel attempts one passes.
    mutating func consume(_ nonce: [UInt8], nowSeconds: Int64) throws(PostureRefusal) -> IssuedChallenge {
        guard let challenge = nonces[nonce] else {
            throw PostureRefusal(.nonceUnknown, "the nonce was never issued, or long ago")
        }
        guard !challenge.isUsed else { throw PostureRefusal(.nonceUsed, "the nonce was used before") }
        nonces[nonce]?.isUsed = true
        guard nowSeconds < challenge.expiresAtSeconds else {
            throw PostureRefusal(
                .nonceExpired, "the nonce ended \(nowSeconds - challenge.expiresAtSeconds) s ago")
        }
        return challenge
    }

    /// Forgets the challenges of a device check that made room for another one of the same session: with five checks of
    /// four challenges each, no session can fill the table.
    mutating func remove(transaction: String) {
        for nonce in byTransaction.removeValue(forKey: ExactKey(transaction)) ?? [] { nonces[nonce] = nil }
    }

    mutating func removeExpired(nowSeconds: Int64) {
        sweptAtSeconds = nowSeconds
        for (nonce, challenge) in nonces where nowSeconds >= challenge.expiresAtSeconds + Self.keptSeconds {
            nonces[nonce] = nil
            byTransaction[ExactKey(challenge.transaction)]?.removeAll { $0 == nonce }
            if byTransaction[ExactKey(challenge.transaction)]?.isEmpty == true {
                byTransaction[ExactKey(challenge.transaction)] = nil
            }
        }
    }
}
