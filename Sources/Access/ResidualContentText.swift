/// The canonical text of a residual: what is hashed to say that two decisions are the same, bit for bit.
extension Residual {
    /// UTF-8 text that is equal exactly when two residuals decide every request alike, by equally named policies
    /// and from equally named inputs. `policyIdentity` and `validUntilSeconds` are not in it: a decision log keeps
    /// them beside it, so that a renewal and a candidate policy that change nothing else can be told by it. The
    /// hash is computed outside (SHA-256).
    public var contentText: String { content.text }

    /// The same as UTF-8.
    public var contentBytes: [UInt8] { content.bytes }

    private var content: ContentWriter {
        var text = ContentWriter()
        text.line("gatepost-residual", ["1", String(isSignedIn), refusal.rawValue])
        for policy in policies { text.write(policy) }
        text.line("depends-on", dependsOn.map(\.text))
        return text
    }
}

extension ContentWriter {
    fileprivate mutating func write(_ policy: ResidualPolicy) {
        line("policy", [policy.name, policy.action.rawValue, policy.reason.rawValue])
        // A restriction that restricts nothing yet is one all the same.
        if policy.restriction != nil { line("restricted", []) }
        write(policy.restriction)
        for condition in policy.anyOf { line("any", condition.contentTexts) }
        for condition in policy.allOf { line("all", condition.contentTexts) }
        for condition in policy.noneOf { line("none", condition.contentTexts) }
    }
}

/// What a residual comes to, in one word.
public enum Outcome: String, Sendable, Codable, CaseIterable {
    /// Every request is forwarded.
    case forward
    /// Some requests are forwarded, by what they are themselves.
    case partly
    /// None is, and nothing that the person does by signing in changes it.
    case refuse
    /// None is before somebody signs in.
    case signIn = "sign-in"

    /// Whether some request gets through.
    public var letsIn: Bool { self == .forward || self == .partly }
}

extension Residual {
    /// What this comes to when nothing is known of the request.
    public var outcome: Outcome { summary.outcome }

    /// The reason that goes with `outcome`: of the policy that settles it, of the first that grants something, or why
    /// none does.
    public var leadingReason: Reason { summary.reason }

    private var summary: (outcome: Outcome, reason: Reason) {
        var granted: Reason?
        var mayRefuse = false
        for policy in policies {
            let isSettled = policy.anyOf.isEmpty && policy.allOf.isEmpty && policy.noneOf.isEmpty
            switch policy.action {
            case .allow, .bypass, .service:
                let isWhole = policy.restriction?.methods == nil && policy.restriction?.pathPrefixes == nil
                if isSettled, isWhole, !mayRefuse { return (.forward, policy.reason) }
                if isSettled { return (.partly, granted ?? policy.reason) }
                granted = granted ?? policy.reason
                if !isWhole { mayRefuse = true }
            case .block:
                mayRefuse = true
                guard isSettled else { continue }
                if let granted { return (.partly, granted) }
                return (policy.reason == .signInRequired ? .signIn : .refuse, policy.reason)
            }
        }
        if let granted { return (.partly, granted) }
        return (!isSignedIn || refusal == .sessionEnded ? .signIn : .refuse, refusal)
    }

    /// The same without what names it: two residuals with equal effects answer every request alike, whatever
    /// their policies are called.
    public var effect: Residual {
        var effect = self
        effect.policyIdentity = ""
        effect.validUntilSeconds = 0
        effect.dependsOn = []
        for index in effect.policies.indices { effect.policies[index].name = "" }
        return effect
    }
}
