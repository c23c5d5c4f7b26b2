/// One outbound HTTP request of the control plane.
public struct FetchRequest: Sendable {
    /// An RFC 9110 §9 method, upper case.
    public var method: String
    /// Absolute `https:` URL, at most 8 KiB, without user information.
    public var url: String
    /// Fields in their order; names and values are checked before anything is sent.
    public var fields: [(String, String)]
    /// nil: no content.
    public var body: [UInt8]?
    /// Bound of the whole exchange, waiting for a connection included; 1…600,000.
    public var timeoutMilliseconds: Int
    /// Bound of making a connection, its TLS handshake included; never beyond `timeoutMilliseconds`. 1…600,000.
    public var connectTimeoutMilliseconds = 5_000
    /// Bound of what comes before the first byte of an answer, waiting for a connection included; nil: only the whole
    /// is bounded. 1…600,000.
    public var firstByteTimeoutMilliseconds: Int?
    /// A longer answer ends the transfer as soon as this many bytes were exceeded.
    public var bodyBytesMax: Int
    /// Permits `http:` when the host is loopback (127.0.0.0/8, ::1, localhost), and nowhere else.
    public var allowsPlainHTTP: Bool
    /// PEM of the only authorities trusted for this request; nil: those of the system.
    public var authoritiesPEM: [UInt8]?
    /// PEM of our certificate for mutual TLS.
    public var clientCertificatePEM: [UInt8]?
    /// PEM of the key that belongs to it.
    public var clientKeyPEM: [UInt8]?
    /// Never over a connection that was used before: such a request is sent once, whatever becomes of it. Over a kept
    /// connection that ends before an answer it would be sent again.
    public var isSentOnce = false

    /// A GET with the usual bounds (10 s, 1 MiB), unless said otherwise.
    public init(
        method: String = "GET", url: String, fields: [(String, String)] = [], body: [UInt8]? = nil,
        timeoutMilliseconds: Int = 10_000, bodyBytesMax: Int = 1 << 20, allowsPlainHTTP: Bool = false,
        authoritiesPEM: [UInt8]? = nil, clientCertificatePEM: [UInt8]? = nil, clientKeyPEM: [UInt8]? = nil
    ) {
        self.method = method
        self.url = url
        self.fields = fields
        self.body = body
        self.timeoutMilliseconds = timeoutMilliseconds
        self.bodyBytesMax = bodyBytesMax
        self.allowsPlainHTTP = allowsPlainHTTP
        self.authoritiesPEM = authoritiesPEM
        self.clientCertificatePEM = clientCertificatePEM
        self.clientKeyPEM = clientKeyPEM
    }
}

/// A complete answer. A redirect is an answer like any other: it is never followed.
public struct FetchResponse: Sendable {
    /// 200…599.
    public var status: Int
    /// Names in lower case, in the order received; trailer fields are not among them.
    public var fields: [(name: String, value: String)]
    /// Never decoded: no content coding is ever asked for.
    public var body: [UInt8]

    /// An answer out of its parts.
    public init(status: Int, fields: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// The value of the first field `name` (in any case); nil when there is none.
    public func field(_ name: String) -> String? {
        let wanted = name.lowercased()
        return fields.first { $0.name == wanted }?.value
    }
}

/// Why there is no answer.
public struct FetchError: Error, Hashable, CustomStringConvertible {
    /// Selects the reaction: only `unreachable` and `timedOut` are worth a retry.
    public enum Kind: String, Sendable, CaseIterable {
        /// No name, no connection, or the connection ended before an answer.
        case unreachable
        /// The whole exchange or the connection took longer than allowed.
        case timedOut = "timed-out"
        /// The certificate, the protocol version or our own certificate was refused.
        case tlsFailed = "tls-failed"
        /// The answer's content or head is longer than allowed.
        case tooLarge = "too-large"
        /// What came is not HTTP, or ended early.
        case malformed
        /// Not an URL, not https, or a request that must not be sent as it is.
        case refusedURL = "refused-url"
        /// The task was cancelled, or the fetcher ended.
        case cancelled
    }

    /// Selects the reaction.
    public var kind: Kind
    /// What happened, for the log; it never holds bodies or credentials.
    public var what: String

    /// An error out of its parts.
    public init(_ kind: Kind, _ what: String) {
        self.kind = kind
        self.what = what
    }

    public var description: String { "\(kind.rawValue): \(what)" }
}

/// What identity and posture ask of the network; tests put providers of their own in its place.
public protocol Fetcher: Sendable {
    /// Sends one request and returns its complete answer. Cancelling the task ends the transfer.
    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse
}
