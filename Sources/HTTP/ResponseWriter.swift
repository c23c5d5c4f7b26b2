/// Serialises an upstream's response head for downstream.
public struct ResponseWriter: Sendable {
    /// Bits of the known fields that go downstream as they came.
    private let copied: UInt64

    /// A writer is a value: one serves all responses.
    public init() {
        var copied: UInt64 = 0
        for known in KnownField.allCases where ResponseWriter.isCopied(known) {
            copied |= 1 << UInt64(known.rawValue)
        }
        self.copied = copied
    }

    /// Writes status line, fields and framing, **without** the closing empty line: append own field lines,
    /// then `end`.
    ///
    /// Left out: hop-by-hop fields and those named by Connection, framing fields (rewritten), every
    /// `Gatepost-*` field (only the gateway says that the gateway answered), Set-Cookie of a cookie named
    /// as ours, with which an application could plant a session, what of `Clear-Site-Data` would delete ours, and
    /// `Secure-Session-Registration` and `-Challenge`: browsers keep sessions that are bound to a key by site and name,
    /// so an application could replace or end those of every other one (W3C Device Bound Session Credentials).
    ///
    /// - Parameters:
    ///   - framing: how the body goes downstream. `.none` repeats the upstream's Content-Length where it
    ///     describes the body that a GET would have had (HEAD, 304). `.untilClose` needs `keepsAlive` false.
    ///   - keepsAlive: whether the downstream connection stays open; false writes `Connection: close`.
    /// - Precondition: `response` and `fields` come from one parse of `head`.
    public func begin(
        _ response: ResponseHead, head: Span<UInt8>, fields: borrowing FieldTable, framing: BodyFraming,
        keepsAlive: Bool, into output: inout HeadOutput
    ) {
        var copier = LineCopier()
        let copied = start(response, head, framing, keepsAlive, &copier, &output)
        for index in 0..<fields.count {
            let line = fields[index]
            if copied &>> UInt64(line.known.rawValue) & 1 != 0
                || ResponseWriter.passes(line, response, head, fields)
            {
                copier.copy(line, head, into: &output)
            } else if line.known == .clearSiteData {
                ClearSiteData.write(line, head, &copier, into: &output)
            }
        }
        copier.flush(head, into: &output)
        ResponseWriter.framing(response, framing, keepsAlive, &output)
    }

    /// The same, faster for a head that repeats.
    ///
    /// - Precondition: `memo` took part in the parse.
    public func begin(
        _ response: ResponseHead, head: Span<UInt8>, fields: borrowing FieldTable, framing: BodyFraming,
        keepsAlive: Bool, memo: inout ResponseMemo, into output: inout HeadOutput
    ) {
        let isRepeated = memo.isRepeated(fields)
        if isRepeated, memo.write(framing: framing, keepsAlive: keepsAlive, into: &output) { return }
        let start = output.count
        begin(
            response, head: head, fields: fields, framing: framing, keepsAlive: keepsAlive, into: &output)
        if isRepeated {
            memo.noteWritten(output, from: start, framing: framing, keepsAlive: keepsAlive)
        }
    }

    /// The same without the fields of certain names, however often they come: whoever writes them anew calls this.
    ///
    /// - Parameters:
    ///   - names: what is left out beside what always is.
    ///   - others: the same, from another place.
    ///   - keepsCrossOrigin: false leaves out every `Access-Control-*` field too: of two writers of them browsers would
    ///     refuse both (Fetch standard §4.10).
    public func begin(
        _ response: ResponseHead, head: Span<UInt8>, fields: borrowing FieldTable, framing: BodyFraming,
        keepsAlive: Bool, leavingOut names: FieldNames, and others: FieldNames = .none,
        keepsCrossOrigin: Bool = true, into output: inout HeadOutput
    ) {
        var copier = LineCopier()
        let copied = start(response, head, framing, keepsAlive, &copier, &output)
        for index in 0..<fields.count {
            let line = fields[index]
            if names.contains(head, line.name.indices) || others.contains(head, line.name.indices) {
                continue
            }
            if !keepsCrossOrigin, ByteClass.startsFolded(head, line.name.indices, "access-control-") {
                continue
            }
            if copied &>> UInt64(line.known.rawValue) & 1 != 0
                || ResponseWriter.passes(line, response, head, fields)
            {
                copier.copy(line, head, into: &output)
            } else if line.known == .clearSiteData {
                ClearSiteData.write(line, head, &copier, into: &output)
            }
        }
        copier.flush(head, into: &output)
        ResponseWriter.framing(response, framing, keepsAlive, &output)
    }

    /// The status line.
    ///
    /// - Returns: bits of the known fields that go downstream as they came.
    @inline(__always)
    private func start(
        _ response: ResponseHead, _ head: Span<UInt8>, _ framing: BodyFraming, _ keepsAlive: Bool,
        _ copier: inout LineCopier, _ output: inout HeadOutput
    ) -> UInt64 {
        precondition(framing != .untilClose || !keepsAlive, "a body until close on a connection kept open")
        if response.version == .http11, response.reasonPhrase.start == 13 {
            // "HTTP/1.1 200 " and a phrase: what would be written.
            copier.begin(0..<(response.reasonPhrase.end + 2), of: head)
        } else {
            ResponseWriter.statusLine(response, head, &output)
        }
        return response.hasConnectionOptions ? self.copied & ~KnownField.ordinary : self.copied
    }

    /// The empty line.
    public static func end(into output: inout HeadOutput) { output.append("\r\n") }

    private static func statusLine(
        _ response: ResponseHead, _ head: Span<UInt8>, _ output: inout HeadOutput
    ) {
        output.append("HTTP/1.1 ")
        output.append(decimal: Int64(response.status))
        output.append(32)
        output.append(head, response.reasonPhrase.indices)
        output.append("\r\n")
    }

    private static func isCopied(_ known: KnownField) -> Bool {
        !known.endsHere && known != .contentLength && known != .transferEncoding && known != .setCookie
            && known != .other && known != .gatepostHop && known != .clearSiteData
            && known != .secureSessionRegistration && known != .secureSessionChallenge
    }

    /// Whether a line goes downstream whose name alone does not say so.
    private static func passes(
        _ line: FieldLine, _ response: ResponseHead, _ head: Span<UInt8>, _ fields: borrowing FieldTable
    ) -> Bool {
        if line.known == .setCookie { return !CookiePair.isOurs(head, line.value.indices) }
        guard line.known.isOrdinary else { return false }
        if ByteClass.startsFolded(head, line.name.indices, "gatepost") { return false }
        if ByteClass.startsFolded(head, line.name.indices, "proxy-") { return false }
        return !response.hasConnectionOptions
            || !ConnectionOptions.name(line.name.indices, in: head, fields)
    }

    private static func framing(
        _ response: ResponseHead, _ framing: BodyFraming, _ keepsAlive: Bool, _ output: inout HeadOutput
    ) {
        switch framing {
        case .none:
            if let length = response.contentLength, response.status >= 200, response.status != 204 {
                output.append(contentLength: length)
            }
        case .length(let length): output.append(contentLength: length)
        case .chunked: output.append("Transfer-Encoding: chunked\r\n")
        case .untilClose: break
        }
        if response.status == 101 {
            output.append("Connection: Upgrade\r\nUpgrade: websocket\r\n")  // Nothing else is ever asked for.
        } else if !keepsAlive {
            output.append("Connection: close\r\n")
        }
    }
}
