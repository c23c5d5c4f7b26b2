/// What is going to happen, in the order of time (a binary heap).
struct Agenda {
    private struct Item {
        let time: UInt64
        let tie: UInt64
        let action: () -> Void
        func isBefore(_ other: Item) -> Bool { (time, tie) < (other.time, other.tie) }
    }

    private var items: [Item] = []

    var firstTime: UInt64? { items.first?.time }

    mutating func insert(at time: UInt64, tie: UInt64, _ action: @escaping () -> Void) {
        items.append(Item(time: time, tie: tie, action: action))
        var index = items.count - 1
        while index > 0, items[index].isBefore(items[(index - 1) / 2]) {
            items.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    /// - Returns: the next thing that is due by `time`, nil when there is none.
    mutating func removeFirst(until time: UInt64) -> (() -> Void)? {
        guard let first = items.first, first.time <= time else { return nil }
        items.swapAt(0, items.count - 1)
        items.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < items.count {
                if items[child].isBefore(items[least]) { least = child }
            }
            guard least != index else { break }
            items.swapAt(index, least)
            index = least
        }
        return first.action
    }
}

/// SplitMix64: the only source of chance in a simulation.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(next() % UInt64(bound)) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }

    mutating func shuffle<Element>(_ array: inout [Element]) {
        guard array.count > 1 else { return }
        for index in 1..<array.count { array.swapAt(index, below(index + 1)) }
    }

    /// Nanoseconds on the way: mostly next to nothing, now and then tens of milliseconds.
    mutating func delay() -> UInt64 {
        switch below(20) {
        case 0: UInt64(below(40_000_000))
        case 1..<8: 0
        default: UInt64(below(300_000))
        }
    }
}
