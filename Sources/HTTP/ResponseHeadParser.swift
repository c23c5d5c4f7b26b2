/// Parser of upstream response heads: as strict as for requests, because a gateway that guesses where a
/// response ends gives one person's answer to another.
public struct ResponseHeadParser: Sendable {
    /// `targetBytesMax` does not apply.
    public let limits: HeadLimits

    /// A parser is a value without state.
    public init(limits: HeadLimits = HeadLimits()) { self.limits = limits }

    /// Parses one response head from the start of `bytes` (RFC 9112 §4, §5, §6.3).
    ///
    /// - Parameters:
    ///   - alreadySeen: as in `RequestHeadParser.parse`.
    ///   - method: of the request that this answers: a response to HEAD has no body whatever its fields say.
    ///   - fields: emptied and filled; its content counts only after `.head`.
    /// - Returns: `.head`, `.needMore` (nothing consumed), or `.refused`: 502, and the upstream connection
    ///   closes.
    /// - Precondition: `fields` holds at least `limits.fieldsMax` lines.
    public func parse(
        _ bytes: Span<UInt8>, alreadySeen: Int = 0, answering method: Method, into fields: inout FieldTable
    ) -> ResponseHeadOutcome {
        precondition(fields.capacity >= limits.fieldsMax, "field table of \(fields.capacity)")
        if HeadScan.isUnchanged(bytes, alreadySeen: alreadySeen, limits: limits) { return .needMore }
        fields.removeAll()
        do throws(HeadStop) {
            let end = min(bytes.count, limits.headBytesMax)
            let line = try StatusLine(bytes, to: end)
            let headBytes = try HeadScan.fieldLines(
                bytes, from: line.end, to: end, fieldsMax: limits.fieldsMax, into: &fields)
            return ResponseHeadParser.outcome(bytes, line, headBytes, method, fields)
        } catch {
            switch error {
            case .refused(let rule): return .refused(rule)
            case .needMore: return bytes.count >= limits.headBytesMax ? .refused(.headTooLarge) : .needMore
            }
        }
    }

    /// The same for one of many heads: faster where they repeat, with the same outcome.
    ///
    /// - Parameter memo: of this parser and these fields, and of no others.
    public func parse(
        _ bytes: Span<UInt8>, answering method: Method, into fields: inout FieldTable,
        memo: inout ResponseMemo
    ) -> ResponseHeadOutcome {
        if let known = memo.recall(bytes, answering: method, fields) { return .head(known) }
        let outcome = parse(bytes, answering: method, into: &fields)
        if case .head(let response) = outcome { memo.note(bytes, answering: method, response, fields) }
        return outcome
    }

    private static func outcome(
        _ bytes: Span<UInt8>, _ line: StatusLine, _ headBytes: Int, _ method: Method,
        _ fields: borrowing FieldTable
    ) -> ResponseHeadOutcome {
        do throws(HeadError) {
            let length = try BodyFraming.contentLength(bytes, fields)
            let framing = try BodyFraming(
                responseIn: bytes, fields, status: line.status, method: method, version: line.version,
                length: length)
            let connection = try ConnectionOptions(bytes, fields)
            let persists = line.version == .http11 || connection.contains(.keepAlive)
            return .head(
                ResponseHead(
                    version: line.version, status: line.status, reasonPhrase: line.reasonPhrase,
                    framing: framing,
                    contentLength: length,
                    keepsAlive: persists && !connection.contains(.close) && framing != .untilClose,
                    headBytes: headBytes, isEventStream: isEventStream(bytes, fields),
                    hasConnectionOptions: connection.contains(.others)))
        } catch {
            return .refused(error)
        }
    }

    private static func isEventStream(_ bytes: Span<UInt8>, _ fields: borrowing FieldTable) -> Bool {
        guard let type = fields.value(.contentType) else { return false }
        return ByteClass.startsFolded(bytes, type.indices, "text/event-stream")
    }
}
