import Identity

/// The body of a form as a browser writes it (URL standard §5, `application/x-www-form-urlencoded`), taken
/// apart so that a page of ours can send it once more.
struct SentForm: Equatable {
    /// Names and values in their order; a name may come often.
    var entries: [(name: String, value: String)]

    static let entriesMax = 1_000

    static func == (left: SentForm, right: SentForm) -> Bool {
        left.entries.elementsEqual(right.entries, by: ==)
    }

    /// nil for every body that the page would not send again byte for byte: a form in another charset, one that a
    /// program wrote, one with too many entries. Half a form would be worse than none.
    init?(_ body: [UInt8]) {
        entries = []
        guard !body.isEmpty else { return }
        for pair in body.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false) {
            let halves = pair.split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, let name = FormText.decode(halves[0]),
                let value = FormText.decode(halves[1]),
                entries.count < Self.entriesMax, Self.isKept(name, value)
            else { return nil }
            entries.append((name, value))
        }
        guard encoded == body else { return nil }
    }

    /// As a browser sends what stands in the page's fields.
    var encoded: [UInt8] {
        var out: [UInt8] = []
        for (index, entry) in entries.enumerated() {
            if index > 0 { out.append(UInt8(ascii: "&")) }
            Self.encode(entry.name, into: &out)
            out.append(UInt8(ascii: "="))
            Self.encode(entry.value, into: &out)
        }
        return out
    }

    /// Whether a hidden field keeps both as they are. HTML has no NUL, makes one line end of any and sends it as CR LF
    /// (HTML §4.10.21.4); a nameless field is not sent, and browsers fill in `_charset_` themselves.
    private static func isKept(_ name: String, _ value: String) -> Bool {
        guard !name.isEmpty else { return false }
        if name.lowercased() == "_charset_", value != "UTF-8" { return false }
        for text in [name, value] {
            var before: Unicode.Scalar = " "
            for scalar in text.unicodeScalars {
                if scalar.value == 0 { return false }
                if scalar == "\n", before != "\r" { return false }
                if before == "\r", scalar != "\n" { return false }
                before = scalar
            }
            if before == "\r" { return false }
        }
        return true
    }

    private static func encode(_ text: String, into out: inout [UInt8]) {
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2a, 0x2d, 0x2e, 0x5f: out.append(byte)
            case 0x20: out.append(UInt8(ascii: "+"))
            case _: out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
    }
}
