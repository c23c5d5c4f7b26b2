/// What a directory's answer to an administrator's consent or sign-in says (providers.md 2.1), before
/// anything of it is believed.
enum ConnectAnswer: Sendable, Hashable {
    /// `admin_consent=True`.
    case consented(tenant: String?)
    /// The code of a sign-in.
    case code(String)
    /// An error word with the number for administrators.
    case refused(String, number: Int64?)
    case unreadable

    /// Numbers that say of a refusal that the person may not consent: without them it reads like a choice.
    /// They choose the words of a page and nothing else; the vendor calls its texts no contract.
    static let privilegeNumbers: Set<Int64> = [65_001, 90_093, 90_094, 90_095, 900_941]

    init(_ parameters: [String: String]) {
        if let error = parameters["error"], !error.isEmpty {
            let number = parameters["error_description"].flatMap(Self.number)
            self = .refused(ProviderClient.plain(error), number: number)
        } else if parameters["admin_consent"]?.lowercased() == "true" {
            self = .consented(tenant: parameters["tenant"])
        } else if let code = parameters["code"], !code.isEmpty, code.utf8.count <= 4_096 {
            self = .code(code)
        } else {
            self = .unreadable
        }
    }

    /// `AADSTS65004: …` begins every description.
    private static func number(_ text: String) -> Int64? {
        guard let start = text.utf8.firstRange(of: Array("AADSTS".utf8)) else { return nil }
        let digits = text.utf8[start.upperBound...].prefix(12).prefix { (0x30...0x39).contains($0) }
        return Int64(String(decoding: digits, as: UTF8.self))
    }
}

/// What came of an administrator's visit at the directory, for the page that ends it.
public enum ConnectOutcome: Sendable, Hashable {
    /// Consent was given, or the sign-in kept: the integration may be probed.
    ///
    /// - account: in whose name it is read; nil: in the application's own.
    case connected(account: String?)
    /// The person said no.
    case declined
    /// The person may not give the consent; the role that may.
    case privilegeMissing(role: String)
    /// Consent or sign-in are of another directory than the configured one.
    case wrongTenant(String)
    /// The directory's own word for what else went wrong.
    case refused(String)
    /// It cannot be told now; the link is used up.
    case unavailable(String)
    /// The state was not made here for this integration, or is too old: begin anew.
    case stateUnknown
    /// This link was followed before.
    case stateUsed
    /// No integration of that name is connected in a browser.
    case noSuchIntegration
}

/// Where an administrator's browser goes to connect an integration.
public struct ConnectLink: Sendable, Hashable {
    /// Of the vendor; holds a state that is good for one visit.
    public var url: String
    /// Must be registered with the application.
    public var redirectURI: String
    /// The state's end.
    public var expiresAtSeconds: Int64
    /// Whether the integration will read in the name of who signs in.
    public var isDelegated: Bool
    /// Who may do it.
    public var role: String
}
