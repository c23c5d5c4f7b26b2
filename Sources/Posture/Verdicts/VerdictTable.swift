import Access
import Store

/// One integration's verdicts: packed records in slots, found by the provider's own id and by every key that names a
/// device. It belongs to `VerdictCache` and never leaves it.
final class VerdictTable {
    /// When everything that is not missing was last confirmed by a synchronisation that names changes only.
    struct Confirmation: Sendable {
        var atSeconds: Int64
        var ttlSeconds: Int64
    }

    let integration: String
    /// End of the last proven complete synchronisation.
    var completedAtSeconds: Int64?
    /// Where an incremental synchronisation goes on from.
    var position: String?
    /// nil: each record counts from its own time on.
    var confirmation: Confirmation?
    /// What the store could not take; it stays until a write with it has succeeded.
    var unwritten: VerdictWrites?
    /// How often it could not.
    var failedWrites = 0

    private(set) var records: [PackedVerdict?] = []
    /// The sweep in which a slot was last seen.
    private(set) var seen: [UInt32] = []
    private var free: [UInt32] = []
    private(set) var byNativeID = SlotIndex()
    private(set) var byKey = SlotIndex()
    private var sweep: UInt32 = 0
    /// How many records have each label.
    private var labelCounts: [ExactKey: Int] = [:]

    init(integration: String) { self.integration = integration }

    var count: Int { records.count - free.count }

    /// The labels of all records, sorted.
    var labels: [String] { labelCounts.keys.map(\.text).sorted() }

    /// One past the last slot.
    var slotsEnd: UInt32 { UInt32(records.count) }

    /// The slot of the provider's device of this id.
    func slot(of nativeID: String) -> UInt32? {
        byNativeID.slot(of: SlotIndex.hash(nativeID, nil)) { records[Int($0)]?.isAbout(nativeID) ?? false }
    }

    /// The record of a slot as it counts now; nil for a free one.
    func record(at slot: UInt32) -> VerdictRecord? {
        guard let packed = records[Int(slot)],
            var record = VerdictRecords.unpacked(packed, integration: integration)
        else { return nil }
        let head = Self.confirmed(packed.head, by: confirmation)
        record.verdict.observedAtSeconds = head.observedAtSeconds
        record.verdict.fetchedAtSeconds = head.fetchedAtSeconds
        record.verdict.expiresAtSeconds = head.expiresAtSeconds
        return record
    }

    /// Times and state of a slot as they count now; nil for a free one.
    func head(at slot: UInt32) -> PackedVerdict.Head? {
        records[Int(slot)].map { Self.confirmed($0.head, by: confirmation) }
    }

    /// The same with another confirmation.
    func head(at slot: UInt32, under confirmation: Confirmation?) -> PackedVerdict.Head? {
        records[Int(slot)].map { Self.confirmed($0.head, by: confirmation) }
    }

    /// What changes did not name is as it was, and that is news of the confirmation's time. With the position and
    /// its time in the store the same follows after a start.
    private static func confirmed(
        _ head: PackedVerdict.Head, by confirmation: Confirmation?
    ) -> PackedVerdict.Head {
        guard let confirmation, head.state != .notFound, head.fetchedAtSeconds < confirmation.atSeconds else {
            return head
        }
        var head = head
        // Only what said its own time of reading has no other time that would age.
        if head.observedAtSeconds == head.fetchedAtSeconds { head.observedAtSeconds = confirmation.atSeconds }
        head.fetchedAtSeconds = confirmation.atSeconds
        head.expiresAtSeconds = min(
            confirmation.atSeconds + confirmation.ttlSeconds, head.graceUntilSeconds ?? .max)
        return head
    }

    /// The records that this key names, by native id.
    func records(named key: DeviceKey) -> [VerdictRecord] {
        byKey.slots(of: Self.hash(key)).compactMap { record(at: $0) }.filter { $0.keys.contains(key) }
            .sorted { $0.verdict.nativeID < $1.verdict.nativeID }
    }

    /// The row of a slot for the store, as it was taken.
    func row(at slot: UInt32) -> VerdictRow? {
        records[Int(slot)].map { VerdictRow(nativeID: $0.nativeID, record: $0) }
    }

    // MARK: Changing

    /// Keeps a record in the place of an older one of the same id.
    ///
    /// - Parameter packed: `record` as `VerdictRecords` packs it.
    /// - Returns: its slot.
    @discardableResult
    func keep(_ record: VerdictRecord, _ packed: PackedVerdict? = nil) -> UInt32 {
        keep(
            packed ?? VerdictRecords.packed(record), nativeID: record.verdict.nativeID, keys: record.keys,
            labels: record.verdict.labels)
    }

    /// Takes a row of the store, unless something newer has come meanwhile.
    func load(_ row: VerdictRow) {
        guard slot(of: row.nativeID) == nil, let names = row.record.names() else { return }
        add(
            row.record, nativeID: row.nativeID, keys: names.keys.compactMap(DeviceKey.init),
            labels: names.labels)
    }

    @discardableResult
    private func keep(
        _ packed: PackedVerdict, nativeID: String, keys: [DeviceKey], labels: [String]
    ) -> UInt32 {
        if let slot = slot(of: nativeID) {
            for label in labels { labelCounts[ExactKey(label), default: 0] += 1 }
            if let old = records[Int(slot)]?.unpacked(integration: integration) {
                forgetNames(of: old, at: slot)
            }
            records[Int(slot)] = packed
            for key in keys { byKey.insert(Self.hash(key), slot) }
            return slot
        }
        return add(packed, nativeID: nativeID, keys: keys, labels: labels)
    }

    /// Keeps a record of an id that has none.
    @discardableResult
    private func add(
        _ packed: PackedVerdict, nativeID: String, keys: [DeviceKey], labels: [String]
    ) -> UInt32 {
        for label in labels { labelCounts[ExactKey(label), default: 0] += 1 }
        let slot: UInt32
        if let free = free.popLast() {
            slot = free
            records[Int(slot)] = packed
            seen[Int(slot)] = 0
        } else {
            slot = UInt32(records.count)
            records.append(packed)
            seen.append(0)
        }
        byNativeID.insert(SlotIndex.hash(nativeID, nil), slot)
        for key in keys { byKey.insert(Self.hash(key), slot) }
        return slot
    }

    func forget(_ slot: UInt32) {
        guard let old = records[Int(slot)]?.unpacked(integration: integration) else { return }
        forgetNames(of: old, at: slot)
        byNativeID.remove(SlotIndex.hash(old.nativeID, nil), slot)
        records[Int(slot)] = nil
        free.append(slot)
    }

    private func forgetNames(of verdict: Verdict, at slot: UInt32) {
        for label in verdict.labels.map(ExactKey.init) {
            let left = (labelCounts[label] ?? 1) - 1
            labelCounts[label] = left == 0 ? nil : left
        }
        for key in DeviceKey.decoded(verdict.matchKey) { byKey.remove(Self.hash(key), slot) }
    }

    private static func hash(_ key: DeviceKey) -> UInt32 { SlotIndex.hash(key.value, key.kind) }

    // MARK: Sweeps

    /// Begins a complete synchronisation: what is not seen in it is missing.
    func beginSweep() -> UInt32 {
        sweep += 1
        return sweep
    }

    func see(_ slot: UInt32, in sweep: UInt32) { seen[Int(slot)] = sweep }

    func isSeen(_ slot: UInt32, in sweep: UInt32) -> Bool { seen[Int(slot)] == sweep }
}
