/// The ids of challenges that were answered: each is answered once, and remembered until it has ended for
/// every clock that would still be accepted.
struct SignedChallenges: Sendable {
    static let countMax = 4096

    private var endings: [String: Int64] = [:]

    func contains(_ id: String) -> Bool { endings[id] != nil }

    /// - Returns: false when the id was answered before, or when the table is full of living ones.
    mutating func insert(_ id: String, untilSeconds: Int64, nowSeconds: Int64) -> Bool {
        if endings.count >= Self.countMax { endings = endings.filter { $0.value > nowSeconds } }
        guard endings.count < Self.countMax, endings[id] == nil else { return false }
        endings[id] = untilSeconds
        return true
    }
}
