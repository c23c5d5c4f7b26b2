import Access
import JSON
import Signatures

/// Claims that a resource of the provider wants asked for in a new authorization request before it answers:
/// the parameter `claims` of a Bearer challenge (Microsoft identity platform: "claims challenges").
struct DemandedClaims: Sendable, Hashable {
    /// The JSON text, an object of `id_token`, `userinfo` and `access_token` (OpenID Connect Core §5.5).
    let text: [UInt8]

    /// It travels in a URL, beside a state of up to 3 KiB.
    static let bytesMax = 2_048
    private static let places: Set<String> = ["id_token", "userinfo", "access_token"]

    /// The claims of the one Bearer challenge in `fields` that says `insufficient_claims`.
    ///
    /// - Parameter fields: every `WWW-Authenticate` value of a 401.
    /// - Returns: nil when there is no such challenge; `.some(nil)` when there is one that nobody can follow, or more
    ///   than one: which of them to follow would be a guess.
    static func of(_ fields: [String]) -> DemandedClaims?? {
        guard let challenges = AuthenticateField.challenges(in: fields) else { return nil }
        let wanting = challenges.filter {
            $0.isScheme("bearer") && $0["error"] == "insufficient_claims"
        }
        guard let first = wanting.first else { return nil }
        return .some(wanting.count == 1 ? first["claims"].flatMap(DemandedClaims.init(base64:)) : nil)
    }

    /// base64 in either alphabet, as both are in use; nil for what is not an object of the places that Core
    /// §5.5 has.
    init?(base64: String) {
        guard base64.utf8.count <= Self.bytesMax * 4 / 3 + 4,
            let bytes = Base64.decode(base64) ?? Base64URL.decode(base64), bytes.count <= Self.bytesMax,
            let object = try? JSONValue(parsing: bytes, limits: .token).object, !object.members.isEmpty,
            object.members.allSatisfy({ name, value in
                Self.places.contains { ExactText.isEqual($0, name) } && value.object != nil
            })
        else { return nil }
        text = bytes
    }

    /// Both together. What policy asks for stays as it is: a resource cannot weaken it.
    func added(to own: JSONObject) -> JSONObject {
        var all = own
        guard let object = try? JSONValue(parsing: text, limits: .token).object else { return all }
        for (place, value) in object.members {
            var claims = all[place]?.object ?? [:]
            for (name, request) in value.object?.members ?? [] where claims[name] == nil {
                claims[name] = request
            }
            all[place] = .object(claims)
        }
        return all
    }
}

extension SignInFlow {
    /// The second authorization request of a sign-in whose first answer a resource did not find enough; nil
    /// where nothing is demanded that could be asked for, or it was asked for already.
    ///
    /// The person's application, its provider and what policy asks for are those of the first; nothing of the
    /// first answer is kept.
    func askAgain(
        _ error: IdentityError, _ state: LoginState, _ provider: IdentityProviderRegistration,
        _ request: FlowRequest, _ clearing: String
    ) async -> FlowAnswer? {
        guard error.kind == .claimsDemanded, let demanded = error.demanded, !state.isDemanded,
            let application = application(of: state.goal),
            application.identityProviders.contains(where: { ExactText.isEqual($0, provider.name) })
        else { return nil }
        let answer = await authorize(
            provider, state.goal, application, request,
            demanded: (claims: demanded, first: state))
        guard case .redirect(let url, let setCookies) = answer else { return answer }
        // In this order: the new state may take the old one's cookie.
        return .redirect(url: url, setCookies: [clearing] + setCookies)
    }
}
