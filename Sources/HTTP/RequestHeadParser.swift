/// The only parser of request heads: bytes → `CanonicalRequest`, or a refusal. Nothing here repairs anything.
public struct RequestHeadParser: Sendable {
    /// The scheme that absolute-form targets must name: that of the listener.
    public enum Scheme: Sendable { case http, https }

    /// Bounds of each head.
    public let limits: HeadLimits
    /// The listener's scheme.
    public let scheme: Scheme

    /// A parser is a value without state: one serves all connections of a listener.
    public init(limits: HeadLimits = HeadLimits(), scheme: Scheme = .https) {
        self.limits = limits
        self.scheme = scheme
    }

    /// Parses one request head from the start of `bytes` (RFC 9112 §2, §3, §5, §6; RFC 9110 §5, §7).
    ///
    /// The first offending byte decides, so the outcome does not depend on how the bytes were split.
    ///
    /// - Parameters:
    ///   - bytes: everything received and not consumed yet; what follows the head is not looked at.
    ///   - alreadySeen: how many of `bytes` an earlier call answered `.needMore` to. Only a hint that saves
    ///     work when a client drips its head; an error inside an unfinished line is then reported when the
    ///     line ends.
    ///   - options: the opt-ins of all applications together, because the route is known only afterwards;
    ///     then `CanonicalRequest.pathNeeds` must be a subset of the routed application's own.
    ///   - fields: emptied and filled; its content counts only after `.head`.
    ///   - scratch: takes the canonical path and host when they differ from what was sent.
    /// - Returns: `.head`, `.needMore` (nothing consumed), or `.refused`: answer `error.status` and close.
    /// - Precondition: `fields` and `scratch` are at least as large as `limits` say.
    public func parse(
        _ bytes: Span<UInt8>, alreadySeen: Int = 0, options: PathOptions = [],
        into fields: inout FieldTable, scratch: inout CanonicalScratch
    ) -> RequestHeadOutcome {
        parse(
            bytes, alreadySeen: alreadySeen, options: options, into: &fields, scratch: &scratch,
            memo: HeadMemo())
    }

    /// The same for one of many heads of a connection: faster, with the same outcome.
    ///
    /// - Parameter memo: the connection's own.
    public func parse(
        _ bytes: Span<UInt8>, alreadySeen: Int = 0, options: PathOptions = [],
        into fields: inout FieldTable, scratch: inout CanonicalScratch, memo: HeadMemo
    ) -> RequestHeadOutcome {
        precondition(fields.capacity >= limits.fieldsMax, "field table of \(fields.capacity)")
        precondition(
            scratch.bytes.count >= limits.targetBytesMax + HeadLimits.hostBytesMax,
            "scratch \(scratch.bytes.count)")
        if HeadScan.isUnchanged(bytes, alreadySeen: alreadySeen, limits: limits) { return .needMore }
        fields.removeAll()
        scratch.used = 0
        do throws(HeadStop) {
            return .head(try head(bytes, options, &fields, &scratch, memo))
        } catch {
            switch error {
            case .refused(let rule): return .refused(rule)
            case .needMore: return bytes.count >= limits.headBytesMax ? .refused(.headTooLarge) : .needMore
            }
        }
    }

    private func head(
        _ bytes: Span<UInt8>, _ options: PathOptions, _ fields: inout FieldTable,
        _ scratch: inout CanonicalScratch, _ memo: HeadMemo
    ) throws(HeadStop) -> CanonicalRequest {
        let end = min(bytes.count, limits.headBytesMax)
        let line = try RequestLine(bytes, to: end, targetBytesMax: limits.targetBytesMax)
        let headBytes = try HeadScan.fieldLines(
            bytes, from: line.end, to: end, fieldsMax: limits.fieldsMax, into: &fields, memo: memo)
        let said = memo.said
        if let said { fields.ownCookies = said.cookies } else { fields.lookForOwnCookies(in: bytes) }
        do throws(HeadError) {
            var host = said?.host
            let request = try request(bytes, line, headBytes, options, fields, &host, &scratch)
            memo.note(bytes, line.end..<headBytes, fields, host)
            return request
        } catch {
            throw .refused(error)
        }
    }

    /// Everything that takes the whole head. Framing first: it is what smuggling attacks.
    private func request(
        _ bytes: Span<UInt8>, _ line: RequestLine, _ headBytes: Int, _ options: PathOptions,
        _ fields: borrowing FieldTable, _ knownHost: inout Authority?, _ scratch: inout CanonicalScratch
    ) throws(HeadError) -> CanonicalRequest {
        let framing = try BodyFraming(requestIn: bytes, fields, version: line.version)
        let connection = try ConnectionOptions(bytes, fields)
        let authority = if let knownHost { knownHost } else { try hostAuthority(bytes, fields) }
        knownHost = authority
        let target = try RequestTarget(
            bytes, line.target.indices, method: line.method, host: authority, scheme: scheme)
        var needs: PathOptions = []
        let path = try CanonicalPath.canonical(target, bytes, options, &scratch, needs: &needs)
        let host = authority.canonicalName(bytes, &scratch)
        let expectsContinue = try expectsContinue(bytes, fields, version: line.version)
        let upgrade = try upgrade(bytes, fields, line, connection, framing)
        return CanonicalRequest(
            method: line.method, methodRange: line.methodRange, version: line.version, form: target.form,
            path: path, pathNeeds: needs, query: target.query, host: host, port: authority.port,
            framing: framing,
            keepsAlive: line.version == .http11 && !connection.contains(.close),
            expectsContinue: expectsContinue, upgrade: upgrade, headBytes: headBytes,
            hasConnectionOptions: connection.contains(.others), hostAsSent: authority.asSent)
    }

    /// RFC 9112 §3.2: exactly one Host field, in HTTP/1.0 too because routing needs it.
    private func hostAuthority(_ bytes: Span<UInt8>, _ fields: borrowing FieldTable) throws(HeadError)
        -> Authority
    {
        guard let value = fields.value(.host) else { throw .missingHost }
        guard !fields.isRepeated(.host) else { throw .multipleHost }
        guard let authority = Authority(bytes, value.indices) else { throw .invalidHost }
        return authority
    }

    /// RFC 9110 §10.1.1.
    private func expectsContinue(
        _ bytes: Span<UInt8>, _ fields: borrowing FieldTable, version: HTTPVersion
    ) throws(HeadError) -> Bool {
        guard let value = fields.value(.expect) else { return false }
        guard !fields.isRepeated(.expect) else { throw .multipleExpectation }
        guard ByteClass.equalFolded(bytes, value.indices, "100-continue") else {
            throw .unsupportedExpectation
        }
        return version == .http11
    }

    /// RFC 9110 §7.8. Upgrades other than to WebSocket are ignored, which the protocol allows.
    private func upgrade(
        _ bytes: Span<UInt8>, _ fields: borrowing FieldTable, _ line: RequestLine,
        _ connection: ConnectionOptions, _ framing: BodyFraming
    ) throws(HeadError) -> CanonicalRequest.Upgrade {
        guard let value = fields.value(.upgrade), connection.contains(.upgrade), line.version == .http11
        else {
            return .none
        }
        guard !fields.isRepeated(.upgrade) else { throw .invalidUpgrade }
        guard ByteClass.equalFolded(bytes, value.indices, "websocket") else { return .none }
        // RFC 6455 §4.1: a GET. A body in front of the tunnel could pass for tunnel bytes at the upstream.
        guard line.method == .get, framing == .none || framing == .length(0) else { throw .invalidUpgrade }
        return .webSocket
    }
}
