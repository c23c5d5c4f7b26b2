/// The Connection field (RFC 9110 §7.6.1).
struct ConnectionOptions: OptionSet {
    let rawValue: UInt8
    static var close: ConnectionOptions { ConnectionOptions(rawValue: 1) }
    static var keepAlive: ConnectionOptions { ConnectionOptions(rawValue: 2) }
    static var upgrade: ConnectionOptions { ConnectionOptions(rawValue: 4) }
    /// Names of fields that end here.
    static var others: ConnectionOptions { ConnectionOptions(rawValue: 8) }

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Reads all Connection fields. A client may name its own fields as ending here, but none that routing,
    /// framing, identity or the browser's own protections depend on.
    init(_ bytes: Span<UInt8>, _ fields: borrowing FieldTable) throws(HeadError) {
        guard fields.contains(.connection) else {
            self.init(rawValue: 0)
            return
        }
        if !fields.isRepeated(.connection), let value = fields.value(.connection) {
            // What nearly all senders write, without the walk through a list.
            let only: ConnectionOptions =
                ByteClass.equalFolded(bytes, value.indices, "keep-alive")
                ? .keepAlive : ByteClass.equalFolded(bytes, value.indices, "close") ? .close : []
            if only != [] {
                self = only
                return
            }
        }
        var optionsLeft = HeadLimits.connectionOptionsMax
        var found: ConnectionOptions = []
        try ConnectionOptions.forEach(bytes, fields) { (option: Range<Int>) throws(HeadError) in
            optionsLeft -= 1
            guard optionsLeft >= 0 else { throw .invalidConnection }
            found.formUnion(try ConnectionOptions.option(bytes, option))
        }
        self.init(rawValue: found.rawValue)
    }

    private static func option(
        _ bytes: Span<UInt8>, _ range: Range<Int>
    ) throws(HeadError) -> ConnectionOptions {
        // RFC 9110 §5.6.1: empty list members are allowed; they count to the bound.
        if range.isEmpty { return [] }
        for index in range where !ByteClass.isToken(bytes[index]) { throw .invalidConnection }
        if ByteClass.equalFolded(bytes, range, "close") { return .close }
        if ByteClass.equalFolded(bytes, range, "keep-alive") { return .keepAlive }
        if ByteClass.equalFolded(bytes, range, "upgrade") { return .upgrade }
        guard !isProtected(bytes, range, by: .builtIn) else { throw .connectionNamesProtectedField }
        return .others
    }

    /// Hop-by-hop names may be named: that is what they are for. `Proxy-*` too, which old clients properly
    /// do.
    private static func isProtected(
        _ bytes: Span<UInt8>, _ option: Range<Int>, by names: IdentityFieldNames
    ) -> Bool {
        guard !option.isEmpty else { return false }
        let known = KnownField(classifying: bytes, option)
        guard known.isOrdinary else { return !known.endsHere }
        return names.contains(bytes, option) && !ByteClass.startsFolded(bytes, option, "proxy-")
    }

    /// Whether a Connection field names the field whose name stands at `name`.
    static func name(_ name: Range<Int>, in bytes: Span<UInt8>, _ fields: borrowing FieldTable) -> Bool {
        var isNamed = false
        forEach(bytes, fields) { option in
            if ByteClass.equalFolded(bytes, option, name) { isNamed = true }
        }
        return isNamed
    }

    /// Whether an option in the Connection fields is one of `names` after folding.
    static func nameAny(
        of names: IdentityFieldNames, in bytes: Span<UInt8>, _ fields: borrowing FieldTable
    ) -> Bool {
        var isNamed = false
        forEach(bytes, fields) { option in
            if isProtected(bytes, option, by: names) { isNamed = true }
        }
        return isNamed
    }

    /// Every list member of every Connection field, without the blanks around it.
    private static func forEach<Failure: Error>(
        _ bytes: Span<UInt8>, _ fields: borrowing FieldTable, _ body: (Range<Int>) throws(Failure) -> Void
    ) throws(Failure) {
        for index in 0..<fields.count {
            let line = fields[index]
            guard line.known == .connection else { continue }
            var start = Int(line.value.start)
            while start <= line.value.end {
                let end = ByteClass.find(44, bytes, start..<line.value.end)
                try body(ByteClass.trimmed(bytes, start..<end))
                start = end + 1
            }
        }
    }
}

extension KnownField {
    /// Hop-by-hop fields (RFC 9110 §7.6.1): never forwarded as they came.
    var endsHere: Bool {
        switch self {
        case .te, .trailer, .upgrade, .keepAlive, .connection, .proxyConnection, .proxyAuthenticate,
            .proxyAuthorization, .http2Settings:
            true
        case .other, .host, .date, .range, .cookie, .expect, .origin, .accept, .server, .referer, .forwarded,
            .location, .userAgent, .setCookie, .xRealIP, .tracestate, .secFetchMode, .secFetchDest,
            .secFetchSite,
            .secFetchUser, .contentType, .traceparent, .cacheControl, .contentLength, .authorization,
            .acceptEncoding, .contentEncoding, .xForwardedFor, .xForwardedHost, .xForwardedPort,
            .xForwardedProto,
            .transferEncoding, .secWebSocketKey, .secWebSocketVersion, .secWebSocketProtocol,
            .secWebSocketExtensions, .accessControlRequestMethod, .gatepostHop, .clearSiteData,
            .secureSessionRegistration, .secureSessionChallenge, .acceptLanguage,
            .upgradeInsecureRequests, .secCHUA, .secCHUAMobile, .secCHUAPlatform, .xContentTypeOptions:
            false
        }
    }
}
