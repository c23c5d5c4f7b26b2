import Access
import JSON
import Signatures
import Store

/// Signing out.
extension SignInFlow {
    /// `/.gatepost/sign-out` on the auth host or an application host. GET shows a confirmation; POST with
    /// that host's own Origin ends the global session, everything under it and everything linked to it, and what the
    /// browser is signing in with. With `?everywhere=yes` it ends every session of these persons, whichever browser has
    /// it.
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
        guard let parameters = parameters(request) else { return malformed("query of sign-out") }
        do throws(StoreError) {
            return try await end(request, isEverywhere: parameters["everywhere"] == "yes")
        } catch {
            return storeFailed(error, retryURL: origin + ReservedPath.signOut)
        }
    }

    private func end(_ request: FlowRequest, isEverywhere: Bool) async throws(StoreError) -> FlowAnswer {
        let kind: StoredSession.Kind =
            ExactText.isEqual(request.host, configuration.authHost) ? .global : .application
        let clearing = [SessionCookie.clearing]
        let host = kind == .application ? request.host : nil
        noteSignedOut(request, kind)
        let browser = try await signIns(request, kind)
        guard let global = browser.first else {
            return .signedOut(
                url: nil, removed: [], setCookies: clearing, page: SignedOutPage(againURL: againURL(host)))
        }
        let names = SignedOutBrowser.names(of: browser)
        let linked = Array(browser.dropFirst())
        var removed: [StoredSession] = []
        if isEverywhere {
            // Before anything ends: a sign-in under way has become something that is found below, or finds this.
            try await store.noteSignOut(ofBrowsers: names, atSeconds: request.nowSeconds)
            removed += try await endEverywhere([global] + linked, request.nowSeconds)
        }
        let own = try await store.signOut(
            browser.map(\.id), names: names, atSeconds: request.nowSeconds)
        // Now, and not after the provider was asked where it signs people out: it may take its time.
        ended(own.sessions)
        removed += own.sessions
        giveBack(own.refreshes, nowSeconds: request.nowSeconds)
        let others = Set(linked.map(\.identityProvider)).subtracting([global.identityProvider]).sorted()
        let url = await providerSignOut(global, others: others, isEverywhere: isEverywhere, request)
        return .signedOut(
            url: url, removed: removed, setCookies: clearing,
            page: page(host: host, others: others, isEverywhere: isEverywhere))
    }

    /// The global sessions of the browser that asks, the one of its cookie in front. That one may have ended by itself
    /// while others of the same browser live.
    func signIns(
        _ request: FlowRequest, _ kind: StoredSession.Kind
    ) async throws(StoreError) -> [StoredSession] {
        guard
            let session = try await sessions.lookUp(
                cookieField: request.cookieField, kind: kind, host: request.host,
                nowSeconds: request.nowSeconds)
        else { return try await signInsLeftBehind(request) }
        var found: StoredSession? = session
        if let id = session.globalID { found = try await store.session(id: id) }
        let global = found ?? session
        return [global] + (try await linked(to: global))
    }

    /// What the browser of a cookie still has whose session has ended. Where that was an application's, only the
    /// sign-in that it was under is known by it: the others are those that are linked to that one.
    private func signInsLeftBehind(_ request: FlowRequest) async throws(StoreError) -> [StoredSession] {
        var browser = try await sessions.leftBehind(cookieField: request.cookieField, host: request.host)
        for session in browser {
            for other in try await linked(to: session)
            where !browser.contains(where: { ExactText.isEqual($0.id, other.id) }) {
                browser.append(other)
            }
        }
        return browser
    }

    private func linked(to global: StoredSession) async throws(StoreError) -> [StoredSession] {
        let ids = Sessions.linked(global)
        return ids.isEmpty ? [] : try await store.sessions(.ids(ids), limit: ids.count)
    }

    /// Every session of the persons that this browser is signed in as, and what other browsers have linked to
    /// them: to sign a browser out of one is to sign it out of all.
    ///
    /// The person of the session that asks comes last: when the store fails before, it can ask again.
    private func endEverywhere(
        _ sessions: [StoredSession], _ nowSeconds: Int64
    ) async throws(StoreError) -> [StoredSession] {
        var removed: [StoredSession] = []
        var known: Set<ExactKey> = []
        for session in sessions.reversed() {
            guard known.insert(ExactKey("\(session.issuer)\n\(session.subject)")).inserted else { continue }
            let tokens = await refreshes(ofPerson: session)
            let scope = EndingScope.person(issuer: session.issuer, subject: session.subject)
            let some = try await end(scope, nowSeconds: nowSeconds) ?? []
            removed += some
            giveBack(tokens, nowSeconds: nowSeconds)
            let linked = Array(Set(some.flatMap { Sessions.linked($0) }))
            guard !linked.isEmpty else { continue }
            let further = await refreshes(of: linked)
            let more = try await self.sessions.end(ids: linked)
            ended(more)
            removed += more
            giveBack(further, nowSeconds: nowSeconds)
        }
        return removed
    }

    // MARK: At the provider

    /// RP-initiated sign-out at the provider (OpenID Connect RP-Initiated Logout 1.0 §2) of the session that
    /// was signed out of. One redirect can lead to one provider only: the page after it names the others. Our
    /// own sessions are ended by now: a provider that is down cannot keep anybody signed in here.
    private func providerSignOut(
        _ session: StoredSession, others: [String], isEverywhere: Bool, _ request: FlowRequest
    ) async -> String? {
        guard let provider = configuration.provider(session.identityProvider),
            let metadata = try? await directory.metadata(of: provider, nowSeconds: request.nowSeconds),
            let endpoint = metadata.endSessionEndpoint
        else { return nil }
        // Always: without a hint some providers know the client by nothing else.
        var parameters = [("client_id", provider.clientID)]
        if let sealed = session.idToken, let hint = seals.sealer.open(sealed, context: Self.idTokenContext) {
            parameters.append(("id_token_hint", String(decoding: hint, as: UTF8.self)))
        }
        let isNamed = parameters.count > 1
        if let hint = Self.logoutHint(session, isNamed: isNamed) { parameters.append(("logout_hint", hint)) }
        var members: JSONObject = [
            "others": .array(others.map { .string($0) }), "all": .bool(isEverywhere),
        ]
        if !ExactText.isEqual(request.host, configuration.authHost) {
            members["host"] = .string(request.host)
        }
        let state = seals.seal(
            members, as: .signedOut, expiresAtSeconds: request.nowSeconds + Self.signedOutSeconds)
        parameters += [
            ("post_logout_redirect_uri", configuration.signedOutURL), ("state", state),
        ]
        if let locales = UserLocales.of(acceptLanguage: request.languages) {
            parameters.append(("ui_locales", locales))
        }
        return endpoint + (endpoint.contains("?") ? "&" : "?") + FormText.encode(parameters)
    }

    /// So long a person may take at the provider before the page after it no longer knows where they came
    /// from.
    static let signedOutSeconds: Int64 = 3_600

    /// Who signs out, for a provider that is asked by several accounts of one browser. Microsoft Entra takes
    /// its claim `login_hint` back here. To others the address is what people type in, but only beside no id
    /// token: a provider that knows the person by another name than that (Canaille does) takes a token of one
    /// name and a hint of another for a contradiction, and asks.
    private static func logoutHint(_ session: StoredSession, isNamed: Bool) -> String? {
        let hint: String? =
            if case .text(let own)? = session.claims["login_hint"] { own } else {
                isNamed ? nil : session.email
            }
        return hint.flatMap { (1...512).contains($0.utf8.count) ? $0 : nil }
    }

    /// `GET /.gatepost/signed-out` on the auth host: where the provider sends browsers afterwards.
    func signedOutPage(_ request: FlowRequest) async -> FlowAnswer {
        if let refusal = requireGET(request) { return refusal }
        switch seals.open(parameters(request)?["state"], as: .signedOut, nowSeconds: request.nowSeconds) {
        case .valid(let value), .expired(let value):
            return .afterSignOut(
                page(
                    host: value["host"]?.string,
                    others: value["others"]?.array?.compactMap(\.string) ?? [],
                    isEverywhere: value["all"] == true))
        case .foreign: break
        }
        // Some providers lose the state; and somebody else's link must not tell people that they are out.
        do throws(StoreError) {
            let session = try await sessions.lookUp(
                cookieField: request.cookieField, kind: .global, host: request.host,
                nowSeconds: request.nowSeconds)
            if session != nil { return .confirmSignOut }
            let left = try await sessions.leftBehind(cookieField: request.cookieField, host: request.host)
            return left.isEmpty ? .afterSignOut(SignedOutPage()) : .confirmSignOut
        } catch {
            return storeFailed(error, retryURL: nil)
        }
    }

    private func page(host: String?, others: [String], isEverywhere: Bool) -> SignedOutPage {
        SignedOutPage(
            againURL: againURL(host),
            others: others.map { configuration.provider($0)?.displayName ?? $0 }, isEverywhere: isEverywhere)
    }

    private func againURL(_ host: String?) -> String? {
        guard let host, configuration.application(host: host) != nil else { return nil }
        return configuration.origin(of: host) + "/"
    }
}

/// The languages that a person reads, for the provider's pages (RP-Initiated Logout 1.0 §2, `ui_locales`).
enum UserLocales {
    static let countMax = 4

    /// Tags of `Accept-Language` in their order (browsers put the preferred one first), separated by blanks;
    /// nil when there is none. What is no tag (RFC 5646 §2.1) is left out: it is the client's text in the
    /// provider's URL.
    static func of(acceptLanguage field: String?) -> String? {
        guard let field, field.utf8.count <= 512 else { return nil }
        let tags = field.split(separator: ",").compactMap { part -> String? in
            let tag = part.prefix { $0 != ";" }.filter { $0 != " " }
            let isTag = tag.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"): true
                case _: false
                }
            }
            return isTag && (1...35).contains(tag.utf8.count) ? tag : nil
        }
        return tags.isEmpty ? nil : tags.prefix(countMax).joined(separator: " ")
    }
}
