import Access
import Config

/// What of a configuration is other than before, in an administrator's words and without any value: secrets are
/// among them.
struct ConfigurationChanges {
    /// `+ …` is new, `- …` is gone, `~ …` is another one.
    private(set) var lines: [String] = []

    init(from old: ConfigSnapshot, to new: ConfigSnapshot) {
        compare("application", old.applications, new.applications, \.name) { name in
            let before = old.policy.applications.first { $0.name == name }
            let after = new.policy.applications.first { $0.name == name }
            return before == after ? nil : "policies"
        }
        compare("identity provider", old.identityProviders, new.identityProviders, \.name)
        compare("integration", old.integrations, new.integrations, \.name)
        compare("token issuer", old.tokenIssuers, new.tokenIssuers, \.name)
        note("device policies", old.policy.devicePolicies != new.policy.devicePolicies)
        note("remediation", old.remediation != new.remediation)
        let certificates = { (config: ConfigSnapshot) in config.gateway.listeners.map(\.certificates) }
        note("gateway.listeners: certificates", certificates(old) != certificates(new))
        note("gateway.limits", old.gateway.limits != new.gateway.limits)
        note("gateway", Self.rest(old) != Self.rest(new))
    }

    /// The gateway's settings without those that have a line of their own.
    private static func rest(_ config: ConfigSnapshot) -> GatewaySettings {
        var settings = config.gateway
        settings.limits = LimitSettings()
        for index in settings.listeners.indices { settings.listeners[index].certificates = [] }
        return settings
    }

    private mutating func note(_ what: String, _ isOther: Bool) {
        if isOther { lines.append("~ \(what)") }
    }

    /// - Parameter further: what is other about something whose settings may be the same; nil: nothing.
    private mutating func compare<Part: Equatable>(
        _ kind: String, _ old: [Part], _ new: [Part], _ name: (Part) -> String,
        _ further: (String) -> String? = { _ in nil }
    ) {
        for part in new {
            guard let before = old.first(where: { name($0) == name(part) }) else {
                lines.append("+ \(kind) \(name(part))")
                continue
            }
            let words = [before == part ? nil : "settings", further(name(part))].compactMap { $0 }
            if !words.isEmpty { lines.append("~ \(kind) \(name(part)): \(words.joined(separator: ", "))") }
        }
        for part in old where !new.contains(where: { name($0) == name(part) }) {
            lines.append("- \(kind) \(name(part))")
        }
    }
}
