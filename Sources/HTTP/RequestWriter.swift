/// Serialises the head for the upstream from what was judged: the canonical request and its field table.
public struct RequestWriter: Sendable {
    /// What of the request's own is forwarded.
    public struct Options: OptionSet, Sendable, Hashable {
        /// The bits.
        public let rawValue: UInt8
        /// A set from its bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// `Expect: 100-continue` goes upstream (otherwise the gateway answers 100 itself).
        public static var forwardsExpect: Options { Options(rawValue: 1) }
        /// `tracestate` stays: only when the incoming traceparent was valid and is continued (W3C Trace
        /// Context §3.4).
        public static var keepsTracestate: Options { Options(rawValue: 2) }
        /// `Authorization` was for the gateway and ends here.
        public static var dropsAuthorization: Options { Options(rawValue: 4) }
    }

    /// The fields that clients may not set at this route.
    public let identity: IdentityFieldNames
    /// Bits of the known fields that go upstream as they came.
    private let copied: UInt64
    /// The same with `tracestate`.
    private let copiedWithTracestate: UInt64

    /// One writer per route; made when the configuration is loaded, because it folds all names.
    public init(identity: IdentityFieldNames = IdentityFieldNames()) {
        self.identity = identity
        var copied: UInt64 = 0
        for known in KnownField.allCases where RequestWriter.treatment(of: known) == .copy {
            copied |= 1 << UInt64(known.rawValue)
        }
        self.copied = copied & ~identity.known
        copiedWithTracestate = (copied | 1 << UInt64(KnownField.tracestate.rawValue)) & ~identity.known
    }

    /// Writes request line, Host, the forwarded fields and the framing, always as HTTP/1.1 and **without**
    /// the closing empty line: append own field lines (identity, trace, X-Forwarded-*), then call `end`.
    ///
    /// Left out: hop-by-hop fields and those named by Connection (RFC 9110 §7.6.1), identity and
    /// client-address fields by folded name, `traceparent` (always ours), our cookies. Upgrade is written for
    /// WebSocket only.
    ///
    /// - Throws: `.connectionNamesProtectedField` when Connection names one of `identity`; answer 400.
    /// - Precondition: `request`, `fields` and `scratch` come from one parse of `head`.
    public func begin(
        _ request: CanonicalRequest, head: Span<UInt8>, fields: borrowing FieldTable,
        scratch: borrowing CanonicalScratch, options: Options = [], into output: inout HeadOutput
    ) throws(HeadError) {
        if request.hasConnectionOptions, ConnectionOptions.nameAny(of: identity, in: head, fields) {
            throw .connectionNamesProtectedField
        }
        var copier = LineCopier()
        RequestWriter.begin(request, head, fields, scratch, &copier, &output)
        var copied = options.contains(.keepsTracestate) ? copiedWithTracestate : self.copied
        if options.contains(.dropsAuthorization) {
            copied &= ~(1 << UInt64(KnownField.authorization.rawValue))
        }
        // Connection may name these: then each is compared with what it names.
        if request.hasConnectionOptions { copied &= ~KnownField.ordinary }
        var index = 0
        while true {
            index = copier.copyRun(fields, from: index, kinds: copied)
            guard index < fields.count else { break }
            let line = fields[index]
            index &+= 1
            if copied &>> UInt64(line.known.rawValue) & 1 != 0 {
                copier.copy(line, head, into: &output)
            } else if line.known.isOrdinary {
                if identity.contains(head, line.name.indices) { continue }
                if request.hasConnectionOptions, ConnectionOptions.name(line.name.indices, in: head, fields) {
                    continue
                }
                copier.copy(line, head, into: &output)
            } else if line.known == .cookie, !identity.contains(.cookie) {
                switch fields.ownCookies.left {
                case .none: copier.copy(line, head, into: &output)
                case .one(let pair):
                    CookiePair.copyOthers(line, than: pair, head, &copier, into: &output)
                case .unknown: CookiePair.copyOthers(line, head, &copier, into: &output)
                }
            } else if line.known == .te {
                RequestWriter.passTrailers(request, head, fields, &copier, &output)
            }
        }
        copier.flush(head, into: &output)
        RequestWriter.framing(request, options, &output)
    }

    /// Writes a CORS preflight (Fetch standard §4.8): request line, Host and what makes it one, and nothing
    /// else of what the client sent: nobody has signed in. Without the closing empty line, as `begin`.
    ///
    /// - Precondition: as for `begin`; the request has no body.
    public func beginPreflight(
        _ request: CanonicalRequest, head: Span<UInt8>, fields: borrowing FieldTable,
        scratch: borrowing CanonicalScratch, into output: inout HeadOutput
    ) {
        var copier = LineCopier()
        RequestWriter.begin(request, head, fields, scratch, &copier, &output)
        for index in 0..<fields.count {
            let line = fields[index]
            let isPart =
                line.known == .origin || line.known == .accessControlRequestMethod
                || ByteClass.equalFolded(head, line.name.indices, "access-control-request-headers")
            if isPart, !identity.contains(head, line.name.indices) {
                copier.copy(line, head, into: &output)
            }
        }
        copier.flush(head, into: &output)
    }

    /// `TE: trailers` holds on every hop, because trailers are relayed; whatever else TE says ends here (RFC 9110
    /// §10.1.4). An upgrade has no trailers.
    @inline(never)
    private static func passTrailers(
        _ request: CanonicalRequest, _ head: Span<UInt8>, _ fields: borrowing FieldTable,
        _ copier: inout LineCopier, _ output: inout HeadOutput
    ) {
        guard request.upgrade == .none, TrailerSection.isAccepted(head, fields) else { return }
        copier.flush(head, into: &output)
        output.append("TE: trailers\r\nConnection: TE\r\n")
    }

    /// The empty line.
    public static func end(into output: inout HeadOutput) { output.append("\r\n") }

    /// The request line and Host. What was sent is already canonical in nearly every request: then its bytes
    /// are taken, together with the lines behind them.
    private static func begin(
        _ request: CanonicalRequest, _ head: Span<UInt8>, _ fields: borrowing FieldTable,
        _ scratch: borrowing CanonicalScratch, _ copier: inout LineCopier, _ output: inout HeadOutput
    ) {
        guard request.form == .origin, request.version == .http11, !request.path.isInScratch else {
            return rewrite(request, head, scratch, &output)
        }
        let targetEnd = request.query?.end ?? request.path.range.end
        // " HTTP/1.1" CRLF.
        copier.begin(Int(request.methodRange.start)..<(targetEnd + 11), of: head)
        if request.hostAsSent != nil, fields[0].known == .host {
            copier.copy(fields[0], head, into: &output)
        } else {
            copier.flush(head, into: &output)
            hostLine(request, head, scratch, &output)
        }
    }

    private static func rewrite(
        _ request: CanonicalRequest, _ head: Span<UInt8>, _ scratch: borrowing CanonicalScratch,
        _ output: inout HeadOutput
    ) {
        output.append(head, request.methodRange.indices)
        output.append(32)
        request.path.write(head, scratch, into: &output)
        if let query = request.query {
            output.append(63)
            output.append(head, query.indices)
        }
        output.append(" HTTP/1.1\r\n")
        hostLine(request, head, scratch, &output)
    }

    private static func hostLine(
        _ request: CanonicalRequest, _ head: Span<UInt8>, _ scratch: borrowing CanonicalScratch,
        _ output: inout HeadOutput
    ) {
        output.append("Host: ")
        request.writeAuthority(head, scratch, into: &output)
        output.append("\r\n")
    }

    private static func framing(_ request: CanonicalRequest, _ options: Options, _ output: inout HeadOutput) {
        switch request.framing {
        case .none, .untilClose: break
        case .length(let length): output.append(contentLength: length)
        case .chunked: output.append("Transfer-Encoding: chunked\r\n")
        }
        switch request.upgrade {
        case .none: break
        case .webSocket: output.append("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        }
        if request.expectsContinue, options.contains(.forwardsExpect) {
            output.append("Expect: 100-continue\r\n")
        }
    }

    private enum Treatment { case copy, drop, inspect }

    private static func treatment(of known: KnownField) -> Treatment {
        switch known {
        case .cookie, .other: .inspect
        case .tracestate: .drop  // Copied when an option says so.
        case .host, .contentLength, .transferEncoding, .expect, .traceparent, .forwarded, .xRealIP,
            .xForwardedFor,
            .xForwardedHost, .xForwardedPort, .xForwardedProto, .gatepostHop:
            .drop  // Written by us, or not at all.
        case .te, .trailer, .upgrade, .keepAlive, .connection, .proxyConnection, .proxyAuthenticate,
            .proxyAuthorization, .http2Settings:
            .drop  // They end here.
        case .date, .range, .origin, .accept, .server, .referer, .location, .userAgent, .setCookie,
            .secFetchMode,
            .secFetchDest, .secFetchSite, .secFetchUser, .contentType, .cacheControl, .authorization,
            .acceptEncoding, .contentEncoding, .secWebSocketKey, .secWebSocketVersion, .secWebSocketProtocol,
            .secWebSocketExtensions, .accessControlRequestMethod, .acceptLanguage, .upgradeInsecureRequests,
            .secCHUA, .secCHUAMobile, .secCHUAPlatform, .xContentTypeOptions, .clearSiteData,
            .secureSessionRegistration, .secureSessionChallenge:
            .copy
        }
    }
}

extension CanonicalText {
    func write(_ head: Span<UInt8>, _ scratch: borrowing CanonicalScratch, into output: inout HeadOutput) {
        if isInScratch {
            output.append(scratch.bytes.span, range.indices)
        } else {
            output.append(head, range.indices)
        }
    }
}

extension CanonicalRequest {
    /// Host and port as they are routed, for Host and X-Forwarded-Host.
    func writeAuthority(
        _ head: Span<UInt8>, _ scratch: borrowing CanonicalScratch, into output: inout HeadOutput
    ) {
        if let hostAsSent { return output.append(head, hostAsSent.indices) }
        host.write(head, scratch, into: &output)
        if let port {
            output.append(58)
            output.append(decimal: Int64(port))
        }
    }
}
