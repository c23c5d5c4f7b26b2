/// The parts of a policy's canonical text.
extension DeviceRule {
    var contentTexts: [String] {
        switch self {
        case .tags(let name, let matchesAll, let values):
            ["tags", name, matchesAll ? "matches-all" : "matches-any"] + values
        case .score(let name, let comparison, let value): ["score", name, comparison.rawValue, String(value)]
        case .risk(let name, let comparison, let value): ["risk", name, comparison.rawValue, value.rawValue]
        case .sensorRunning(let name, let wanted): ["sensor-running", name, String(wanted)]
        case .managed(let name, let wanted): ["managed", name, String(wanted)]
        case .agentFact(let integration, let name, let values):
            ["agent-fact", integration, name] + values.flatMap(\.contentTexts)
        case .agentFactIs(let integration, let name, let comparison, let value):
            ["agent-fact-is", integration, name, comparison.rawValue, value]
        case .agentManaged(let name, let seconds): ["agent-managed", name, String(seconds)]
        case .agentVersion(let name, let minimum): ["agent-version", name, minimum]
        case .agentKey(let name, let minimum): ["agent-key", name, minimum.rawValue]
        case .setting(let integration, let name, let states):
            ["setting", integration, name] + states.map(\.rawValue)
        case .verdictAge(let name, let reported, let fetched):
            ["verdict-age", name, reported.map(String.init) ?? "-", fetched.map(String.init) ?? "-"]
        case .matchStrength(let name, let minimum): ["match", name, minimum.rawValue]
        case .provenBy(let proofs, let minimum):
            ["device-proof", minimum.rawValue] + proofs.map(\.rawValue)
        }
    }
}

extension AccessLimit {
    var contentTexts: [String] {
        switch self {
        case .blocksDownloads: ["downloads"]
        case .blocksUploads: ["uploads"]
        case .responseField(let name, let value): ["response-field", name, value]
        case .upstreamField(let name, let value): ["upstream-field", name, value]
        case .banner(let text): ["banner", text]
        }
    }
}

extension Condition {
    var contentTexts: [String] {
        switch self {
        case .everyone: ["everyone"]
        case .email(let condition): ["email"] + condition.addresses
        case .emailDomain(let condition): ["email-domain"] + condition.domains
        case .group(let condition): ["group"] + condition.groups
        case .claim(let condition): ["claim", condition.name] + condition.values.flatMap(\.contentTexts)
        case .identityProvider(let condition): ["identity-provider"] + condition.names
        case .network(let condition): ["network"] + condition.ranges.map(\.contentText)
        case .device(let condition): ["device"] + condition.classes.map(\.rawValue)
        case .method(let condition): ["method"] + condition.methods.map(\.rawValue)
        case .path(let condition):
            ["path", String(condition.prefixes.count)] + condition.prefixes + condition.exact
        case .authenticationContext(let condition): ["acr"] + condition.values
        case .authenticationMethod(let condition): ["amr"] + condition.methods
        case .authenticatedWithin(let condition): ["authenticated-within", String(condition.secondsMax)]
        case .keyBound: ["key-bound"]
        case .tag(let condition): ["tag"] + condition.tags
        case .service(let condition): ["service"] + condition.names
        case .token(let condition): condition.contentTexts
        case .time(let condition): condition.contentTexts
        case .until(let condition): ["until", String(condition.seconds)]
        case .check(let condition): ["check"] + condition.rule.contentTexts
        case .setting(let condition): condition.rule.contentTexts
        case .score(let condition): condition.rule.contentTexts
        case .risk(let condition): condition.rule.contentTexts
        case .verdictAge(let condition): condition.rule.contentTexts
        case .matchStrength(let condition): condition.rule.contentTexts
        case .deviceProof(let condition): condition.rule.contentTexts
        case .certificate(let condition): condition.contentTexts
        case .meets(let group): group.contentTexts
        }
    }
}

extension TimeCondition {
    fileprivate var contentTexts: [String] {
        ["time", String(fromMinute), String(untilMinute), String(offsetMinutes)] + days.map(\.rawValue)
    }
}

extension TokenCondition {
    fileprivate var contentTexts: [String] {
        let asked = claims.flatMap { claim in
            let texts = claim.values.flatMap(\.contentTexts)
            return [claim.name, String(texts.count)] + texts
        }
        return ["token", issuer] + (subjects.map { [String($0.count)] + $0 } ?? ["-"]) + asked
    }
}

extension CertificateCondition {
    fileprivate var contentTexts: [String] {
        ["certificate"]
            + [subjects, names, issuerDigests].flatMap { list in
                list.map { [String($0.count)] + $0 } ?? ["-"]
            }
    }
}

extension ConditionGroup {
    /// With the length of each part, so that no two groups read alike.
    fileprivate var contentTexts: [String] {
        let lists = [include, require, exclude].map { $0.map(\.contentTexts) }
        return ["meets", name]
            + lists.flatMap { list in
                [String(list.count)] + list.flatMap { [String($0.count)] + $0 }
            }
    }
}

extension ClaimValue {
    /// With its type and, for lists, its length: the text `1`, the number 1 and the list of `1` stay apart.
    fileprivate var contentTexts: [String] {
        switch self {
        case .text(let text): ["text", text]
        case .list(let values): ["list", String(values.count)] + values
        case .flag(let flag): ["flag", String(flag)]
        case .integer(let number): ["integer", String(number)]
        }
    }
}

extension NetworkRange {
    /// Numbers, not the readable form: two ranges of different families may read alike.
    fileprivate var contentText: String {
        "\(String(base.high, radix: 16)):\(String(base.low, radix: 16))/\(prefixLength)"
    }
}
