import Fetch
import JSON
import Signatures

/// How an administrator connects an integration that is read through Graph: consent to the application's own
/// permissions, or a sign-in in whose name it then reads (000.8, 001.16, 002.15).
struct GraphConsent: Sendable {
    let tenant: Graph.Tenant
    let client: ProviderClient
    /// Delegated permissions that are asked for; application permissions stand in the registration.
    let scopes: [String]

    var isDelegated: Bool { tenant.delegation != nil }

    /// Who may do that at the vendor (003.11).
    var role: String {
        isDelegated
            ? "Cloud Application Administrator (for the consent), with a role that may read devices, such as "
                + "Intune Administrator or Global Reader"
            : "Privileged Role Administrator (or Global Administrator)"
    }

    /// Where the administrator's browser goes.
    ///
    /// - Parameters:
    ///   - redirectURI: registered with the application, as the vendor asks.
    ///   - pkce: of a sign-in; see `ConnectState`.
    func url(redirectURI: String, state: String, challenge: String, nonce: String) -> String {
        let common = [
            (name: "client_id", value: tenant.clientID), (name: "redirect_uri", value: redirectURI),
            (name: "state", value: state),
        ]
        guard isDelegated else {
            let query = FormBody.text(common + [(name: "scope", value: tenant.ownScope)])
            return "\(tenant.loginURL)/\(tenant.id)/v2.0/adminconsent?\(query)"
        }
        let query = FormBody.text(
            common + [
                (name: "response_type", value: "code"), (name: "response_mode", value: "query"),
                (name: "scope", value: signInScope), (name: "code_challenge", value: challenge),
                (name: "code_challenge_method", value: "S256"), (name: "nonce", value: nonce),
                // Whoever is signed in to the browser is not by that the account that is meant.
                (name: "prompt", value: "select_account"),
            ])
        return "\(tenant.loginURL)/\(tenant.id)/oauth2/v2.0/authorize?\(query)"
    }

    private var signInScope: String {
        (scopes.map { "\(tenant.graphURL)/\($0)" } + ["openid", "profile", "offline_access"])
            .joined(separator: " ")
    }

    /// Exchanges the code of a sign-in and keeps its refresh token.
    ///
    /// - Returns: whose account it is, or that it is of another directory.
    /// - Throws: `auth_failed` for a refused code, and for tokens of another client or sign-in.
    func redeem(
        _ code: String, of state: ConnectState
    ) async throws(ConnectorFailure) -> ConnectOutcome {
        let now = client.clock.nowSeconds()
        let form =
            tenant.proof(nowSeconds: now) + [
                (name: "grant_type", value: "authorization_code"), (name: "code", value: code),
                (name: "redirect_uri", value: state.redirectURI),
                (name: "code_verifier", value: state.verifier),
                (name: "scope", value: signInScope),
            ]
        var request = FetchRequest(url: tenant.tokenURL)
        request.method = "POST"
        request.fields = [
            ("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json"),
        ]
        request.body = Array(FormBody.text(form).utf8)
        request.timeoutMilliseconds = 10_000
        request.bodyBytesMax = ProviderClient.smallBodyBytesMax
        let response = try await client.send(request)
        let answer = try ProviderClient.parse(response.body)
        guard response.status == 200 else {
            let word = Graph.tokenErrorWord(answer).map(ProviderClient.plain) ?? "no error code"
            throw ConnectorFailure(
                response.status >= 500 || response.status == 429 ? .unavailable : .authFailed,
                "Graph token endpoint: \(response.status) \(word)")
        }
        let directory = try check(answer, nonce: state.nonce)
        guard try await tenant.facts.isOwn(directory, client) else {
            return .wrongTenant(ProviderClient.plain(directory))
        }
        try await tenant.facts.received(answer, client)
        await tenant.delegation?.connected(answer, nowSeconds: now)
        return .connected(account: await tenant.delegation?.account ?? "(unnamed)")
    }

    /// The answer is this sign-in's, for us, and good for longer than an hour.
    ///
    /// - Returns: the directory that issued it.
    private func check(_ answer: JSONValue, nonce: String) throws(ConnectorFailure) -> String {
        guard let claims = UnverifiedClaims.read(answer["id_token"]?.string) else {
            throw ConnectorFailure(.authFailed, "Graph token endpoint: no readable id_token")
        }
        guard claims["aud"]?.string == tenant.clientID, claims["nonce"]?.string == nonce else {
            throw ConnectorFailure(.authFailed, "the id_token is of another sign-in")
        }
        guard let directory = claims["tid"]?.string else {
            throw ConnectorFailure(.authFailed, "the id_token names no directory")
        }
        guard answer["refresh_token"]?.string?.isEmpty == false else {
            throw ConnectorFailure(.authFailed, "no refresh token: the consent lacks offline_access")
        }
        return directory
    }
}

extension Graph.Tenant {
    /// Whose name, which permissions, for administrators to read.
    func describe(needing permissions: [String], in status: inout ConnectorStatus) async {
        status.isConnectable = true
        if let delegation { status.hasCredentials = await delegation.isConnected() }
        status.account = await delegation?.account
        status.accountEndsAtSeconds = await delegation?.receivedAtSeconds.map {
            $0.addingReportingOverflow(Graph.Delegation.idleSecondsMax).partialValue
        }
        status.granted = await facts.granted
        status.needed = Set(permissions)
        status.application = "graph \(id) \(clientID) \(delegation == nil ? "application" : "delegated")"
    }

    /// A probe was refused: which permission of which kind is missing.
    func missing(_ permission: String, _ failure: ConnectorFailure) -> ConnectorFailure {
        let kind = delegation == nil ? "application" : "delegated"
        return ConnectorFailure(.forbidden, "permission \(permission) (\(kind)) is missing: \(failure.what)")
    }
}
