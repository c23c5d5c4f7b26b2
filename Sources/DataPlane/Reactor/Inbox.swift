import Border
import CLinux
import Glibc
import Synchronization

/// The only way into a reactor from outside: closed values in two lanes, and one wake-up.
final class Inbox: Sendable {
    enum Delivery: Sendable {
        case message(ToReactor)
        case configuration(PreparedConfiguration)
    }

    private let revocations: BoundedQueue<Revocation>
    private let messages: BoundedQueue<Delivery>
    private let wake: Wake
    /// Set when the reactor has ended: nobody waits for room any more.
    private let isClosed = Atomic<Bool>(false)

    /// A drain leaves idle connections one more request.
    private let keeps = Atomic<Bool>(false)

    /// Of each lane.
    static let capacity = 4_096

    init(capacity: Int = Inbox.capacity) throws {
        revocations = BoundedQueue(capacity: capacity)
        messages = BoundedQueue(capacity: capacity)
        wake = try Wake()
    }

    var keepsConnections: Bool { keeps.load(ordering: .acquiring) }
    func keepConnections() { keeps.store(true, ordering: .releasing) }

    var descriptor: Int32 { wake.descriptor }

    /// - Returns: false when the lane is full.
    func send(_ message: ToReactor) -> Bool { send(.message(message)) }

    /// - Returns: false when the lane is full.
    func send(_ delivery: Delivery) -> Bool {
        guard messages.send(delivery) else { return false }
        wake.signal()
        return true
    }

    /// Never drops: waits while the lane is full. Returns at once when the reactor has ended.
    func send(_ revocation: Revocation) {
        while !isClosed.load(ordering: .acquiring) {
            let isSent = revocations.send(revocation)
            wake.signal()
            if isSent { return }
            var pause = timespec(tv_sec: 0, tv_nsec: 100_000)
            nanosleep(&pause, nil)
        }
    }

    /// Whether anything may wait in either lane. A sender signals after it has put its message there, so what comes
    /// during the look wakes the reactor for its next turn.
    var mayHaveMail: Bool { wake.hasSignal }
    func clearWake() { wake.clear() }
    func signalAgain() { wake.signal() }
    var isEnded: Bool { isClosed.load(ordering: .acquiring) }
    /// More cannot stand in the lane of revocations.
    var revocationsMax: Int { revocations.capacity }
    func nextRevocation() -> Revocation? { revocations.receive() }
    func nextMessage() -> Delivery? { messages.receive() }
    func close() { isClosed.store(true, ordering: .releasing) }
}
