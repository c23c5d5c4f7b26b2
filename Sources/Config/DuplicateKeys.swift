import Yams

/// Reading on after a doubled key, so that the other problems of the file are reported in the same run.
///
/// The YAML library stops at the first mapping with a doubled key and tells the place of its first
/// occurrence. That occurrence is made unique by a private-use character and the text is read again; the
/// marked key is left out of the tree. The file is refused anyway: this only serves the messages.
enum DuplicateKeys {
    static let roundsMax = 100
    private static let firstMark: UInt32 = 0xE000

    static func isMarked(_ name: String) -> Bool {
        guard let first = name.unicodeScalars.first else { return false }
        return (firstMark..<firstMark + UInt32(roundsMax)).contains(first.value)
    }

    /// Whether the text already has characters that the marks use.
    static func collides(with text: String) -> Bool {
        text.unicodeScalars.contains { (firstMark..<firstMark + UInt32(roundsMax)).contains($0.value) }
    }

    /// The text with the key at `mark` made unique; nil when the place is not in the text.
    static func marking(_ text: String, at mark: Mark, round: Int) -> String? {
        guard let scalar = Unicode.Scalar(firstMark + UInt32(round)) else { return nil }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.indices.contains(mark.line - 1) else { return nil }
        var line = Array(lines[mark.line - 1].unicodeScalars)
        var column = mark.column - 1
        guard line.indices.contains(column) else { return nil }
        if line[column] == "\"" || line[column] == "'" { column += 1 }
        line.insert(scalar, at: column)
        var unicode = String.UnicodeScalarView()
        unicode.append(contentsOf: line)
        lines[mark.line - 1] = String(unicode)
        return lines.joined(separator: "\n")
    }
}
