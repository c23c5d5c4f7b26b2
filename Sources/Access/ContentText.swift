/// The canonical text of a policy: what is hashed to name it.
extension PolicySnapshot {
    /// UTF-8 text that is equal exactly when the decisions of two snapshots rest on equal settings: every
    /// setting but `identity` itself, one per line, texts quoted so that no text can imitate a setting.
    /// Device policies stand by platform, priority and name and applications by name, since their order in
    /// a file means nothing; the order of an application's policies decides, so it stays. The hash is
    /// computed outside (SHA-256).
    public var contentText: String {
        var text = ContentWriter()
        text.line("gatepost-policy", ["1"])
        text.line("device-defaults", [deviceDefaultNoMatch.rawValue, deviceDefaultUnsupported.rawValue])
        let ordered = devicePolicies.sorted {
            ($0.platform.rawValue, $0.priority, $0.name) < ($1.platform.rawValue, $1.priority, $1.name)
        }
        for policy in ordered { text.write(policy) }
        for application in applications.sorted(by: { $0.name < $1.name }) { text.write(application) }
        return text.text
    }
}

/// Lines of a word and quoted texts.
private struct ContentWriter {
    private(set) var text = ""

    mutating func line(_ word: String, _ texts: [String]) {
        text += word
        for value in texts { text += " " + Self.quoted(value) }
        text += "\n"
    }

    mutating func write(_ policy: DevicePolicy) {
        line(
            "device-policy",
            [
                policy.name, policy.platform.rawValue, String(policy.priority), policy.result.rawValue,
                policy.onUnknown.rawValue, policy.matchStrengthMin.rawValue,
            ])
        if let message = policy.message { line("message", [message]) }
        for rule in policy.rules { line("rule", Self.texts(of: rule)) }
    }

    mutating func write(_ application: Application) {
        line("application", [application.name, application.deviceOwner.rawValue])
        line("identity-providers", application.identityProviders)
        for policy in application.policies {
            line("policy", [policy.name, policy.action.rawValue])
            if let seconds = policy.sessionSecondsMax { line("session", [String(seconds)]) }
            if let methods = policy.restriction?.methods { line("restrict-methods", methods.map(\.rawValue)) }
            if let paths = policy.restriction?.pathPrefixes { line("restrict-paths", paths) }
            for condition in policy.include { line("include", Self.texts(of: condition)) }
            for condition in policy.require { line("require", Self.texts(of: condition)) }
            for condition in policy.exclude { line("exclude", Self.texts(of: condition)) }
        }
    }

    private static func texts(of rule: DeviceRule) -> [String] {
        switch rule {
        case .tags(let name, let matchesAll, let values):
            ["tags", name, matchesAll ? "matches-all" : "matches-any"] + values
        case .score(let name, let comparison, let value): ["score", name, comparison.rawValue, String(value)]
        case .risk(let name, let comparison, let value): ["risk", name, comparison.rawValue, value.rawValue]
        case .sensorRunning(let name, let wanted): ["sensor-running", name, String(wanted)]
        case .managed(let name, let wanted): ["managed", name, String(wanted)]
        case .agentFact(let integration, let name, let values):
            ["agent-fact", integration, name] + values.flatMap(texts)
        case .agentManaged(let name, let seconds): ["agent-managed", name, String(seconds)]
        case .agentVersion(let name, let minimum): ["agent-version", name, minimum]
        case .agentKey(let name, let minimum): ["agent-key", name, minimum.rawValue]
        }
    }

    private static func texts(of condition: Condition) -> [String] {
        switch condition {
        case .everyone: ["everyone"]
        case .email(let condition): ["email"] + condition.addresses
        case .emailDomain(let condition): ["email-domain"] + condition.domains
        case .group(let condition): ["group"] + condition.groups
        case .claim(let condition): ["claim", condition.name] + condition.values.flatMap(texts)
        case .identityProvider(let condition): ["identity-provider"] + condition.names
        case .network(let condition): ["network"] + condition.ranges.map(text)
        case .device(let condition): ["device"] + condition.classes.map(\.rawValue)
        case .method(let condition): ["method"] + condition.methods.map(\.rawValue)
        case .path(let condition):
            ["path", String(condition.prefixes.count)] + condition.prefixes + condition.exact
        }
    }

    /// With its type and, for lists, its length: the text `1`, the number 1 and the list of `1` stay apart.
    private static func texts(of value: ClaimValue) -> [String] {
        switch value {
        case .text(let text): ["text", text]
        case .list(let values): ["list", String(values.count)] + values
        case .flag(let flag): ["flag", String(flag)]
        case .integer(let number): ["integer", String(number)]
        }
    }

    /// Numbers, not the readable form: two ranges of different families may read alike.
    private static func text(of range: NetworkRange) -> String {
        "\(String(range.base.high, radix: 16)):\(String(range.base.low, radix: 16))/\(range.prefixLength)"
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
