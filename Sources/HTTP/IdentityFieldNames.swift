/// The request fields that only the gateway may set, compared by folded name: lower case, everything that is
/// neither letter nor digit removed. `X_Remote-User`, `x-remote_user` and `XRemoteUser` are one name, because
/// WSGI, PHP and others merge such variants behind us.
public struct IdentityFieldNames: Sendable {
    /// Folded names one after the other.
    private var text: [UInt8] = []
    private var entries: [Entry] = []
    /// Bits of the first two folded bytes of every entry: most fields are dismissed by one test.
    private var pairs: UInt64 = 0
    /// Bits of the known fields that are configured, say Authorization.
    private var known: UInt64 = 0

    private struct Entry: Sendable {
        var start: Int
        var count: Int
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
        for field in KnownField.allCases {
            let name = [UInt8](
                UnsafeBufferPointer(start: field.name.utf8Start, count: field.name.utf8CodeUnitCount))
            if contains(name.span, name.indices) { known |= 1 << UInt64(field.rawValue) }
        }
    }

    /// Whether a known field is one of them.
    func contains(_ field: KnownField) -> Bool { known & (1 << UInt64(field.rawValue)) != 0 }

    private mutating func add(_ name: String, isPrefix: Bool) {
        let start = text.count
        for byte in name.utf8 where ByteClass.isAlphanumeric(byte) { text.append(ByteClass.lowered(byte)) }
        let count = text.count - start
        guard count > 0 else { return }
        entries.append(Entry(start: start, count: count, isPrefix: isPrefix))
        pairs |= IdentityFieldNames.pair(text[start], count > 1 ? text[start + 1] : 0)
    }

    /// Whether the field name at `range` is one of them after folding. Allocates nothing.
    public func contains(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        var first: UInt8 = 0
        var second: UInt8 = 0
        for index in range where ByteClass.isAlphanumeric(bytes[index]) {
            if first == 0 {
                first = ByteClass.lowered(bytes[index])
            } else {
                second = ByteClass.lowered(bytes[index])
                break
            }
        }
        guard first != 0, pairs & IdentityFieldNames.pair(first, second) != 0 else { return false }
        let folded = text.span
        for entry in entries where IdentityFieldNames.matches(bytes, range, folded, entry) { return true }
        return false
    }

    private static func matches(
        _ bytes: Span<UInt8>, _ range: Range<Int>, _ folded: Span<UInt8>, _ entry: Entry
    ) -> Bool {
        var matched = 0
        for index in range where ByteClass.isAlphanumeric(bytes[index]) {
            guard matched < entry.count else { return entry.isPrefix }
            guard ByteClass.lowered(bytes[index]) == folded[entry.start + matched] else { return false }
            matched += 1
        }
        return matched == entry.count
    }

    private static func pair(_ first: UInt8, _ second: UInt8) -> UInt64 {
        1 << UInt64((UInt32(first) &* 31 &+ UInt32(second)) & 63)
    }
}
