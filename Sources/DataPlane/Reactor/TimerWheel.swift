/// One deadline per slot, at 8 ms resolution, in constant time; no timer descriptors and no system calls.
///
/// Deadlines that only move later (the usual case: progress was made) touch nothing but the slot's own
/// number; the wheel finds out when the earlier time comes. A deadline further away than the wheel is looked
/// at once per round.
struct TimerWheel: ~Copyable {
    private static var resolutionShift: UInt64 { 3 }
    private static var spokes: Int { 4_096 }
    static var never: UInt64 { .max }

    /// Milliseconds, `never` when the slot has none.
    private let deadlines: UnsafeMutablePointer<UInt64>
    /// The tick a slot is filed under, `never` when it is not filed.
    private let filedAt: UnsafeMutablePointer<UInt64>
    private let next: UnsafeMutablePointer<Int32>
    private let previous: UnsafeMutablePointer<Int32>
    private let heads: UnsafeMutablePointer<Int32>
    private let slots: Int
    private var filed = 0
    /// Everything before this tick has fired.
    private var tick: UInt64

    init(slots: Int, nowMilliseconds: UInt64) {
        self.slots = slots
        deadlines = .allocate(capacity: slots)
        deadlines.initialize(repeating: .max, count: slots)
        filedAt = .allocate(capacity: slots)
        filedAt.initialize(repeating: .max, count: slots)
        next = .allocate(capacity: slots)
        next.initialize(repeating: -1, count: slots)
        previous = .allocate(capacity: slots)
        previous.initialize(repeating: -1, count: slots)
        heads = .allocate(capacity: Self.spokes)
        heads.initialize(repeating: -1, count: Self.spokes)
        tick = nowMilliseconds >> Self.resolutionShift
    }

    deinit {
        deadlines.deallocate()
        filedAt.deallocate()
        next.deallocate()
        previous.deallocate()
        heads.deallocate()
    }

    func deadline(of slot: Int32) -> UInt64 { deadlines[Int(slot)] }

    /// Sets, moves or (with `never`) clears the deadline of `slot`.
    mutating func set(_ slot: Int32, at milliseconds: UInt64) {
        deadlines[Int(slot)] = milliseconds
        if milliseconds == Self.never {
            unfile(slot)
        } else if filedAt[Int(slot)] == Self.never || wanted(milliseconds) < filedAt[Int(slot)] {
            unfile(slot)
            file(slot)
        }
    }

    /// Milliseconds until something may be due; -1 when nothing is filed. Never late, at times early.
    func timeoutMilliseconds(now: UInt64) -> Int32 {
        guard filed > 0 else { return -1 }
        for distance in 0..<Self.spokes
        where heads[Int((tick &+ UInt64(distance)) % UInt64(Self.spokes))] >= 0 {
            let due = (tick &+ UInt64(distance) &+ 1) << Self.resolutionShift
            return due > now ? Int32(truncatingIfNeeded: min(due - now, 60_000)) : 0
        }
        return 60_000
    }

    /// - Returns: a slot whose deadline has passed (its deadline is cleared), or nil when none is left.
    mutating func nextDue(now: UInt64) -> Int32? {
        let last = now >> Self.resolutionShift
        while tick < last {
            let spoke = Int(tick % UInt64(Self.spokes))
            while heads[spoke] >= 0 {
                let slot = heads[spoke]
                unfile(slot)
                guard deadlines[Int(slot)] > now else {
                    deadlines[Int(slot)] = Self.never
                    return slot
                }
                postponed(slot)
            }
            tick += 1
        }
        return nil
    }

    private mutating func postponed(_ slot: Int32) {
        // The current spoke is being emptied: whatever is filed again must land on a later one.
        tick += 1
        file(slot)
        tick -= 1
    }

    private func wanted(_ milliseconds: UInt64) -> UInt64 {
        min(max(milliseconds >> Self.resolutionShift, tick), tick + UInt64(Self.spokes) - 2)
    }

    private mutating func file(_ slot: Int32) {
        let at = wanted(deadlines[Int(slot)])
        let spoke = Int(at % UInt64(Self.spokes))
        filedAt[Int(slot)] = at
        previous[Int(slot)] = -1
        next[Int(slot)] = heads[spoke]
        if heads[spoke] >= 0 { previous[Int(heads[spoke])] = slot }
        heads[spoke] = slot
        filed += 1
    }

    private mutating func unfile(_ slot: Int32) {
        let index = Int(slot)
        guard filedAt[index] != Self.never else { return }
        if previous[index] >= 0 {
            next[Int(previous[index])] = next[index]
        } else {
            heads[Int(filedAt[index] % UInt64(Self.spokes))] = next[index]
        }
        if next[index] >= 0 { previous[Int(next[index])] = previous[index] }
        next[index] = -1
        previous[index] = -1
        filedAt[index] = Self.never
        filed -= 1
    }
}
