/// Field name → `KnownField`: the first letter leaves a few candidates, each compared in full by words.

extension KnownField {
    /// A name that was compared in full.
    struct Match {
        var known: KnownField
        /// 0 when the name is none of these.
        var nameBytes: Int
        static var none: Match { Match(known: .other, nameBytes: 0) }
    }

    /// What stands at `start` with a colon behind it, in any case.
    ///
    /// Exact: every byte in front of the colon was compared with the letter, digit or "-" that it must be.
    ///
    /// - Precondition: `start` is in `0..<bytes.count`.
    static func beforeColon(_ bytes: Span<UInt8>, at start: Int) -> Match {
        switch bytes[start] | 0x20 {
        case letter("a"): fromA(bytes, start)
        case letter("c"): fromC(bytes, start)
        case letter("s"): fromS(bytes, start)
        case letter("t"): fromT(bytes, start)
        case letter("x"): fromX(bytes, start)
        case letter("u"): fromU(bytes, start)
        default: others(bytes, start)
        }
    }

    /// - Parameter range: where a name stands in `bytes` that no colon need follow.
    init(classifying bytes: Span<UInt8>, _ range: Range<Int>) {
        self = .other
        for known in KnownField.allCases where known != .other {
            if ByteClass.equalFolded(bytes, range, known.name) { self = known }
        }
    }

    // Within a letter in the order in which they are to be expected.
    private static func fromA(_ bytes: Span<UInt8>, _ start: Int) -> Match {
        if starts(bytes, start, "accept") {
            if let known = match(bytes, start, "accept:", .accept) { return known }
            if let known = match(bytes, start, "accept-encoding:", .acceptEncoding) { return known }
            return match(bytes, start, "accept-language:", .acceptLanguage) ?? .none
        }
        if let known = match(bytes, start, "authorization:", .authorization) { return known }
        return match(bytes, start, "access-control-request-method:", .accessControlRequestMethod) ?? .none
    }

    private static func fromC(_ bytes: Span<UInt8>, _ start: Int) -> Match {
        if let known = match(bytes, start, "cookie:", .cookie) { return known }
        if starts(bytes, start, "content-") {
            if let known = match(bytes, start, "content-type:", .contentType) { return known }
            if let known = match(bytes, start, "content-length:", .contentLength) { return known }
            return match(bytes, start, "content-encoding:", .contentEncoding) ?? .none
        }
        if let known = match(bytes, start, "cache-control:", .cacheControl) { return known }
        if let known = match(bytes, start, "connection:", .connection) { return known }
        return match(bytes, start, "clear-site-data:", .clearSiteData) ?? .none
    }

    private static func fromU(_ bytes: Span<UInt8>, _ start: Int) -> Match {
        if let known = match(bytes, start, "user-agent:", .userAgent) { return known }
        if let known = match(bytes, start, "upgrade-insecure-requests:", .upgradeInsecureRequests) {
            return known
        }
        return match(bytes, start, "upgrade:", .upgrade) ?? .none
    }

    private static func fromS(_ bytes: Span<UInt8>, _ start: Int) -> Match {
        if starts(bytes, start, "sec-fetch-") {
            if let known = match(bytes, start, "sec-fetch-dest:", .secFetchDest) { return known }
            if let known = match(bytes, start, "sec-fetch-mode:", .secFetchMode) { return known }
            if let known = match(bytes, start, "sec-fetch-site:", .secFetchSite) { return known }
            if let known = match(bytes, start, "sec-fetch-user:", .secFetchUser) { return known }
            return .none
        }
        if let known = match(bytes, start, "server:", .server) { return known }
        if let known = match(bytes, start, "set-cookie:", .setCookie) { return known }
        if let known = match(bytes, start, "sec-ch-ua:", .secCHUA) { return known }
        if let known = match(bytes, start, "sec-ch-ua-mobile:", .secCHUAMobile) { return known }
        if let known = match(bytes, start, "sec-ch-ua-platform:", .secCHUAPlatform) { return known }
        guard starts(bytes, start, "sec-websocket-") else { return fromSecureSession(bytes, start) }
        if let known = match(bytes, start, "sec-websocket-key:", .secWebSocketKey) { return known }
        if let known = match(bytes, start, "sec-websocket-version:", .secWebSocketVersion) { return known }
        if let known = match(bytes, start, "sec-websocket-protocol:", .secWebSocketProtocol) { return known }
        if let known = match(bytes, start, "sec-websocket-extensions:", .secWebSocketExtensions) {
            return known
        }
        return .none
    }

    private static func fromSecureSession(_ bytes: Span<UInt8>, _ start: Int) -> Match {
        guard starts(bytes, start, "secure-session-") else { return .none }
        if let known = match(bytes, start, "secure-session-registration:", .secureSessionRegistration) {
            return known
        }
        return match(bytes, start, "secure-session-challenge:", .secureSessionChallenge) ?? .none
    }

    private static func fromT(_ bytes: Span<UInt8>, _ start: Int) -> Match {
        if let known = match(bytes, start, "transfer-encoding:", .transferEncoding) { return known }
        if let known = match(bytes, start, "traceparent:", .traceparent) { return known }
        if let known = match(bytes, start, "tracestate:", .tracestate) { return known }
        if let known = match(bytes, start, "te:", .te) { return known }
        return match(bytes, start, "trailer:", .trailer) ?? .none
    }

    private static func fromX(_ bytes: Span<UInt8>, _ start: Int) -> Match {
        if let known = match(bytes, start, "x-content-type-options:", .xContentTypeOptions) { return known }
        if let known = match(bytes, start, "x-real-ip:", .xRealIP) { return known }
        guard starts(bytes, start, "x-forwarded-") else { return .none }
        if let known = match(bytes, start, "x-forwarded-for:", .xForwardedFor) { return known }
        if let known = match(bytes, start, "x-forwarded-host:", .xForwardedHost) { return known }
        if let known = match(bytes, start, "x-forwarded-port:", .xForwardedPort) { return known }
        if let known = match(bytes, start, "x-forwarded-proto:", .xForwardedProto) { return known }
        return .none
    }

    private static func others(_ bytes: Span<UInt8>, _ start: Int) -> Match {
        if let known = match(bytes, start, "host:", .host) { return known }
        if let known = match(bytes, start, "date:", .date) { return known }
        if let known = match(bytes, start, "referer:", .referer) { return known }
        if let known = match(bytes, start, "origin:", .origin) { return known }
        if let known = match(bytes, start, "location:", .location) { return known }
        if let known = match(bytes, start, "range:", .range) { return known }
        if let known = match(bytes, start, "keep-alive:", .keepAlive) { return known }
        if let known = match(bytes, start, "expect:", .expect) { return known }
        if let known = match(bytes, start, "forwarded:", .forwarded) { return known }
        if let known = match(bytes, start, "http2-settings:", .http2Settings) { return known }
        if let known = match(bytes, start, "proxy-connection:", .proxyConnection) { return known }
        if let known = match(bytes, start, "proxy-authorization:", .proxyAuthorization) { return known }
        if let known = match(bytes, start, "proxy-authenticate:", .proxyAuthenticate) { return known }
        if let known = match(bytes, start, "gatepost-hop:", .gatepostHop) { return known }
        return .none
    }

    @inline(__always)
    private static func match(
        _ bytes: Span<UInt8>, _ start: Int, _ nameAndColon: StaticString, _ known: KnownField
    ) -> Match? {
        guard starts(bytes, start, nameAndColon) else { return nil }
        return Match(known: known, nameBytes: nameAndColon.utf8CodeUnitCount &- 1)
    }

    @inline(__always)
    private static func starts(_ bytes: Span<UInt8>, _ start: Int, _ name: StaticString) -> Bool {
        ByteClass.startsFolded(bytes, start..<bytes.count, name)
    }

    @inline(__always)
    private static func letter(_ scalar: Unicode.Scalar) -> UInt8 { UInt8(truncatingIfNeeded: scalar.value) }
}
