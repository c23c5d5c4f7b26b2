/// The refresh grant (RFC 6749 6) with rotation and reuse detection, and revocation (RFC 7009).

import JSON
import Synchronization

/// Refresh tokens by family: all that came of one sign-in. Whoever uses a token twice has shown that two know it, and
/// nobody can tell which of them is the right one; so the whole family ends (RFC 9700 4.14.2).
struct RefreshFamilies: Sendable {
    private struct Family {
        var grant: Grant
        /// The only one that is good.
        var current: String
    }

    static let entriesMax = 10_000
    private var families: [String: Family] = [:]
    /// Every token ever given, good or not, to the name of its family.
    private var tokens: [String: String] = [:]

    enum Use {
        case granted(Grant, token: String)
        /// Used before: the family is gone.
        case reused
        case unknown
    }

    /// The first token of a new family.
    mutating func begin(_ grant: Grant) -> String {
        if tokens.count >= Self.entriesMax { self = RefreshFamilies() }
        let token = ProviderState.secretText()
        families[token] = Family(grant: grant, current: token)
        tokens[token] = token
        return token
    }

    /// - Parameter rotates: the token is good once; false: as often as wanted.
    mutating func use(_ token: String, clientID: String, rotates: Bool) -> Use {
        guard let name = tokens[token], var family = families[name],
            family.grant.request.client.id == clientID
        else { return .unknown }
        guard family.current == token else {
            families[name] = nil
            return .reused
        }
        guard rotates else { return .granted(family.grant, token: token) }
        family.current = ProviderState.secretText()
        families[name] = family
        if tokens.count >= Self.entriesMax {
            self = RefreshFamilies()
            return .unknown
        }
        tokens[family.current] = name
        return .granted(family.grant, token: family.current)
    }

    /// Ends a family by any of its tokens; one of another client is none (RFC 7009 2.1).
    mutating func revoke(familyOf token: String?, clientID: String) {
        guard let token, let name = tokens[token], families[name]?.grant.request.client.id == clientID else {
            return
        }
        families[name] = nil
    }
}

extension OpenIDProvider {
    func refresh(_ form: Parameters, _ client: Client, _ exchange: Exchange) throws -> Response {
        if let refusal = wilfulRefusal() { return refusal }
        guard let token = form["refresh_token"] else {
            return refuse("invalid_request", "refresh_token is missing")
        }
        let rotates = faults.fires(.keepsRefreshToken) == nil
        let used = state.withLock { $0.refreshes.use(token, clientID: client.id, rotates: rotates) }
        switch used {
        case .unknown: return refuse("invalid_grant", "the refresh token is unknown or was taken back")
        case .reused:
            return refuse("invalid_grant", "the refresh token was used before; all of its family end")
        case .granted(let grant, let next):
            // Used up here, never heard there.
            if faults.fires(.refreshAnswerLost) != nil { throw DroppedConnection() }
            return .json(.object(answer(grant, rotates ? next : nil, exchange)))
        }
    }

    private func answer(_ grant: Grant, _ next: String?, _ exchange: Exchange) -> JSONObject {
        let now = exchange.nowSeconds
        // What the directory says today, not what it said at the sign-in.
        var grant = grant
        grant.person = people.first { $0.subject == grant.person.subject } ?? grant.person
        let own = resourceToken(grant, now)
        let access = state.withLock { $0.issueAccessToken(grant, named: own, nowSeconds: now) }
        var answer: JSONObject = [
            "access_token": .string(access), "token_type": "Bearer",
            "expires_in": .integer(ProviderState.tokenSeconds),
        ]
        if let next { answer["refresh_token"] = .string(next) }
        guard faults.fires(.refreshWithoutIDToken) == nil else { return answer }
        answer["id_token"] = .string(
            idToken(grant, accessToken: access, now) { payload in
                payload["nonce"] = faults.fires(.refreshNonce) == nil ? nil : "another"
                if faults.fires(.refreshSubject) != nil { payload["sub"] = "lab-9999" }
                if faults.fires(.refreshAudience) != nil { payload["aud"] = "somebody-else" }
                if faults.fires(.refreshProofNow) != nil { payload["auth_time"] = .integer(now) }
            })
        return answer
    }

    private func wilfulRefusal() -> Response? {
        if let setting = faults.fires(.refreshThrottled) {
            var response = refuse("temporarily_unavailable", "too many requests", status: 429)
            response.fields.append(("Retry-After", "\(setting.retryAfterSeconds)"))
            return response
        }
        if faults.fires(.refreshOutage) != nil { return .text("", status: 503) }
        let refusals: [(OpenIDFault, String, String)] = [
            (.refreshRevoked, "invalid_grant", "the sign-in was taken back"),
            (.refreshPassword, "invalid_grant", "AADSTS50173: the grant was revoked by a new password"),
            (.refreshDevice, "interaction_required", "AADSTS53000: the device is not compliant"),
            (.refreshInteraction, "interaction_required", "the person has to be seen"),
            (.refreshClient, "invalid_client", "the secret has expired"),
        ]
        for (fault, error, description) in refusals where faults.fires(fault) != nil {
            return refuse(error, description, status: error == "invalid_client" ? 401 : 400)
        }
        return nil
    }

    /// RFC 7009: whatever the token was, afterwards it is none.
    func revoke(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST" else { return .text("POST only.\n", status: 405) }
        if faults.fires(.revocationDown) != nil { return .text("", status: 503) }
        guard exchange.head.field("content-type")?.hasPrefix("application/x-www-form-urlencoded") == true,
            let form = Parameters(parsing: try exchange.readBody())
        else { return refuse("invalid_request", "not a form, or a doubled parameter") }
        guard let client = authenticate(exchange, form) else {
            return refuse("invalid_client", "unknown client or wrong secret", status: 401)
        }
        guard let token = form["token"] else { return refuse("invalid_request", "token is missing") }
        state.withLock { $0.refreshes.revoke(familyOf: token, clientID: client.id) }
        return .text("")
    }
}
