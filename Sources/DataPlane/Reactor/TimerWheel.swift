/// One deadline per slot, at 8 ms resolution, in constant time; no timer descriptors and no system calls.
///
/// Deadlines that only move later or go away (the usual case: progress was made) touch nothing but the slot's own
/// number; the wheel finds out when the earlier time comes. A deadline further away than the wheel is looked
/// at once per round. A value of pointers only, as `Slab` is; whoever made it calls `destroy`.
struct TimerWheel {
    private struct State {
        /// Everything before this tick has fired.
        var tick: UInt64
        /// One bit per spoke that is not empty, and one bit per word of those that is not 0: the next spoke is
        /// found in two looks instead of 4,096.
        var occupied = InlineArray<64, UInt64>(repeating: 0)
        var occupiedWords: UInt64 = 0
        /// The first occupied tick, `never` for none; a turn asks for it, and few turns change it.
        var firstTick: UInt64 = .max
    }

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
    private let state: UnsafeMutablePointer<State>

    init(slots: Int, nowMilliseconds: UInt64) {
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
        state = .allocate(capacity: 1)
        state.initialize(to: State(tick: nowMilliseconds >> Self.resolutionShift))
    }

    /// The wheel must not be used afterwards.
    func destroy() {
        deadlines.deallocate()
        filedAt.deallocate()
        next.deallocate()
        previous.deallocate()
        heads.deallocate()
        state.deallocate()
    }

    func deadline(of slot: Int32) -> UInt64 { deadlines[Int(slot)] }

    /// Sets, moves or (with `never`) clears the deadline of `slot`.
    func set(_ slot: Int32, at milliseconds: UInt64) {
        deadlines[Int(slot)] = milliseconds
        // `never` stays filed where it is until that time comes: a slot without deadline soon has one again.
        guard milliseconds != Self.never, wanted(milliseconds) < filedAt[Int(slot)] else { return }
        unfile(slot)
        file(slot)
    }

    /// Milliseconds until something may be due; -1 when nothing is filed. Never late, at times early.
    func timeoutMilliseconds(now: UInt64) -> Int32 {
        let tick = state.pointee.firstTick
        guard tick != Self.never else { return -1 }
        let due = (tick &+ 1) << Self.resolutionShift
        return due > now ? Int32(truncatingIfNeeded: min(due - now, 60_000)) : 0
    }

    /// - Returns: a slot whose deadline has passed (its deadline is cleared), or nil when none is left.
    func nextDue(now: UInt64) -> Int32? {
        let last = now >> Self.resolutionShift
        if state.pointee.firstTick >= last {
            // Nothing is filed in between: the wheel turns without looking.
            state.pointee.tick = max(state.pointee.tick, last)
            return nil
        }
        while state.pointee.tick < last {
            let spoke = Int(state.pointee.tick % UInt64(Self.spokes))
            while heads[spoke] >= 0 {
                let slot = heads[spoke]
                unfile(slot)
                guard deadlines[Int(slot)] > now else {
                    deadlines[Int(slot)] = Self.never
                    return slot
                }
                postponed(slot)
            }
            state.pointee.tick = min(last, state.pointee.firstTick)
        }
        return nil
    }

    private func postponed(_ slot: Int32) {
        guard deadlines[Int(slot)] != Self.never else { return }
        // The current spoke is being emptied: whatever is filed again must land on a later one.
        state.pointee.tick += 1
        file(slot)
        state.pointee.tick -= 1
    }

    private func wanted(_ milliseconds: UInt64) -> UInt64 {
        let tick = state.pointee.tick
        return min(max(milliseconds >> Self.resolutionShift, tick), tick + UInt64(Self.spokes) - 2)
    }

    /// The first tick from now on whose spoke has anything filed, `never` when none has.
    private func firstOccupiedTick() -> UInt64 {
        guard state.pointee.occupiedWords != 0 else { return Self.never }
        let tick = state.pointee.tick
        let spoke = Int(tick % UInt64(Self.spokes))
        let word = spoke / 64
        let here = state.pointee.occupied[word] >> UInt64(spoke % 64)
        if here != 0 { return tick + UInt64(here.trailingZeroBitCount) }
        // The words behind this one, then around to it again: its low bits are the furthest away.
        let behind = word == 63 ? 0 : (state.pointee.occupiedWords >> UInt64(word + 1)) << UInt64(word + 1)
        let found = (behind != 0 ? behind : state.pointee.occupiedWords).trailingZeroBitCount
        let target = found * 64 + state.pointee.occupied[found].trailingZeroBitCount
        return tick + UInt64((target - spoke + Self.spokes) % Self.spokes)
    }

    private func file(_ slot: Int32) {
        let at = wanted(deadlines[Int(slot)])
        let spoke = Int(at % UInt64(Self.spokes))
        filedAt[Int(slot)] = at
        previous[Int(slot)] = -1
        next[Int(slot)] = heads[spoke]
        if heads[spoke] >= 0 { previous[Int(heads[spoke])] = slot }
        heads[spoke] = slot
        state.pointee.occupied[spoke / 64] |= 1 << UInt64(spoke % 64)
        state.pointee.occupiedWords |= 1 << UInt64(spoke / 64)
        state.pointee.firstTick = min(state.pointee.firstTick, at)
    }

    private func unfile(_ slot: Int32) {
        let index = Int(slot)
        guard filedAt[index] != Self.never else { return }
        if previous[index] >= 0 {
            next[Int(previous[index])] = next[index]
        } else {
            let spoke = Int(filedAt[index] % UInt64(Self.spokes))
            heads[spoke] = next[index]
            if next[index] < 0 { emptied(spoke) }
        }
        if next[index] >= 0 { previous[Int(next[index])] = previous[index] }
        next[index] = -1
        previous[index] = -1
        filedAt[index] = Self.never
    }

    private func emptied(_ spoke: Int) {
        state.pointee.occupied[spoke / 64] &= ~(1 << UInt64(spoke % 64))
        if state.pointee.occupied[spoke / 64] == 0 {
            state.pointee.occupiedWords &= ~(1 << UInt64(spoke / 64))
        }
        state.pointee.firstTick = firstOccupiedTick()
    }
}
