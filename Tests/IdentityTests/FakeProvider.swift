import Fetch
import Foundation
import JSON
import Signatures
import Synchronization

@testable import Identity

/// An OpenID Provider in this process. It is strict where providers must be (PKCE, redirect URI, client, single use
/// of codes), and misbehaves only as told.
final class FakeProvider: Fetcher {
    struct Faults {
        /// Changes the id token's claims.
        var claims: @Sendable (inout JSONObject) -> Void = { _ in }
        /// Replaces the whole signed token.
        var token: (@Sendable (_ claims: JSONObject) -> String)?
        /// Instead of the token endpoint's answer.
        var tokenAnswer: FetchResponse?
        /// Instead of any answer to these paths' ends.
        var failure: [String: FetchError] = [:]
        var metadata: @Sendable (inout JSONObject) -> Void = { _ in }
        var userinfo: JSONObject?
        /// Header `kid`; nil leaves it out.
        var sendsKeyID = true
        /// What the authorization endpoint answers instead of a code.
        var error: [(String, String)]?
        var sendsIssuer = false
    }

    struct Grant {
        var nonce: String
        var challenge: String
        var redirectURL: String
        var clientID: String
    }

    struct State {
        var faults = Faults()
        var nowSeconds: Int64 = 1_000_000
        var signer: (kid: String, key: SigningKey)
        /// What the key set shows; by default the signer.
        var published: [(kid: String, key: SigningKey)]
        var grants: [String: Grant] = [:]
        var subject = "person-1"
        var tokenCount = 0
        var requests: [(path: String, request: FetchRequest)] = []
        var refresh = FakeRefresh()
        /// Runs whenever the key set was served.
        var afterKeys: (@Sendable (inout State) -> Void)?
    }

    let issuer: String
    let secrets: [String: String]
    let locked: Mutex<State>

    init(issuer: String = "https://idp.example/tenant", secrets: [String: String] = ["client": "s:e c+ret"]) {
        self.issuer = issuer
        self.secrets = secrets
        let key = SigningKey.generateP256()
        locked = Mutex(State(signer: ("k1", key), published: [("k1", key)]))
    }

    func change(_ edit: @Sendable (inout State) -> Void) { locked.withLock { edit(&$0) } }
    func misbehave(_ edit: @Sendable (inout Faults) -> Void) { locked.withLock { edit(&$0.faults) } }
    func count(_ path: String) -> Int { locked.withLock { $0.requests.filter { $0.path == path }.count } }
    func last(_ path: String) -> FetchRequest? {
        locked.withLock { $0.requests.last { $0.path == path }?.request }
    }

    // MARK: Browser side

    /// The authorization endpoint: the URL that the browser is sent back to.
    func authorize(_ url: String) -> String {
        let query = FormText.parse(String(url.split(separator: "?", maxSplits: 1)[1])) ?? [:]
        return locked.withLock { state in
            var answer: [(String, String)] = [("state", query["state"] ?? "")]
            if let error = state.faults.error {
                answer += error
            } else {
                let code = "code-\(state.grants.count + 1)"
                state.grants[code] = Grant(
                    nonce: query["nonce"] ?? "", challenge: query["code_challenge"] ?? "",
                    redirectURL: query["redirect_uri"] ?? "", clientID: query["client_id"] ?? "")
                answer.append(("code", code))
            }
            if state.faults.sendsIssuer { answer.append(("iss", issuer)) }
            return (query["redirect_uri"] ?? "") + "?" + FormText.encode(answer)
        }
    }

    // MARK: Gateway side

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        let path = String(request.url.dropFirst(issuer.count))
        let result: Result<FetchResponse, FetchError> = locked.withLock { state in
            state.requests.append((path, request))
            if let failure = state.faults.failure[path] { return .failure(failure) }
            switch path {
            case "/.well-known/openid-configuration": return .success(metadata(state))
            case "/keys":
                defer { state.afterKeys?(&state) }
                let keys = state.published.map { entry -> JSONValue in
                    var jwk = entry.key.publicKey.jwk
                    jwk["kid"] = .string(entry.kid)
                    return .object(jwk)
                }
                return .success(Self.json(["keys": .array(keys)]))
            case "/token":
                if let answer = refreshed(request, &state) { return answer }
                return .success(token(request, &state))
            case "/revoke": return .success(revoked(request, &state))
            case "/userinfo":
                guard let info = state.faults.userinfo else { return .success(FetchResponse(status: 404)) }
                return .success(Self.json(info))
            case _: return .failure(FetchError(.unreachable, "no \(path)"))
            }
        }
        // Decided by now: the provider has done what it was asked, and its answer is on the way.
        let gate = locked.withLock { path == "/token" ? $0.refresh.gate : nil }
        await gate?.pass()
        return try result.get()
    }

    static func json(_ object: JSONObject, status: Int = 200) -> FetchResponse {
        FetchResponse(
            status: status, fields: [("content-type", "application/json")],
            body: JSONValue.object(object).serialized())
    }

    private func metadata(_ state: State) -> FetchResponse {
        var document: JSONObject = [
            "issuer": .string(issuer), "authorization_endpoint": .string("\(issuer)/authorize"),
            "token_endpoint": .string("\(issuer)/token"), "jwks_uri": .string("\(issuer)/keys"),
            "userinfo_endpoint": .string("\(issuer)/userinfo"),
            "end_session_endpoint": .string("\(issuer)/logout"), "response_types_supported": ["code"],
        ]
        if state.refresh.announcesRevocation { document["revocation_endpoint"] = .string("\(issuer)/revoke") }
        state.faults.metadata(&document)
        return Self.json(document)
    }

    private func token(_ request: FetchRequest, _ state: inout State) -> FetchResponse {
        if let answer = state.faults.tokenAnswer { return answer }
        let form = FormText.parse(String(decoding: request.body ?? [], as: UTF8.self)) ?? [:]
        guard let code = form["code"], let grant = state.grants.removeValue(forKey: code),
            form["grant_type"] == "authorization_code", form["redirect_uri"] == grant.redirectURL,
            let verifier = form["code_verifier"],
            Base64URL.encode(Digest.sha256(Array(verifier.utf8))) == grant.challenge,
            isAuthenticated(request, form, grant.clientID)
        else { return Self.json(["error": "invalid_grant"], status: 400) }
        let access = "access-\(code)"
        var claims: JSONObject = [
            "iss": .string(issuer), "sub": .string(state.subject), "aud": .string(grant.clientID),
            "exp": .integer(state.nowSeconds + 300), "iat": .integer(state.nowSeconds),
            "nonce": .string(grant.nonce), "email": "Ann.Lee@Corp.example", "email_verified": true,
            "name": "Ann Lee", "groups": ["staff", "admins"],
        ]
        state.faults.claims(&claims)
        let compact = state.faults.token?(claims) ?? signed(claims, state)
        var answer: JSONObject = [
            "token_type": "Bearer", "access_token": .string(access), "id_token": .string(compact),
        ]
        if let first = state.refresh.begin(clientID: grant.clientID, nonce: grant.nonce, &state.tokenCount) {
            answer["refresh_token"] = .string(first)
            answer["expires_in"] = state.refresh.expiresIn.map { .integer($0) }
        }
        return Self.json(answer)
    }

    func signed(_ claims: JSONObject, _ state: State) -> String {
        if state.faults.sendsKeyID {
            return JWS.sign(
                header: ["kid": .string(state.signer.kid)], payload: claims, with: state.signer.key)
        }
        guard let bare = try? SigningKey(pem: state.signer.key.pem) else { return "" }
        return JWS.sign(header: [:], payload: claims, with: bare)
    }

    func isAuthenticated(_ request: FetchRequest, _ form: [String: String], _ client: String) -> Bool {
        let basic =
            "Basic "
            + Base64.encode(
                Array("\(FormText.encode(client)):\(FormText.encode(secrets[client] ?? ""))".utf8))
        if request.fields.contains(where: { $0.0 == "Authorization" && $0.1 == basic }) { return true }
        return form["client_id"] == client && form["client_secret"] == secrets[client]
    }
}
