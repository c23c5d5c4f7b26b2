import Synchronization

typealias Outcome = Result<FetchResponse, FetchError>

/// Where a task's cancellation meets its transfer, whichever of the two comes first.
final class HandOver: Sendable {
    private struct State {
        var transfer: CurlTransfer?
        var isCancelled = false
    }

    private let state = Mutex(State())

    /// - Returns: true when the task was cancelled before the transfer existed.
    func keep(_ transfer: CurlTransfer) -> Bool {
        state.withLock { state in
            state.transfer = transfer
            return state.isCancelled
        }
    }

    /// - Returns: the transfer to end, when there is one already.
    func cancel() -> CurlTransfer? {
        state.withLock { state in
            state.isCancelled = true
            return state.transfer
        }
    }
}
