/// Digests of the groups of one person, and of the address, so that fifty policies that each name some do not walk
/// five hundred names each.
struct NameTable: Sendable {
    /// In place of a group's place: the address. It is found by digest only.
    private static let addressMark: UInt64 = 0xffff_ffff

    /// Open addressing: 0 is empty, otherwise the name's digest and, below it, its place in the list plus one.
    /// At most half of it is used.
    private var slots: [UInt64]

    init(_ groups: [String], email: String?) {
        var size = 16
        while size < (groups.count + 1) * 2 { size *= 2 }
        slots = [UInt64](repeating: 0, count: size)
        var index = 0
        while index < groups.count {
            add(Self.digest(groups[index]), UInt64(index + 1))
            index += 1
        }
        if let email { add(Self.digest(email), Self.addressMark) }
    }

    /// Whether a name of this digest may be a group or the address; false is certain.
    func mayContain(_ digest: UInt32) -> Bool {
        let mask = slots.count - 1
        var slot = Int(digest) & mask
        while slots[slot] != 0 {
            if slots[slot] >> 32 == UInt64(digest) { return true }
            slot = (slot + 1) & mask
        }
        return false
    }

    /// Whether a name is one of the groups that the table was made of, byte for byte.
    ///
    /// - Parameter groups: those.
    func contains(_ name: String, among groups: [String]) -> Bool {
        let digest = Self.digest(name)
        let mask = slots.count - 1
        var slot = Int(digest) & mask
        while slots[slot] != 0 {
            let place = slots[slot] & Self.addressMark
            if slots[slot] >> 32 == UInt64(digest), place != Self.addressMark,
                ExactText.isEqual(groups[Int(place) - 1], name)
            {
                return true
            }
            slot = (slot + 1) & mask
        }
        return false
    }

    private mutating func add(_ digest: UInt32, _ place: UInt64) {
        let mask = slots.count - 1
        var slot = Int(digest) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = UInt64(digest) << 32 | place
    }

    /// Equal for names that differ in the case of A to Z alone, since addresses are compared so; what else it does
    /// not tell apart is compared in full. Names that were made to collide cost what walking the list costs.
    static func digest(_ name: String) -> UInt32 {
        let bytes = name.utf8.span
        return bytes.withUnsafeBytes { digest($0) }
    }

    /// Eight bytes at a step; the last step takes the last eight, some of them for the second time.
    private static func digest(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var sum = UInt64(truncatingIfNeeded: bytes.count) &* 0xc2b2_ae3d_27d4_eb4f
        if bytes.count >= 8 {
            var at = 0
            while at + 8 < bytes.count {
                sum = mixed(sum, bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                at += 8
            }
            sum = mixed(sum, bytes.loadUnaligned(fromByteOffset: bytes.count - 8, as: UInt64.self))
        } else {
            var word: UInt64 = 0
            for byte in bytes { word = word << 8 | UInt64(byte) }
            sum = mixed(sum, word)
        }
        // Names differ at their end, which is the upper part of the last word: down with it, then over the digest.
        return UInt32(truncatingIfNeeded: ((sum ^ sum >> 32) &* multiplier) >> 32)
    }

    private static let multiplier: UInt64 = 0x9e37_79b9_7f4a_7c15

    private static func mixed(_ sum: UInt64, _ word: UInt64) -> UInt64 {
        let next = (sum ^ (word | 0x2020_2020_2020_2020)) &* multiplier
        return next ^ next >> 29
    }
}

extension NameTable: Hashable {
    /// Two of the same names are the same; the names themselves are compared beside them.
    static func == (left: NameTable, right: NameTable) -> Bool { true }
    func hash(into hasher: inout Hasher) {}
}
