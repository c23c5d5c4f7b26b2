/// The ids of challenges that were answered: each is answered once, and remembered until it has ended for
/// every clock that would still be accepted.
struct SignedChallenges: Sendable {
    static let countMax = 4096

    /// By bytes: as a key, a text would also find its canonical equivalents.
    private var endings: [[UInt8]: Int64] = [:]

    func contains(_ id: String) -> Bool { endings[Array(id.utf8)] != nil }

    /// - Returns: false when the id was answered before, or when the table is full of living ones.
    mutating func insert(_ id: String, untilSeconds: Int64, nowSeconds: Int64) -> Bool {
        let id = Array(id.utf8)
        if endings.count >= Self.countMax { endings = endings.filter { $0.value > nowSeconds } }
        guard endings.count < Self.countMax, endings[id] == nil else { return false }
        endings[id] = untilSeconds
        return true
    }
}
