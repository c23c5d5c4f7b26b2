/// Comparison of names as bytes. `String.==` treats canonically equivalent Unicode as equal and
/// `lowercased()` folds foreign letters into ASCII (U+212A becomes "k"): either could make two
/// identities one.
enum ExactText {
    static func isEqual(_ left: String, _ right: String) -> Bool {
        left.utf8.elementsEqual(right.utf8)
    }

    /// Equal but for the case of the letters A to Z.
    static func isEqualFoldingASCII(_ left: String, _ right: String) -> Bool {
        left.utf8.elementsEqual(right.utf8) { folded($0) == folded($1) }
    }

    static func contains(_ list: [String], _ text: String) -> Bool {
        list.contains { isEqual($0, text) }
    }

    /// `a`, `b` for explain records.
    static func list(_ values: [String]) -> String { values.joined(separator: ", ") }

    private static func folded(_ byte: UInt8) -> UInt8 {
        byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
    }
}
