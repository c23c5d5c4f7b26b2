/// The admin-consent and authorization endpoints, where an administrator's browser comes to connect the
/// gateway (providers.md 2.1), with everything that can go wrong there as a choice on the page.

import JSON
import Signatures
import Synchronization

extension GraphEmulator {
    /// A verified domain of the tenant: as good as its id everywhere but in what is answered.
    static let domain = "corp.example"
    static let otherTenant = "0badc0de-0000-4000-8000-000000000666"
    static let account = "admin@corp.example"

    static func isTenant(_ text: String) -> Bool { text.lowercased() == tenant || text == domain }

    /// nil: not one of these endpoints.
    func consentEndpoint(_ exchange: Exchange, _ segments: [String]) throws -> Response? {
        if segments.count == 4, segments[1...3] == ["v2.0", ".well-known", "openid-configuration"] {
            return discovery(tenant: segments[0])
        }
        let isConsent = segments.count == 3 && segments[1...2] == ["v2.0", "adminconsent"]
        let isSignIn = segments.count == 4 && segments[1...3] == ["oauth2", "v2.0", "authorize"]
        guard isConsent || isSignIn else { return nil }
        let text =
            exchange.head.method == "POST"
            ? String(decoding: try exchange.readBody(), as: UTF8.self) : exchange.head.query
        guard Self.isTenant(segments[0]), let request = Parameters(parsing: text) else {
            return .html(page("AADSTS90002", "There is no such directory."), status: 400)
        }
        guard request["client_id"] == Self.clientID, let target = request["redirect_uri"],
            target.hasPrefix("https://"), target.contains(ConsentState.redirectPath)
        else {
            // Nobody is sent to an address that is not registered (RFC 6749 4.1.2.1).
            return .html(
                page("AADSTS50011", "The client or the redirect URI is not registered."), status: 400)
        }
        if isSignIn, let problem = Self.problem(ofSignIn: request) {
            return back(request, [("error", "invalid_request"), ("error_description", problem)])
        }
        guard exchange.head.method == "POST" else {
            return .html(choices(request, path: exchange.head.path, isConsent: isConsent))
        }
        return decide(request, isConsent: isConsent, nowSeconds: exchange.nowSeconds)
    }

    private func discovery(tenant: String) -> Response {
        guard Self.isTenant(tenant) else {
            return .json(
                ["error": "invalid_tenant", "error_codes": [90002]], status: 400)
        }
        let base = "\(address)/\(Self.tenant)"
        return .json([
            "issuer": .string("\(base)/v2.0"), "token_endpoint": .string("\(base)/oauth2/v2.0/token"),
            "authorization_endpoint": .string("\(base)/oauth2/v2.0/authorize"),
        ])
    }

    private static func problem(ofSignIn request: Parameters) -> String? {
        guard request["response_type"] == "code", request["response_mode"] ?? "query" == "query" else {
            return "AADSTS900144: only response_type code in the query."
        }
        guard request["code_challenge_method"] == "S256",
            request["code_challenge"].flatMap({ Base64URL.decode($0) })?.count == 32
        else { return "AADSTS9002325: Proof Key for Code Exchange is required." }
        guard request["scope"]?.split(separator: " ").contains("openid") == true else {
            return "AADSTS70011: The provided scope is not valid."
        }
        return nil
    }

    /// What the person chose.
    private func decide(_ request: Parameters, isConsent: Bool, nowSeconds: Int64) -> Response {
        switch request["decision"] {
        case "decline":
            return back(
                request,
                [
                    ("error", "access_denied"),
                    ("error_description", "AADSTS65004: User declined to consent to access the app."),
                ])
        case "no-role":
            return back(
                request,
                [
                    ("error", "access_denied"),
                    (
                        "error_description",
                        "AADSTS90094: The grant requires admin permission. Trace ID: 1"
                    ),
                ])
        case "broken":
            return back(
                request,
                [("error", "server_error"), ("error_description", "AADSTS90033: A transient error.")])
        case "other-tenant": return approve(request, Self.otherTenant, isConsent, nowSeconds)
        default: return approve(request, Self.tenant, isConsent, nowSeconds)
        }
    }

    private func approve(
        _ request: Parameters, _ tenant: String, _ isConsent: Bool, _ nowSeconds: Int64
    ) -> Response {
        guard isConsent else {
            let scopes = request["scope"]?.split(separator: " ") ?? []
            let code = consent.withLock {
                $0.keep(
                    ConsentState.SignIn(
                        redirectURI: request["redirect_uri"] ?? "",
                        challenge: request["code_challenge"] ?? "", nonce: request["nonce"],
                        scopes: Set(scopes.compactMap { $0.split(separator: "/").last.map(String.init) }),
                        account: Self.account, tenant: tenant,
                        expiresAtSeconds: nowSeconds + ConsentState.codeSeconds))
            }
            return back(request, [("code", code), ("session_state", "s-1")])
        }
        // What another directory grants is of no use in this one.
        if tenant == Self.tenant { consent.withLock { $0.roles = ConsentState.registered } }
        return back(
            request, [("admin_consent", "True"), ("tenant", tenant), ("scope", request["scope"] ?? "")])
    }

    private func back(_ request: Parameters, _ pairs: [(String, String)]) -> Response {
        let state = request["state"].map { [("state", $0)] } ?? []
        return .redirect(to: "\(request["redirect_uri"] ?? "")?\(Parameters.encode(pairs + state))")
    }

    // MARK: Pages

    private func choices(_ request: Parameters, path: String, isConsent: Bool) -> String {
        let hidden = request.pairs.map { pair in
            "<input type=\"hidden\" name=\"\(Style.escape(pair.name))\" "
                + "value=\"\(Style.escape(pair.value))\">"
        }.joined()
        let buttons = [
            ("approve", isConsent ? "Accept" : "Continue as \(Self.account)"), ("decline", "Cancel"),
            ("no-role", "Accept, but without the role for it"),
            ("other-tenant", "Accept in another directory"),
            ("broken", "Let the directory fail"),
        ].map { name, title in
            "<p><button name=\"decision\" value=\"\(name)\">\(Style.escape(title))</button></p>"
        }.joined()
        let asked = request["scope"] ?? ""
        return Style.page(
            title: "Permissions requested",
            body: """
                <h1>Permissions requested</h1>
                <p class="soft"><code>\(Style.escape(asked))</code></p>
                <form method="post" action="\(Style.escape(path))">\(hidden)\(buttons)</form>
                """)
    }

    private func page(_ title: String, _ text: String) -> String {
        Style.page(title: title, body: "<h1>\(title)</h1><p>\(Style.escape(text))</p>")
    }

    // MARK: The code's grant

    /// Codes of sign-ins become tokens, each once, for who began them (RFC 7636 §4.6).
    func codeGrant(_ exchange: Exchange, _ form: Parameters) -> Response {
        let now = exchange.nowSeconds
        let found = consent.withLock { $0.redeem(form["code"] ?? "", nowSeconds: now) }
        let challenge = form["code_verifier"].map { Base64URL.encode(Digest.sha256(Array($0.utf8))) }
        guard let found, form["client_id"] == Self.clientID, form["redirect_uri"] == found.redirectURI,
            challenge == found.challenge
        else { return refuse(exchange, "invalid_grant", 70_008, "The authorization code is not valid.") }
        return issueDelegated(
            exchange, permissions: found.scopes, account: found.account, tenant: found.tenant,
            nonce: found.nonce)
    }

    /// An access token in somebody's name, the refresh token that follows it, and who it is.
    func issueDelegated(
        _ exchange: Exchange, permissions: Set<String>, account: String = account, tenant: String = tenant,
        nonce: String? = nil
    ) -> Response {
        let now = exchange.nowSeconds
        let fresh = Base64URL.encode(Random.bytes(48))
        let token = state.withLock { state in
            state.refreshTokens[fresh] = now
            return state.issueToken(
                nowSeconds: now, permissions: permissions, isDelegated: true, tenant: tenant)
        }
        var claims: JSONObject = [
            "preferred_username": .string(account), "tid": .string(tenant), "aud": .string(Self.clientID),
        ]
        if let nonce { claims["nonce"] = .string(nonce) }
        let identity = JWS.sign(header: [:], payload: claims, with: SigningKey.generateP256())
        return .json(
            [
                "token_type": "Bearer", "expires_in": .integer(GraphState.tokenSeconds),
                "scope": .string(permissions.sorted().joined(separator: " ")),
                "access_token": .string(token), "refresh_token": .string(fresh),
                "id_token": .string(identity),
            ], fields: identityFields(exchange))
    }

    /// `GET /lab/consent` lists what is granted, `POST {"roles": […]}` grants exactly that from the next
    /// token on.
    func consentControl(_ exchange: Exchange) throws -> Response {
        if exchange.head.method == "POST" {
            guard let roles = (try? JSONValue(parsing: try exchange.readBody()))?["roles"]?.array else {
                return .json(["error": "POST {\"roles\": [\"…\"]}"], status: 400)
            }
            consent.withLock { $0.roles = Set(roles.compactMap(\.string)) }
        }
        let roles = consent.withLock { $0.roles.sorted() }
        return .json(["roles": .array(roles.map { .string($0) })])
    }
}
