import Access

/// The appointments of one integration's devices, by the second in which they are due: making, moving and taking one
/// costs the same with a hundred devices and with a hundred thousand.
struct Appointments: Sendable {
    private var dueAt: [ExactKey: Int64] = [:]
    /// Entries of devices whose appointment was moved or dropped since are passed over when their second comes.
    private var bySecond: [Int64: [ExactKey]] = [:]
    /// Nothing is due before this second.
    private var cursor = Int64.max

    var count: Int { dueAt.count }

    func contains(_ device: ExactKey) -> Bool { dueAt[device] != nil }

    func dueSeconds(of device: ExactKey) -> Int64? { dueAt[device] }

    mutating func set(_ device: ExactKey, atSeconds due: Int64) {
        dueAt[device] = due
        bySecond[due, default: []].append(device)
        cursor = min(cursor, due)
    }

    mutating func remove(_ device: ExactKey) { dueAt[device] = nil }

    /// Takes what is due, the longest due first, at most `max`.
    ///
    /// - Parameter within: no appointment is further away than this, unless the clock has jumped back: then it is due
    ///   as well.
    mutating func take(nowSeconds: Int64, within seconds: Int64, max: Int) -> [ExactKey] {
        guard max > 0, let first = nextSeconds() else { return [] }
        if first - nowSeconds > seconds { moveAll(to: nowSeconds) }
        var taken: [ExactKey] = []
        while taken.count < max, let second = nextSeconds(), second <= nowSeconds {
            var waiting = bySecond.removeValue(forKey: second) ?? []
            waiting.sort { $0.text < $1.text }
            for (index, device) in waiting.enumerated() where dueAt[device] == second {
                guard taken.count < max else {
                    bySecond[second] = Array(waiting[index...])
                    return taken
                }
                dueAt[device] = nil
                taken.append(device)
            }
        }
        return taken
    }

    /// The second of the next appointment; nil without any.
    mutating func nextSeconds() -> Int64? {
        guard !dueAt.isEmpty else {
            bySecond = [:]
            cursor = .max
            return nil
        }
        while true {
            if let waiting = bySecond[cursor] {
                if waiting.contains(where: { dueAt[$0] == cursor }) { return cursor }
                bySecond[cursor] = nil
            }
            // Over a gap of a day it is cheaper to ask which second is the next than to try each.
            guard bySecond[cursor + 1] == nil else {
                cursor += 1
                continue
            }
            guard let next = bySecond.keys.min() else { return nil }
            cursor = next
        }
    }

    private mutating func moveAll(to second: Int64) {
        let all = Array(dueAt.keys)
        bySecond = [:]
        cursor = .max
        for device in all { set(device, atSeconds: second) }
    }
}
