/// What one integration's verdicts about a device say to a rule.

extension Verdict.State {
    /// Whether the provider gave a definite answer. The others say only that it could not or did not.
    var isDefinite: Bool {
        switch self {
        case .compliant, .grace, .noncompliant, .notManaged: true
        case .notFound, .ambiguous, .unknown, .error, .delegated: false
        }
    }

    /// The built-in label of the state. Labels of these names come from the state alone, never from a
    /// provider's own list, with one exception: a verdict in grace carries `compliant` when grace counts as
    /// compliant.
    public var label: String {
        switch self {
        case .compliant: "compliant"
        case .grace: "in-grace"
        case .noncompliant: "noncompliant"
        case .notManaged: "not-managed"
        case .notFound: "not-found"
        case .ambiguous: "ambiguous"
        case .unknown: "unknown"
        case .error: "error"
        case .delegated: "delegated"
        }
    }

    /// Several records of one provider: the one asked is the worst (providers.md 14.1).
    var severity: Int {
        switch self {
        case .compliant: 0
        case .grace: 1
        case .notFound: 2
        case .delegated: 3
        case .unknown: 4
        case .ambiguous: 5
        case .error: 6
        case .notManaged: 7
        case .noncompliant: 8
        }
    }
}

extension Verdict.Strength {
    var rank: Int {
        switch self {
        case .weak: 0
        case .medium: 1
        case .strong: 2
        }
    }
}

extension Verdict.Risk {
    var rank: Int64 {
        switch self {
        case .none: 0
        case .informational: 1
        case .low: 2
        case .medium: 3
        case .high: 4
        case .critical: 5
        }
    }
}

extension Comparison {
    func holds<Value: Comparable>(_ left: Value, _ right: Value) -> Bool {
        switch self {
        case .less: left < right
        case .lessOrEqual: left <= right
        case .equal: left == right
        case .greaterOrEqual: left >= right
        case .greater: left > right
        }
    }
}

extension Verdict {
    /// How far a provider's clock may be ahead of ours (providers.md 1.1).
    static let clockSkewSecondsMax: Int64 = 300

    /// The second from which on the verdict says nothing; the end of a grace ends it too.
    public var endsAtSeconds: Int64 { VerdictReading(self).endsAtSeconds(extendedBy: 0) }

    /// Not expired, and not reported in the future: such a time is unknown, and unknown is never fresh.
    public func isFresh(atSeconds nowSeconds: Int64) -> Bool {
        VerdictReading(self).isFresh(atSeconds: nowSeconds, extendedBy: 0)
    }
}

/// What rules and conditions ask of a verdict. A verdict holds ten references, and copying one for every rule that asks
/// it was a tenth of what a decision cost; of these members two are references.
struct VerdictReading {
    let state: Verdict.State
    let isManaged: Bool?
    let score: Verdict.Score?
    let risk: Verdict.Risk?
    let isSensorRunning: Bool?
    let labels: [String]
    let checks: [Verdict.Check]
    let observedAtSeconds: Int64
    let fetchedAtSeconds: Int64
    let matchStrength: Verdict.Strength
    private let expiresAtSeconds: Int64
    private let graceUntilSeconds: Int64?

    @inline(__always)
    init(_ verdict: Verdict) {
        state = verdict.state
        isManaged = verdict.isManaged
        score = verdict.score
        risk = verdict.risk
        isSensorRunning = verdict.isSensorRunning
        labels = verdict.labels
        checks = verdict.checks
        observedAtSeconds = verdict.observedAtSeconds
        fetchedAtSeconds = verdict.fetchedAtSeconds
        matchStrength = verdict.matchStrength
        expiresAtSeconds = verdict.expiresAtSeconds
        graceUntilSeconds = verdict.graceUntilSeconds
    }

    /// The end of a grace stays where the provider put it, whatever an outage setting says, and so does the end of a
    /// verdict that was fetched after it: there the provider answers, but the device is silent.
    ///
    /// - Parameter seconds: how much longer than its own end it counts.
    func endsAtSeconds(extendedBy seconds: Int64) -> Int64 {
        var end = expiresAtSeconds
        if seconds > 0, fetchedAtSeconds < end { end = end.sum(saturating: seconds) }
        guard state == .grace, let graceUntilSeconds else { return end }
        return min(end, graceUntilSeconds)
    }

    func isFresh(atSeconds nowSeconds: Int64, extendedBy seconds: Int64) -> Bool {
        nowSeconds < endsAtSeconds(extendedBy: seconds)
            && observedAtSeconds <= nowSeconds.sum(saturating: Verdict.clockSkewSecondsMax)
    }

    /// The state answers questions about itself even when it is not definite; about anything else it does
    /// not.
    func hasLabel(_ label: String) -> Ternary {
        if ExactText.isEqual(label, state.label) { return .yes }
        // What its provider cannot find, it does not manage.
        if label == "not-managed" && state == .notFound { return .yes }
        if let asked = Verdict.State.allCases.first(where: { $0.label == label }) {
            if !asked.isDefinite { return .no }
            if !state.isDefinite { return .indeterminate }
            return Ternary(asked == .compliant && state == .grace && ExactText.contains(labels, label))
        }
        return state.isDefinite ? Ternary(ExactText.contains(labels, label)) : .indeterminate
    }

    func hasLabels(_ wanted: [String], all: Bool) -> Ternary {
        guard !wanted.isEmpty else { return .indeterminate }
        return wanted.dropFirst().reduce(hasLabel(wanted[0])) { sum, label in
            all ? sum && hasLabel(label) : sum || hasLabel(label)
        }
    }

    /// A number outside its own scale is a provider that contradicts itself: not known.
    func meetsScore(_ comparison: Comparison, _ value: Int64) -> Ternary {
        guard state.isDefinite, let score, score.minimum <= score.value, score.value <= score.maximum else {
            return .indeterminate
        }
        return Ternary(comparison.holds(score.value, value))
    }

    func meetsRisk(_ comparison: Comparison, _ value: Verdict.Risk) -> Ternary {
        guard state.isDefinite, let risk else { return .indeterminate }
        return Ternary(comparison.holds(risk.rank, value.rank))
    }

    func meetsSensor(isRunning wanted: Bool) -> Ternary {
        guard state.isDefinite, let isSensorRunning else { return .indeterminate }
        return Ternary(isSensorRunning == wanted)
    }

    func meetsManaged(_ wanted: Bool) -> Ternary {
        if state == .notManaged || state == .notFound { return Ternary(!wanted) }
        guard state.isDefinite, let isManaged else { return .indeterminate }
        return Ternary(isManaged == wanted)
    }

    /// Several checks of one title must agree; a check that the provider could not judge is not known, unless
    /// that is what is asked for.
    func meetsSetting(_ name: String, _ states: [Verdict.Check.State]) -> Ternary {
        guard state.isDefinite else { return .indeterminate }
        var answer: Ternary?
        for check in checks where ExactText.isEqual(check.id, name) || ExactText.isEqual(check.title, name) {
            let isAsked = states.contains(check.state)
            let next: Ternary = check.state == .unknown && !isAsked ? .indeterminate : Ternary(isAsked)
            answer = answer == nil || answer == next ? next : .indeterminate
        }
        return answer ?? .indeterminate
    }

    /// Too old is not known; so is the age of an answer that the provider could not give.
    func meetsAge(_ reportedMax: Int64?, _ fetchedMax: Int64?, atSeconds nowSeconds: Int64) -> Ternary {
        guard state.isDefinite else { return .indeterminate }
        for (seconds, secondsMax) in [(observedAtSeconds, reportedMax), (fetchedAtSeconds, fetchedMax)] {
            guard let secondsMax else { continue }
            if nowSeconds.difference(saturating: seconds) > secondsMax { return .indeterminate }
        }
        return .yes
    }
}
