/// The libcurl implementation: one multi handle on one own thread, connections kept and shared.
///
/// What it never does, whatever the request or the environment say: follow a redirect, use a proxy, a `.netrc` or a
/// cookie, skip verification, speak TLS below 1.2, or send plain HTTP to anything but loopback.
public final class CurlFetcher: Fetcher {
    private let engine: CurlEngine

    /// - Parameters:
    ///   - connectionsMax: open connections at most, kept ones included; further requests wait within their timeout.
    ///   - resolve: `host:port:address` entries that replace name lookup.
    public init(connectionsMax: Int = 32, resolve: [String] = []) {
        precondition(connectionsMax > 0, "connectionsMax is \(connectionsMax); at least one is needed")
        engine = CurlEngine(connectionsMax: connectionsMax, resolve: resolve)
        engine.start()
    }

    deinit { engine.stop() }

    public func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        if Task.isCancelled { throw FetchError(.cancelled, "the task was cancelled") }
        let engine = engine
        let handOver = HandOver()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Outcome, Never>) in
                let transfer = CurlTransfer(request) { continuation.resume(returning: $0) }
                engine.submit(transfer)
                if handOver.keep(transfer) { engine.cancel(transfer) }
            }
        } onCancel: {
            if let transfer = handOver.cancel() { engine.cancel(transfer) }
        }
        return try result.get()
    }
}
