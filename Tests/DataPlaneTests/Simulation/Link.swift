import CLinux
import Glibc

/// The far end of a connection with the gateway.
protocol Peer: AnyObject {
    /// Bytes that the gateway has just handed to the kernel, before they are on their way.
    func gatewayWrote(_ bytes: [UInt8], wasBlocked: Bool)
    func received(_ bytes: [UInt8])
    /// The gateway sends no more.
    func ended()
    func reset()
}

/// One TCP connection between the gateway and a peer, as the kernel sees it.
final class Link {
    private let kernel: SimulatedKernel
    weak var peer: (any Peer)?
    var descriptor: Int32 = -1
    var isConnected = true
    /// Greatest piece that arrives at once, in either direction.
    let pieceMax: Int
    /// Everything that waits arrives at once.
    var deliversWhole = false

    // To the gateway.
    private var waiting: [UInt8] = []
    private var visible: [UInt8] = []
    private var isDelivering = false
    private var hasPeerEnded = false
    private var isEndVisible = false
    private(set) var bytesRead = 0

    // From the gateway.
    private let capacity: Int
    private var outgoing: [UInt8] = []
    private var isSending = false
    private var lacksSpace = false
    private var isPaused = false
    private var hasGatewayEnded = false
    private var isEndDelivered = false
    private(set) var isClosedByGateway = false

    private var error: Int32 = 0
    private(set) var isReset = false

    init(_ kernel: SimulatedKernel) {
        self.kernel = kernel
        pieceMax = kernel.random.pick(
            kernel.movesMuch ? [4_000, 20_000, 60_000] : [20, 300, 1_500, 1_500, 20_000])
        capacity = kernel.random.pick(
            kernel.movesMuch ? [9_000, 65_536, 200_000] : [64, 1_000, 9_000, 65_536])
    }

    /// EPOLLIN, EPOLLOUT, … as poll(2) would report them now.
    var readiness: UInt32 {
        if error != 0 || isReset {
            return EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLHUP.rawValue
                | (error != 0 ? EPOLLERR.rawValue : 0)
        }
        guard isConnected else { return 0 }
        var mask: UInt32 = 0
        if !visible.isEmpty { mask |= EPOLLIN.rawValue }
        if isEndVisible { mask |= EPOLLIN.rawValue | EPOLLRDHUP.rawValue }
        if isEndVisible, hasGatewayEnded { mask |= EPOLLHUP.rawValue }
        if hasRoom { mask |= EPOLLOUT.rawValue }
        return mask
    }

    private var hasRoom: Bool { capacity - outgoing.count >= max(1, capacity / 3) }

    // MARK: Calls of the gateway

    func receive(_ target: UnsafeMutableRawPointer, _ count: Int) -> Int {
        kernel.whenCalled(.moves(self))
        if kernel.random.chance(2) { return -Int(EINTR) }
        guard !visible.isEmpty else {
            if error != 0 {
                defer { error = 0 }
                return -Int(error)
            }
            return isEndVisible || isReset ? 0 : -Int(EAGAIN)
        }
        let taken = min(count, visible.count)
        visible.withUnsafeBytes { target.copyMemory(from: $0.baseAddress!, byteCount: taken) }
        visible.removeFirst(taken)
        bytesRead += taken
        // More arrives while the gateway is still busy with what it has.
        if kernel.random.chance(10), isDelivering == false { deliver() }
        pump()
        return taken
    }

    func transmit(_ source: UnsafeRawPointer, _ count: Int) -> Int {
        kernel.whenCalled(.moves(self))
        if kernel.random.chance(2) { return -Int(EINTR) }
        if hasGatewayEnded { kernel.fault("send after shutdown") }
        if isReset {
            defer { error = 0 }
            return -Int(error == 0 ? EPIPE : error)
        }
        let room = isConnected ? capacity - outgoing.count : 0
        guard room > 0 else {
            lacksSpace = true
            return -Int(EAGAIN)
        }
        let taken = min(room, count)
        let bytes = [UInt8](UnsafeRawBufferPointer(start: source, count: taken))
        peer?.gatewayWrote(bytes, wasBlocked: lacksSpace || taken < count)
        lacksSpace = taken < count
        outgoing += bytes
        carry()
        return taken
    }

    func endWriting() -> Int32 {
        hasGatewayEnded = true
        carry()
        return 0
    }

    func takeError() -> Int32 {
        defer { error = 0 }
        return error
    }

    func closedByGateway() {
        kernel.trace("the gateway closes descriptor \(descriptor - SimulatedKernel.firstDescriptor)")
        isClosedByGateway = true
        hasGatewayEnded = true
        descriptor = -1
        // tcp(7): closing with unread bytes resets the connection, and what was not sent is lost.
        guard visible.isEmpty, !isReset else {
            if !isReset, !outgoing.isEmpty { outgoing.removeLast(kernel.random.below(outgoing.count + 1)) }
            return tellReset()
        }
        waiting = []
        carry()
    }

    private func tellReset() {
        isReset = true
        kernel.after(kernel.random.delay()) { [self] in peer?.reset() }
    }

    // MARK: The peer's side

    func connected() {
        guard !isClosedByGateway else { return }
        isConnected = true
        kernel.wake(descriptor)
        pump()
    }

    /// A connect failed, or nobody listens any more.
    func refused() {
        isReset = true
        error = ECONNREFUSED
        if descriptor >= 0 { kernel.wake(descriptor) }
        peer?.reset()
    }

    func send(_ bytes: [UInt8]) {
        guard !isReset, !hasPeerEnded else { return }
        guard !isClosedByGateway else { return tellReset() }
        waiting += bytes
        pump()
    }

    func end() {
        hasPeerEnded = true
        pump()
    }

    func abort() {
        guard !isReset else { return }
        isReset = true
        error = ECONNRESET
        waiting = []
        outgoing = []
        if descriptor >= 0 { kernel.wake(descriptor) }
    }

    /// The peer reads nothing for a while.
    func pause(_ nanoseconds: UInt64) {
        isPaused = true
        kernel.after(nanoseconds) { [self] in
            isPaused = false
            carry()
        }
    }

    // MARK: On the way

    private static let window = 100_000

    private func pump() {
        let hasMore = !waiting.isEmpty || (hasPeerEnded && !isEndVisible)
        guard hasMore, !isDelivering, isConnected, !isReset, visible.count < Self.window else { return }
        isDelivering = true
        kernel.after(kernel.random.delay()) { [self] in
            isDelivering = false
            deliver()
            pump()
        }
    }

    private func deliver() {
        guard !isReset else { return }
        if waiting.isEmpty {
            guard hasPeerEnded, !isEndVisible else { return }
            isEndVisible = true
        } else {
            let count =
                deliversWhole ? waiting.count : min(waiting.count, 1 + kernel.random.below(pieceMax))
            visible += waiting[..<count]
            waiting.removeFirst(count)
        }
        if isClosedByGateway { return tellReset() }
        kernel.wake(descriptor)
    }

    private func carry() {
        let isEndDue = hasGatewayEnded && !isEndDelivered
        guard !isSending, !isPaused, !outgoing.isEmpty || isEndDue else { return }
        isSending = true
        kernel.after(kernel.random.delay()) { [self] in
            isSending = false
            guard !isPaused else { return }
            if !outgoing.isEmpty {
                let bytes = Array(outgoing.prefix(1 + kernel.random.below(pieceMax)))
                outgoing.removeFirst(bytes.count)
                if lacksSpace, hasRoom, descriptor >= 0 {
                    lacksSpace = false
                    kernel.wake(descriptor)
                }
                peer?.received(bytes)
            } else if hasGatewayEnded, !isEndDelivered {
                isEndDelivered = true
                peer?.ended()
            }
            carry()
        }
    }
}
