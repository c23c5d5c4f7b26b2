/// The policy model: what an administrator writes, validated and immutable.

/// The result of device policies, from worst to best.
public enum DeviceClass: String, Sendable, Codable, CaseIterable, Comparable {
    case denied, partial, compliant
    private var rank: Int {
        switch self {
        case .denied: 0
        case .partial: 1
        case .compliant: 2
        }
    }
    /// Worse comes first.
    public static func < (left: DeviceClass, right: DeviceClass) -> Bool { left.rank < right.rank }
}

/// How a number is compared with the value of a rule: number first.
public enum Comparison: String, Sendable, Codable, CaseIterable {
    case less = "<"
    case lessOrEqual = "<="
    case equal = "="
    case greaterOrEqual = ">="
    case greater = ">"
}

/// One rule of a device policy. All rules of a policy must hold (AND).
public enum DeviceRule: Sendable, Codable, Hashable {
    /// Labels of a provider's verdict: any of (OR) or all of (AND). The list is never empty.
    case tags(integration: String, matchesAll: Bool, values: [String])
    case score(integration: String, comparison: Comparison, value: Int64)
    case risk(integration: String, comparison: Comparison, value: Verdict.Risk)
    case sensorRunning(integration: String, Bool)
    case managed(integration: String, Bool)
    /// A fact of the agent's signed statement equals one of the values.
    case agentFact(integration: String, name: String, values: [ClaimValue])
    /// A fact of the agent's signed statement compares so with a value: a number with a number, a version by
    /// its leading dotted numbers. Fact first.
    case agentFactIs(integration: String, name: String, comparison: Comparison, value: String)
    /// The agent's statement says managed, and was last seen no longer ago than this many seconds
    /// (inclusive).
    case agentManaged(integration: String, lastSeenSecondsMax: Int64)
    case agentVersion(integration: String, minimum: String)
    case agentKey(integration: String, minimum: AgentStatement.KeyLevel)
    /// A check of the verdict, by its id or title, is in one of these states.
    case setting(integration: String, name: String, states: [Verdict.Check.State])
    /// The device reported, and the gateway fetched, no longer ago than this (seconds, inclusive).
    case verdictAge(integration: String, reportedSecondsMax: Int64?, fetchedSecondsMax: Int64?)
    /// The verdict was matched to the device at least this strongly (providers.md 13).
    case matchStrength(integration: String, minimum: Verdict.Strength)
    /// The device is proven in one of these ways; asked by application policies only. It asks no integration.
    case provenBy([DeviceProofKind], minimum: Verdict.Strength)
}

/// What an indeterminate policy whose result is `denied` or `partial` does to the result of the policies
/// after it: hold it at `partial`, make it `denied`, or nothing (an outage can then lift the device).
public enum OnUnknown: String, Sendable, Codable, CaseIterable {
    case cap, deny
    case unsafeIgnore = "unsafe-ignore"
}

/// One device policy of one platform.
public struct DevicePolicy: Sendable, Codable, Hashable {
    /// Unique among its like.
    public var name: String
    /// The only platform that the policy is asked about.
    public var platform: Platform
    /// Unique per platform; the lowest number is asked first.
    public var priority: Int
    /// All must hold (AND).
    public var rules: [DeviceRule]
    /// What the device is when every rule holds.
    public var result: DeviceClass
    /// What happens when the policy would lower the result but cannot be known.
    public var onUnknown: OnUnknown
    /// Shown to the person, at most 256 characters.
    public var message: String?
    /// Verdicts matched to the device more weakly than this say nothing to the policy (providers.md 13).
    public var matchStrengthMin: Verdict.Strength
    /// What comes of a rule that does not hold, by the rule's index; rules beyond its end are required.
    public var strategies: [CheckStrategy]
    /// Takes the members as they are; nothing is checked here.
    public init(
        name: String, platform: Platform, priority: Int, rules: [DeviceRule], result: DeviceClass,
        onUnknown: OnUnknown = .cap, message: String? = nil, matchStrengthMin: Verdict.Strength = .weak,
        strategies: [CheckStrategy] = []
    ) {
        self.name = name
        self.platform = platform
        self.priority = priority
        self.rules = rules
        self.result = result
        self.onUnknown = onUnknown
        self.message = message
        self.matchStrengthMin = matchStrengthMin
        self.strategies = strategies
    }
}

/// An address range, for example 10.0.0.0/8. Bits below the prefix are zero.
public struct NetworkRange: Sendable, Codable, Hashable {
    /// The first address.
    public var base: NetworkAddress
    /// 0...128 of the mapped form: an IPv4 /8 is 104 here.
    public var prefixLength: Int
    /// Takes the members as they are; nothing is checked here.
    public init(base: NetworkAddress, prefixLength: Int) {
        self.base = base
        self.prefixLength = prefixLength
    }
}

/// One condition of an application policy. Each case has its file in `Conditions/`.
public enum Condition: Sendable, Codable, Hashable {
    case everyone
    case email(EmailCondition)
    case emailDomain(EmailDomainCondition)
    case group(GroupCondition)
    case claim(ClaimCondition)
    case identityProvider(IdentityProviderCondition)
    case network(NetworkCondition)
    case device(DeviceCondition)
    case method(MethodCondition)
    case path(PathCondition)
    case authenticationContext(AuthenticationContextCondition)
    case authenticationMethod(AuthenticationMethodCondition)
    case authenticatedWithin(AuthenticatedWithinCondition)
    case keyBound(KeyBoundCondition)
    case tag(TagCondition)
    case service(ServiceCondition)
    case time(TimeCondition)
    case until(UntilCondition)
    // Boxed: wider than the rest, and the width of a residual's arrays is that of the widest case.
    indirect case check(CheckCondition)
    indirect case setting(SettingCondition)
    indirect case score(ScoreCondition)
    indirect case risk(RiskCondition)
    indirect case verdictAge(VerdictAgeCondition)
    indirect case matchStrength(MatchStrengthCondition)
    indirect case deviceProof(DeviceProofCondition)
    indirect case certificate(CertificateCondition)
    indirect case token(TokenCondition)
    indirect case meets(ConditionGroup)
}

/// What an application policy does with whom it matches. `bypass` lets in without a session; `service` is
/// for clients that prove themselves without a person (`ServiceFacts`).
public enum PolicyAction: String, Sendable, Codable, CaseIterable { case allow, block, bypass, service }

/// One policy of an application; the first that matches decides.
public struct ApplicationPolicy: Sendable, Codable, Hashable {
    /// Unique among its like.
    public var name: String
    /// What a match does.
    public var action: PolicyAction
    /// At least one must hold (OR).
    public var include: [Condition]
    /// Every one must hold (AND).
    public var require: [Condition]
    /// None may hold (NOT).
    public var exclude: [Condition]
    /// nil: a match grants everything.
    public var restriction: Restriction?
    /// The policy lets in only sessions younger than this; nil: every session that counts.
    public var sessionSecondsMax: Int64?
    /// Takes the members as they are; nothing is checked here.
    public init(
        name: String, action: PolicyAction, include: [Condition], require: [Condition] = [],
        exclude: [Condition] = [], restriction: Restriction? = nil, sessionSecondsMax: Int64? = nil
    ) {
        self.name = name
        self.action = action
        self.include = include
        self.require = require
        self.exclude = exclude
        self.restriction = restriction
        self.sessionSecondsMax = sessionSecondsMax
    }
}

/// Whose devices count: those of the person who is signed in, or anybody's.
public enum DeviceOwner: String, Sendable, Codable, CaseIterable {
    case samePerson = "same-person"
    case any
}

/// A protected application as far as decisions are concerned.
public struct Application: Sendable, Codable, Hashable {
    /// Unique among its like.
    public var name: String
    /// The configured providers whose sessions count here.
    public var identityProviders: [String]
    /// In the order in which they are asked.
    public var policies: [ApplicationPolicy] { didSet { sieve = PolicySieve(policies) } }
    /// Whose devices count here.
    public var deviceOwner: DeviceOwner
    /// What a provider's silence means here.
    public var outage: OutageSetting
    /// What conditions may name the application by; compared as bytes.
    public var tags: [String]
    /// What is asked of the handshake that proves a device; nil: nothing of its own.
    public var posture: PostureDemand?
    /// The integration whose handshake proves devices here; nil: any of them.
    public var agent: String?
    /// How a device may be proven here, never empty.
    public var deviceProofs: [DeviceProofKind]
    /// Made of `policies` alone, so it says nothing of its own when applications are compared.
    private(set) var sieve: PolicySieve

    private enum CodingKeys: String, CodingKey {
        case name, identityProviders, policies, deviceOwner, outage, tags, posture, agent, deviceProofs
    }

    /// Takes the members as they are; nothing is checked here.
    public init(
        name: String, identityProviders: [String], policies: [ApplicationPolicy],
        deviceOwner: DeviceOwner = .samePerson, outage: OutageSetting = .failClosed, tags: [String] = [],
        posture: PostureDemand? = nil, agent: String? = nil, deviceProofs: [DeviceProofKind] = [.agent]
    ) {
        self.name = name
        self.identityProviders = identityProviders
        self.policies = policies
        self.deviceOwner = deviceOwner
        self.outage = outage
        self.tags = tags
        self.posture = posture
        self.agent = agent
        self.deviceProofs = deviceProofs
        sieve = PolicySieve(policies)
    }

    /// As it was encoded; every member has to be there, but for `posture`, `agent` and
    /// `deviceProofs`.
    public init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try members.decode(String.self, forKey: .name),
            identityProviders: try members.decode([String].self, forKey: .identityProviders),
            policies: try members.decode([ApplicationPolicy].self, forKey: .policies),
            deviceOwner: try members.decode(DeviceOwner.self, forKey: .deviceOwner),
            outage: try members.decode(OutageSetting.self, forKey: .outage),
            tags: try members.decode([String].self, forKey: .tags),
            posture: try members.decodeIfPresent(PostureDemand.self, forKey: .posture),
            agent: try members.decodeIfPresent(String.self, forKey: .agent),
            deviceProofs: try members.decodeIfPresent([DeviceProofKind].self, forKey: .deviceProofs) ?? [
                .agent
            ])
    }
}

/// Everything that decisions depend on beside facts. `identity` is the content hash of the policy text.
public struct PolicySnapshot: Sendable, Codable, Hashable {
    /// SHA-256 of `contentText`, lower-case hex.
    public var identity: String
    /// In any order: platform and priority order them.
    public var devicePolicies: [DevicePolicy] {
        didSet { devicePolicyOrder = DevicePolicyOrder(devicePolicies) }
    }
    /// For a platform whose policies all said no; `compliant` counts as `partial`.
    public var deviceDefaultNoMatch: DeviceClass
    /// For a platform unknown or without policies; `compliant` counts as `partial`.
    public var deviceDefaultUnsupported: DeviceClass
    /// In any order.
    public var applications: [Application]
    /// Made of `devicePolicies` alone, so it says nothing of its own when snapshots are compared.
    private(set) var devicePolicyOrder: DevicePolicyOrder

    private enum CodingKeys: String, CodingKey {
        case identity, devicePolicies, deviceDefaultNoMatch, deviceDefaultUnsupported, applications
    }

    /// Takes the members as they are; nothing is checked here.
    public init(
        identity: String, devicePolicies: [DevicePolicy], deviceDefaultNoMatch: DeviceClass = .partial,
        deviceDefaultUnsupported: DeviceClass = .partial, applications: [Application]
    ) {
        self.identity = identity
        self.devicePolicies = devicePolicies
        self.deviceDefaultNoMatch = deviceDefaultNoMatch
        self.deviceDefaultUnsupported = deviceDefaultUnsupported
        self.applications = applications
        devicePolicyOrder = DevicePolicyOrder(devicePolicies)
    }

    /// As it was encoded; every member has to be there.
    public init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            identity: try members.decode(String.self, forKey: .identity),
            devicePolicies: try members.decode([DevicePolicy].self, forKey: .devicePolicies),
            deviceDefaultNoMatch: try members.decode(DeviceClass.self, forKey: .deviceDefaultNoMatch),
            deviceDefaultUnsupported: try members.decode(DeviceClass.self, forKey: .deviceDefaultUnsupported),
            applications: try members.decode([Application].self, forKey: .applications))
    }
}
