/// From a name's hash to the places where records of that name may be. Eight bytes an entry: with a hundred thousand
/// devices at four providers a dictionary of names would be larger than what it points to.
///
/// Open addressing with linear probing. An entry is 32 bits of the hash and the slot; whoever looks something up
/// compares the name with the record's own, so two names of one hash cost a comparison and nothing else.
struct SlotIndex: Sendable {
    private static let empty = UInt64.max

    private var entries: [UInt64] = []
    private(set) var count = 0

    /// The hash of a name's bytes; seeded anew with every process, so that nobody outside can make them collide.
    ///
    /// - Parameter kind: what the name is; nil for the provider's own id.
    static func hash(_ text: String, _ kind: DeviceKey.Kind?) -> UInt32 {
        var hasher = Hasher()
        hasher.combine(kind)
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    /// Slots whose name may have this hash.
    func slots(of hash: UInt32) -> [UInt32] {
        guard !entries.isEmpty else { return [] }
        var found: [UInt32] = []
        var position = home(hash)
        while entries[position] != Self.empty {
            if entries[position] >> 32 == UInt64(hash) {
                found.append(UInt32(truncatingIfNeeded: entries[position]))
            }
            position = next(position)
        }
        return found
    }

    /// The first slot whose name has this hash and is the right one.
    func slot(of hash: UInt32, where isRight: (UInt32) -> Bool) -> UInt32? {
        guard !entries.isEmpty else { return nil }
        var position = home(hash)
        while entries[position] != Self.empty {
            let slot = UInt32(truncatingIfNeeded: entries[position])
            if entries[position] >> 32 == UInt64(hash), isRight(slot) { return slot }
            position = next(position)
        }
        return nil
    }

    /// Adds an entry. The same one twice is there twice.
    mutating func insert(_ hash: UInt32, _ slot: UInt32) {
        if count + 1 > entries.count / 4 * 3 { grow() }
        place(UInt64(hash) << 32 | UInt64(slot))
        count += 1
    }

    /// Takes one such entry away, when there is one.
    mutating func remove(_ hash: UInt32, _ slot: UInt32) {
        guard !entries.isEmpty else { return }
        let wanted = UInt64(hash) << 32 | UInt64(slot)
        var position = home(hash)
        while entries[position] != wanted {
            guard entries[position] != Self.empty else { return }
            position = next(position)
        }
        count -= 1
        // Entries behind move into the gap where their way from home leads over it: a gap would hide them.
        var gap = position
        position = next(position)
        while entries[position] != Self.empty {
            let home = home(UInt32(truncatingIfNeeded: entries[position] >> 32))
            if distance(from: home, to: gap) <= distance(from: home, to: position) {
                entries[gap] = entries[position]
                gap = position
            }
            position = next(position)
        }
        entries[gap] = Self.empty
    }

    private func home(_ hash: UInt32) -> Int { Int(hash) & (entries.count - 1) }

    private func next(_ position: Int) -> Int { (position + 1) & (entries.count - 1) }

    private func distance(from start: Int, to end: Int) -> Int { (end - start) & (entries.count - 1) }

    private mutating func place(_ entry: UInt64) {
        var position = home(UInt32(truncatingIfNeeded: entry >> 32))
        while entries[position] != Self.empty { position = next(position) }
        entries[position] = entry
    }

    private mutating func grow() {
        let old = entries
        entries = [UInt64](repeating: Self.empty, count: max(16, old.count * 2))
        for entry in old where entry != Self.empty { place(entry) }
    }
}
