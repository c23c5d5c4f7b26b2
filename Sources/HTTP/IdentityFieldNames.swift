/// The request fields that only the gateway may set, compared by folded name: lower case, everything that is
/// neither letter nor digit removed. `X_Remote-User`, `x-remote_user` and `XRemoteUser` are one name, because
/// WSGI, PHP and others merge such variants behind us.
public struct IdentityFieldNames: Sendable {
    /// In the order of their first bytes; those of code `c` are `starts[c]..<starts[c + 1]`.
    private var entries: [Entry] = []
    private var starts = [Int](repeating: 0, count: FoldedName.codes + 1)
    /// Which second bytes the entries of each first byte have: most fields are dismissed by one look.
    private var seconds = [UInt64](repeating: 0, count: FoldedName.codes)
    /// Bits of the known fields that are configured, say Authorization.
    private(set) var known: UInt64 = 0

    private struct Entry: Sendable {
        /// Its first eight bytes, and which of them a name must have to be looked at in full.
        var begin: UInt64
        var mask: UInt64
        var text: [UInt8]
        var isPrefix: Bool
    }

    /// The built-in names alone.
    public static let builtIn = IdentityFieldNames()

    /// Names that identity, client address, certificate or rewritten URL travel under in gateways, clouds and
    /// frameworks. An upstream behind us must never read the client's own.
    private static let prefixes = [
        "gatepost", "xforwarded", "xauthrequest", "xremote", "xwebauth", "xauthentik", "xpomerium",
        "cfaccess",
        "xgoogauthenticated", "xgoogiap", "xmsclientprincipal", "xmstokenaad", "xamznoidc", "xamzncf",
        "sslclient", "xsslclient", "xsslcert", "clientcert", "xclientcert", "proxy",
    ]
    private static let names = [
        "remoteuser", "remotename", "remoteemail", "remotegroup", "remotegroups", "remoteroles", "authuser",
        "forwarded", "xrealip", "xclientip", "trueclientip", "clientip", "cfconnectingip", "fastlyclientip",
        "xclusterclientip", "xoriginalurl", "xoriginaluri", "xoriginalhost", "xoriginalmethod", "xrewriteurl",
        "xhttpmethodoverride", "xhttpmethod", "xmethodoverride",
        // `Transfer_Encoding` frames nothing here, but does where names are folded. The real ones are
        // rewritten.
        "host", "contentlength", "transferencoding", "connection", "keepalive", "te", "trailer", "upgrade",
        "expect", "http2settings", "traceparent",
    ]

    /// - Parameter configured: further names, in any spelling; those that fold to nothing are ignored.
    public init(_ configured: [String] = []) {
        for name in IdentityFieldNames.prefixes { add(name, isPrefix: true) }
        for name in IdentityFieldNames.names { add(name, isPrefix: false) }
        for name in configured { add(name, isPrefix: false) }
        entries.sort { FoldedName.code($0.begin) < FoldedName.code($1.begin) }
        for code in 0..<FoldedName.codes {
            starts[code + 1] = starts[code] + entries.count { FoldedName.code($0.begin) == code }
        }
        for field in KnownField.allCases {
            let name = [UInt8](
                UnsafeBufferPointer(start: field.name.utf8Start, count: field.name.utf8CodeUnitCount))
            if contains(name.span, name.indices) { known |= 1 << UInt64(field.rawValue) }
        }
    }

    /// Whether a known field is one of them.
    func contains(_ field: KnownField) -> Bool { known & (1 << UInt64(field.rawValue)) != 0 }

    private mutating func add(_ name: String, isPrefix: Bool) {
        var text: [UInt8] = []
        for byte in name.utf8 where ByteClass.isAlphanumeric(byte) { text.append(ByteClass.lowered(byte)) }
        guard !text.isEmpty else { return }
        let begin = FoldedName.begin(text.span, text.indices, most: 8)
        let bits = UInt64(8 * min(text.count, 8))
        let mask = isPrefix && bits < 64 ? UInt64(1) << bits - 1 : UInt64.max
        entries.append(Entry(begin: begin, mask: mask, text: text, isPrefix: isPrefix))
        // A prefix of one letter takes every second byte, and the name that ends with it.
        seconds[FoldedName.code(begin)] |=
            isPrefix && text.count == 1 ? UInt64.max : 1 << UInt64(FoldedName.code(begin >> 8))
    }

    /// Whether the field name at `range` is one of them after folding. Allocates nothing.
    ///
    /// - Precondition: `range` lies in `bytes`.
    public func contains(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "name \(range)")
        let pair = FoldedName.begin(bytes, range, most: 2)
        let code = FoldedName.code(pair)
        guard seconds[code] &>> UInt64(FoldedName.code(pair &>> 8)) & 1 != 0 else { return false }
        let begin = FoldedName.begin(bytes, range, most: 8)
        for index in starts[code]..<starts[code + 1]
        where (begin ^ entries[index].begin) & entries[index].mask == 0 {
            if IdentityFieldNames.matches(bytes, range, entries[index]) { return true }
        }
        return false
    }

    private static func matches(_ bytes: Span<UInt8>, _ range: Range<Int>, _ entry: borrowing Entry) -> Bool {
        var matched = 0
        for index in range where ByteClass.isAlphanumeric(bytes[index]) {
            guard matched < entry.text.count else { return entry.isPrefix }
            guard ByteClass.lowered(bytes[index]) == entry.text[matched] else { return false }
            matched += 1
        }
        return matched == entry.text.count
    }
}

/// The beginning of a name after folding.
enum FoldedName {
    /// Values of `code`: letters, digits, and none.
    static let codes = 64

    /// The first `most` letters and digits in lower case, the first one lowest, filled up with zeros.
    ///
    /// - Precondition: `range` lies in `bytes`; `most` is in 1...8.
    @inline(__always)
    static func begin(_ bytes: Span<UInt8>, _ range: Range<Int>, most: Int) -> UInt64 {
        var word: UInt64 = 0
        var shift: UInt64 = 0
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = bytes[unchecked: index]
            index &+= 1
            guard ByteClass.isLetter(byte) || ByteClass.isDigit(byte) else { continue }
            word |= UInt64(byte | 0x20) &<< shift  // The case bit is set in digits already.
            shift &+= 8
            if shift == UInt64(8 &* most) { break }
        }
        return word
    }

    /// The lowest byte of a folded word as a number below `codes`: different for every letter and digit, and
    /// for none.
    static func code(_ word: UInt64) -> Int {
        let byte = UInt8(truncatingIfNeeded: word)
        // a...z are 1...26, digits 48...57, none is 0.
        return Int(byte >= 97 ? byte &- 96 : byte) & 63
    }
}
