import Access
import Synchronization

/// How many connections each client has open and how fast it opens them, over all reactors.
///
/// The one thing that reactors share and change: a client's connections land on any of them, and a bound that
/// each kept for itself would be a different one on every machine. It is touched when a connection begins and
/// when it ends, never by a request; 64 locks stand for as many groups of clients, so a flood waits for
/// itself.
final class ClientTable: Sendable {
    enum Verdict { case admitted, tooManyConnections, tooManyHandshakes }

    /// Whom a connection counts for: an IPv4 address, or the /64 that is one subscriber's in IPv6 (RFC 6177).
    struct Client: Hashable {
        let high: UInt64
        let low: UInt64

        init(_ address: NetworkAddress) {
            let isV4 = address.high == 0 && address.low >> 32 == 0xffff
            high = address.high
            low = isV4 ? address.low : 0
        }
    }

    private struct Entry {
        var connections: Int32 = 0
        var pace = Pace()
        var memory: ClientMemory?
    }

    private struct Shard {
        var entries: [Client: Entry] = [:]
        /// Who has left is looked for when there are so many.
        var sweepAt = ClientTable.entriesKept

        mutating func makeRoom(_ nowMilliseconds: UInt64) {
            guard entries.count >= sweepAt else { return }
            entries = entries.filter { $0.value.connections > 0 || !$0.value.pace.isRested(nowMilliseconds) }
            // Twice what is left, so that looking costs each newcomer a constant.
            sweepAt = max(ClientTable.entriesKept, entries.count * 2)
        }
    }

    private final class Group: Sendable {
        let shard = Mutex(Shard())
    }

    private static let entriesKept = 128
    private let groups = (0..<64).map { _ in Group() }

    private func group(of client: Client) -> Group {
        groups[Int((client.high ^ client.high >> 32 ^ client.low ^ client.low >> 8) & 63)]
    }

    /// Whether one more connection of this client is taken; then `leave` must be called when it ends.
    func admit(
        _ address: NetworkAddress, connectionsMax: Int, handshakesPerSecondMax: Int, nowMilliseconds: UInt64
    ) -> Verdict {
        let client = Client(address)
        return group(of: client).shard.withLock { shard in
            shard.makeRoom(nowMilliseconds)
            var entry = shard.entries[client] ?? Entry()
            guard connectionsMax == 0 || Int(entry.connections) < connectionsMax else {
                return .tooManyConnections
            }
            guard entry.pace.take(handshakesPerSecondMax, nowMilliseconds) else { return .tooManyHandshakes }
            entry.connections += 1
            shard.entries[client] = entry
            return .admitted
        }
    }

    /// Whether one more place is taken for a connection that is there already; `leave` must be called for it too.
    func admitMore(_ address: NetworkAddress, connectionsMax: Int) -> Bool {
        let client = Client(address)
        return group(of: client).shard.withLock { shard in
            var entry = shard.entries[client] ?? Entry()
            guard connectionsMax == 0 || Int(entry.connections) < connectionsMax else { return false }
            entry.connections += 1
            shard.entries[client] = entry
            return true
        }
    }

    func leave(_ address: NetworkAddress, nowMilliseconds: UInt64) {
        let client = Client(address)
        group(of: client).shard.withLock { shard in
            guard var entry = shard.entries[client] else { return }
            entry.connections -= 1
            let isGone = entry.connections <= 0 && entry.pace.isRested(nowMilliseconds)
            shard.entries[client] = isGone ? nil : entry
        }
    }

    /// What a client's connections hold over all reactors.
    /// - Precondition: one of them is counted.
    func memory(of client: Client) -> ClientMemory {
        group(of: client).shard.withLock { shard in
            if let memory = shard.entries[client]?.memory { return memory }
            let memory = ClientMemory()
            shard.entries[client, default: Entry()].memory = memory
            return memory
        }
    }

    /// Clients that are remembered, for tests of the table's own bound.
    var count: Int { groups.reduce(0) { $0 + $1.shard.withLock { $0.entries.count } } }
}

/// So many per second, and as many at once after a second of rest; one number instead of a bucket.
struct Pace {
    /// When all that was taken is paid for, microseconds of the reactor's clock.
    private var paidAt: UInt64 = 0

    /// - Parameter perSecond: 0 is no bound.
    mutating func take(_ perSecond: Int, _ nowMilliseconds: UInt64) -> Bool {
        guard perSecond > 0 else { return true }
        let now = nowMilliseconds * 1_000
        let paid = max(paidAt, now) + 1_000_000 / UInt64(perSecond)
        guard paid <= now + 1_000_000 else { return false }
        paidAt = paid
        return true
    }

    /// When one more can be had.
    func freeAtMilliseconds(_ perSecond: Int) -> UInt64 {
        guard perSecond > 0 else { return 0 }
        let cost = 1_000_000 / UInt64(perSecond)
        return paidAt + cost <= 1_000_000 ? 0 : (paidAt + cost - 1_000_000) / 1_000 + 1
    }

    func isRested(_ nowMilliseconds: UInt64) -> Bool { paidAt <= nowMilliseconds * 1_000 }
}
