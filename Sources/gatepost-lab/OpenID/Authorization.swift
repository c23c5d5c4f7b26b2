/// The authorization endpoint: checks the request, asks for the person, answers with a code.

import JSON
import Signatures
import Synchronization

/// Why an authorization request was refused, and whether that may be told to the redirect URI.
private enum AuthorizationRefusal: Error {
    /// Client or redirect URI are not registered: the person is told, nobody is redirected (RFC 6749
    /// 4.1.2.1).
    case page(String)
    case redirect(to: String, error: String, description: String, state: String?)
}

extension OpenIDProvider {
    func authorize(_ exchange: Exchange) -> Response {
        guard exchange.head.method == "GET" else { return .text("GET only.\n", status: 405) }
        do throws(AuthorizationRefusal) {
            guard let sent = Parameters(parsing: exchange.head.query) else {
                throw .page("The request is malformed or names a parameter twice.")
            }
            guard let parameters = unfolded(sent, exchange.nowSeconds) else {
                throw .page(
                    "The pushed request is unknown, used or too old, or the request had to be pushed.")
            }
            let request = try check(parameters)
            return proceed(request, parameters, exchange)
        } catch {
            return refusal(error)
        }
    }

    private func check(_ parameters: Parameters) throws(AuthorizationRefusal) -> AuthorizationRequest {
        guard let client = clients.first(where: { $0.id == parameters["client_id"] }) else {
            throw .page("This application is not registered here.")
        }
        guard let redirectURI = parameters["redirect_uri"], client.redirectURIs.contains(redirectURI) else {
            throw .page("The address to return to is not registered for this application.")
        }
        let state = parameters["state"]
        func refuse(_ error: String, _ description: String) -> AuthorizationRefusal {
            .redirect(to: redirectURI, error: error, description: description, state: state)
        }
        guard parameters["response_type"] == "code" else {
            throw refuse("unsupported_response_type", "only code")
        }
        let scopes = (parameters["scope"] ?? "").split(separator: " ").map(String.init)
        guard scopes.contains("openid") else { throw refuse("invalid_scope", "openid is needed") }
        guard parameters["response_mode"] ?? "query" == "query" else {
            throw refuse("invalid_request", "only response_mode query")
        }
        guard parameters["code_challenge_method"] == "S256", let challenge = parameters["code_challenge"],
            Base64URL.decode(challenge)?.count == 32
        else { throw refuse("invalid_request", "PKCE with S256 is needed") }
        guard let asked = AskedAuthentication(parameters) else {
            throw refuse("invalid_request", "claims is not what OpenID Connect Core 5.5 describes")
        }
        let prompts = (parameters["prompt"] ?? "").split(separator: " ")
        guard !prompts.contains("none") || prompts.count == 1 else {
            throw refuse("invalid_request", "prompt=none stands alone")
        }
        guard parameters["max_age"].map({ Int64($0).map { $0 >= 0 } ?? false }) ?? true else {
            throw refuse("invalid_request", "max_age is no number of seconds")
        }
        return AuthorizationRequest(
            client: client, redirectURI: redirectURI, state: state, nonce: parameters["nonce"],
            challenge: challenge, scopes: scopes, asked: asked)
    }

    /// What is wrong with a request, for whoever pushed it; nil: nothing.
    func problem(of parameters: Parameters) -> (error: String, text: String)? {
        do throws(AuthorizationRefusal) {
            _ = try check(parameters)
            return nil
        } catch {
            switch error {
            case .page(let text): return ("invalid_request", text)
            case .redirect(_, let error, let description, _): return (error, description)
            }
        }
    }

    private func refusal(_ refusal: AuthorizationRefusal) -> Response {
        switch refusal {
        case .page(let text): return .html(SignInPage.refusal(text), status: 400)
        case .redirect(let address, let error, let description, let state):
            var pairs = [("error", error), ("error_description", description), ("iss", issuer)]
            if let state { pairs.append(("state", state)) }
            return .redirect(to: "\(address)?\(Parameters.encode(pairs))")
        }
    }

    private func proceed(_ request: AuthorizationRequest, _ parameters: Parameters, _ exchange: Exchange)
        -> Response
    {
        let prompt = parameters["prompt"] ?? ""
        let remembered = rememberedPerson(exchange, client: request.client)
        if let remembered, isMeant(remembered.person, by: parameters["login_hint"]), prompt != "login",
            prompt != "select_account"
        {
            let age = exchange.nowSeconds - remembered.sinceSeconds
            let isFresh = parameters["max_age"].flatMap { Int64($0) }.map { age <= $0 } ?? true
            if isFresh {
                var request = request
                request.sid = cookie(cookieName(request.client), exchange).map(Self.sessionName)
                return grantCode(
                    request, person: remembered.person, authenticatedAtSeconds: remembered.sinceSeconds,
                    exchange)
            }
        }
        if prompt == "none" {
            return refusal(
                .redirect(
                    to: request.redirectURI, error: "login_required", description: "nobody is signed in",
                    state: request.state))
        }
        let transaction = state.withLock { $0.suspend(request, nowSeconds: exchange.nowSeconds) }
        return signInPage(
            request, transaction: transaction, user: parameters["login_hint"] ?? "", problem: nil, status: 200
        )
    }

    /// A tenant asks when the hint is about somebody else than it knows; the plain provider takes it for what the field
    /// is filled with.
    private func isMeant(_ person: Person, by hint: String?) -> Bool {
        guard tenant != nil, let hint else { return true }
        return hint == person.email || hint == person.user
    }

    private func signInPage(
        _ request: AuthorizationRequest, transaction: String, user: String, problem: String?, status: Int
    ) -> Response {
        let nonce = ProviderState.secretText()
        let page = SignInPage.form(
            client: request.client, action: prefix + "/sign-in", transaction: transaction, user: user,
            problem: problem, nonce: nonce)
        // No form-action: Chromium applies it to the redirects after the post as well, and those lead to
        // the gateway.
        let policy =
            "default-src 'none'; style-src 'nonce-\(nonce)'; base-uri 'none'; frame-ancestors 'none'"
        return .html(page, status: status, fields: [("Content-Security-Policy", policy)])
    }

    /// The post of the sign-in form.
    func signIn(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST" else { return .text("POST only.\n", status: 405) }
        guard let form = Parameters(parsing: try exchange.readBody()), let transaction = form["transaction"],
            let request = state.withLock({ $0.suspended(transaction, nowSeconds: exchange.nowSeconds) })
        else {
            let text = "This sign-in was left open too long. Go back to the application and start again."
            return .html(SignInPage.refusal(text), status: 400)
        }
        let user = form["user"] ?? ""
        guard let person = people.first(where: { $0.user == user || (tenant != nil && $0.email == user) }),
            constantTimeEqual(Array(person.password.utf8), Array((form["password"] ?? "").utf8))
        else {
            let problem = "That name and password do not belong together. Check both and try again."
            return signInPage(request, transaction: transaction, user: user, problem: problem, status: 403)
        }
        let cookie = state.withLock { state in
            state.forget(pending: transaction)
            return state.remember(person, clientID: request.client.id, nowSeconds: exchange.nowSeconds)
        }
        var named = request
        named.sid = Self.sessionName(cookie)
        var response = grantCode(
            named, person: person, authenticatedAtSeconds: exchange.nowSeconds, exchange)
        // Without Secure: the lab speaks plain HTTP on loopback.
        let attributes = "Path=/; HttpOnly; SameSite=Lax; Max-Age=28800"
        response.fields.append(("Set-Cookie", "\(cookieName(request.client))=\(cookie); \(attributes)"))
        return response
    }

    private func grantCode(
        _ request: AuthorizationRequest, person: Person, authenticatedAtSeconds: Int64, _ exchange: Exchange
    ) -> Response {
        if let refused = deviceRefusal(request.client, exchange) {
            return refusal(
                .redirect(
                    to: request.redirectURI, error: refused.error, description: refused.description,
                    state: request.state))
        }
        if faults.fires(.accessDenied) != nil {
            return refusal(
                .redirect(
                    to: request.redirectURI, error: "access_denied", description: "<b>not today</b>",
                    state: request.state))
        }
        let code = state.withLock { state in
            state.issueCode(
                request, person: person, authenticatedAtSeconds: authenticatedAtSeconds,
                nowSeconds: exchange.nowSeconds)
        }
        var pairs = [("code", code)]
        if faults.fires(.noIssuerParameter) == nil {
            pairs.append(
                ("iss", faults.fires(.wrongIssuerParameter) == nil ? issuer : "https://evil.example"))
        }
        if let state = request.state, faults.fires(.stateStripped) == nil {
            pairs.append(("state", faults.fires(.wrongState) == nil ? state : ProviderState.secretText()))
        }
        spoilAnswer(&pairs, request, person: person, exchange)
        return .redirect(to: "\(request.redirectURI)?\(Parameters.encode(pairs))")
    }

    /// Cookies of 127.0.0.1 are shared by all ports and clients, so the name tells them apart.
    /// A tenant knows a person for all of its registrations.
    func cookieName(_ client: Client) -> String { tenant == nil ? "lab-\(client.id)" : "lab-tenant" }

    private func rememberedPerson(
        _ exchange: Exchange, client: Client
    ) -> (person: Person, clientID: String, sinceSeconds: Int64)? {
        guard let id = cookie(cookieName(client), exchange),
            let entry = state.withLock({ $0.remembered[id] }), tenant != nil || entry.clientID == client.id,
            exchange.nowSeconds < entry.sinceSeconds + 28_800
        else { return nil }
        return entry
    }

    func cookie(_ name: String, _ exchange: Exchange) -> String? {
        for pair in (exchange.head.field("cookie") ?? "").split(separator: ";") {
            let halves = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
            if halves.count == 2, halves[0] == name { return String(halves[1]) }
        }
        return nil
    }

    /// OpenID Connect RP-Initiated Logout 1.0: by `client_id` or by the `aud` of `id_token_hint`.
    func signOut(_ exchange: Exchange) throws -> Response {
        let text = exchange.head.method == "POST" ? try exchange.readBody() : Array(exchange.head.query.utf8)
        guard let parameters = Parameters(parsing: text) else {
            return .html(SignInPage.refusal("The request is malformed."), status: 400)
        }
        let hinted = parameters["id_token_hint"].flatMap { try? JWS(compact: $0) }.flatMap { token in
            let isOurs = state.withLock { $0.keys.contains { token.verify(with: $0.publicKey) } }
            return isOurs ? (try? token.payloadObject)?["aud"]?.string : nil
        }
        let client = clients.first { $0.id == hinted ?? parameters["client_id"] }
        var expired: [(String, String)] = []
        for known in clients where client == nil || client == known {
            let name = cookieName(known)
            if let id = cookie(name, exchange) {
                let person = state.withLock { state in
                    defer { state.forget(remembered: id) }
                    return state.remembered[id]?.person
                }
                if let person {
                    let subject = tenant == nil ? person.subject : Self.pairwise(person, known)
                    announceLogout(of: known, subject: subject, cookie: id)
                }
            }
            expired.append(("Set-Cookie", "\(name)=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"))
        }
        guard let address = parameters["post_logout_redirect_uri"] else {
            return .html(SignInPage.signedOut, fields: expired)
        }
        guard let client, client.postLogoutURIs.contains(address) else {
            let text = "You are signed out, but the address to return to is not registered."
            return .html(SignInPage.refusal(text), status: 400, fields: expired)
        }
        if faults.fires(.endSessionBroken) != nil { return .text("oops\n", status: 500) }
        let query = answeredState(parameters["state"]).map { "?" + Parameters.encode([("state", $0)]) } ?? ""
        return .redirect(to: address + query, fields: expired)
    }

    /// The state that goes back with somebody who signed out.
    private func answeredState(_ state: String?) -> String? {
        if faults.fires(.logoutStateDropped) != nil { return nil }
        return faults.fires(.logoutStateOther) == nil ? state : ProviderState.secretText()
    }
}
