/// The client's address lies in one of these ranges. IPv4 and IPv6 never mix: `::/0` holds no IPv4 client.
public struct NetworkCondition: Sendable, Codable, Hashable {
    /// Any of them will do.
    public var ranges: [NetworkRange]
    /// Takes the members as they are; nothing is checked here.
    public init(ranges: [NetworkRange]) { self.ranges = ranges }
}

extension NetworkCondition: RequestCondition {
    /// In words, for explain records.
    public var description: String {
        "client network is one of: \(ExactText.list(ranges.map(\.description)))"
    }
    var remedy: String { "Connect from one of these networks: \(ExactText.list(ranges.map(\.description)))." }

    func matches(_ request: RequestFacts, path: borrowing Span<UInt8>, _ role: ConditionRole) -> Bool {
        var index = 0
        while index < ranges.count {
            if ranges[index].contains(request.client) { return true }
            index += 1
        }
        return false
    }
}

extension NetworkRange {
    /// Whether the address lies in the range. A range with an impossible prefix length holds nothing.
    public func contains(_ address: NetworkAddress) -> Bool {
        guard prefixLength >= 0 && prefixLength <= 128 else { return false }
        // An IPv4 range is one whose prefix covers the whole of ::ffff:0:0/96.
        guard address.isV4 == (base.isV4 && prefixLength >= 96) else { return false }
        let (high, low) = NetworkRange.mask(prefixLength)
        return (address.high ^ base.high) & high == 0 && (address.low ^ base.low) & low == 0
    }

    /// Ones in the first `length` of 128 bits. Smart shifts: a shift by 64 gives zero.
    static func mask(_ length: Int) -> (high: UInt64, low: UInt64) {
        (~0 << UInt64(64 - min(length, 64)), ~0 << UInt64(64 - max(length - 64, 0)))
    }
}

extension NetworkAddress {
    /// IPv4, kept in its mapped form (RFC 4291 §2.5.5.2).
    public var isV4: Bool { high == 0 && low >> 32 == 0xffff }
}
