import Access
import JSON

/// What an authorization request asks beside who we are (OpenID Connect Core §3.1.2.1, §5.5).
struct AuthenticationRequest {
    var contexts: [String]
    var methods: [String] = []
    var maxAgeSeconds: Int64?
    var prompt: String?
    var scopes: [String]
    /// What a resource of the provider wants asked for.
    var demanded: DemandedClaims?
    /// We answer such demands, and the resource may know it (Microsoft identity platform: "client capabilities").
    var announcesCapability: Bool

    /// - Parameters:
    ///   - demand: a step-up; it asks what policy asks, whatever is configured for a first sign-in.
    ///   - demanded: a second request of one sign-in, by a person who has just proved who they are.
    init(
        _ provider: IdentityProviderRegistration, _ application: IdentityApplication, _ demand: StepUpDemand?,
        _ demanded: DemandedClaims? = nil
    ) {
        self.demanded = demanded
        announcesCapability = provider.graphURL != nil
        let configured = [provider.ask.maxAgeSeconds, application.ask.maxAgeSeconds].compactMap { $0 }
        scopes = ["openid"]
        for scope in provider.scopes + application.ask.scopes where !scopes.contains(scope) {
            scopes.append(scope)
        }
        guard let demand else {
            contexts = application.ask.contexts.isEmpty ? provider.ask.contexts : application.ask.contexts
            maxAgeSeconds = configured.min()
            prompt = demanded == nil ? application.ask.prompt ?? provider.ask.prompt : nil
            return
        }
        contexts = Self.flat(demand.stepUp.contexts)
        methods = Self.flat(demand.stepUp.methods)
        maxAgeSeconds = (configured + [demand.stepUp.ageSecondsMax].compactMap { $0 }).min()
        // A fresh proof only where its age is what is missing: otherwise the provider knows best what to ask.
        prompt = demand.stepUp.isAgeShort && demanded == nil ? "login" : nil
    }

    private static func flat(_ lists: [[String]]) -> [String] {
        var all: [String] = []
        for value in lists.joined() where !all.contains(value) { all.append(value) }
        return all
    }

    func parameters(_ style: IdentityProviderRegistration.ContextStyle) -> [(String, String)] {
        var parameters: [(String, String)] = []
        if style == .acr, !contexts.isEmpty {
            parameters.append(("acr_values", contexts.joined(separator: " ")))
        }
        var claims: JSONObject = [:]
        if style == .acrs, !contexts.isEmpty { claims["acrs"] = Self.essential(contexts) }
        if !methods.isEmpty { claims["amr"] = Self.essential(methods) }
        var asked: JSONObject = [:]
        if !claims.members.isEmpty { asked["id_token"] = .object(claims) }
        if announcesCapability { asked["access_token"] = ["xms_cc": ["values": ["cp1"]]] }
        if let demanded { asked = demanded.added(to: asked) }
        if !asked.members.isEmpty {
            parameters.append(("claims", String(decoding: asked.serialized(), as: UTF8.self)))
        }
        if let maxAgeSeconds { parameters.append(("max_age", String(maxAgeSeconds))) }
        if let prompt { parameters.append(("prompt", prompt)) }
        return parameters
    }

    /// Entra documents `value` for one; Core §5.5.1 has `values` for a choice.
    private static func essential(_ values: [String]) -> JSONValue {
        values.count == 1
            ? ["essential": true, "value": .string(values[0])]
            : ["essential": true, "values": .array(values.map { .string($0) })]
    }
}

/// What a configured provider or application asks of every sign-in.
public struct ConfiguredAsk: Sendable, Hashable {
    /// Authentication contexts, the preferred one first. A wish: what must hold is a condition of policy.
    public var contexts: [String]
    /// The person must have proved who they are at most so long ago; a token that does not say when is refused.
    public var maxAgeSeconds: Int64?
    /// `login`, `consent` or `select_account`.
    public var prompt: String?
    /// Scopes beside the provider's.
    public var scopes: [String]
    /// Of a provider: how long a sign-in there lasts; nil: the default.
    public var sessionSeconds: Int64?
    /// A session that is not used for so long ends; nil: it lasts as long as it lasts.
    public var idleSeconds: Int64?

    /// Takes the members as they are; nothing is checked here.
    public init(
        contexts: [String] = [], maxAgeSeconds: Int64? = nil, prompt: String? = nil, scopes: [String] = [],
        sessionSeconds: Int64? = nil, idleSeconds: Int64? = nil
    ) {
        self.contexts = contexts
        self.maxAgeSeconds = maxAgeSeconds
        self.prompt = prompt
        self.scopes = scopes
        self.sessionSeconds = sessionSeconds
        self.idleSeconds = idleSeconds
    }
}
