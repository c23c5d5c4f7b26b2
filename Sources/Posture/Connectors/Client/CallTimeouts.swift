import Fetch

/// How long one call to a provider may take (providers.md 1.1); configured for each integration.
public struct CallTimeouts: Sendable, Hashable {
    /// Until there is a connection, its TLS handshake included.
    public var connectSeconds: Int64
    /// Until an answer begins, from the start of the call.
    public var firstByteSeconds: Int64
    /// The whole.
    public var callSeconds: Int64

    /// Takes the members as they are.
    public init(connectSeconds: Int64 = 5, firstByteSeconds: Int64 = 10, callSeconds: Int64 = 30) {
        self.connectSeconds = connectSeconds
        self.firstByteSeconds = firstByteSeconds
        self.callSeconds = callSeconds
    }
}

/// Gives every call of one integration its bounds, token requests among them.
struct BoundedFetcher: Fetcher {
    let inner: any Fetcher
    let timeouts: CallTimeouts

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        var request = request
        request.connectTimeoutMilliseconds = Int(timeouts.connectSeconds) * 1_000
        request.firstByteTimeoutMilliseconds = Int(timeouts.firstByteSeconds) * 1_000
        request.timeoutMilliseconds = Int(timeouts.callSeconds) * 1_000
        return try await inner.fetch(request)
    }
}
