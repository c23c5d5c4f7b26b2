import Access
import Fetch
import JSON
import Signatures

/// What is known of a person beside the id token: userinfo, chosen claims of the access token, groups that no
/// token has a place for.
///
/// The id token goes before everything: what it says, or has an opinion about, nobody else adds or changes.
/// Then userinfo adds e-mail address, name and groups; the access token the claims that are configured; Graph
/// the groups of which the tokens say that they exist. What could not be had is unknown, not empty.
extension TokenExchange {
    /// - Parameter mayWait: a provider that does not answer now is an error. Otherwise what it would have said is
    ///   unknown.
    func completed(
        _ token: IDToken, accessToken: String?, mayWait: Bool = false
    ) async throws(IdentityError) -> PersonFacts {
        var person = try await withUserinfo(token, accessToken, mayWait)
        if let wanted = registration.accessTokenClaims {
            let claims = try await accessTokenClaims(wanted, token, accessToken)
            for (name, value) in claims where person.claims[name] == nil { person.claims[name] = value }
        }
        guard let base = registration.graphURL, ClaimReader.hidesGroups(person) else { return person }
        let overage = GroupOverage(exchange: self, base: base)
        do throws(IdentityError) {
            person.groups = try await overage.groups(of: token.claims, accessToken: accessToken)
            person.claims[ClaimReader.unknownGroupsClaim] = nil
        } catch {
            if mustPassOn(error, mayWait) { throw error }
        }
        return person
    }

    private func mustPassOn(_ error: IdentityError, _ mayWait: Bool) -> Bool {
        error.kind == .claimsDemanded || (mayWait && error.kind == .providerUnavailable)
    }

    /// Neither groups nor the word that there are more than it says.
    static func lacksGroups(_ token: IDToken) -> Bool {
        token.claims["groups"] == nil && token.person.claims[ClaimReader.unknownGroupsClaim] == nil
    }

    // MARK: Userinfo (Core §5.3)

    /// Adds e-mail address and groups where the id token has neither a value nor an opinion.
    private func withUserinfo(
        _ token: IDToken, _ accessToken: String?, _ mayWait: Bool
    ) async throws(IdentityError) -> PersonFacts {
        var person = token.person
        let lacksEmail = token.claims["email"] == nil
        let lacksGroups = Self.lacksGroups(token)
        guard lacksEmail || lacksGroups, let url = metadata.userinfoEndpoint, let accessToken else {
            return person
        }
        var info: JSONObject?
        do throws(IdentityError) {
            info = try await userinfo(url, accessToken)
        } catch {
            if mustPassOn(error, mayWait) { throw error }
        }
        // Core §5.3.2: another subject's answer must not be used, not even in part.
        guard let info, let subject = try? ClaimReader(claims: info).subject(),
            ExactText.isEqual(subject, person.subject)
        else {
            // Groups that could not be had are not no groups: who is excluded by one must not get in by that.
            if lacksGroups { person.claims[ClaimReader.unknownGroupsClaim] = .flag(true) }
            return person
        }
        let reader = ClaimReader(
            claims: info, demandsVerifiedEmail: registration.demandsVerifiedEmail)
        if lacksEmail, let email = try reader.email() {
            person.email = email
            person.claims["email_verified"] = try reader.otherClaims()["email_verified"]
        }
        if lacksGroups {
            person.groups = try reader.groups()
            // Here, too, may stand that there are groups for which there was no room.
            if reader.namesHiddenGroups { person.claims[ClaimReader.unknownGroupsClaim] = .flag(true) }
        }
        person.name = person.name ?? reader.name()
        return person
    }

    func userinfo(_ url: String, _ accessToken: String) async throws(IdentityError) -> JSONObject {
        var request = FetchRequest(
            url: metadata.address(of: url, for: registration),
            fields: [
                ("Accept", "application/json, application/jwt"), ("Authorization", "Bearer \(accessToken)"),
            ],
            timeoutMilliseconds: 5_000, bodyBytesMax: AuthenticatedForm.answerBytesMax,
            allowsPlainHTTP: registration.allowsPlainHTTP, authoritiesPEM: registration.authoritiesPEM)
        // A token that is bound to our certificate is good only beside it (RFC 8705 §3).
        if case .certificate(let certificate) = registration.proof {
            request.clientCertificatePEM = certificate.chainPEM
            request.clientKeyPEM = certificate.keyPEM
        }
        let response = try await fetch(request)
        guard response.status == 200 else { throw refusal(of: "userinfo", response) }
        guard response.isJWT else { return try parsed(response, "userinfo") }
        guard let compact = String(validating: response.body, as: UTF8.self) else {
            throw IdentityError(.providerMalformed, "\(registration.name): userinfo is no text")
        }
        return try await claims(
            of: compact, audience: registration.clientID, what: "userinfo", expires: false)
    }

    /// Why a resource that takes the access token has no answer.
    func refusal(of what: String, _ response: FetchResponse) -> IdentityError {
        let text = "\(registration.name): \(what): status \(response.status)"
        if response.status == 401 {
            let fields = response.fields.filter { $0.name == "www-authenticate" }.map(\.value)
            if let demanded = DemandedClaims.of(fields) {
                var error = IdentityError(
                    .claimsDemanded,
                    text + (demanded == nil ? ", demanding claims that cannot be asked for" : ""))
                error.demanded = demanded
                return error
            }
        }
        return IdentityError(Self.isPassing(response) ? .providerUnavailable : .providerRefused, text)
    }

    // MARK: Signed claims that are no id token

    /// The claims of a token that the provider signed for `audience`.
    ///
    /// - Parameter expires: `exp` must be there; where it is, it must not be past in any case.
    func claims(
        of compact: String, audience: String, what: String, expires: Bool
    ) async throws(IdentityError) -> JSONObject {
        var validator = IDTokenValidator(
            issuer: registration.issuer, clientID: audience, nonce: "", accessToken: nil,
            nowSeconds: nowSeconds)
        validator.tenants = registration.tenants
        let token = try validator.parse(compact)
        let keys = try await directory.candidates(
            keyID: token.keyID, algorithm: token.algorithm, of: registration, nowSeconds: nowSeconds)
        let claims = try validator.signedClaims(token, keys: keys)
        let named: [JSONValue] = claims["aud"]?.array ?? claims["aud"].map { [$0] } ?? []
        guard named.contains(where: { $0.string.map { ExactText.isEqual($0, audience) } == true }) else {
            throw IdentityError(.tokenInvalid, "\(what): aud does not name \(audience)")
        }
        let skew = IDTokenValidator.skewSeconds
        func time(_ name: String) throws(IdentityError) -> Int64? {
            guard let value = claims[name] else { return nil }
            guard let number = value.number, (0...1e12).contains(number) else {
                throw IdentityError(.tokenInvalid, "\(what): \(name) is no time")
            }
            return Int64(number)
        }
        let expiry = try time("exp")
        guard expiry.map({ nowSeconds < $0 + skew }) ?? !expires else {
            throw IdentityError(.tokenInvalid, "\(what): exp is missing or past")
        }
        for name in ["iat", "nbf"] {
            guard try time(name).map({ $0 <= nowSeconds + skew }) ?? true else {
                throw IdentityError(.tokenInvalid, "\(what): \(name) is in the future")
            }
        }
        return claims
    }
}

extension FetchResponse {
    /// Media type `application/jwt` (RFC 7519 §10.3.1).
    fileprivate var isJWT: Bool {
        let type = (field("content-type") ?? "").prefix { $0 != ";" }
        return type.filter { $0 != " " }.lowercased() == "application/jwt"
    }
}

extension ClaimReader {
    /// Whether a document says that there are groups which it does not hold, in either of Entra's two ways.
    var namesHiddenGroups: Bool {
        if claims["_claim_names"]?["groups"] != nil { return true }
        guard let value = claims[Self.unknownGroupsClaim] else { return false }
        return value != false && value != "false" && !value.isNull
    }

    /// Whether conditions on groups take them for unknown.
    static func hidesGroups(_ person: PersonFacts) -> Bool {
        person.groups.isEmpty && person.claims[unknownGroupsClaim] != nil
    }
}
