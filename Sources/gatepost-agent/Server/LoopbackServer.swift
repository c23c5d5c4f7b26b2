import Foundation
import Glibc
import Synchronization

/// Listens on the loopback addresses only and gives each connection a thread of its own, at most 32 at a
/// time.
final class LoopbackServer: Sendable {
    private let gates: GatewayGates
    private let log: EventLog
    private let clock: AgentClock
    private let listening: Mutex<[ListeningSocket]>
    private let isStopping = Mutex(false)
    private let peerUser: @Sendable (Peer) -> UInt32?
    private let open = Mutex(OpenConnections())
    private let wake: WakePipe
    private let idle = DispatchSemaphore(value: 0)

    init(
        listening: [ListeningSocket], gates: GatewayGates, log: EventLog, clock: AgentClock,
        peerUser: @escaping @Sendable (Peer) -> UInt32? = { PeerUser.find($0) }
    ) throws(AgentError) {
        wake = try WakePipe()
        self.listening = Mutex(listening)
        self.gates = gates
        self.log = log
        self.clock = clock
        self.peerUser = peerUser
    }

    /// Accepts until `stop`; call it on a thread of its own.
    func run() {
        while !isStopping.withLock({ $0 }) {
            let sources = listening.withLock { $0 }.flatMap { socket in
                socket.descriptors.map { ($0, socket.port) }
            }
            acceptUntilWoken(sources)
        }
        for socket in listening.withLock({ $0 }) { socket.close() }
        idle.signal()
    }

    private func acceptUntilWoken(_ sources: [(CInt, UInt16)]) {
        var entries = sources.map { pollfd(fd: $0.0, events: CShort(POLLIN), revents: 0) }
        entries.append(pollfd(fd: wake.readEnd, events: CShort(POLLIN), revents: 0))
        while true {
            guard poll(&entries, nfds_t(entries.count), -1) > 0 else { continue }
            if entries[sources.count].revents != 0 {
                wake.drain()
                return
            }
            for (index, source) in sources.enumerated() where entries[index].revents != 0 {
                accept(source.0, port: source.1)
            }
        }
    }

    /// Listens on further sockets from now on.
    func add(_ sockets: [ListeningSocket]) {
        listening.withLock { $0 += sockets }
        wake.wake()
    }

    /// The ports that are listened on.
    var ports: [UInt16] { listening.withLock { $0.map(\.port) } }

    /// Ends `run` at once; connections under way finish by their own deadlines.
    func stop() {
        isStopping.withLock { $0 = true }
        wake.wake()
    }

    /// After `stop`: waits until the listeners are closed and the last answer is written.
    ///
    /// - Returns: false when connections are still open after `seconds`.
    func drained(withinSeconds seconds: Double) -> Bool {
        let end = DispatchTime.now() + seconds
        guard idle.wait(timeout: end) == .success else { return false }
        idle.signal()
        while open.withLock({ $0.count }) > 0 {
            guard DispatchTime.now() < end else { return false }
            _ = left.wait(timeout: min(end, DispatchTime.now() + 0.1))
        }
        return true
    }

    /// Signalled whenever a connection ends.
    private let left = DispatchSemaphore(value: 0)

    private func accept(_ listener: CInt, port: UInt16) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let accepted = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.accept(listener, $0, &length) }
        }
        guard accepted >= 0 else {
            // Out of descriptors the listener stays readable: without a pause this would be a busy loop.
            if errno == EMFILE || errno == ENFILE || errno == ENOMEM { _ = poll(nil, 0, 50) }
            return
        }
        _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
        serve(accepted, ListeningSocket.peer(storage, localPort: port))
    }

    private func serve(_ accepted: CInt, _ peer: Peer) {
        let user = peerUser(peer)
        // Full: closed without a word. A flood costs one accept each, and the queue of the kernel is short.
        guard open.withLock({ $0.enter(user) }) else {
            close(accepted)
            log.note(.refused("overloaded"), gateway: nil, nowMilliseconds: clock.nowMilliseconds())
            return
        }
        let thread = Thread { [self] in
            Connection(adopting: accepted, peer: peer).serve(gates, log, clock: clock)
            open.withLock { $0.leave(user) }
            left.signal()
        }
        thread.stackSize = 512 << 10
        thread.start()
    }
}
