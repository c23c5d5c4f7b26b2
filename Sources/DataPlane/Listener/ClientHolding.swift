import Access
import Border
import Synchronization

/// What the connections of one client hold together, over all reactors.
final class ClientMemory: Sendable {
    /// As far as reactors have told.
    let bytes = Atomic<Int>(0)
}

/// One client's part of one reactor: the buffers of its connections and streams.
struct ClientHolding {
    /// A change is told to the other reactors when it is as large as this: what passes through in moments is
    /// never told, so that requests touch nothing that is shared.
    static let toldBytes = 64 << 10

    let client: ClientTable.Client
    // Unmanaged: a reference that is counted at every visit would cost more than the visit's whole account. It is
    // retained from the beginning to `end`.
    private let memory: Unmanaged<ClientMemory>
    /// Connections and streams that count here, and whoever walks through them.
    var users = 0
    /// At this reactor.
    private(set) var bytes = 0
    private var told = 0
    /// Its turn to give memory back comes at the end of this one.
    var isNoted = false

    init(_ client: ClientTable.Client, _ memory: ClientMemory) {
        self.client = client
        self.memory = .passRetained(memory)
    }

    /// At all reactors, less than `toldBytes` of each other one unknown.
    var total: Int {
        memory._withUnsafeGuaranteedRef { $0.bytes.load(ordering: .relaxed) } + bytes - told
    }

    /// - Returns: whether the others were told.
    mutating func add(_ change: Int) -> Bool {
        bytes += change
        guard abs(bytes - told) >= Self.toldBytes else { return false }
        tell()
        return true
    }

    private mutating func tell() {
        let change = bytes - told
        memory._withUnsafeGuaranteedRef { _ = $0.bytes.wrappingAdd(change, ordering: .relaxed) }
        told = bytes
    }

    /// Nobody counts here any more. The value must not be used afterwards.
    mutating func end() {
        tell()
        memory.release()
    }
}

typealias ClientHoldingPointer = UnsafeMutablePointer<ClientHolding>

/// What all connections of one client may hold together (`memory-per-address-max`): from half of it on nobody is given
/// more than it needs, and beyond it those that hold most end.
extension Reactor {
    /// What the connection holds counts for its address from now on.
    func beginHolding(_ slot: Int32) {
        // A peer that names others in its requests holds what is theirs.
        guard downstreams[slot].pointee.holding == nil, !downstreams[slot].pointee.readsForwarded,
            let address = countedAddress(slot)
        else { return }
        let client = ClientTable.Client(address)
        if let known = state.pointee.holdings[client] { return joinHolding(slot, known) }
        let holding = ClientHoldingPointer.allocate(capacity: 1)
        holding.initialize(to: ClientHolding(client, clients.memory(of: client)))
        state.pointee.holdings[client] = holding
        joinHolding(slot, holding)
    }

    /// A stream counts where its connection does.
    func joinHolding(_ slot: Int32, _ holding: ClientHoldingPointer?) {
        guard let holding else { return }
        holding.pointee.users += 1
        downstreams[slot].pointee.holding = holding
    }

    /// The connection or stream ends, or turns out to be a peer's that speaks for others.
    func endHolding(_ slot: Int32) {
        let connection = downstreams[slot]
        guard let holding = connection.pointee.holding else { return }
        _ = holding.pointee.add(-Int(connection.pointee.charged))
        connection.pointee.holding = nil
        connection.pointee.charged = 0
        leave(holding)
    }

    private func leave(_ holding: ClientHoldingPointer) {
        holding.pointee.users -= 1
        guard holding.pointee.users == 0 else { return }
        state.pointee.holdings[holding.pointee.client] = nil
        holding.pointee.end()
        holding.deinitialize(count: 1)
        holding.deallocate()
    }

    /// After whatever may have changed what the connection or stream holds.
    @inline(__always)
    func chargeClient(_ slot: Int32) {
        let connection = downstreams[slot]
        guard let holding = connection.pointee.holding else { return }
        let held = Int32(clamping: bytesHeldAlone(slot))
        let change = held &- connection.pointee.charged
        guard change != 0 else { return }
        connection.pointee.charged = held
        if holding.pointee.add(Int(change)) { noteHolding(holding) }
    }

    /// What other reactors hold may be the reason: they look once a second.
    @inline(never)
    func noteHolding(_ holding: ClientHoldingPointer) {
        let most = limits.memoryPerAddressBytesMax
        guard most > 0, holding.pointee.total > most, !holding.pointee.isNoted else { return }
        holding.pointee.isNoted = true
        state.pointee.overdrawn.append(holding.pointee.client)
    }

    func lookAtHoldings() {
        for holding in state.pointee.holdings.values { noteHolding(holding) }
    }

    // MARK: Less for everybody

    /// Half of what its address may hold is used: nobody of it is given more than it needs.
    func isClientTight(_ slot: Int32) -> Bool {
        guard let holding = downstreams[slot].pointee.holding else { return false }
        let most = limits.memoryPerAddressBytesMax
        return most > 0 && holding.pointee.total > most / 2
    }

    /// Whether more may be made for the peer of `target`, which is the connection's own or its upstream's. Where
    /// memory is tight, only for a peer that has taken everything; what it takes then brings the next visit.
    @inline(__always)
    func mayProduce(for target: Int32, of slot: Int32, below most: Int) -> Bool {
        let waiting = transports[Int(target)].pending.count
        return waiting == 0 || (waiting < most && !isClientTight(slot))
    }

    // MARK: The end of the costliest

    func relieveClients() {
        let noted = state.pointee.overdrawn
        state.pointee.overdrawn = []
        for client in noted {
            guard let holding = state.pointee.holdings[client] else { continue }
            holding.pointee.isNoted = false
            relieve(holding)
        }
    }

    /// TLS buffers first, as where all hold too much. Then connections end, those first whose clients do not read,
    /// and of them those that hold most, until a tenth is free again. Each reactor does so down to its part, so that
    /// nobody pays for what the same client does at another one.
    private func relieve(_ holding: ClientHoldingPointer) {
        let most = limits.memoryPerAddressBytesMax
        guard most > 0, holding.pointee.total > most else { return }
        // Its last connection may end on the way.
        holding.pointee.users += 1
        defer { leave(holding) }
        giveBackTLSBuffers(of: holding)
        let wanted = most - most / 10
        let share = wanted / workers
        var held: [(slot: Int32, isUnread: Bool, bytes: Int)] = []
        for slot in downstreams.everUsed
        where downstreams.isInUse(slot) && downstreams[slot].pointee.holding == holding
            && (transports + Int(slot)).stream == nil
        {
            held.append((slot, isUnread(slot), bytesHeld(slot)))
        }
        held.sort { $0.isUnread == $1.isUnread ? $0.bytes > $1.bytes : $0.isUnread }
        for victim in held where victim.bytes > 0 {
            guard holding.pointee.total > wanted, holding.pointee.bytes > share else { return }
            // Ending one may have ended another.
            guard downstreams.isInUse(victim.slot) else { continue }
            counters.add(.addressConnectionsShed)
            shed(victim.slot, .memoryOfAddress, victim.bytes)
        }
    }

    /// Whether something waits for the client to read it.
    private func isUnread(_ slot: Int32) -> Bool {
        let transport = transports + Int(slot)
        guard transport.pointee.pending.isEmpty else { return true }
        var stream = transport.http2?.pointee.firstStream
        while let current = stream {
            if hasWaitingBody(current) { return true }
            stream = current.pointee.next
        }
        return false
    }
}
