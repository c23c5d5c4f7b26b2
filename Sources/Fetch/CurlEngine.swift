import CCurl
import Foundation
import Synchronization

/// The thread that owns the multi handle.
///
/// `@unchecked Sendable`: `queue` is a mutex, `multi` is never replaced and other threads only pass it to
/// `curl_multi_wakeup`, the one call that libcurl allows from them; `running` is touched by the thread alone.
final class CurlEngine: @unchecked Sendable {
    private struct Queue {
        var arrivals: [CurlTransfer] = []
        var isStopping = false
        /// Arrived and not finished yet.
        var openCount = 0
    }

    private let queue = Mutex(Queue())
    private let multi: UnsafeMutableRawPointer
    private let resolve: [String]
    private var running: [UnsafeMutableRawPointer: CurlTransfer] = [:]

    /// More than this many at once means that a provider hangs; waiting longer would only hide it.
    private static let transfersMax = 4_096
    /// Bounds how late a missed wake-up could be noticed; timeouts do not depend on it.
    private static let pollMillisecondsMax: CInt = 1_000

    private static let isLibraryReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    init(connectionsMax: Int, resolve: [String]) {
        precondition(Self.isLibraryReady, "libcurl does not initialise")
        guard let multi = curl_multi_init() else {
            preconditionFailure("libcurl has no memory for a multi handle")
        }
        self.multi = multi
        self.resolve = resolve
        gatepost_curl_multi_set_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connectionsMax)
        gatepost_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, connectionsMax)
    }

    func start() {
        let thread = Thread { self.run() }
        thread.name = "gatepost-fetch"
        thread.start()
    }

    func submit(_ transfer: CurlTransfer) {
        let refusal: FetchError? = queue.withLock { queue in
            if queue.isStopping { return FetchError(.cancelled, "the fetcher has ended") }
            if queue.openCount >= Self.transfersMax {
                return FetchError(.unreachable, "\(Self.transfersMax) requests are waiting already")
            }
            queue.openCount += 1
            queue.arrivals.append(transfer)
            // Inside the lock: the thread frees the multi handle only after it has seen `isStopping` there.
            curl_multi_wakeup(multi)
            return nil
        }
        if let refusal { transfer.finish(.failure(refusal)) }
    }

    func cancel(_ transfer: CurlTransfer) {
        transfer.isCancelled.store(true, ordering: .releasing)
        // After a stop the multi handle may be gone; see `submit`.
        queue.withLock { queue in
            if !queue.isStopping { curl_multi_wakeup(multi) }
        }
    }

    func stop() {
        queue.withLock { queue in
            queue.isStopping = true
            curl_multi_wakeup(multi)
        }
    }

    // MARK: The thread

    private func run() {
        while takeArrivals() {
            endCancelled()
            var activeCount: CInt = 0
            curl_multi_perform(multi, &activeCount)
            endDone()
            curl_multi_poll(multi, nil, 0, endUnbegun(), nil)
        }
        for transfer in Array(running.values) {
            end(transfer, .failure(FetchError(.cancelled, "the fetcher has ended")))
        }
        curl_multi_cleanup(multi)
    }

    /// - Returns: false when the engine is to stop.
    private func takeArrivals() -> Bool {
        let (arrivals, isStopping) = queue.withLock { queue in
            defer { queue.arrivals = [] }
            return (queue.arrivals, queue.isStopping)
        }
        for transfer in arrivals {
            do throws(FetchError) {
                try transfer.prepare(resolve: resolve, nowMilliseconds: Self.nowMilliseconds())
                guard let easy = transfer.easy, curl_multi_add_handle(multi, easy) == CURLM_OK else {
                    throw FetchError(.unreachable, "libcurl does not take the request")
                }
                running[easy] = transfer
            } catch {
                end(transfer, .failure(error))
            }
        }
        return !isStopping
    }

    private func endCancelled() {
        for transfer in Array(running.values) where transfer.isCancelled.load(ordering: .acquiring) {
            end(transfer, .failure(FetchError(.cancelled, "the task was cancelled")))
        }
    }

    /// Ends what has no answer by its deadline: libcurl bounds connecting and the whole, and nothing in between.
    ///
    /// - Returns: how long to wait at most until the next deadline, milliseconds.
    private func endUnbegun() -> CInt {
        var wait = UInt64(Self.pollMillisecondsMax)
        let now = Self.nowMilliseconds()
        for transfer in Array(running.values) {
            guard let due = transfer.firstByteDueMilliseconds else { continue }
            if due > now {
                wait = min(wait, due - now)
            } else {
                let bound = transfer.request.firstByteTimeoutMilliseconds ?? 0
                end(transfer, .failure(FetchError(.timedOut, "no answer began within \(bound) ms")))
            }
        }
        return CInt(wait)
    }

    private static func nowMilliseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000 + UInt64(time.tv_nsec) / 1_000_000
    }

    private func endDone() {
        var leftCount: CInt = 0
        while let message = curl_multi_info_read(multi, &leftCount) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
                let transfer = running[easy]
            else { continue }
            end(transfer, transfer.result(of: gatepost_curl_message_result(message)))
        }
    }

    private func end(_ transfer: CurlTransfer, _ result: Result<FetchResponse, FetchError>) {
        if let easy = transfer.easy, running.removeValue(forKey: easy) != nil {
            curl_multi_remove_handle(multi, easy)
        }
        queue.withLock { $0.openCount -= 1 }
        transfer.finish(result)
    }
}
