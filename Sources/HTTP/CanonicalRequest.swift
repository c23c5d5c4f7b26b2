/// The one request that policy judges and that is serialised upstream. Offsets only: cheap to copy, nothing
/// to free.
public struct CanonicalRequest: Sendable, Hashable {
    /// Forms of the request target (RFC 9112 §3.2).
    public enum TargetForm: UInt8, Sendable { case origin, absolute, asterisk }
    /// What the request asks to upgrade to. Only WebSocket is ever forwarded; `h2c` and others are dropped,
    /// because a tunnel of HTTP/2 requests would pass by every decision.
    public enum Upgrade: UInt8, Sendable { case none, webSocket }

    /// Case-sensitive; `.other` has its bytes in `methodRange`.
    public var method: Method
    /// The method's bytes in the head.
    public var methodRange: ByteRange
    /// What the client speaks; upstream it is always HTTP/1.1.
    public var version: HTTPVersion
    /// How the target was written; in asterisk-form `path` is "*".
    public var form: TargetForm
    /// Begins with "/" (or is "*" in asterisk-form); canonical: no dot segment, no needless escape.
    public var path: CanonicalText
    /// The opt-ins without which this path would have been refused. Parse with every opt-in that any
    /// application has, then refuse with 400 when this is not a subset of what the routed application has.
    public var pathNeeds: PathOptions
    /// Without "?", byte for byte as sent; nil when the target has no "?".
    public var query: ByteRange?
    /// Lower case, without port; an IPv6 address with its brackets.
    public var host: CanonicalText
    /// The port that Host names, nil when it names none.
    public var port: UInt16?
    /// `.none`, `.length` or `.chunked`.
    public var framing: BodyFraming
    /// Whether the downstream connection may carry another request (RFC 9112 §9.3).
    public var keepsAlive: Bool
    /// `Expect: 100-continue` (RFC 9110 §10.1.1); always false in HTTP/1.0.
    public var expectsContinue: Bool
    /// `.webSocket` only for a GET without body (RFC 6455 §4.1).
    public var upgrade: Upgrade
    /// Bytes of the head including its empty line: the body begins there.
    public var headBytes: Int
    /// Whether `Connection` names anything besides close, keep-alive and upgrade.
    var hasConnectionOptions: Bool
    /// The value of the Host field when it is exactly `host` and `port` as they are written upstream.
    var hostAsSent: ByteRange?
}

/// What a parse of a request head found. Nothing is consumed unless it is `.head`.
public enum RequestHeadOutcome: Sendable, Hashable {
    case head(CanonicalRequest)
    case needMore
    case refused(HeadError)
}

/// The head of an upstream's response.
public struct ResponseHead: Sendable, Hashable {
    /// What the upstream speaks.
    public var version: HTTPVersion
    /// 100...599.
    public var status: Int
    /// May be empty.
    public var reasonPhrase: ByteRange
    /// How the body from the upstream is delimited.
    public var framing: BodyFraming
    /// What Content-Length says, also where no body follows (HEAD, 304).
    public var contentLength: Int64?
    /// Whether the upstream connection may carry another request.
    public var keepsAlive: Bool
    /// Bytes of the head including its empty line.
    public var headBytes: Int
    /// Content-Type is `text/event-stream`, in any case and with any parameters (HTML standard §9.2.3).
    public var isEventStream: Bool
    var hasConnectionOptions: Bool

    /// 1xx other than 101: another head follows (RFC 9110 §15.2).
    public var isInterim: Bool { status < 200 && status != 101 }
}

/// What a parse of a response head found. Nothing is consumed unless it is `.head`.
public enum ResponseHeadOutcome: Sendable, Hashable {
    case head(ResponseHead)
    case needMore
    case refused(HeadError)
}
