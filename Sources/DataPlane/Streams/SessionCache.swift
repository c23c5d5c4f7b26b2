import Access
import Border
import Glibc

/// A session that this reactor serves, with the exchanges and tunnels it has open here.
struct CachedSession: ~Copyable {
    var record: SessionRecord
    /// Of the record's residual.
    var limits: PolicyLimits?
    /// The configuration under which no client can write the record's fields; greatest: not looked at yet.
    var provenRevision = UInt64.max
    let secret: Token
    let digest: Token
    /// First open exchange (a downstream slot), -1 when there is none.
    var firstStream: Int32 = -1
    var streams = 0
    /// No longer found by its secret; stays until its last exchange ends.
    var isDropped = false
    /// Given a second chance by the eviction hand.
    var wasUsed = true
    /// When its next record was asked for, 0 before that.
    var renewalAskedAtSeconds: Int64 = 0
    /// The next and previous session of the same device, person and session id.
    var links = InlineArray<3, (next: Int32, previous: Int32)>(repeating: (-1, -1))

    init(record: SessionRecord, limits: PolicyLimits?, secret: Token, digest: Token) {
        self.record = record
        self.limits = limits
        self.secret = secret
        self.digest = digest
    }

    /// Borrowed, so that no reference in the residual is counted.
    borrowing func decide(_ facts: RequestFacts, path: Span<UInt8>, atSeconds nowSeconds: Int64) -> Decision {
        record.residual.decide(facts, path: path, atSeconds: nowSeconds)
    }

    /// The word for a decision of this record's.
    borrowing func reason(for decision: Decision) -> Reason? { record.residual.reason(for: decision) }
}

/// The bounded cache of one reactor: by secret for requests, by session, person and device for revocations.
///
/// A hit compares 32 bytes of a 256-bit random secret: no MAC, no hash, no allocation. Full means that the
/// least recently used session without open exchanges makes room; it will be pulled again.
final class SessionCache {
    enum Key: Int { case session = 0, person = 1, device = 2 }

    private let entries: Slab<CachedSession>
    /// Slot + 1 by secret; 0 is free. A power of two, at most half full.
    private let table: UnsafeMutablePointer<Int32>
    private let mask: Int
    private var byDigest: [Token: Int32] = [:]
    private var heads: [[String: Int32]] = [[:], [:], [:]]
    private var hand: Int32 = 0
    private var prepared = PreparedLimits()

    init(capacity: Int) {
        entries = Slab(firstSlot: 0, capacity: Int32(max(1, capacity)))
        var size = 16
        while size < capacity * 2 { size *= 2 }
        table = .allocateZeroed(size)
        mask = size - 1
    }

    deinit {
        entries.destroy()
        Glibc.free(table)
    }

    var count: Int { Int(entries.count) }

    subscript(slot: Int32) -> UnsafeMutablePointer<CachedSession> { entries[slot] }

    /// - Returns: the session's slot, -1 when it is not cached.
    func find(_ secret: Token) -> Int32 {
        var at = Int(truncatingIfNeeded: secret.a) & mask
        while table[at] != 0 {
            let slot = table[at] - 1
            if entries[slot].pointee.secret == secret { return slot }
            at = (at + 1) & mask
        }
        return -1
    }

    func handle(_ slot: Int32) -> Handle { entries.handle(slot) }

    /// Whether `find` would still lead to this use of the slot.
    func finds(_ handle: Handle) -> Bool {
        entries.isCurrent(handle) && !entries[handle.slot].pointee.isDropped
    }

    func find(digest: Token) -> Int32 { byDigest[digest] ?? -1 }

    /// No more fits without forgetting one.
    var isFull: Bool { entries.count == entries.capacity }

    /// - Returns: the slot, or -1 when every cached session has open exchanges.
    func insert(_ record: SessionRecord, secret: Token, digest: Token) -> Int32 {
        let known = find(secret)
        if known >= 0 {
            replaceRecord(known, record)
            return known
        }
        if isFull { evictOne() }
        let limits = prepared.limits(of: record.residual)
        let session = CachedSession(record: record, limits: limits, secret: secret, digest: digest)
        guard let handle = entries.insert(session) else { return -1 }
        var at = Int(truncatingIfNeeded: secret.a) & mask
        while table[at] != 0 { at = (at + 1) & mask }
        table[at] = handle.slot + 1
        byDigest[digest] = handle.slot
        linkAll(handle.slot)
        return handle.slot
    }

    func replaceRecord(_ slot: Int32, _ record: SessionRecord) {
        unlinkAll(slot)
        entries[slot].pointee.record = record
        entries[slot].pointee.limits = prepared.limits(of: record.residual)
        entries[slot].pointee.provenRevision = .max
        linkAll(slot)
    }

    /// Forgets the session; what is open stays known until it ends, so that it can still be cut.
    func drop(_ slot: Int32) {
        guard !entries[slot].pointee.isDropped else { return }
        entries[slot].pointee.isDropped = true
        removeFromTable(entries[slot].pointee.secret)
        byDigest[entries[slot].pointee.digest] = nil
        if entries[slot].pointee.streams == 0 { free(slot) }
    }

    /// Called when an exchange of the session ended.
    func releaseIfDropped(_ slot: Int32) {
        if entries[slot].pointee.isDropped, entries[slot].pointee.streams == 0 { free(slot) }
    }

    /// Every session under a key. Copied, because ending one changes the chain.
    func slots(_ key: Key, _ value: String) -> [Int32] {
        var found: [Int32] = []
        var slot = heads[key.rawValue][value] ?? -1
        while slot >= 0 {
            found.append(slot)
            slot = entries[slot].pointee.links[key.rawValue].next
        }
        return found
    }

    func slots(application: String) -> [Int32] {
        (0..<entries.capacity).filter {
            entries.isInUse($0) && entries[$0].pointee.record.application == application
        }
    }

    private func free(_ slot: Int32) {
        unlinkAll(slot)
        entries.remove(slot)
    }

    private func evictOne() {
        // Twice around at most: the first pass takes every second chance away.
        for _ in 0..<(2 * Int(entries.capacity)) {
            let slot = hand
            hand = (hand + 1) % entries.capacity
            guard entries.isInUse(slot), entries[slot].pointee.streams == 0 else { continue }
            if entries[slot].pointee.wasUsed {
                entries[slot].pointee.wasUsed = false
                continue
            }
            return drop(slot)
        }
    }

    private func removeFromTable(_ secret: Token) {
        var at = Int(truncatingIfNeeded: secret.a) & mask
        while table[at] != 0, entries[table[at] - 1].pointee.secret != secret { at = (at + 1) & mask }
        guard table[at] != 0 else { return }
        // Whoever stands behind the gap and would have come earlier moves up: no tombstones.
        var gap = at
        var next = (at + 1) & mask
        while table[next] != 0 {
            let home = Int(truncatingIfNeeded: entries[table[next] - 1].pointee.secret.a) & mask
            if (next - home) & mask >= (next - gap) & mask {
                table[gap] = table[next]
                gap = next
            }
            next = (next + 1) & mask
        }
        table[gap] = 0
    }

    private func value(_ key: Key, _ slot: Int32) -> String? {
        switch key {
        case .session: entries[slot].pointee.record.session
        case .person: entries[slot].pointee.record.person
        case .device: entries[slot].pointee.record.device
        }
    }

    private func linkAll(_ slot: Int32) {
        link(slot, .session)
        link(slot, .person)
        link(slot, .device)
    }

    private func unlinkAll(_ slot: Int32) {
        unlink(slot, .session)
        unlink(slot, .person)
        unlink(slot, .device)
    }

    private func link(_ slot: Int32, _ key: Key) {
        guard let value = value(key, slot) else { return }
        let first = heads[key.rawValue][value] ?? -1
        entries[slot].pointee.links[key.rawValue] = (next: first, previous: -1)
        if first >= 0 { entries[first].pointee.links[key.rawValue].previous = slot }
        heads[key.rawValue][value] = slot
    }

    private func unlink(_ slot: Int32, _ key: Key) {
        guard let value = value(key, slot) else { return }
        let (next, previous) = entries[slot].pointee.links[key.rawValue]
        if next >= 0 { entries[next].pointee.links[key.rawValue].previous = previous }
        if previous >= 0 {
            entries[previous].pointee.links[key.rawValue].next = next
        } else {
            heads[key.rawValue][value] = next >= 0 ? next : nil
        }
        entries[slot].pointee.links[key.rawValue] = (next: -1, previous: -1)
    }
}
