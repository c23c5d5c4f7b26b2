/// Comparison of names as bytes. `String.==` treats canonically equivalent Unicode as equal and
/// `lowercased()` folds foreign letters into ASCII (U+212A becomes "k"): either could make two
/// identities one.
public enum ExactText {
    /// Whether both are the same bytes.
    public static func isEqual(_ left: String, _ right: String) -> Bool {
        // Before the bytes are looked for: most names differ in length.
        guard left.utf8.count == right.utf8.count else { return false }
        let (left, right) = (left.utf8.span, right.utf8.span)
        var index = 0
        while index < left.count {
            if left[index] != right[index] { return false }
            index += 1
        }
        return true
    }

    /// Whether both lists are the same texts in the same order.
    public static func isEqual(_ left: [String], _ right: [String]) -> Bool {
        left.elementsEqual(right) { isEqual($0, $1) }
    }

    /// Below 0: `left` comes first by its bytes; 0: both are the same bytes.
    ///
    /// - Parameter mark: what both are followed by, which none of them holds.
    static func order(_ left: String, _ right: String, endingWith mark: UInt8 = 0) -> Int {
        let (left, right) = (left.utf8.span, right.utf8.span)
        var index = 0
        while index < left.count, index < right.count {
            if left[index] != right[index] { return Int(left[index]) - Int(right[index]) }
            index += 1
        }
        if index < left.count { return left[index] < mark ? -1 : 1 }
        return index < right.count ? (right[index] < mark ? 1 : -1) : 0
    }

    /// Equal but for the case of the letters A to Z.
    static func isEqualFoldingASCII(_ left: String, _ right: String) -> Bool {
        let (left, right) = (left.utf8, right.utf8)
        return left.count == right.count && left.elementsEqual(right) { folded($0) == folded($1) }
    }

    /// Whether one of `list` is the same bytes as `text`.
    public static func contains(_ list: [String], _ text: String) -> Bool {
        list.contains { isEqual($0, text) }
    }

    /// `a`, `b` for explain records.
    static func list(_ values: [String]) -> String { values.joined(separator: ", ") }

    private static func folded(_ byte: UInt8) -> UInt8 {
        byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
    }
}

/// A name as key of a dictionary or member of a set, equal to the same bytes only: `String` itself as a key
/// would find the entry of a canonically equivalent name.
public struct ExactKey: Sendable, Hashable {
    /// The name as it came.
    public let text: String

    /// Takes the name as it is.
    public init(_ text: String) { self.text = text }

    /// Whether both are the same bytes.
    public static func == (left: ExactKey, right: ExactKey) -> Bool {
        ExactText.isEqual(left.text, right.text)
    }

    /// Equivalent names share a hash and are told apart by `==`.
    public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
