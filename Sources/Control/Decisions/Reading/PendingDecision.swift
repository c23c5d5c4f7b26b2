import Access

/// One decision of the log that waits to be decided. Handed from core to core by one reference.
final class PendingDecision: Sendable {
    let moment: LoggedMoment
    let sources: InputSources
    /// Where its application stands in the policy; nil: the policy has none of that name.
    let place: Int?
    let times: Int64

    init(moment: LoggedMoment, sources: InputSources, place: Int?, times: Int64) {
        self.moment = moment
        self.sources = sources
        self.place = place
        self.times = times
    }

    /// What it came to.
    struct Finding: Sendable {
        var isEqual: Bool
        /// nil: the policy has no such application, or nobody asks.
        var residual: Residual?
        var candidate: Residual?
        var seconds: Double
    }

    /// A policy that is compared with the log's.
    struct Candidate: Sendable {
        let policy: PolicySnapshot
        private let places: ApplicationIndex

        init(_ policy: PolicySnapshot) {
            self.policy = policy
            places = ApplicationIndex(policy)
        }

        fileprivate func residual(of inputs: DecisionInputs, at name: String) -> Residual {
            var inputs = inputs
            inputs.policy = policy
            return places.place(of: name).map { inputs.assess(for: policy.applications[$0]).residual }
                ?? ShadowPolicy.nowhere(policy)
        }
    }

    var inputs: DecisionInputs { sources.inputs(of: moment) }

    /// - Parameter keepsAll: the residual is looked at afterwards also when it is the one in the log.
    func decided(candidate: Candidate?, keepsAll: Bool) -> Finding {
        let inputs = inputs
        let began = monotonicNanoseconds()
        var finding = Finding(isEqual: false, seconds: 0)
        if let place {
            let assessed = inputs.assess(for: inputs.policy.applications[place])
            let digest = DecisionLines.digest(of: assessed.residual)
            finding.isEqual =
                isLogged(assessed.residual, digest) && isOpenLogged(inputs, place, assessed, digest)
            if keepsAll || !finding.isEqual { finding.residual = assessed.residual }
        }
        finding.candidate = candidate?.residual(of: inputs, at: moment.made.content.application)
        finding.seconds = Double(monotonicNanoseconds() - began) / 1e9
        return finding
    }

    /// The words as well: they are what people read in the log.
    private func isLogged(_ residual: Residual, _ digest: String) -> Bool {
        let logged = moment.made.content
        return digest == logged.result && residual.validUntilSeconds == moment.validUntilSeconds
            && residual.outcome.rawValue == logged.outcome
            && residual.leadingReason.rawValue == logged.reason
    }

    /// - Parameter digest: of what was assessed, which is what is open too while only its end is another.
    private func isOpenLogged(
        _ inputs: DecisionInputs, _ place: Int, _ assessed: Assessment, _ digest: String
    ) -> Bool {
        guard let logged = moment.made.content.openResult else { return true }
        if let until = assessed.openUntilSeconds {
            return digest == logged && until == moment.openUntilSeconds
        }
        let open = inputs.open.assess(for: inputs.policy.applications[place]).residual
        return DecisionLines.digest(of: open) == logged
            && open.validUntilSeconds == moment.openUntilSeconds
    }
}

/// Decisions that are being decided in the background.
struct DecisionBatch: ~Copyable {
    private let pending: [PendingDecision]
    /// Indices of `pending`, in the order in which they are decided.
    private let order: [Int]
    private let shares: [InBackground<[PendingDecision.Finding]>]

    /// Decisions of one application stand beside each other, and so on one core: what they read of the policy is in its
    /// cache, and the counts of references to it are not another core's.
    init(_ pending: [PendingDecision], candidate: PendingDecision.Candidate?, keepsAll: Bool) {
        self.pending = pending
        let order = pending.indices.map { (key: Self.key(of: pending[$0]), index: $0) }
            .sorted { ($0.key, $0.index) < ($1.key, $1.index) }.map(\.index)
        self.order = order
        // Several for each core: some decisions cost more than others.
        let sharesPerCore = 4
        let count = min(coreCount * sharesPerCore, pending.count)
        shares = (0..<count).map { share in
            InBackground {
                order[(share * order.count / count)..<((share + 1) * order.count / count)].map {
                    pending[$0].decided(candidate: candidate, keepsAll: keepsAll)
                }
            }
        }
    }

    private static func key(of pending: PendingDecision) -> UInt64 {
        // Neither number comes near 32 bits: both count what stands in memory.
        UInt64(pending.sources.policy.number) << 32 | UInt64((pending.place ?? -1) + 1)
    }

    /// Waits for them. Once.
    ///
    /// - Parameter visit: is called in the order in which they were given.
    consuming func wait(_ visit: (PendingDecision, PendingDecision.Finding) -> Void) {
        let findings = shares.flatMap { $0.wait() }
        var places = [Int](repeating: 0, count: order.count)
        for (place, index) in order.enumerated() { places[index] = place }
        for (pending, place) in zip(pending, places) { visit(pending, findings[place]) }
    }
}
