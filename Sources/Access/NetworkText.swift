/// Addresses and ranges as text: strict in, canonical out.

extension NetworkAddress {
    /// Reads one IPv4 address (four decimal octets, no leading zeros) or one IPv6 address (RFC 4291 §2.2, an
    /// IPv4 tail allowed). No zone, no brackets, no blanks, no short IPv4 forms.
    ///
    /// - Returns: nil for anything else. `::ffff:a.b.c.d` is the IPv4 address.
    public init?(parsing text: String) {
        let bytes = Array(text.utf8)
        // The longest form: six groups of four and an IPv4 tail.
        guard bytes.count >= 2, bytes.count <= 45 else { return nil }
        if bytes.contains(0x3a) {
            guard let groups = Self.groups(of: bytes) else { return nil }
            self.init(groups: groups)
        } else {
            guard let bits = Self.v4Bits(of: ArraySlice(bytes)) else { return nil }
            self.init(v4: bits)
        }
    }

    private init(groups: [UInt16]) {
        var words: (UInt64, UInt64) = (0, 0)
        for index in 0..<4 {
            words.0 = words.0 << 16 | UInt64(groups[index])
            words.1 = words.1 << 16 | UInt64(groups[index + 4])
        }
        self.init(high: words.0, low: words.1)
    }

    private static func v4Bits(of bytes: ArraySlice<UInt8>) -> UInt32? {
        let parts = bytes.split(separator: 0x2e, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard let octet = decimal(part, max: 255) else { return nil }
            bits = bits << 8 | UInt32(octet)
        }
        return bits
    }

    /// Digits only and no leading zero: some readers take `010` for eight.
    static func decimal(_ digits: ArraySlice<UInt8>, max: Int) -> Int? {
        guard !digits.isEmpty, digits.count <= 3, digits.count == 1 || digits.first != 0x30 else {
            return nil
        }
        var value = 0
        for digit in digits {
            guard digit >= 0x30 && digit <= 0x39 else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return value <= max ? value : nil
    }

    /// The eight groups, with at most one "::" that stands for at least one group.
    private static func groups(of bytes: [UInt8]) -> [UInt16]? {
        guard let gap = gap(in: bytes) else {
            guard let all = run(ArraySlice(bytes), isLast: true), all.count == 8 else { return nil }
            return all
        }
        let left = bytes[..<gap]
        let right = bytes[(gap + 2)...]
        guard let head = left.isEmpty ? [] : run(left, isLast: false),
            let tail = right.isEmpty ? [] : run(right, isLast: true), head.count + tail.count <= 7
        else { return nil }
        return head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
    }

    private static func gap(in bytes: [UInt8]) -> Int? {
        bytes.indices.dropLast().first { bytes[$0] == 0x3a && bytes[$0 + 1] == 0x3a }
    }

    /// Groups between single colons; the last may be an IPv4 address when the run ends the text.
    private static func run(_ bytes: ArraySlice<UInt8>, isLast: Bool) -> [UInt16]? {
        let parts = bytes.split(separator: 0x3a, omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if isLast, index == parts.count - 1, part.contains(0x2e) {
                guard let bits = v4Bits(of: part) else { return nil }
                groups += [UInt16(bits >> 16), UInt16(bits & 0xffff)]
            } else {
                guard let group = hexadecimal(part) else { return nil }
                groups.append(group)
            }
        }
        return groups
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt16? {
        guard digits.count >= 1, digits.count <= 4 else { return nil }
        var value: UInt16 = 0
        for digit in digits {
            let lower = digit | 0x20
            if digit >= 0x30 && digit <= 0x39 {
                value = value << 4 | UInt16(digit - 0x30)
            } else if lower >= 0x61 && lower <= 0x66 {
                value = value << 4 | UInt16(lower - 0x61 + 10)
            } else {
                return nil
            }
        }
        return value
    }
}

extension NetworkAddress: CustomStringConvertible {
    /// Dotted decimal, or RFC 5952 §4: lower case, the first longest run of two or more zero groups as "::".
    public var description: String {
        if isV4 {
            return (0..<4).map { String(low >> UInt64(24 - 8 * $0) & 0xff) }.joined(separator: ".")
        }
        let groups = (0..<8).map {
            UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> UInt64(48 - 16 * ($0 % 4)))
        }
        let run = Self.longestZeroRun(in: groups)
        let text = { (slice: ArraySlice<UInt16>) in slice.map { String($0, radix: 16) }.joined(separator: ":")
        }
        if run.count < 2 { return text(ArraySlice(groups)) }
        return text(groups[..<run.lowerBound]) + "::" + text(groups[run.upperBound...])
    }

    private static func longestZeroRun(in groups: [UInt16]) -> Range<Int> {
        var best = 0..<0
        var start = 0
        for index in groups.indices {
            if groups[index] != 0 { start = index + 1 }
            if index + 1 - start > best.count { best = start..<(index + 1) }
        }
        return best
    }
}

extension NetworkRange {
    /// Reads `address/length`, or an address alone (a range of one). The length is of the family that was
    /// written (0...32 or 0...128) and bits below it must be zero: `10.0.0.1/8` is a mistake, not a range.
    ///
    /// - Returns: nil for anything else.
    public init?(parsing text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = NetworkAddress(parsing: String(parts[0])) else { return nil }
        var length = 128
        if parts.count == 2 {
            let isDotted = !parts[0].utf8.contains(0x3a)
            let digits = Array(parts[1].utf8)
            guard let written = NetworkAddress.decimal(ArraySlice(digits), max: isDotted ? 32 : 128) else {
                return nil
            }
            length = isDotted ? written + 96 : written
        }
        let mask = NetworkRange.mask(length)
        guard address.high & ~mask.high == 0, address.low & ~mask.low == 0 else { return nil }
        self.init(base: address, prefixLength: length)
    }
}

extension NetworkRange: CustomStringConvertible {
    /// `10.0.0.0/8`, `2001:db8::/32`.
    public var description: String {
        base.isV4 && prefixLength >= 96 ? "\(base)/\(prefixLength - 96)" : "\(base)/\(prefixLength)"
    }
}
