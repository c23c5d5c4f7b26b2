/// From a name's hash to the places where records of that name may be. Eight bytes an entry: with a hundred thousand
/// devices at four providers a dictionary of names would be larger than what it points to.
///
/// Open addressing with linear probing. An entry is 32 bits of the hash and the slot; whoever looks something up
/// compares the name with the record's own, so two names of one hash cost a comparison and nothing else. It grows by
/// half and not to the double, which would leave it five eighths empty just after growing.
///
/// Some names are those of very many records (one person's for a whole room of kiosks). Entries of one hash stand
/// behind each other, and each of 50,000 would pass all that came before it: all but a few of them are kept apart.
struct SlotIndex: Sendable {
    private static let empty = UInt64.max
    /// Entries of one hash among the others.
    private static let runMax = 8

    private(set) var entries: [UInt64] = []
    /// For such a hash its further slots, and how often each is there.
    private(set) var crowds: [UInt32: [UInt32: Int]] = [:]
    /// Of `entries`.
    private var placed = 0
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
        for (slot, times) in crowds[hash] ?? [:] { found += repeatElement(slot, count: times) }
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
        return crowds[hash]?.keys.first(where: isRight)
    }

    /// Adds an entry. The same one twice is there twice.
    mutating func insert(_ hash: UInt32, _ slot: UInt32) {
        if placed + 1 > entries.count * 3 / 4 { grow() }
        var position = home(hash)
        var run = 0
        while entries[position] != Self.empty {
            if entries[position] >> 32 == UInt64(hash) { run += 1 }
            guard run < Self.runMax else {
                crowds[hash, default: [:]][slot, default: 0] += 1
                count += 1
                return
            }
            position = next(position)
        }
        entries[position] = UInt64(hash) << 32 | UInt64(slot)
        placed += 1
        count += 1
    }

    /// Takes one such entry away, when there is one.
    mutating func remove(_ hash: UInt32, _ slot: UInt32) {
        guard !entries.isEmpty else { return }
        let wanted = UInt64(hash) << 32 | UInt64(slot)
        var position = home(hash)
        while entries[position] != wanted {
            guard entries[position] != Self.empty else { return removeFromCrowd(hash, slot) }
            position = next(position)
        }
        count -= 1
        placed -= 1
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

    private mutating func removeFromCrowd(_ hash: UInt32, _ slot: UInt32) {
        guard let times = crowds[hash]?[slot] else { return }
        crowds[hash]?[slot] = times == 1 ? nil : times - 1
        count -= 1
        if crowds[hash]?.isEmpty == true { crowds[hash] = nil }
    }

    /// The hash as a part of its range, whatever the number of entries.
    private func home(_ hash: UInt32) -> Int { Int((UInt64(hash) * UInt64(entries.count)) >> 32) }

    private func next(_ position: Int) -> Int { position + 1 == entries.count ? 0 : position + 1 }

    private func distance(from start: Int, to end: Int) -> Int {
        end >= start ? end - start : end - start + entries.count
    }

    private mutating func place(_ entry: UInt64) {
        var position = home(UInt32(truncatingIfNeeded: entry >> 32))
        while entries[position] != Self.empty { position = next(position) }
        entries[position] = entry
    }

    private mutating func grow() {
        let old = entries
        entries = [UInt64](repeating: Self.empty, count: max(16, old.count + old.count / 2))
        for entry in old where entry != Self.empty { place(entry) }
    }
}
