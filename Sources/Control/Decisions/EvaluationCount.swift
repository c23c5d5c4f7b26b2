import Synchronization

/// How often policy was evaluated for sessions since the start. Tests hold changes of thousands of sessions against it,
/// because a clock says little on a machine that is busy.
final class EvaluationCount: Sendable {
    private let total = Atomic<Int>(0)

    /// Evaluations since the start.
    var value: Int { total.load(ordering: .relaxed) }

    func add(_ count: Int = 1) {
        if count > 0 { total.add(count, ordering: .relaxed) }
    }
}
