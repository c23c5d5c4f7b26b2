import Access
import Fetch
import JSON
import Signatures

/// What came of asking a provider again.
struct RefreshAnswer: Sendable {
    /// The token to ask with from now on; nil: the provider gave none, the one before stays.
    var token: String?
    /// How long the new access token is good.
    var expiresInSeconds: Int64?
    /// The provider has used the token and answered: nothing of its answer was lost on the way.
    var isGranted = false
    var result: Result<PersonNews, RefreshFailure>
}

/// The refresh grant (RFC 6749 §6, OpenID Connect Core §12) and giving tokens back (RFC 7009).
extension TokenExchange {
    private static let revocationMilliseconds = 5_000

    /// Asks the provider again. It is asked once; whoever calls sees to it that nobody else asks with this token.
    func refresh(_ kept: KeptRefresh, issuer: String, subject: String) async -> RefreshAnswer {
        let response: FetchResponse
        do throws(IdentityError) {
            response = try await ask(
                [("grant_type", "refresh_token"), ("refresh_token", kept.token)],
                at: metadata.tokenEndpoint, isSentOnce: true)
        } catch {
            let failure: RefreshFailure =
                error.kind == .providerUnavailable
                ? .unavailable(.init(what: error.what, retryAfterSeconds: nil, mayHaveRotated: true))
                : .refusesClient(error.what)
            return RefreshAnswer(result: .failure(failure))
        }
        guard response.status == 200,
            (try? TokenAnswerCheck.checkType(response, from: registration.name)) != nil,
            let answer = try? parsed(response, "refresh answer"), Self.isGrant(answer)
        else {
            return RefreshAnswer(
                result: .failure(
                    RefreshFailure(response, provider: registration.name, nowSeconds: nowSeconds)))
        }
        let token = KeptRefresh.token(answer)
        var result = await news(answer, kept, issuer: issuer, subject: subject)
        if case .failure(.unusable(let what)) = result {
            // Whoever reads the log asks whether the sign-in can still be refreshed.
            let next = token == nil ? "the refresh token stays" : "its new refresh token is kept"
            result = .failure(.unusable("\(what); \(next)"))
        }
        return RefreshAnswer(
            token: token, expiresInSeconds: KeptRefresh.expiresInSeconds(answer), isGranted: true,
            result: result)
    }

    /// Whether the provider has taken the refresh token: something new came, be it a refresh token alone. One that is
    /// dropped would be missing the next time, when the one before may be used up.
    private static func isGrant(_ answer: JSONObject) -> Bool {
        func has(_ name: String) -> Bool { answer[name].map { !$0.isNull } ?? false }
        return has("access_token") || has("id_token") || (has("refresh_token") && !has("error"))
    }

    private func news(
        _ answer: JSONObject, _ kept: KeptRefresh, issuer: String, subject: String
    ) async -> Result<PersonNews, RefreshFailure> {
        do throws(IdentityError) {
            let accessToken = try TokenAnswerCheck.accessToken(answer, from: registration.name)
            guard accessToken != nil || answer["id_token"].map({ !$0.isNull }) ?? false else {
                throw IdentityError(
                    .providerMalformed, "\(registration.name): neither access token nor id token")
            }
            switch answer["id_token"] {
            case .string(let compact):
                return try await news(
                    compact, accessToken, kept, issuer: issuer, subject: subject)
            case nil, .null: return try await news(accessToken, kept, subject: subject)
            case .bool, .integer, .number, .array, .object:
                throw IdentityError(.tokenInvalid, "id_token is no text")
            }
        } catch {
            switch error.kind {
            case .providerUnavailable:
                return .failure(
                    .unavailable(.init(what: error.what, retryAfterSeconds: nil, mayHaveRotated: false)))
            // What is demanded can only be asked for in a browser.
            case .claimsDemanded: return .failure(.interaction(error.kind.rawValue))
            case .providerMalformed, .providerRefused, .tokenInvalid:
                return .failure(.unusable(error.what))
            }
        }
    }

    /// Core §12.2: issuer, audience and subject are the sign-in's.
    private func news(
        _ compact: String, _ accessToken: String?, _ kept: KeptRefresh, issuer: String, subject: String
    ) async throws(IdentityError) -> Result<PersonNews, RefreshFailure> {
        var validator = IDTokenValidator(
            issuer: issuer, clientID: registration.clientID, nonce: kept.nonce,
            accessToken: accessToken, nowSeconds: nowSeconds)
        validator.mayLackNonce = true
        validator.demandsVerifiedEmail = registration.demandsVerifiedEmail
        let token = try validator.parse(compact)
        let keys = try await directory.candidates(
            keyID: token.keyID, algorithm: token.algorithm, of: registration, nowSeconds: nowSeconds)
        let validated = try validator.validate(token, keys: keys)
        guard ExactText.isEqual(validated.person.subject, subject) else { return .failure(.otherSubject) }
        let person = try await completed(validated, accessToken: accessToken, mayWait: true)
        return .success(PersonNews(person: person, askedAtSeconds: nowSeconds))
    }

    /// Without an id token userinfo is the only word about the person; where there is none either, the
    /// provider has said that the sign-in still stands, and no more.
    private func news(
        _ accessToken: String?, _ kept: KeptRefresh, subject: String
    ) async throws(IdentityError) -> Result<PersonNews, RefreshFailure> {
        var news = PersonNews(askedAtSeconds: nowSeconds)
        guard let url = metadata.userinfoEndpoint, let accessToken else { return .success(news) }
        let info: JSONObject
        do throws(IdentityError) {
            info = try await userinfo(url, accessToken)
        } catch {
            guard error.kind != .providerUnavailable, error.kind != .claimsDemanded else { throw error }
            news.areGroupsUnknown = kept.takesGroupsFromUserinfo
            return .success(news)
        }
        let reader = ClaimReader(
            claims: info, demandsVerifiedEmail: registration.demandsVerifiedEmail)
        guard ExactText.isEqual(try reader.subject(), subject) else { return .failure(.otherSubject) }
        if kept.takesEmailFromUserinfo, info["email"] != nil {
            news.email =
                try reader.email().map {
                    .address($0, verification: try? reader.otherClaims()[Self.verificationClaim])
                } ?? PersonNews.Email.none
        }
        if reader.namesHiddenGroups {
            news.areGroupsUnknown = kept.takesGroupsFromUserinfo
        } else if kept.takesGroupsFromUserinfo || info["groups"] != nil {
            news.groups = try reader.groups()
        }
        return .success(news)
    }

    private static let verificationClaim = "email_verified"

    /// Gives a refresh token back (RFC 7009 §2.1). A provider that has no endpoint for it keeps it until it expires.
    ///
    /// - Throws: when the provider did not confirm it; nobody waits for a second attempt.
    func revoke(refreshToken: String) async throws(IdentityError) {
        guard let endpoint = metadata.revocationEndpoint else { return }
        let response = try await ask(
            [("token", refreshToken), ("token_type_hint", "refresh_token")], at: endpoint,
            timeoutMilliseconds: Self.revocationMilliseconds)
        // Unknown tokens are answered 200 as well (§2.2).
        guard response.status == 200 || response.status == 204 else {
            throw IdentityError(
                .providerRefused, "\(registration.name): revocation: status \(response.status)")
        }
    }
}
