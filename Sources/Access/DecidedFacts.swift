/// What conditions may read before the request is known.
struct DecidedFacts {
    /// Only a session that counts at the application: not expired, made by a provider that it accepts.
    var session: SessionFacts?
    /// nil: no device has been proven, or no policy asks for one.
    var device: DeviceResult?
    var nowSeconds: Int64
}

/// Which way a condition works. It matters only where safety is not symmetric: a denied device never helps.
enum ConditionRole {
    /// Being true helps the person: include and require of a policy that lets in, exclude of a block.
    case helps
    /// Being true harms the person: exclude of a policy that lets in, include and require of a block.
    case harms
}

/// A condition that is settled once per session and device, before any request.
protocol DecidedCondition: CustomStringConvertible {
    /// `indeterminate` when the fact that it asks for is absent.
    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary
    /// The fact that was compared, for explain records.
    func observed(in facts: DecidedFacts) -> String
    func source(in facts: DecidedFacts) -> String
    /// Seconds since the source learned the fact; nil where age means nothing.
    func ageSeconds(in facts: DecidedFacts) -> Int64?
    /// Plain words for the person who did not meet it.
    func remedy(for facts: DecidedFacts) -> String
}

extension DecidedCondition {
    func source(in facts: DecidedFacts) -> String { facts.session == nil ? "nobody is signed in" : "session" }

    func ageSeconds(in facts: DecidedFacts) -> Int64? {
        guard let session = facts.session else { return nil }
        return max(0, facts.nowSeconds.difference(saturating: session.createdAtSeconds))
    }
}

/// A condition that only a request can settle. `matches` is on the hot path: no allocation, no closure.
protocol RequestCondition: CustomStringConvertible {
    func matches(_ request: RequestFacts, path: borrowing Span<UInt8>, _ role: ConditionRole) -> Bool
    var remedy: String { get }
}
