/// The ids of challenges that were answered: each is answered once, and remembered until it has ended for
/// every clock that would still be accepted.
struct SignedChallenges: Sendable {
    static let countMax = 4096

    /// By bytes: as a key, a text would also find its canonical equivalents.
    private var endings: [[UInt8]: Int64] = [:]

    func contains(_ id: String) -> Bool { endings[Array(id.utf8)] != nil }

    enum Outcome: Sendable { case entered, known, full }

    var count: Int { endings.count }

    /// Enters an id, unless it was answered before or the table is full of living ones. A full one says so: a page that
    /// heard "replayed" would ask again at once.
    mutating func insert(_ id: String, untilSeconds: Int64, nowSeconds: Int64) -> Outcome {
        let id = Array(id.utf8)
        guard endings[id] == nil else { return .known }
        // One whose last second this is may still come again.
        if endings.count >= Self.countMax { endings = endings.filter { $0.value >= nowSeconds } }
        guard endings.count < Self.countMax else { return .full }
        endings[id] = untilSeconds
        return .entered
    }
}
