public import Border
import CLinux
import Glibc

/// What reactors ask of the control plane: one bounded queue for all of them, and a descriptor to wait on.
public final class ControlInbox: Sendable {
    private let queue: BoundedQueue<ToControl>
    private let wake: Wake

    /// - Parameter capacity: messages; when it is full, requests that need the control plane are answered
    ///   503.
    /// - Throws: when the process has no descriptor left.
    public init(capacity: Int = 8_192) throws {
        queue = BoundedQueue(capacity: capacity)
        wake = try Wake()
    }

    /// Readable (eventfd) while something may be waiting. Only poll it: `receive` takes the signal back.
    public var fd: Int32 { wake.descriptor }

    /// - Returns: the oldest message, nil when there is none.
    public func receive() -> ToControl? {
        if let message = queue.receive() { return message }
        wake.clear()
        // Something may have come between the look and the clearing.
        return queue.receive()
    }

    /// Waits until something may be there.
    /// - Parameter timeoutMilliseconds: -1 waits without end.
    /// - Returns: false when the time passed.
    public func wait(timeoutMilliseconds: Int32) -> Bool {
        var descriptor = pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, timeoutMilliseconds) > 0
    }

    /// - Returns: false when the queue is full.
    func send(_ message: ToControl) -> Bool {
        guard queue.send(message) else { return false }
        wake.signal()
        return true
    }
}
