import Fetch
import Synchronization

/// The providers of a test, by URL. What is not there cannot be reached; what is held does not answer until it is
/// let go.
final class Outside: Fetcher {
    private struct State {
        var answers: [String: FetchResponse] = [:]
        var held: Set<String> = []
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())
    /// Every URL that was asked, in order.
    let asked: AsyncStream<String>
    private let note: AsyncStream<String>.Continuation

    init() { (asked, note) = AsyncStream.makeStream() }

    func answer(_ url: String, _ json: String, status: Int = 200) {
        let response = FetchResponse(
            status: status, fields: [("content-type", "application/json")], body: Array(json.utf8))
        state.withLock { $0.answers[url] = response }
    }

    /// Nobody asks any more: `asked` comes to its end.
    func finish() { note.finish() }

    /// From now on this address takes questions and says nothing.
    func hold(_ url: String) { state.withLock { _ = $0.held.insert(url) } }

    /// Whoever waits is told that nothing comes.
    func letGo() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            state.held = []
            return state.waiting
        }
        for waiter in waiting { waiter.resume() }
    }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        note.yield(request.url)
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                guard state.held.contains(request.url) else { return false }
                state.waiting.append(continuation)
                return true
            }
            if !isHeld { continuation.resume() }
        }
        guard let answer = state.withLock({ $0.answers[request.url] }) else {
            throw FetchError(.unreachable, request.url)
        }
        return answer
    }
}
