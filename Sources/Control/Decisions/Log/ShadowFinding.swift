import Access

/// What a candidate policy would have done where the live one decided.
struct ShadowFinding: Sendable, Hashable {
    enum Word: String, Sendable, CaseIterable {
        case agrees
        case wouldBlock = "would-block"
        case wouldLetIn = "would-let-in"
        case differs = "differs-otherwise"
    }
    var word: Word
    /// The candidate's identity.
    var policy: String
    var outcome: Outcome
    var reason: Reason

    /// Compares what two residuals do, whatever their policies are called.
    static func word(live: Residual, candidate: Residual) -> Word {
        switch (live.outcome.letsIn, candidate.outcome.letsIn) {
        case (true, false): .wouldBlock
        case (false, true): .wouldLetIn
        case (true, true), (false, false): live.effect == candidate.effect ? .agrees : .differs
        }
    }
}
