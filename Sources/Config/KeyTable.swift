/// What a key may hold. The same value validates files, makes the editor schema and the reference.
package indirect enum Shape: Sendable {
    case text
    case host
    case url
    case flag
    case integer(ClosedRange<Int64>)
    /// Seconds, written with a unit.
    case duration(ClosedRange<Int64>)
    /// The same, or `off`.
    case durationOrOff(ClosedRange<Int64>)
    /// Bytes, written as a number or with `KiB` or `MiB`.
    case size(ClosedRange<Int64>)
    /// A whole number with `%`.
    case percent(ClosedRange<Int64>)
    case choice([String])
    /// A file that everybody may read.
    case file
    /// A file that only its owner may read.
    case privateFile
    /// `{ file: … }` or `{ env: … }`.
    case secret
    /// At least one.
    case list(Shape)
    /// One value or a list of at least one.
    case oneOrMore(Shape)
    /// Free names to texts.
    case texts
    /// Free names to one or more texts, numbers or flags.
    case facts
    case section(KeyTable)
    /// One of the words, or a section.
    case alternative([String], KeyTable)
    /// Something short, or a section.
    case either(Shape, KeyTable)
    /// Exactly one key per mapping.
    case variant(KeyTable)
    /// Free names to sections.
    case named(KeyTable)
    /// Free names to sections whose keys depend on the value of `by`.
    case namedKinds(by: String, [KeyTable])
}

/// One key.
package struct KeySpec: Sendable {
    package var name: String
    package var shape: Shape
    package var isRequired: Bool
    /// One sentence.
    package var summary: String
    /// What holds without the key; nil when it is required.
    package var standard: String?
    package var example: String

    /// A key that must be there.
    static func required(_ name: String, _ shape: Shape, _ summary: String, example: String) -> KeySpec {
        KeySpec(name: name, shape: shape, isRequired: true, summary: summary, standard: nil, example: example)
    }

    /// A key with a default, in words where it is no value.
    static func optional(
        _ name: String, _ shape: Shape, _ summary: String, standard: String, example: String
    ) -> KeySpec {
        KeySpec(
            name: name, shape: shape, isRequired: false, summary: summary, standard: standard,
            example: example)
    }
}

/// The keys of one section.
package struct KeyTable: Sendable {
    /// `gateway.listeners[]`, `applications.<name>`; with the kind where several tables share a path.
    package var title: String
    /// For tables chosen by a discriminating key: its value.
    package var kind: String?
    package var keys: [KeySpec]

    init(_ title: String, kind: String? = nil, _ keys: [KeySpec]) {
        self.title = title
        self.kind = kind
        self.keys = keys
    }

    subscript(_ name: String) -> KeySpec? { keys.first { $0.name == name } }
}

/// Names that look alike.
enum NearestName {
    /// The candidate with the fewest edits, when that is few enough to be a slip of the finger.
    static func of(_ name: String, among candidates: [String]) -> String? {
        let distances = candidates.map { (candidate: $0, distance: distance(name, $0)) }
        guard let best = distances.min(by: { ($0.distance, $0.candidate) < ($1.distance, $1.candidate) })
        else { return nil }
        let shorter = min(name.utf8.count, best.candidate.utf8.count)
        if best.distance <= max(2, name.utf8.count / 3) && best.distance * 2 <= shorter {
            return best.candidate
        }
        return name.utf8.count >= 3 ? candidates.first { $0.hasPrefix(name) } : nil
    }

    /// Levenshtein distance in bytes; names longer than 64 bytes are compared by their first 64.
    static func distance(_ left: String, _ right: String) -> Int {
        let (left, right) = (Array(left.utf8.prefix(64)), Array(right.utf8.prefix(64)))
        var previous = Array(0...right.count)
        for (row, byte) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                let replaced = previous[column] + (byte == other ? 0 : 1)
                current.append(min(replaced, previous[column + 1] + 1, current[column] + 1))
            }
            previous = current
        }
        return previous[right.count]
    }
}
