/// Counts attempts by key within a window of time, in a table with a bound.
struct AttemptWindow<Key: Hashable & Sendable>: Sendable {
    let windowSeconds: Int64
    let keysMax: Int

    private var window: Int64 = .min
    private var counts: [Key: Int] = [:]
    /// Keys for which there was no room share one count: a flood from everywhere is limited as one.
    private var others = 0

    init(windowSeconds: Int64, keysMax: Int) {
        self.windowSeconds = windowSeconds
        self.keysMax = keysMax
    }

    /// How many attempts of `key` were noted in this window.
    func count(_ key: Key, nowSeconds: Int64) -> Int {
        guard nowSeconds / windowSeconds == window else { return 0 }
        return counts[key] ?? (counts.count < keysMax ? 0 : others)
    }

    mutating func note(_ key: Key, nowSeconds: Int64) {
        enter(nowSeconds)
        if counts[key] == nil, counts.count >= keysMax {
            others += 1
        } else {
            counts[key, default: 0] += 1
        }
    }

    /// A clock that jumps back begins a window, too.
    private mutating func enter(_ nowSeconds: Int64) {
        let current = nowSeconds / windowSeconds
        guard current != window else { return }
        window = current
        counts.removeAll(keepingCapacity: true)
        others = 0
    }
}
