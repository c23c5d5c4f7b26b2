import Access

/// How many wrong logout tokens are looked at: anybody can send them.
///
/// Two bounds, each by what it protects: refused requests by address, wrong signatures by provider. An
/// address from which a right token came lately is the provider's own, or a proxy's that others share: it has
/// fifty times as many, and the provider's bound is not held against it, so that a flood cannot keep logouts
/// out.
struct LogoutLimits: Sendable {
    static let refusalsMax = 120
    static let knownFactor = 50
    static let signaturesMax = 3_000
    static let windowSeconds: Int64 = 60
    static let addressesMax = 4_096
    /// Tokens that are being checked at once: each may wait for a key set, and every wait holds a place of those that
    /// sign-ins need. Known addresses have places of their own.
    static let underWayMax = 16
    static let knownUnderWayMax = 256
    static let knownMax = 1_024
    static let knownSeconds: Int64 = 86_400

    /// One address, or the 64 bits of an IPv6 network: its holder has all the others.
    private struct Origin: Hashable, Sendable {
        var high: UInt64
        var low: UInt64
        init(_ address: NetworkAddress) {
            let isMapped = address.high == 0 && address.low >> 32 == 0xffff
            high = address.high
            low = isMapped ? address.low : 0
        }
    }

    private var refusals = AttemptWindow<Origin>(
        windowSeconds: Self.windowSeconds, keysMax: Self.addressesMax)
    private var signatures = AttemptWindow<String>(windowSeconds: Self.windowSeconds, keysMax: 256)
    private var underWay = 0
    private var knownUnderWay = 0
    /// Until when an address counts as known.
    private var known: [Origin: Int64] = [:]

    /// Whether a request from here is looked at.
    func admits(_ address: NetworkAddress, nowSeconds: Int64) -> Bool {
        let origin = Origin(address)
        let factor = isKnown(origin, nowSeconds) ? Self.knownFactor : 1
        return refusals.count(origin, nowSeconds: nowSeconds) < Self.refusalsMax * factor
    }

    /// Whether a signature of this provider's tokens is checked for this address.
    func checksSignature(
        of provider: String, from address: NetworkAddress, nowSeconds: Int64
    ) -> Bool {
        isKnown(Origin(address), nowSeconds)
            || signatures.count(provider, nowSeconds: nowSeconds) < Self.signaturesMax
    }

    /// Takes a place for a token whose signature is to be checked.
    ///
    /// - Returns: what `leave` is to be called with; nil when all places are taken.
    mutating func enter(_ address: NetworkAddress, nowSeconds: Int64) -> Place? {
        if isKnown(Origin(address), nowSeconds) {
            guard knownUnderWay < Self.knownUnderWayMax else { return nil }
            knownUnderWay += 1
            return .known
        }
        guard underWay < Self.underWayMax else { return nil }
        underWay += 1
        return .any
    }

    mutating func leave(_ place: Place) {
        switch place {
        case .any: underWay -= 1
        case .known: knownUnderWay -= 1
        }
    }

    enum Place: Sendable { case any, known }

    mutating func noteRefusal(_ address: NetworkAddress, nowSeconds: Int64) {
        refusals.note(Origin(address), nowSeconds: nowSeconds)
    }

    mutating func noteWrongSignature(of provider: String, nowSeconds: Int64) {
        signatures.note(provider, nowSeconds: nowSeconds)
    }

    mutating func noteSuccess(_ address: NetworkAddress, nowSeconds: Int64) {
        if known.count >= Self.knownMax { known = known.filter { nowSeconds < $0.value } }
        guard known.count < Self.knownMax else { return }
        known[Origin(address)] = nowSeconds + Self.knownSeconds
    }

    private func isKnown(_ origin: Origin, _ nowSeconds: Int64) -> Bool {
        known[origin].map { nowSeconds < $0 } ?? false
    }
}
