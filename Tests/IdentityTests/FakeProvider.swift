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
        /// Instead of the answer to a pushed request.
        var pushAnswer: FetchResponse?
        /// Instead of userinfo's answer.
        var userinfoAnswer: (@Sendable (_ grant: Grant?) -> FetchResponse)?
        /// What Graph answers.
        var graph: (@Sendable (_ request: FetchRequest, _ grant: Grant?) -> FetchResponse)?
        /// Instead of the access token.
        var accessToken: (@Sendable (_ grant: Grant) -> String)?
    }

    /// How a client is known here, beside by its secret.
    enum Registered {
        case key(VerificationKey)
        case certificate([UInt8])
    }

    struct Grant {
        var nonce: String
        var challenge: String
        var redirectURL: String
        var clientID: String
        /// The whole authorization request.
        var parameters: [String: String] = [:]
    }

    struct State {
        var faults = Faults()
        var nowSeconds: Int64 = 1_000_000
        var signer: (kid: String, key: SigningKey)
        /// What the key set shows; by default the signer.
        var published: [(kid: String, key: SigningKey)]
        var grants: [String: Grant] = [:]
        /// Codes that were given so far.
        var codeCount = 0
        var subject = "person-1"
        var tokenCount = 0
        var requests: [(path: String, request: FetchRequest)] = []
        var refresh = FakeRefresh()
        /// Runs whenever the key set was served.
        var afterKeys: (@Sendable (inout State) -> Void)?
        var registered: [String: Registered] = [:]
        /// `jti` of every assertion that was taken.
        var usedAssertions: Set<String> = []
        /// By `request_uri`.
        var pushed: [String: [String: String]] = [:]
        /// By access token.
        var given: [String: Grant] = [:]
        /// The parameters of every authorization request, as the endpoint read them.
        var authorizations: [[String: String]] = []
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
    var authorizations: [[String: String]] { locked.withLock { $0.authorizations } }
    func last(_ path: String) -> FetchRequest? {
        locked.withLock { $0.requests.last { $0.path == path }?.request }
    }

    // MARK: Browser side

    /// The authorization endpoint: the URL that the browser is sent back to.
    func authorize(_ url: String) -> String {
        let sent = FormText.parse(String(url.split(separator: "?", maxSplits: 1)[1])) ?? [:]
        return locked.withLock { state in
            var query = sent
            if let name = sent["request_uri"] {
                // Once, for the client that pushed it, and nothing beside it counts (RFC 9126 §4).
                query = state.pushed.removeValue(forKey: name) ?? [:]
                guard sent.count == 2, sent["client_id"] == query["client_id"] else { return "about:blank" }
            }
            state.authorizations.append(query)
            var answer: [(String, String)] = [("state", query["state"] ?? "")]
            if let error = state.faults.error {
                answer += error
            } else {
                state.codeCount += 1
                let code = "code-\(state.codeCount)"
                state.grants[code] = Grant(
                    nonce: query["nonce"] ?? "", challenge: query["code_challenge"] ?? "",
                    redirectURL: query["redirect_uri"] ?? "", clientID: query["client_id"] ?? "",
                    parameters: query)
                answer.append(("code", code))
            }
            if state.faults.sendsIssuer { answer.append(("iss", issuer)) }
            return (query["redirect_uri"] ?? "") + "?" + FormText.encode(answer)
        }
    }

    // MARK: Gateway side

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        let asked = String(request.url.dropFirst(issuer.count))
        // Endpoints have aliases for mutual TLS.
        let path = asked.hasPrefix("/mtls/") ? String(asked.dropFirst("/mtls".count)) : asked
        let result: Result<FetchResponse, FetchError> = locked.withLock { state in
            state.requests.append((asked, request))
            if let failure = state.faults.failure[asked] { return .failure(failure) }
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
            case "/par": return .success(push(request, &state))
            case "/revoke": return .success(revoked(request, &state))
            case "/userinfo":
                if let answer = state.faults.userinfoAnswer { return .success(answer(grant(request, state))) }
                guard let info = state.faults.userinfo else { return .success(FetchResponse(status: 404)) }
                return .success(Self.json(info))
            case _:
                guard path.hasPrefix("/graph/"), let graph = state.faults.graph else {
                    return .failure(FetchError(.unreachable, "no \(path)"))
                }
                return .success(graph(request, grant(request, state)))
            }
        }
        // Decided by now: the provider has done what it was asked, and its answer is on the way.
        let gate = locked.withLock { path == "/token" ? $0.refresh.gate : nil }
        await gate?.pass()
        return try result.get()
    }

    private func grant(_ request: FetchRequest, _ state: State) -> Grant? {
        let field = request.fields.first { $0.0 == "Authorization" }?.1 ?? ""
        return state.given[String(field.dropFirst("Bearer ".count))]
    }

    /// RFC 9126 §2.
    private func push(_ request: FetchRequest, _ state: inout State) -> FetchResponse {
        if let answer = state.faults.pushAnswer { return answer }
        let form = FormText.parse(String(decoding: request.body ?? [], as: UTF8.self)) ?? [:]
        guard let client = form["client_id"], form["request_uri"] == nil,
            isAuthenticated(request, form, client, &state)
        else { return Self.json(["error": "invalid_client"], status: 401) }
        let name = "urn:ietf:params:oauth:request_uri:\(state.requests.count)"
        let proof = ["client_secret", "client_assertion", "client_assertion_type"]
        state.pushed[name] = form.filter { !proof.contains($0.key) }
        return Self.json(["request_uri": .string(name), "expires_in": 60], status: 201)
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
            isAuthenticated(request, form, grant.clientID, &state)
        else { return Self.json(["error": "invalid_grant"], status: 400) }
        let access = state.faults.accessToken?(grant) ?? "access-\(code)"
        state.given[access] = grant
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

    func isAuthenticated(
        _ request: FetchRequest, _ form: [String: String], _ client: String, _ state: inout State
    ) -> Bool {
        let field = request.fields.first { $0.0 == "Authorization" }?.1
        switch state.registered[client] {
        case .key(let key):
            guard field == nil, form["client_secret"] == nil, form["client_id"] == client else {
                return false
            }
            return isTaken(form, client, key, &state)
        case .certificate(let chain):
            return form["client_id"] == client && field == nil && form["client_secret"] == nil
                && request.clientCertificatePEM == chain
        case nil:
            let pair = "\(FormText.encode(client)):\(FormText.encode(secrets[client] ?? ""))"
            if field == "Basic " + Base64.encode(Array(pair.utf8)) { return true }
            return form["client_id"] == client && form["client_secret"] == secrets[client]
        }
    }

    /// RFC 7523 §3, strictly; each assertion once.
    private func isTaken(
        _ form: [String: String], _ client: String, _ key: VerificationKey, _ state: inout State
    ) -> Bool {
        guard
            form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            let token = try? JWS(compact: form["client_assertion"] ?? ""), token.verify(with: key),
            let claims = try? token.payloadObject, claims["iss"]?.string == client,
            claims["sub"]?.string == client,
            claims["aud"]?.string == issuer || claims["aud"]?.string == "\(issuer)/token",
            let expiry = claims["exp"]?.integer, expiry > state.nowSeconds, expiry <= state.nowSeconds + 300,
            let id = claims["jti"]?.string
        else { return false }
        return state.usedAssertions.insert(id).inserted
    }
}
