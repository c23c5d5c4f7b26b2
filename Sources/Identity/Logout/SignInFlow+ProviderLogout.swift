public import Access
import JSON
import Signatures
public import Store

/// What came of a logout token.
public enum BackchannelLogout: Sendable {
    /// 200. What was ended has been given to `ended` already; it may be nothing.
    case done(provider: String, ended: [StoredSession])
    /// 404: no provider of this name is configured.
    case noProvider
    /// 405 for another method, 400 for everything else that is wrong with the request; `what` is for the
    /// provider's administrator.
    case refused(what: String, isMethod: Bool)
    /// 429, before anything that costs is looked at.
    case tooMany(retryAfterSeconds: Int64)
    /// 503: the token may be right; the provider should try again.
    case unavailable(what: String)
}

/// What came of a front-channel logout.
public enum FrontchannelLogout: Sendable {
    /// An empty page, whether or not anything was ended: otherwise a page could find out who is signed in.
    case page(frameOrigin: String?, ended: [StoredSession], provider: String, setCookies: [String])
    /// 404.
    case noProvider
    /// 405 or 400.
    case refused(isMethod: Bool)
    /// 503.
    case unavailable(what: String)
}

/// Logout that the identity provider begins. It ends what this provider made and nothing else: a browser's
/// sessions of other providers are other sign-ins.
extension SignInFlow {
    /// `POST /.gatepost/backchannel-logout/<provider>` on the auth host (OpenID Connect Back-Channel Logout
    /// 1.0 §2.5).
    ///
    /// - Parameters:
    ///   - request: with its body.
    ///   - address: who sends it.
    public func backchannelLogout(
        _ request: FlowRequest, contentType: String?, from address: NetworkAddress
    ) async -> BackchannelLogout {
        let now = request.nowSeconds
        let name = String(request.path.dropFirst(ReservedPath.backchannelLogoutPrefix.count))
        guard let provider = configuration.provider(name) else { return .noProvider }
        guard request.method == "POST" else {
            return .refused(what: "a logout token is POSTed", isMethod: true)
        }
        guard logoutLimits.admits(address, nowSeconds: now) else {
            return .tooMany(retryAfterSeconds: LogoutLimits.windowSeconds)
        }
        let reader = LogoutTokenReader(
            isIssuer: { provider.admits($0) }, clientID: provider.clientID, nowSeconds: now)
        do throws(LogoutTokenRefusal) {
            let token = try reader.read(try Self.logoutToken(request.body, contentType))
            guard logoutLimits.checksSignature(of: provider.name, from: address, nowSeconds: now),
                let place = logoutLimits.enter(address, nowSeconds: now)
            else { return .tooMany(retryAfterSeconds: LogoutLimits.windowSeconds) }
            defer { logoutLimits.leave(place) }
            let keys: [VerificationKey]
            do throws(IdentityError) {
                keys = try await directory.candidates(
                    keyID: token.token.keyID, algorithm: token.token.algorithm, of: provider,
                    for: .logout, nowSeconds: now)
            } catch {
                guard error.kind == .tokenInvalid else { return .unavailable(what: error.description) }
                logoutLimits.noteWrongSignature(of: provider.name, nowSeconds: now)
                throw LogoutTokenRefusal(error.what)
            }
            do throws(LogoutTokenRefusal) {
                try reader.verify(token, keys: keys)
            } catch {
                logoutLimits.noteWrongSignature(of: provider.name, nowSeconds: now)
                throw error
            }
            let answer = try await carryOut(token, provider, now)
            if case .done = answer { logoutLimits.noteSuccess(address, nowSeconds: now) }
            return answer
        } catch {
            logoutLimits.noteRefusal(address, nowSeconds: now)
            return .refused(what: error.what, isMethod: false)
        }
    }

    /// The one `logout_token` of a form (§2.5). Other parameters are for extensions.
    private static func logoutToken(
        _ body: [UInt8], _ contentType: String?
    ) throws(LogoutTokenRefusal) -> String {
        let type = (contentType ?? "").prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
        guard type == "application/x-www-form-urlencoded" else {
            throw LogoutTokenRefusal("the body is not application/x-www-form-urlencoded")
        }
        guard body.count <= FormText.bytesMax, let text = String(validating: body, as: UTF8.self),
            let form = FormText.parse(text)
        else {
            throw LogoutTokenRefusal(
                "the form is malformed, has a parameter twice, or is longer than \(FormText.bytesMax) bytes")
        }
        guard let token = form["logout_token"], !token.isEmpty else {
            throw LogoutTokenRefusal("logout_token is missing")
        }
        return token
    }

    /// The token is used up, its sessions end and sign-ins under way are told, in one transaction: a token
    /// that was taken but not carried out could not be sent again.
    private func carryOut(
        _ token: LogoutToken, _ provider: IdentityProviderRegistration, _ now: Int64
    ) async throws(LogoutTokenRefusal) -> BackchannelLogout {
        let scope: EndingScope =
            if let sid = token.sid {
                .providerSession(provider: provider.name, sid: sid, subject: token.subject)
            } else {
                .providerSubject(provider: provider.name, subject: token.subject ?? "")
            }
        let name = Array("logout-token \(provider.name) ".utf8) + Array(token.tokenID.utf8)
        let once = OneTime(
            digest: Digest.sha256(name),
            // By whichever clock is later, so that it is remembered as long as it could be taken.
            expiresAtSeconds: max(now, token.issuedAtSeconds) + LogoutTokenReader.rememberedSeconds)
        let all: [StoredSession]?
        do throws(StoreError) {
            all = try await end(scope, once: once, nowSeconds: now)
        } catch {
            return .unavailable(what: error.description)
        }
        guard let all else { throw LogoutTokenRefusal("jti was used before") }
        return .done(provider: provider.name, ended: all)
    }

    /// Ends a scope, however much it is, and tells the data plane of each part at once.
    ///
    /// - Returns: nil when `once` was used before.
    func end(
        _ scope: EndingScope, once: OneTime? = nil, nowSeconds: Int64
    ) async throws(StoreError) -> [StoredSession]? {
        try await sessions.end(scope, once: once, nowSeconds: nowSeconds, ended: ended)
    }

    // MARK: Front channel

    /// `GET /.gatepost/frontchannel-logout/<provider>?iss=&sid=` on the auth host, in a frame of the
    /// provider's page (OpenID Connect Front-Channel Logout 1.0 §2).
    ///
    /// It ends a session only in the browser that has it: `sid` is no secret (other relying parties of the
    /// provider know it, too), so by itself it must not sign anybody out. Browsers send our cookie in a frame
    /// only where the provider is of the same site; elsewhere nothing happens, and back-channel logout is the
    /// way.
    ///
    /// Sign-ins under way end as well: with a session that is ended all that bear its name, otherwise those that this
    /// browser has begun at the provider.
    public func frontchannelLogout(_ request: FlowRequest) async -> FrontchannelLogout {
        let now = request.nowSeconds
        let name = String(request.path.dropFirst(ReservedPath.frontchannelLogoutPrefix.count))
        guard let provider = configuration.provider(name) else { return .noProvider }
        guard request.method == "GET" || request.method == "HEAD" else { return .refused(isMethod: true) }
        guard let parameters = parameters(request) else { return .refused(isMethod: false) }
        let origin = await frameOrigin(of: provider, now)
        func page(_ ended: [StoredSession], _ setCookies: [String] = []) -> FrontchannelLogout {
            .page(frameOrigin: origin, ended: ended, provider: provider.name, setCookies: setCookies)
        }
        // Both, though §2 leaves them to the provider: without them any page could sign people out.
        guard let issuer = parameters["iss"], let sid = parameters["sid"], !sid.isEmpty,
            provider.admits(issuer), request.method == "GET"
        else { return page([]) }
        noteLoggedOut(sid, provider, request)
        do throws(StoreError) {
            let browser = try await signIns(request, .global)
            guard let newest = browser.first,
                frontchannelGuesses.count(newest.id, nowSeconds: now) < Self.frontchannelGuessesMax
            else { return page([]) }
            let meant = browser.filter { session in
                ExactText.isEqual(session.identityProvider, provider.name)
                    && session.providerSessionID.map { ExactText.isEqual($0, sid) } ?? false
            }
            if meant.isEmpty {
                // Counted by browser: a page of the same site must not find a short name by trying them all.
                frontchannelGuesses.note(newest.id, nowSeconds: now)
                return page([])
            }
            var removed: [StoredSession] = []
            for session in meant {
                let scope = EndingScope.signIn(id: session.id, provider: provider.name, sid: sid)
                removed += try await end(scope, nowSeconds: now) ?? []
            }
            // While the browser has others, its cookie says which: signing out has to find them.
            return page(removed, meant.count == browser.count ? [SessionCookie.clearing] : [])
        } catch {
            return .unavailable(what: error.description)
        }
    }

    /// Tells this browser's sign-ins under way, which have no session yet that could show that the name is theirs. By
    /// their cookies, as everything here: the name alone must not end anybody's.
    private func noteLoggedOut(
        _ sid: String, _ provider: IdentityProviderRegistration, _ request: FlowRequest
    ) {
        guard sid.utf8.count <= LogoutTokenReader.sidBytesMax else { return }
        let now = request.nowSeconds
        for value in LoginSlots(cookieField: request.cookieField).values {
            guard let value, let state = seals.loginState(cookie: value, nowSeconds: now),
                ExactText.isEqual(state.provider, provider.name)
            else { continue }
            loggedOutLogins.note(
                sid, of: state.id, untilSeconds: state.expiresAtSeconds, nowSeconds: now)
        }
    }

    /// Wrong names that one browser may be asked about in ten minutes.
    static let frontchannelGuessesMax = 5

    /// The origin that shows the frame: of the provider's sign-out page, which may be another than the
    /// issuer's.
    private func frameOrigin(of provider: IdentityProviderRegistration, _ now: Int64) async -> String? {
        let metadata = try? await directory.metadata(of: provider, nowSeconds: now)
        return URLOrigin.of(metadata?.endSessionEndpoint ?? provider.issuer)
    }
}

/// Origins as a Content-Security-Policy takes them.
enum URLOrigin {
    /// `scheme://host[:port]`; nil for what could be read as more than one source or as another directive.
    static func of(_ url: String) -> String? {
        guard let start = ["https://", "http://"].first(where: { url.hasPrefix($0) }) else { return nil }
        let authority = url.dropFirst(start.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let isPlain = authority.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "["),
                UInt8(ascii: "]"):
                true
            case _: false
            }
        }
        return isPlain && !authority.isEmpty ? start + authority : nil
    }
}
