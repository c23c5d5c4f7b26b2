import Access
import Glibc

/// Host names and numeric addresses, judged strictly: what is refused here cannot surprise the data plane.
enum HostSyntax {
    /// nil when `text` is a lower-case DNS name; otherwise what is wrong with it.
    static func nameProblem(_ text: String) -> Quantity.Refusal? {
        let remedy = "write the bare name, for example wiki.corp.example"
        guard text.utf8.count <= 253 else {
            return .init(problem: "is longer than 253 bytes", remedy: remedy)
        }
        if text.contains("*") {
            return .init(
                problem: "\"\(text)\" has a wildcard", remedy: "name every host; wildcards are not routed")
        }
        if text.contains("/") || text.contains(":") {
            return .init(problem: "\"\(text)\" has a scheme, port or path", remedy: remedy)
        }
        if text.contains(where: { $0.isUppercase }) {
            return .init(problem: "\"\(text)\" has upper-case letters", remedy: "write \(text.lowercased())")
        }
        if v4(text) != nil {
            return .init(
                problem: "\"\(text)\" is an address", remedy: "use a name; cookies are bound to names")
        }
        for label in text.split(separator: ".", omittingEmptySubsequences: false) where !isLabel(label) {
            return .init(problem: "\"\(text)\" is not a host name", remedy: remedy)
        }
        return nil
    }

    private static func isLabel(_ label: Substring) -> Bool {
        guard (1...63).contains(label.utf8.count), label.first != "-", label.last != "-" else { return false }
        return label.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
    }

    /// Dotted decimal with four parts and no leading zeros (`010` is eight to some parsers and ten to
    /// others).
    static func v4(_ text: String) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard part.utf8.allSatisfy({ (48...57).contains($0) }), let byte = UInt8(part) else { return nil }
            guard part.count == 1 || part.first != "0" else { return nil }
            bits = bits << 8 | UInt32(byte)
        }
        return bits
    }

    /// A numeric address, IPv4 in its mapped form. Zones (`%eth0`) are refused.
    static func address(_ text: String) -> NetworkAddress? {
        if let bits = v4(text) { return NetworkAddress(v4: bits) }
        guard text.contains(":"), !text.contains("%") else { return nil }
        var raw = in6_addr()
        guard inet_pton(AF_INET6, text, &raw) == 1 else { return nil }
        return withUnsafeBytes(of: &raw) { bytes in
            var halves: [UInt64] = [0, 0]
            for (index, byte) in bytes.enumerated() {
                halves[index / 8] = halves[index / 8] << 8 | UInt64(byte)
            }
            return NetworkAddress(high: halves[0], low: halves[1])
        }
    }

    /// 127.0.0.0/8, ::1, `localhost` and names below it (RFC 6761 §6.3).
    static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host.hasSuffix(".localhost") { return true }
        guard let address = address(host) else { return false }
        if address == NetworkAddress(high: 0, low: 1) { return true }
        return address.high == 0 && address.low >> 24 == 0xFFFF_7F
    }

    /// 0.0.0.0 or ::
    static func isEveryAddress(_ host: String) -> Bool {
        guard let address = address(host) else { return false }
        return address == NetworkAddress(high: 0, low: 0) || address == NetworkAddress(v4: 0)
    }

    /// `10.0.0.0/8` or a single address; the refusal names the range that was probably meant.
    static func range(_ text: String) throws(Quantity.Refusal) -> NetworkRange {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        guard let base = address(parts[0]) else {
            throw .init(
                problem: "\"\(text)\" is not an address range", remedy: "write for example 10.0.0.0/8")
        }
        let isV4 = v4(parts[0]) != nil
        let bitsMax = isV4 ? 32 : 128
        guard parts.count == 2 else { return NetworkRange(base: base, prefixLength: 128) }
        guard let bits = Int(parts[1]), (0...bitsMax).contains(bits), String(bits) == parts[1] else {
            throw .init(
                problem: "\"\(text)\" has a prefix length that is not 0 to \(bitsMax)",
                remedy: "write 0 to \(bitsMax)")
        }
        let length = isV4 ? bits + 96 : bits
        let masked = mask(base, length)
        guard masked == base else {
            let meant =
                isV4 ? "\(v4Text(masked))/\(bits)" : "an address whose last \(128 - bits) bits are zero"
            throw .init(problem: "\"\(text)\" has host bits", remedy: "write \(meant)")
        }
        return NetworkRange(base: base, prefixLength: length)
    }

    private static func mask(_ address: NetworkAddress, _ length: Int) -> NetworkAddress {
        // Swift's smart shifts give zero for a shift by 64 or more, which is what a mask needs.
        let high = UInt64.max << UInt64(64 - min(length, 64))
        let low = UInt64.max << UInt64(64 - max(length - 64, 0))
        return NetworkAddress(high: address.high & high, low: address.low & low)
    }

    private static func v4Text(_ address: NetworkAddress) -> String {
        (0..<4).reversed().map { String(address.low >> ($0 * 8) & 0xFF) }.joined(separator: ".")
    }
}
