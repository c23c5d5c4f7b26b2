import Fetch
import JSON

/// What differs between vendors' APIs; `ProviderClient` does the rest (providers.md 1.1).
struct ProviderAPI: Sendable {
    /// For messages: "Graph", "Falcon".
    var name: String
    /// Scheme, host and port, and a path when every call has it; without a slash at the end. Only URLs of this
    /// origin are ever called with credentials.
    var base: String
    var credentials: ProviderCredentials
    /// Sent with every call, for example the version that `Accept` chooses.
    var fields: [(name: String, value: String)] = [("accept", "application/json")]
    /// A field that gets a fresh id with every call, for the vendor's support.
    var requestIDField: String?
    /// Fields that say how long to wait, the first one present counts.
    var hintFields = ["retry-after"]
    /// The vendor's word for what went wrong, from an error document.
    var errorWord: @Sendable (JSONValue) -> String? = { _ in nil }
    /// An error document that came with a status of success.
    var failureInside: @Sendable (JSONValue) -> ConnectorFailure? = { _ in nil }
    /// How often we may call, by the vendor's published limits.
    var windows: [RateWindow] = []
    /// As much as can be read as JSON: what is fetched and then refused for its size would never be complete.
    var bodyBytesMax = JSONLimits.provider.bytesMax
    var allowsPlainHTTP = false
    /// PEM of the only authorities trusted; nil: the system's.
    var authoritiesPEM: [UInt8]?
}

/// How a vendor knows us.
enum ProviderCredentials: Sendable {
    /// A token of the vendor's token endpoint (RFC 6749 §4.4 and its kin), kept until it nears its end.
    case token(TokenGrant)
    /// Fields that never change: an API key, a fixed bearer token, Basic.
    case fixed([(name: String, value: String)])
}

/// How a token is asked for.
struct TokenGrant: Sendable {
    /// Absolute; may be another host than the API's.
    var url: String
    /// The form, made anew for each request: an assertion in it has a short life.
    var form:
        @Sendable (_ nowSeconds: Int64) async throws(ConnectorFailure) -> [(name: String, value: String)]
    /// Further fields, such as Basic client authentication.
    var fields: [(name: String, value: String)] = []
    /// What the answer must be; CrowdStrike says 201.
    var acceptsStatus: Set<Int> = [200]
    /// The life of tokens whose answer names none.
    var lifetimeSeconds: Int64?
    /// The vendor's word and number for administrators.
    var errorWord: @Sendable (JSONValue) -> String? = { $0["error"]?.string }
    /// What else a token answer says, for example that the account is elsewhere.
    var check: @Sendable (FetchResponse) -> ConnectorFailure? = { _ in nil }
    /// Hears of every token answer: a refresh token in it replaces the one that was used, and what it
    /// throws makes the token none.
    var received: @Sendable (JSONValue, ProviderClient) async throws(ConnectorFailure) -> Void = { _, _ in }
}

/// One call: only idempotent ones are retried, so the caller says which they are.
struct ProviderCall: Sendable {
    var method = "GET"
    /// Absolute, of the API's own origin.
    var url: String
    var fields: [(name: String, value: String)] = []
    var body: JSONValue?
    /// Statuses of success; a body is read from each but 204, which is `null`.
    var acceptsStatus: Set<Int> = [200]
    /// Whether trying twice does what trying once does.
    var isIdempotent = true
    /// How many calls it is for the vendor's limits.
    var countsAs = 1
}

/// At most so many calls in so many seconds.
struct RateWindow: Sendable, Hashable {
    var calls: Int
    var seconds: Int64
}

/// The calls of the last windows: a value, the client keeps it.
struct RateLedger: Sendable {
    private let windows: [RateWindow]
    private var times: [Int64] = []

    init(_ windows: [RateWindow]) { self.windows = windows }

    /// Seconds until the next call is within every window; 0: now.
    ///
    /// - Parameters:
    ///   - leavesRoom: whether a tenth of each window stays free for others.
    ///   - count: as many at once; no more than the smallest window takes.
    func wait(nowSeconds: Int64, leavesRoom: Bool = false, count: Int = 1) -> Int64 {
        windows.reduce(0) { wait, window in
            let inside = times.filter { $0 > nowSeconds - window.seconds }
            let calls = leavesRoom ? max(1, window.calls - window.calls / 10) : window.calls
            let over = inside.count + min(count, calls) - calls
            guard over > 0 else { return wait }
            return max(wait, inside[over - 1] + window.seconds - nowSeconds)
        }
    }

    mutating func note(nowSeconds: Int64, count: Int = 1) {
        guard let longest = windows.map(\.seconds).max() else { return }
        times.removeAll { $0 <= nowSeconds - longest }
        times.append(contentsOf: repeatElement(nowSeconds, count: count))
    }
}
