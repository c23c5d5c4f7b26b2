import Access
import Signatures
import Store

/// Signing out.
extension SignInFlow {
    /// `/.gatepost/sign-out` on the auth host or an application host. GET shows a confirmation; POST with that host's
    /// own Origin ends the global session, everything under it and everything linked to it.
    public func signOut(_ request: FlowRequest) async -> FlowAnswer {
        if request.method == "GET" || request.method == "HEAD" { return .confirmSignOut }
        guard request.method == "POST" else {
            return .refuse(FlowRefusal(.methodNotAllowed, detail: "sign-out is a POST"))
        }
        let origin = configuration.origin(of: request.host)
        // Without Origin, or with "null", a page of anybody could sign people out.
        guard let sent = request.originField, ExactText.isEqual(sent, origin) else {
            return .refuse(FlowRefusal(.originNotAllowed, detail: "sign-out from another origin"))
        }
        do throws(StoreError) {
            return try await end(request)
        } catch {
            return storeFailed(error, retryURL: origin + ReservedPath.signOut)
        }
    }

    private func end(_ request: FlowRequest) async throws(StoreError) -> FlowAnswer {
        let kind: StoredSession.Kind =
            ExactText.isEqual(request.host, configuration.authHost) ? .global : .application
        let clearing = [SessionCookie.clearing]
        guard
            let session = try await sessions.lookUp(
                cookieField: request.cookieField, kind: kind, host: request.host,
                nowSeconds: request.nowSeconds)
        else { return .signedOut(url: nil, removed: [], setCookies: clearing) }
        var global: StoredSession? = session
        if let id = session.globalID { global = try await store.session(id: id) }
        let tokens = await refreshes(endingWith: global ?? session)
        let removed = try await sessions.end(ids: [global?.id ?? session.id])
        // Now, and not after the provider was asked where it signs people out: it may take its time.
        ended(removed)
        giveBack(tokens, nowSeconds: request.nowSeconds)
        let url = await providerSignOut(global ?? session, request)
        return .signedOut(url: url, removed: removed, setCookies: clearing)
    }

    /// RP-initiated sign-out at the provider (OpenID Connect RP-Initiated Logout 1.0 §2). Our own sessions are ended
    /// by now: a provider that is down cannot keep anybody signed in here.
    private func providerSignOut(_ session: StoredSession, _ request: FlowRequest) async -> String? {
        guard let provider = configuration.provider(session.identityProvider),
            let metadata = try? await directory.metadata(of: provider, nowSeconds: request.nowSeconds),
            let endpoint = metadata.endSessionEndpoint
        else { return nil }
        var parameters = [("client_id", provider.clientID)]
        if let sealed = session.idToken, let hint = seals.sealer.open(sealed, context: Self.idTokenContext) {
            parameters.append(("id_token_hint", String(decoding: hint, as: UTF8.self)))
        }
        return endpoint + (endpoint.contains("?") ? "&" : "?") + FormText.encode(parameters)
    }
}
