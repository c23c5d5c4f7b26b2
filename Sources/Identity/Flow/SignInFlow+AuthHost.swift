import Access
import JSON
import Signatures
import Store

/// The auth host before the identity provider.
extension SignInFlow {
    /// `GET /.gatepost/sign-in?request=[&provider=]` on the auth host: an existing global session that the
    /// application accepts is handed over at once; otherwise the person is sent to the one accepted provider, or
    /// chooses.
    public func signIn(_ request: FlowRequest) async -> FlowAnswer {
        if request.method == "POST" { return find(request) }
        if let refusal = requireGET(request) { return refusal }
        guard let parameters = parameters(request) else { return malformed("query of sign-in") }
        let goal: LoginGoal
        var wish = Wish(provider: parameters["provider"])
        switch seals.open(parameters["request"], as: .request, nowSeconds: request.nowSeconds) {
        case .valid(let value):
            guard let found = LoginGoal(value) else { return malformed("sealed request of another version") }
            goal = found
            wish.address = value[Self.addressMember]?.string
            wish.wantsChoice = value[Self.choiceMember] == true
        case .expired(let value):
            guard let found = LoginGoal(value) else { return malformed("sealed request of another version") }
            return restartElsewhere(found, request, why: "sealed request is too old")
        case .foreign:
            return .refuse(FlowRefusal(.loginStateLost, detail: "sealed request is missing or not ours"))
        }
        guard let application = application(of: goal) else {
            return .refuse(FlowRefusal(.routeNotFound, detail: "application \(goal.application) is gone"))
        }
        do throws(StoreError) {
            var session = try await sessions.lookUp(
                cookieField: request.cookieField, kind: .global, host: request.host,
                nowSeconds: request.nowSeconds)
            wish.known = session
            if let found = session, !isRecent(found, for: application, request.nowSeconds) { session = nil }
            if let demand = goal.demand {
                return await stepUp(demand, goal, application, session, request, wish)
            }
            if let session, !wish.wantsChoice, Sessions.counts(session, at: application),
                wish.provider.map({ ExactText.isEqual($0, session.identityProvider) }) ?? true
            {
                return handOver(goal, session, request, setCookies: [])
            }
            return await choose(wish, goal, application, request)
        } catch {
            return storeFailed(error, retryURL: url(of: goal))
        }
    }

    /// Whether a sign-in is handed over without a word to its provider: not one that was left unused for too long, or
    /// whose proof is older than the application's or the provider's `max-age`.
    private func isRecent(
        _ session: StoredSession, for application: IdentityApplication, _ nowSeconds: Int64
    ) -> Bool {
        let provider = configuration.provider(session.identityProvider)
        let idle = [provider?.ask.idleSeconds, application.ask.idleSeconds].compactMap { $0 }.min()
        if let idle, Sessions.isIdle(session, idleSeconds: idle, atSeconds: nowSeconds) { return false }
        let ages = [provider?.ask.maxAgeSeconds, application.ask.maxAgeSeconds].compactMap { $0 }
        let proof = StepUp(ageSecondsMax: ages.min().map { $0 + IDTokenValidator.skewSeconds })
        return proof.unmet(by: session.facts.person, atSeconds: nowSeconds).isEmpty
    }

    /// A session of the demanded provider that has everything already (another application asked before) is
    /// handed over; otherwise that provider is asked, and no other.
    private func stepUp(
        _ demand: StepUpDemand, _ goal: LoginGoal, _ application: IdentityApplication,
        _ session: StoredSession?, _ request: FlowRequest, _ wish: Wish
    ) async -> FlowAnswer {
        if let session, Sessions.counts(session, at: application),
            ExactText.isEqual(session.identityProvider, demand.provider),
            demand.stepUp.unmet(by: session.facts.person, atSeconds: request.nowSeconds).isEmpty
        {
            return handOver(goal, session, request, setCookies: [])
        }
        var wish = wish
        wish.provider = demand.provider
        return await choose(wish, goal, application, request)
    }

    /// The authorization request (Core §3.1.2.1, RFC 7636 §4.3).
    ///
    /// - Parameter demanded: claims that a resource wants asked for before it answers, and the first request of the
    ///   sign-in; nil: this is it.
    func authorize(
        _ provider: IdentityProviderRegistration, _ goal: LoginGoal, _ application: IdentityApplication,
        _ request: FlowRequest, _ wish: Wish = Wish(),
        demanded: (claims: DemandedClaims, first: LoginState)? = nil
    ) async -> FlowAnswer {
        let asked = AuthenticationRequest(provider, application, goal.demand, demanded?.claims)
        let id = random(16)
        var (browser, known) = (demanded?.first.browser ?? "", demanded?.first.endingsKnown)
        if demanded == nil {
            do throws(StoreError) {
                // Before the name: what is ended from here on ends this sign-in, whatever the clock does.
                known = try await store.endingCount()
                browser = try await browserName(ofSignIn: id, under: wish.known, request)
            } catch {
                return storeFailed(error, retryURL: url(of: goal))
            }
        }
        let state = LoginState(
            id: id, provider: provider.name, verifier: Base64URL.encode(random(32)),
            nonce: Base64URL.encode(random(32)), goal: goal, issuedAtSeconds: request.nowSeconds,
            expiresAtSeconds: request.nowSeconds + LoginState.lifetimeSeconds,
            maxAgeSeconds: asked.maxAgeSeconds, beganAtSeconds: demanded?.first.issuedAtSeconds,
            browser: browser, endingsKnown: known)
        let parameters =
            [
                ("response_type", "code"), ("client_id", provider.clientID),
                ("redirect_uri", configuration.callbackURL(of: provider)),
                ("scope", asked.scopes.joined(separator: " ")),
                ("state", stateParameter(state)), ("nonce", state.nonce), ("code_challenge", state.challenge),
                ("code_challenge_method", "S256"),
            ] + asked.parameters(provider.contextStyle)
            + (loginHint(for: provider, wish, prompt: asked.prompt).map { [("login_hint", $0)] } ?? [])
        let slot = LoginSlots(cookieField: request.cookieField).place(state.id) { value in
            seals.loginState(cookie: value, nowSeconds: request.nowSeconds)?.issuedAtSeconds
        }
        let setCookies = [
            CookieText.set(
                LoginSlots.name(slot), seals.cookie(of: state), maxAgeSeconds: LoginState.lifetimeSeconds)
        ]
        do throws(IdentityError) {
            let metadata = try await directory.metadata(of: provider, nowSeconds: request.nowSeconds)
            let url = try await authorizationURL(parameters, provider, metadata, request)
            // The page that keeps the fragment would forget it on the second way.
            return demanded == nil
                ? .leave(url: url, setCookies: setCookies) : .redirect(url: url, setCookies: setCookies)
        } catch {
            return .refuse(
                FlowRefusal(
                    error.reason, detail: error.description, providerCode: error.providerCode,
                    retryURL: url(of: goal), setCookies: forgetting(provider, request)))
        }
    }

    /// `state` carries the original URL too, so that a sign-in whose cookie was displaced knows where to begin again.
    private func stateParameter(_ state: LoginState) -> String {
        var members = state.goal.members
        members["id"] = .string(Base64URL.encode(state.id))
        members["provider"] = .string(state.provider)
        let text = seals.seal(members, as: .state, expiresAtSeconds: state.expiresAtSeconds)
        assert(text.utf8.count <= LoginSeals.stateBytesMax, "state of \(text.utf8.count) bytes")
        return text
    }

    /// The redirect to the application host with a one-time code, bound to that host's login cookie.
    ///
    /// - Parameter comesBack: the browser was at a provider meanwhile.
    func handOver(
        _ goal: LoginGoal, _ global: StoredSession, _ request: FlowRequest, setCookies: [String],
        comesBack: Bool = false
    ) -> FlowAnswer {
        var members = goal.members
        members["id"] = .string(Base64URL.encode(random(16)))
        members["global"] = .string(global.id)
        let code = seals.seal(
            members, as: .handoff, expiresAtSeconds: request.nowSeconds + Self.handoffSeconds)
        let url = configuration.origin(of: goal.host) + ReservedPath.handoff + "?code=" + code
        return comesBack
            ? .comeBack(url: url, setCookies: setCookies) : .redirect(url: url, setCookies: setCookies)
    }

    /// Where the sign-in that this request belongs to began, for a page that offers to begin again; nil when nothing of
    /// ours says so.
    public func beginning(of request: FlowRequest) -> String? {
        guard let parameters = parameters(request) else { return nil }
        let candidates: [(String, LoginSeals.Kind)] = [
            ("state", .state), ("request", .request), ("code", .handoff),
        ]
        for (name, kind) in candidates {
            switch seals.open(parameters[name], as: kind, nowSeconds: request.nowSeconds) {
            case .valid(let value), .expired(let value):
                if let goal = LoginGoal(value), application(of: goal) != nil { return url(of: goal) }
            case .foreign: continue
            }
        }
        return nil
    }

    /// Sends a browser whose session here is not the one that an application session hangs under (another person or
    /// provider signed in, or the cookie is gone) back to the application to sign in anew, also where a session of it
    /// still lives.
    ///
    /// - Parameter target: path and query on the application's host.
    public func signInAnew(application name: String, target: String, _ request: FlowRequest) -> FlowAnswer {
        guard let application = configuration.application(name) else {
            return .refuse(FlowRefusal(.routeNotFound, detail: "application \(name) is gone"))
        }
        let goal = LoginGoal(
            application: application.name, host: application.host, target: ReturnTarget.checked(target),
            binding: random(32), restartCount: 0)
        var members = goal.members
        members[Self.anewMember] = true
        let sealed = seals.seal(
            members, as: .restart, expiresAtSeconds: request.nowSeconds + LoginState.lifetimeSeconds)
        return .redirect(
            url: configuration.origin(of: goal.host) + ReservedPath.signIn + "?restart=" + sealed,
            setCookies: [])
    }

    static let anewMember = "anew"

    /// Sends a browser whose state is lost back to the application host, which can set a new login cookie.
    func restartElsewhere(_ goal: LoginGoal, _ request: FlowRequest, why: String) -> FlowAnswer {
        guard application(of: goal) != nil else {
            return .refuse(FlowRefusal(.routeNotFound, detail: "application \(goal.application) is gone"))
        }
        // A step-up that begins anew by itself would do so for ever in a browser that keeps no cookies here.
        guard goal.restartCount < LoginGoal.restartCountMax, goal.stepUpName == nil else {
            return .refuse(FlowRefusal(.loginStateLost, detail: why, retryURL: url(of: goal)))
        }
        let sealed = seals.seal(
            goal.members, as: .restart, expiresAtSeconds: request.nowSeconds + LoginState.lifetimeSeconds)
        return .redirect(
            url: configuration.origin(of: goal.host) + ReservedPath.signIn + "?restart=" + sealed,
            setCookies: [])
    }
}
