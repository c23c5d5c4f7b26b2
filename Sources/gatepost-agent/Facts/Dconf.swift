/// A dconf database file (GVDB): settings and, in the administrator's ones, locks.
///
/// Header "GVariant", version, options, and the root table's place; a table is a Bloom filter, buckets and
/// items; an item's name continues its parent's. Everything that a number of the file points to is checked.
struct DconfDatabase {
    static let bytesMax = 4 << 20
    static let itemsMax = 50_000
    static let depthMax = 32

    enum Setting: Hashable {
        case flag(Bool)
        case number(UInt32)
        case signed(Int32)
    }

    private let bytes: [UInt8]
    private let root: Table

    private struct Table {
        var items: Int
        var count: Int
    }

    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 24, bytes.count <= Self.bytesMax, bytes.starts(with: "GVariant".utf8) else {
            return nil
        }
        self.bytes = bytes
        guard Self.word(bytes, 8) == 0, let start = Self.word(bytes, 16), let end = Self.word(bytes, 20),
            let table = Self.table(bytes, start, end)
        else { return nil }
        root = table
    }

    /// The value of a flag or a 32-bit number; nil when it is not set, or of another type.
    func setting(_ path: String) -> Setting? {
        guard let item = find(path, in: root), bytes[item + 14] == UInt8(ascii: "v"),
            let start = Self.word(bytes, item + 16), let end = Self.word(bytes, item + 20), start <= end,
            end <= bytes.count
        else { return nil }
        // A variant: the value, a zero, its type.
        let value = bytes[start..<end]
        if value.count == 3, value.last == UInt8(ascii: "b"), value[start + 1] == 0, value[start] <= 1 {
            return .flag(value[start] == 1)
        }
        if value.count == 6, value.last == UInt8(ascii: "u"), value[start + 4] == 0,
            let number = Self.word(bytes, start)
        {
            return .number(UInt32(number))
        }
        if value.count == 6, value.last == UInt8(ascii: "i"), value[start + 4] == 0,
            let number = Self.word(bytes, start)
        {
            return .signed(Int32(truncatingIfNeeded: number))
        }
        return nil
    }

    /// Whether the administrator locked a setting in this database.
    func isLocked(_ path: String) -> Bool {
        guard let item = find(".locks", in: root), bytes[item + 14] == UInt8(ascii: "H"),
            let start = Self.word(bytes, item + 16), let end = Self.word(bytes, item + 20),
            let locks = Self.table(bytes, start, end)
        else { return false }
        return find(path, in: locks) != nil
    }

    private func find(_ path: String, in table: Table) -> Int? {
        for index in 0..<table.count where hasName(path.utf8, index, table) {
            return table.items + index * 24
        }
        return nil
    }

    /// Compares from the end: an item's own piece first, then its parents'.
    private func hasName(_ path: String.UTF8View, _ index: Int, _ table: Table) -> Bool {
        var rest = Array(path)[...]
        var current = index
        for _ in 0..<Self.depthMax {
            let item = table.items + current * 24
            guard let key = Self.word(bytes, item + 8) else { return false }
            let length = Int(bytes[item + 12]) | Int(bytes[item + 13]) << 8
            guard key <= bytes.count, length <= bytes.count - key, length <= rest.count,
                rest.suffix(length).elementsEqual(bytes[key..<(key + length)])
            else { return false }
            rest = rest.dropLast(length)
            guard let parent = Self.word(bytes, item + 4) else { return false }
            if parent == 0xffff_ffff { return rest.isEmpty }
            guard parent < table.count else { return false }
            current = parent
        }
        return false
    }

    private static func table(_ bytes: [UInt8], _ start: Int, _ end: Int) -> Table? {
        guard start <= end, end <= bytes.count, start % 4 == 0, end - start >= 8,
            let bloom = word(bytes, start), let buckets = word(bytes, start + 4)
        else { return nil }
        let words = bloom & 0x07ff_ffff
        let room = end - start - 8
        guard words <= room / 4, buckets <= room / 4, (words + buckets) * 4 <= room else { return nil }
        let count = (room - (words + buckets) * 4) / 24
        guard count <= itemsMax else { return nil }
        return Table(items: start + 8 + (words + buckets) * 4, count: count)
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> Int? {
        guard offset >= 0, offset + 4 <= bytes.count else { return nil }
        return (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
}
