/// The groups of one person, so that fifty policies that each name some do not walk five hundred names each. Made
/// when a condition first asks, for one evaluation, and never shared: a class only so that it can be made late.
final class GroupIndex {
    /// Shorter lists are walked: that costs less than making the table.
    static let walkedMax = 8

    private let groups: [String]
    /// Open addressing: 0 is empty, otherwise a place in `groups` plus one. At most half of it is used.
    private var slots: [Int32] = []

    init(_ groups: [String]) { self.groups = groups }

    /// Whether one of the names is a group of the person, byte for byte.
    func containsAny(of names: [String]) -> Bool {
        if groups.count <= Self.walkedMax {
            return names.contains { ExactText.contains(groups, $0) }
        }
        if slots.isEmpty { build() }
        let slots = slots
        return names.contains { contains($0, slots) }
    }

    private func contains(_ name: String, _ slots: [Int32]) -> Bool {
        let mask = slots.count - 1
        var slot = Self.digest(name) & mask
        while slots[slot] != 0 {
            if ExactText.isEqual(groups[Int(slots[slot]) - 1], name) { return true }
            slot = (slot + 1) & mask
        }
        return false
    }

    private func build() {
        var size = 32
        while size < groups.count * 2 { size *= 2 }
        var slots = [Int32](repeating: 0, count: size)
        var index = 0
        while index < groups.count {
            var slot = Self.digest(groups[index]) & (size - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (size - 1) }
            index += 1
            slots[slot] = Int32(truncatingIfNeeded: index)
        }
        self.slots = slots
    }

    /// Eight bytes at a step. Names that were made to collide cost what walking the list costs, no more.
    private static func digest(_ name: String) -> Int {
        let bytes = name.utf8.span
        return bytes.withUnsafeBytes { buffer in
            var sum = UInt64(truncatingIfNeeded: buffer.count)
            var at = 0
            while at + 8 <= buffer.count {
                let word = buffer.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                sum = (sum ^ word) &* 0x9e37_79b9_7f4a_7c15
                sum ^= sum >> 29
                at += 8
            }
            while at < buffer.count {
                sum = (sum ^ UInt64(buffer[at])) &* 0x9e37_79b9_7f4a_7c15
                at += 1
            }
            return Int(truncatingIfNeeded: (sum ^ sum >> 32) & 0x7fff_ffff)
        }
    }
}
