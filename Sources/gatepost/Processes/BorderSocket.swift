import Border
import CLinux
import Foundation
import Glibc
import Synchronization

/// One end of a socket pair between the two processes, with whole frames in both directions.
final class BorderSocket: Sendable {
    private let descriptor: Int32

    init(adopting descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }

    /// Waits until all of it is on its way.
    /// - Returns: false when the other process is gone.
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if count == 0 || errno != EINTR {
                return false
            }
        }
        return true
    }

    /// Waits for bytes and adds them.
    /// - Returns: false at the end of the stream.
    func read(into reader: inout FrameReader, _ chunk: inout [UInt8]) -> Bool {
        while true {
            let count = chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count > 0 {
                reader.feed(chunk[..<count])
                return true
            }
            guard count < 0, errno == EINTR else { return false }
        }
    }

    /// Ends both directions: whoever waits here or at the other end wakes up.
    func end() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Hands every frame to `take`, until the stream or its meaning ends, or `take` returns false.
    func readFrames(bytesMax: Int, _ take: ([UInt8]) throws -> Bool) throws {
        var reader = FrameReader(bytesMax: bytesMax)
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while read(into: &reader, &chunk) {
            while let bytes = try reader.next() {
                guard try take(bytes) else { return }
            }
        }
    }
}

/// Frames on their way through a socket, written by a thread of their own: who sends waits only for room.
final class OutLane: Sendable {
    private struct State {
        var waiting: [UInt8] = []
        var isEnded = false
    }
    private let socket: BorderSocket
    private let bytesMax: Int
    private let state = Mutex(State())
    private let news = DispatchSemaphore(value: 0)

    /// - Parameter bytesMax: that wait; a frame is taken as long as there are fewer.
    init(_ socket: BorderSocket, bytesMax: Int) {
        self.socket = socket
        self.bytesMax = bytesMax
        Thread.detachNewThread { [self] in
            while write() {}
        }
    }

    /// - Returns: false: no room. Frames for a process that is gone are taken and forgotten.
    func append(_ frame: [UInt8]) -> Bool {
        let isTaken = state.withLock { state in
            if state.isEnded { return true }
            guard state.waiting.count < bytesMax else { return false }
            state.waiting += frame
            return true
        }
        news.signal()
        return isTaken
    }

    /// Never drops: waits for room.
    func appendWaiting(_ frame: [UInt8]) {
        while !append(frame) { usleep(100) }
    }

    func end() {
        state.withLock { $0.isEnded = true }
        news.signal()
    }

    /// Whether everything taken so far was written.
    private func write() -> Bool {
        news.wait()
        let (bytes, isEnded) = state.withLock { state in
            defer { state.waiting = [] }
            return (state.waiting, state.isEnded)
        }
        guard bytes.isEmpty || socket.send(bytes) else {
            end()
            return false
        }
        return !isEnded
    }
}
