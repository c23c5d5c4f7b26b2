/// The canonical text of a policy: what is hashed to name it.
extension PolicySnapshot {
    /// UTF-8 text that is equal exactly when the decisions of two snapshots rest on equal settings: every
    /// setting but `identity` itself, one per line, texts quoted so that no text can imitate a setting.
    /// Device policies stand by platform, priority and name and applications by name, since their order in
    /// a file means nothing; the order of an application's policies decides, so it stays. The hash is
    /// computed outside (SHA-256).
    public var contentText: String { content.text }

    /// The same as UTF-8.
    public var contentBytes: [UInt8] { content.bytes }

    private var content: ContentWriter {
        var text = ContentWriter()
        text.line("gatepost-policy", ["1"])
        text.line("device-defaults", [deviceDefaultNoMatch.rawValue, deviceDefaultUnsupported.rawValue])
        let ordered = devicePolicies.sorted {
            ($0.platform.rawValue, $0.priority, $0.name) < ($1.platform.rawValue, $1.priority, $1.name)
        }
        for policy in ordered { text.write(policy) }
        for application in applications.sorted(by: { $0.name < $1.name }) { text.write(application) }
        return text
    }
}

/// Lines of a word and quoted texts, as bytes: they are made to be hashed, once for each decision.
struct ContentWriter {
    private(set) var bytes: [UInt8] = []

    var text: String { String(decoding: bytes, as: UTF8.self) }

    mutating func line(_ word: String, _ texts: [String]) {
        bytes.append(contentsOf: word.utf8)
        for value in texts {
            bytes.append(UInt8(ascii: " "))
            quote(value)
        }
        bytes.append(UInt8(ascii: "\n"))
    }

    mutating func write(_ policy: DevicePolicy) {
        line(
            "device-policy",
            [
                policy.name, policy.platform.rawValue, String(policy.priority), policy.result.rawValue,
                policy.onUnknown.rawValue, policy.matchStrengthMin.rawValue,
            ])
        if let message = policy.message { line("message", [message]) }
        for (index, rule) in policy.rules.enumerated() {
            line("rule", rule.contentTexts)
            write(policy.strategy(ofRule: index))
        }
    }

    mutating func write(_ application: Application) {
        line("application", [application.name, application.deviceOwner.rawValue])
        line("identity-providers", application.identityProviders)
        write(application.outage)
        if !application.tags.isEmpty { line("tags", application.tags) }
        if let posture = application.posture { line("posture", posture.contentTexts) }
        if let agent = application.agent { line("agent", [agent]) }
        if application.deviceProofs != [.agent] {
            line("device-proofs", application.deviceProofs.map(\.rawValue).sorted())
        }
        for policy in application.policies {
            line("policy", [policy.name, policy.action.rawValue])
            if let seconds = policy.sessionSecondsMax { line("session", [String(seconds)]) }
            write(policy.restriction)
            for condition in policy.include { line("include", condition.contentTexts) }
            for condition in policy.require { line("require", condition.contentTexts) }
            for condition in policy.exclude { line("exclude", condition.contentTexts) }
        }
    }

    /// What holds without a word has no line: a policy that uses none of it keeps its name.
    private mutating func write(_ strategy: CheckStrategy) {
        guard strategy != .require else { return }
        let until = strategy.warnsUntilSeconds.map { [String($0)] } ?? []
        line("strategy", [strategy.effect.rawValue] + until)
    }

    private mutating func write(_ outage: OutageSetting) {
        switch outage {
        case .failClosed: return
        case .partial: line("outage", ["partial"])
        case .unsafeLastVerdict(let seconds): line("outage", ["unsafe-last-verdict", String(seconds)])
        }
    }

    mutating func write(_ restriction: Restriction?) {
        guard let restriction else { return }
        if let methods = restriction.methods { line("restrict-methods", methods.map(\.rawValue)) }
        if let paths = restriction.pathPrefixes { line("restrict-paths", paths) }
        for limit in restriction.limits ?? [] { line("restrict-limit", limit.contentTexts) }
    }

    /// Byte by byte: what is escaped is ASCII, and stands in no other scalar's bytes.
    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { text in
            // Nearly all.
            guard text.contains(where: Self.isEscaped) else { return bytes.append(contentsOf: text) }
            for byte in text {
                switch byte {
                case UInt8(ascii: "\""): bytes.append(contentsOf: "\\\"".utf8)
                case UInt8(ascii: "\\"): bytes.append(contentsOf: "\\\\".utf8)
                case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
                case UInt8(ascii: "\r"): bytes.append(contentsOf: "\\r".utf8)
                default: bytes.append(byte)
                }
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func isEscaped(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == UInt8(ascii: "\n")
            || byte == UInt8(ascii: "\r")
    }
}
