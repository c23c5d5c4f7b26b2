import Synchronization

/// A bounded queue for many senders and many receivers, without locks (a ring of sequenced cells, after D. Vyukov).
///
/// Each cell carries the turn it is good for, so a sender and a receiver agree by one atomic each and never wait
/// for one another. `capacity` is rounded up to a power of two.
public final class BoundedQueue<Element: Sendable>: @unchecked Sendable {
    // Unchecked because the cells are raw memory: a cell's value is written only by the sender that won the turn
    // and read only by the receiver that won it; its turn orders the two (releasing store, acquiring load).
    // Turns and values lie apart: to write the one inside of a struct counts as an access to the other.
    private let turns: UnsafeMutablePointer<Atomic<Int>>
    private let values: UnsafeMutablePointer<Element?>
    private let mask: Int
    private let head = Atomic<Int>(0)
    private let tail = Atomic<Int>(0)

    public init(capacity: Int) {
        precondition(capacity > 0, "a queue needs room for at least one element, not \(capacity)")
        var rounded = 1
        while rounded < capacity { rounded <<= 1 }
        // One cell alone cannot tell "full" from "empty": its turn after sending equals the next sender's.
        rounded = max(rounded, 2)
        mask = rounded - 1
        turns = .allocate(capacity: rounded)
        for index in 0..<rounded { (turns + index).initialize(to: Atomic(index)) }
        values = .allocate(capacity: rounded)
        values.initialize(repeating: nil, count: rounded)
    }

    deinit {
        turns.deinitialize(count: mask + 1)
        turns.deallocate()
        values.deinitialize(count: mask + 1)
        values.deallocate()
    }

    /// How many elements there is room for.
    public var capacity: Int { mask + 1 }

    /// - Returns: false when the queue is full; nothing was taken.
    public func send(_ element: Element) -> Bool {
        var position = tail.load(ordering: .relaxed)
        while true {
            let cell = position & mask
            let difference = turns[cell].load(ordering: .acquiring) - position
            if difference == 0 {
                let (won, seen) = tail.weakCompareExchange(
                    expected: position, desired: position + 1, ordering: .relaxed)
                guard won else {
                    position = seen
                    continue
                }
                values[cell] = element
                turns[cell].store(position + 1, ordering: .releasing)
                return true
            }
            if difference < 0 { return false }
            position = tail.load(ordering: .relaxed)
        }
    }

    /// - Returns: the oldest element, or nil when there is none.
    public func receive() -> Element? {
        var position = head.load(ordering: .relaxed)
        while true {
            let cell = position & mask
            let difference = turns[cell].load(ordering: .acquiring) - (position + 1)
            if difference == 0 {
                let (won, seen) = head.weakCompareExchange(
                    expected: position, desired: position + 1, ordering: .relaxed)
                guard won else {
                    position = seen
                    continue
                }
                let element = values[cell].take()
                turns[cell].store(position + mask + 1, ordering: .releasing)
                return element
            }
            if difference < 0 { return nil }
            position = head.load(ordering: .relaxed)
        }
    }
}
