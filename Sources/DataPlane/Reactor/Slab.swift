import Glibc

/// Names one use of one slot. A late event, timer or answer for an earlier use of the slot carries another
/// generation and is dropped: descriptors and slots are reused within one turn.
struct Handle: Hashable {
    var slot: Int32
    var generation: UInt32

    /// The form that epoll carries back.
    var packed: UInt64 { UInt64(UInt32(bitPattern: slot)) << 32 | UInt64(generation) }

    init(slot: Int32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }

    init(packed: UInt64) {
        slot = Int32(truncatingIfNeeded: packed >> 32)
        generation = UInt32(truncatingIfNeeded: packed)
    }
}

/// A fixed number of records of one kind, never moved, so that C callbacks may keep pointers to them.
///
/// Slots are numbered from `firstSlot`: all slabs of a reactor share one number space with its timers and
/// events. A value of pointers only, held in a `let`: reaching a record costs two comparisons, no reference count
/// and no exclusivity check. Whoever made it calls `destroy`.
struct Slab<Record: ~Copyable> {
    private struct Counts {
        /// The slot that was freed last, -1 when there is none.
        var firstFree: Int32 = -1
        var inUse: Int32 = 0
        /// Behind the last slot that was ever in use.
        var end: Int32 = 0
    }

    let firstSlot: Int32
    let capacity: Int32
    private let records: UnsafeMutablePointer<Record>
    private let generations: UnsafeMutablePointer<UInt32>
    /// For a free slot: the next free one. For a slot in use: `inUse`. For one that never was: 0.
    private let links: UnsafeMutablePointer<Int32>
    private let counts: UnsafeMutablePointer<Counts>

    private static var inUse: Int32 { -2 }

    init(firstSlot: Int32, capacity: Int32) {
        self.firstSlot = firstSlot
        self.capacity = capacity
        records = .allocate(capacity: Int(capacity))
        generations = .allocate(capacity: Int(capacity))
        // Nothing is written before a slot is taken: room for many costs no memory and no time until then.
        links = .allocateZeroed(Int(capacity))
        counts = .allocate(capacity: 1)
        counts.initialize(to: Counts())
    }

    /// Ends every record that is left and frees the memory. The slab must not be used afterwards.
    func destroy() {
        for index in 0..<Int(counts.pointee.end) where links[index] == Self.inUse {
            (records + index).deinitialize(count: 1)
        }
        records.deallocate()
        generations.deallocate()
        Glibc.free(links)
        counts.deallocate()
    }

    /// Records in use.
    var count: Int32 { counts.pointee.inUse }

    /// The slots that may be in use: who looks at all records need not look at room that nobody ever took. Free
    /// slots are taken again last in, first out, so this ends where most records ever were at once.
    var everUsed: Range<Int32> { firstSlot..<(firstSlot + counts.pointee.end) }

    /// - Returns: the slot's new handle, or nil when every slot is in use.
    func insert(_ record: consuming Record) -> Handle? {
        let index: Int
        if counts.pointee.firstFree >= 0 {
            index = Int(counts.pointee.firstFree)
            counts.pointee.firstFree = links[index]
        } else {
            guard counts.pointee.end < capacity else { return nil }
            index = Int(counts.pointee.end)
            counts.pointee.end += 1
            (generations + index).initialize(to: 1)
        }
        links[index] = Self.inUse
        (records + index).initialize(to: record)
        counts.pointee.inUse += 1
        return Handle(slot: firstSlot + Int32(index), generation: generations[index])
    }

    func remove(_ slot: Int32) {
        let index = checked(slot)
        (records + index).deinitialize(count: 1)
        generations[index] &+= 1
        links[index] = counts.pointee.firstFree
        counts.pointee.firstFree = Int32(index)
        counts.pointee.inUse -= 1
    }

    func contains(_ slot: Int32) -> Bool { slot >= firstSlot && slot < firstSlot + capacity }

    func isInUse(_ slot: Int32) -> Bool { contains(slot) && links[Int(slot - firstSlot)] == Self.inUse }

    func isCurrent(_ handle: Handle) -> Bool {
        isInUse(handle.slot) && generations[Int(handle.slot - firstSlot)] == handle.generation
    }

    func handle(_ slot: Int32) -> Handle { Handle(slot: slot, generation: generations[checked(slot)]) }

    /// The record of a slot that is in use.
    subscript(slot: Int32) -> UnsafeMutablePointer<Record> { records + checked(slot) }

    private func checked(_ slot: Int32) -> Int {
        // Unsigned, so that one comparison refuses both sides.
        let index = UInt32(bitPattern: slot &- firstSlot)
        precondition(index < UInt32(bitPattern: capacity), "slot \(slot) belongs to another slab")
        precondition(links[Int(index)] == Self.inUse, "slot \(slot) is not in use")
        return Int(index)
    }
}

extension UnsafeMutablePointer where Pointee: FixedWidthInteger {
    /// Room for so many zeros that takes no page before it is written. Ends with `free`.
    static func allocateZeroed(_ count: Int) -> Self {
        let memory = calloc(max(1, count), MemoryLayout<Pointee>.stride)
        precondition(memory != nil, "no memory for \(count) numbers")
        return memory.unsafelyUnwrapped.bindMemory(to: Pointee.self, capacity: count)
    }
}
