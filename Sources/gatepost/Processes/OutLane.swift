import Control
import Dispatch
import Foundation

/// Frames on their way through a socket, written by a thread of their own: who sends waits only for room.
final class OutLane: Sendable {
    /// Bytes that are handed to the socket at once: so often room becomes free.
    private static let pieceBytes = 1 << 20

    private struct State {
        var waiting: [UInt8] = []
        /// Taken by the thread, and not written yet.
        var leaving = 0
        var isEnded = false
        /// Nanoseconds that senders have waited for room since nothing was left to write.
        var waited: UInt64 = 0

        var isEmpty: Bool { waiting.isEmpty && leaving == 0 }
    }
    private let socket: BorderSocket
    private let bytesMax: Int
    private let patienceMilliseconds: Int
    private let state = Watched(State())
    /// Frames that wait for room outside of the pool of `async` functions, one after the other.
    private let late = DispatchQueue(label: "gatepost.late-frames")

    /// - Parameters:
    ///   - bytesMax: that wait; a frame is taken as long as there are fewer.
    ///   - patienceMilliseconds: that senders may wait for room, all waits together, since nothing was left to write.
    init(_ socket: BorderSocket, bytesMax: Int, patienceMilliseconds: Int = 30_000) {
        self.socket = socket
        self.bytesMax = bytesMax
        self.patienceMilliseconds = patienceMilliseconds
        Thread.detachNewThread { [self] in
            while write() {}
        }
    }

    /// - Returns: false: no room. Frames for a process that is gone are taken and forgotten.
    func append(_ frame: [UInt8]) -> Bool { state.change { take(frame, &$0) } ?? false }

    /// - Returns: nil: no room.
    private func take(_ frame: [UInt8], _ state: inout State) -> Bool? {
        if state.isEnded { return true }
        guard state.waiting.count + state.leaving < bytesMax else { return nil }
        state.waiting += frame
        return true
    }

    /// Waits for room.
    ///
    /// - Parameter milliseconds: at most so long; nil: as long as the lane's patience lasts.
    /// - Returns: false: there was none. Without `milliseconds`: the other process does not read what it is sent.
    func appendWaiting(_ frame: [UInt8], milliseconds: Int? = nil) -> Bool {
        if append(frame) { return true }
        let began = monotonicNanoseconds()
        let left = state.look { patienceMilliseconds - Int($0.waited / 1_000_000) }
        guard left > 0 else { return false }
        let isTaken =
            state.wait(milliseconds: min(left, milliseconds ?? left)) { take(frame, &$0) } ?? false
        let waited = monotonicNanoseconds() - began
        // Also wakes the thread that writes.
        state.change { state in
            if milliseconds == nil, !state.isEmpty { state.waited += waited }
        }
        return isTaken
    }

    /// The same for those who must not block their thread.
    func appendLater(_ frame: [UInt8], milliseconds: Int) async -> Bool {
        if append(frame) { return true }
        return await withCheckedContinuation { continuation in
            late.async { [self] in
                continuation.resume(returning: appendWaiting(frame, milliseconds: milliseconds))
            }
        }
    }

    /// Waits until everything taken so far is with the kernel.
    func flush(milliseconds: Int) {
        _ = state.wait(milliseconds: milliseconds) { ($0.isEmpty || $0.isEnded).whenTrue }
    }

    func end() { state.change { $0.isEnded = true } }

    /// - Returns: false: nothing more is to be written.
    private func write() -> Bool {
        let next = state.wait { state -> (bytes: [UInt8], isEnded: Bool)? in
            guard !state.waiting.isEmpty || state.isEnded else { return nil }
            defer { state.waiting = [] }
            state.leaving = state.waiting.count
            return (state.waiting, state.isEnded)
        }
        guard let next else { return false }
        var sent = 0
        while sent < next.bytes.count {
            let end = min(sent + Self.pieceBytes, next.bytes.count)
            guard socket.send(next.bytes[sent..<end]) else {
                self.end()
                return false
            }
            let written = end - sent
            state.change { state in
                state.leaving -= written
                if state.isEmpty { state.waited = 0 }
            }
            sent = end
        }
        return !next.isEnded
    }
}

extension Bool {
    /// What `Watched.wait` is given: something, or nothing yet.
    var whenTrue: Bool? { self ? true : nil }
}
