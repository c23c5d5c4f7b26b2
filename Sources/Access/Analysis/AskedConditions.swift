/// Whom and what an analysis is about.
struct CaseQuery {
    /// Nothing before this moment counts.
    var fromSeconds: Int64
    /// One more address to tell apart.
    var email: String?
    /// More groups to tell apart.
    var groups: [String] = []
}

/// What the policies of some applications ask, by the axis that answers it, through all named groups of conditions.
struct AskedConditions {
    private(set) var emails: [Condition] = []
    private(set) var groups: [String] = []
    private(set) var authenticated: [Condition] = []
    private(set) var times: [Condition] = []
    private(set) var keys: [Condition] = []
    private(set) var methods: [Condition] = []
    private(set) var networks: [Condition] = []
    private(set) var pathConditions: [Condition] = []
    private(set) var certificates: [Condition] = []
    private(set) var services: [String] = []
    private(set) var tokens: [TokenCondition] = []
    private(set) var rules: [DeviceRule] = []
    var paths: [String] = []
    private(set) var asksForDevice = false
    private(set) var asksForTags = false
    private var claims: [(names: [String], condition: Condition)] = []

    /// Where Microsoft says what `acr` says elsewhere; the two are read together.
    private static let contextNames = ["acr", "acrs"]

    init(_ applications: [Application]) {
        for policy in applications.flatMap(\.policies) {
            for condition in policy.include + policy.require + policy.exclude { learn(condition) }
        }
    }

    /// The names of claims that are asked, those together that one condition reads together.
    var claimNames: [[String]] {
        var seen: Set<[String]> = []
        return claims.compactMap { seen.insert($0.names).inserted ? $0.names : nil }
    }

    func conditions(about names: [String]) -> [Condition] {
        claims.filter { $0.names == names }.map(\.condition)
    }

    private mutating func learn(_ condition: Condition) {
        switch condition {
        case .everyone, .identityProvider: break
        case .tag: asksForTags = true
        case .email, .emailDomain: emails.append(condition)
        case .group(let asked): groups += asked.groups
        case .claim(let asked):
            claims.append(
                (Self.contextNames.contains(asked.name) ? Self.contextNames : [asked.name], condition))
        case .authenticationContext: claims.append((Self.contextNames, condition))
        case .authenticationMethod: claims.append((["amr"], condition))
        case .authenticatedWithin: authenticated.append(condition)
        case .keyBound: keys.append(condition)
        case .network: networks.append(condition)
        case .method: methods.append(condition)
        case .path(let asked):
            pathConditions.append(condition)
            paths += asked.prefixes + asked.exact
        case .certificate: certificates.append(condition)
        case .service(let asked): services += asked.names.filter { !ExactText.contains(services, $0) }
        case .token(let asked): tokens.append(asked)
        case .time, .until: times.append(condition)
        case .device: asksForDevice = true
        case .check, .setting, .score, .risk, .verdictAge, .matchStrength, .deviceProof:
            asksForDevice = true
            if let rule = condition.deviceRule, !rules.contains(rule) { rules.append(rule) }
        case .meets(let group): for inner in group.all { learn(inner) }
        }
    }
}

extension Condition {
    /// The rule that a condition about a verdict asks.
    var deviceRule: DeviceRule? {
        guard case .decided(let decided) = asked else { return nil }
        return (decided as? any DeviceRuleCondition)?.rule
    }
}
