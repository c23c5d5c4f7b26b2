/// What is left of a policy once everything that does not depend on the request itself is decided.
public struct ResidualPolicy: Sendable, Codable, Hashable {
    /// The policy's name.
    public var name: String
    /// What a match does.
    public var action: PolicyAction
    /// What still has to be asked of the request: at least one of `anyOf` (empty: settled as true), all of
    /// `allOf`, none of `noneOf`. Only network, method and path conditions occur here.
    public var anyOf: [Condition]
    /// All must hold.
    public var allOf: [Condition]
    /// None may hold.
    public var noneOf: [Condition]
    /// nil: a match grants everything.
    public var restriction: Restriction?
    /// The word for the log when this policy decides.
    public var reason: Reason
    /// Takes the members as they are; nothing is checked here.
    public init(
        name: String, action: PolicyAction, anyOf: [Condition], allOf: [Condition], noneOf: [Condition],
        restriction: Restriction?, reason: Reason
    ) {
        self.name = name
        self.action = action
        self.anyOf = anyOf
        self.allOf = allOf
        self.noneOf = noneOf
        self.restriction = restriction
        self.reason = reason
    }
}

/// The residual decision of one session (or of nobody) for one application under one policy snapshot.
public struct Residual: Sendable, Codable, Hashable {
    /// The content hash of the policy this came from.
    public var policyIdentity: String
    /// Whether a session counts at the application.
    public var isSignedIn: Bool
    /// From this second on the residual is no answer: at most 900 s after it was made, at most the end of the
    /// session and of every verdict and statement that was read. `Int64.max` for nobody's residual: it
    /// reads nothing that passes, and a new policy replaces it together with its snapshot.
    public var validUntilSeconds: Int64
    /// In the order of the application's policies; those that can no longer match are left out.
    public var policies: [ResidualPolicy]
    /// Why nothing matches, when nothing does: the most helpful of the reasons met on the way. When nobody is
    /// signed in: `sign-in-required`, `session-ended` or `identity-provider-not-accepted`.
    public var refusal: Reason
    /// The inputs that were read, sorted, each once. A verdict that does not exist yet has no name: its arrival is a
    /// change of the device.
    public var dependsOn: [DecisionInput]
    /// Takes the members as they are; nothing is checked here.
    public init(
        policyIdentity: String, isSignedIn: Bool, validUntilSeconds: Int64, policies: [ResidualPolicy],
        refusal: Reason, dependsOn: [DecisionInput]
    ) {
        self.policyIdentity = policyIdentity
        self.isSignedIn = isSignedIn
        self.validUntilSeconds = validUntilSeconds
        self.policies = policies
        self.refusal = refusal
        self.dependsOn = dependsOn
    }
}

/// What to do with one request. `policy` is an index into `Residual.policies`.
public enum Decision: Sendable, Hashable {
    case forward(policy: Int)
    /// Somebody has to sign in (again) before more can be said.
    case signIn
    /// The residual is too old: ask for a new one before deciding.
    case recompute
    case refuse(Reason)
}
