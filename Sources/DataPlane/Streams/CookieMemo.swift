/// The session cookie that a connection's last request came with, as text, and the session it stood for.
///
/// Clients repeat their cookie in every request: comparing 56 bytes replaces decoding and looking up. The text holds
/// version, key, secret and MAC, so an equal text is an equal cookie; whether the session still counts is asked
/// anew each time.
struct CookieMemo {
    private var words = InlineArray<7, UInt64>(repeating: 0)
    private(set) var session = Handle(slot: -1, generation: 0)

    init() {}

    /// - Precondition: `text` is one whole cookie.
    init(_ text: Span<UInt8>, _ session: Handle) {
        precondition(text.count == SessionCookie.textBytes, "cookie of \(text.count) bytes")
        text.withUnsafeBytes { raw in
            for index in 0..<7 {
                words[index] = raw.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)
            }
        }
        self.session = session
    }

    /// False before there is any cookie: no character of base64url is 0.
    func equals(_ text: Span<UInt8>) -> Bool {
        guard text.count == SessionCookie.textBytes else { return false }
        return text.withUnsafeBytes { raw in
            var difference: UInt64 = 0
            for index in 0..<7 {
                difference |= words[index] ^ raw.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)
            }
            return difference == 0
        }
    }
}
