import Foundation
import Glibc
import Synchronization

/// Listens on 127.0.0.1 only and gives each connection a thread of its own, at most 32 at a time.
final class LoopbackServer: Sendable {
    static let connectionsMax = 32

    private let gate: AttestGate
    private let clock: AgentClock
    private let listener: CInt
    /// The bound port: the asked one, or a free one when 0 was asked.
    let port: UInt16
    private let open = Mutex(0)
    private let isStopping = Mutex(false)

    init(listening listener: ListeningSocket, gate: AttestGate, clock: AgentClock) {
        self.listener = listener.descriptor
        port = listener.port
        self.gate = gate
        self.clock = clock
    }

    /// Accepts until `stop`; call it on a thread of its own.
    func run() {
        while !isStopping.withLock({ $0 }) {
            var entry = pollfd(fd: listener, events: CShort(POLLIN), revents: 0)
            guard poll(&entry, 1, 200) > 0 else { continue }
            var address = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let accepted = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { accept(listener, $0, &length) }
            }
            guard accepted >= 0 else { continue }
            let peer = Peer(
                address: UInt32(bigEndian: address.sin_addr.s_addr),
                port: UInt16(bigEndian: address.sin_port),
                localPort: port)
            serve(accepted, peer)
        }
        close(listener)
    }

    /// Ends `run` within a fifth of a second; connections under way finish by their own deadlines.
    func stop() { isStopping.withLock { $0 = true } }

    private func serve(_ accepted: CInt, _ peer: Peer) {
        let isFull = open.withLock { open in
            if open >= Self.connectionsMax { return true }
            open += 1
            return false
        }
        // Full: closed without a word. A flood costs one accept each, and the queue of the kernel is short.
        guard !isFull else {
            close(accepted)
            return
        }
        let thread = Thread { [self] in
            Connection(adopting: accepted, peer: peer).serve(gate, clock: clock)
            open.withLock { $0 -= 1 }
        }
        thread.stackSize = 512 << 10
        thread.start()
    }
}

/// A bound socket on 127.0.0.1; whoever runs a server with it closes it.
struct ListeningSocket: Sendable {
    let descriptor: CInt
    let port: UInt16

    /// - Parameter port: 0 takes a free one.
    init(port: UInt16) throws(AgentError) {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw AgentError("no socket", remedy: "check the limit of open files")
        }
        var yes: CInt = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<CInt>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(127 << 24 | 1).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && listen(descriptor, 64) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard isBound else {
            close(descriptor)
            throw AgentError(
                "127.0.0.1:\(port) cannot be bound", remedy: "another agent may listen there; use --port")
        }
        self.descriptor = descriptor
        self.port = UInt16(bigEndian: address.sin_port)
    }
}
