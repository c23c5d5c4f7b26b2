import HTTP

/// Reads a request head with the product's one strict parser and copies what the gate looks at.
struct HeadReader: ~Copyable {
    static let headBytesMax = 8 << 10

    enum Outcome {
        /// `headBytes`: where the body begins.
        case head(AttestRequest, headBytes: Int)
        case needMore
        /// Malformed, too large, or of a kind that the agent does not speak. All are refused alike.
        case refused
    }

    private let parser: RequestHeadParser
    private var fields: FieldTable
    private var scratch: CanonicalScratch

    init() {
        let limits = HeadLimits(headBytesMax: Self.headBytesMax, targetBytesMax: 4096, fieldsMax: 64)
        parser = RequestHeadParser(limits: limits, scheme: .http)
        fields = FieldTable(capacity: limits.fieldsMax)
        scratch = CanonicalScratch(limits: limits)
    }

    mutating func read(_ bytes: [UInt8]) -> Outcome {
        switch parser.parse(bytes.span, into: &fields, scratch: &scratch) {
        case .needMore: return bytes.count > Self.headBytesMax ? .refused : .needMore
        case .refused: return .refused
        case .head(let head):
            guard head.form == .origin, head.upgrade == .none, !head.expectsContinue else { return .refused }
            return .head(request(head, bytes), headBytes: head.headBytes)
        }
    }

    private func request(_ head: CanonicalRequest, _ bytes: [UInt8]) -> AttestRequest {
        func text(_ range: ByteRange?) -> String? {
            range.map { String(decoding: bytes[$0.indices], as: UTF8.self) }
        }
        func canonical(_ value: CanonicalText) -> String {
            String(decoding: value.copied(head: bytes.span, scratch: scratch), as: UTF8.self)
        }
        func only(_ name: StaticString) -> String? {
            fields.isRepeated(named: name, in: bytes.span)
                ? "" : text(fields.value(named: name, in: bytes.span))
        }
        var request = AttestRequest(
            method: text(head.methodRange) ?? "", path: canonical(head.path), query: text(head.query),
            host: canonical(head.host), port: head.port)
        request.origin = text(fields.onlyValue(.origin))
        request.hasOrigin = fields.contains(.origin)
        request.fetchMode = only("sec-fetch-mode")
        request.fetchDestination = only("sec-fetch-dest")
        request.contentType = text(fields.onlyValue(.contentType))
        switch head.framing {
        case .length(let length): request.bodyLength = length
        case .none: request.bodyLength = 0
        // A page's fetch knows its length; chunks would only hide how much comes.
        case .chunked, .untilClose: request.bodyLength = nil
        }
        request.requestedMethod = text(fields.onlyValue(.accessControlRequestMethod))
        request.requestedHeaders = text(fields.value(named: "access-control-request-headers", in: bytes.span))
        let privateNetwork = text(
            fields.value(named: "access-control-request-private-network", in: bytes.span))
        request.asksForPrivateNetwork = privateNetwork == "true"
        return request
    }
}
