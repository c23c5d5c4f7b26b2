import Access
import JSON
import Signatures
import Store

/// The auth host after the identity provider.
extension SignInFlow {
    /// `GET /.gatepost/callback/<provider>` on the auth host: the authorization answer (RFC 6749 §4.1.2, RFC 9207).
    public func callback(_ request: FlowRequest) async -> FlowAnswer {
        if let refusal = requireGET(request) { return refusal }
        guard let parameters = parameters(request) else { return malformed("query of the callback") }
        let name = String(request.path.dropFirst(ReservedPath.callbackPrefix.count))
        let sealed: JSONValue
        switch seals.open(parameters["state"], as: .state, nowSeconds: request.nowSeconds) {
        // An old state no longer signs anybody in, but it still knows where the person wanted to go.
        case .valid(let value), .expired(let value): sealed = value
        case .foreign: return .refuse(FlowRefusal(.loginStateLost, detail: "state is missing or not ours"))
        }
        guard let goal = LoginGoal(sealed), let id = sealed["id"]?.string.flatMap(Base64URL.decode),
            let providerName = sealed["provider"]?.string
        else { return malformed("state of another version") }
        guard ExactText.isEqual(providerName, name), let provider = configuration.provider(name) else {
            // An answer of one provider on another's path is a mix-up attack or a gone provider (RFC 9700 §4.4).
            return .refuse(
                FlowRefusal(
                    .loginStateLost, detail: "state belongs to another provider", retryURL: url(of: goal)))
        }
        guard let (slot, state) = loginState(id, request) else {
            return restartElsewhere(goal, request, why: "login cookie is gone, too old, or another browser's")
        }
        // What was ended meanwhile is dated by the clock as it goes now, and would look earlier than this sign-in.
        guard max(state.issuedAtSeconds, state.beganAtSeconds ?? 0) <= request.nowSeconds else {
            return restartElsewhere(goal, request, why: "the gateway's clock went back during the sign-in")
        }
        let clearing = CookieText.set(LoginSlots.name(slot), "", maxAgeSeconds: 0)
        return await finish(state, provider, parameters, request, clearing: clearing)
    }

    /// The cookie of this sign-in. Without it the answer belongs to another browser, or to a displaced sign-in.
    private func loginState(_ id: [UInt8], _ request: FlowRequest) -> (Int, LoginState)? {
        for (slot, value) in LoginSlots(cookieField: request.cookieField).values.enumerated() {
            if let value, let state = seals.loginState(cookie: value, nowSeconds: request.nowSeconds),
                constantTimeEqual(state.id, id)
            {
                return (slot, state)
            }
        }
        return nil
    }

    private func finish(
        _ state: LoginState, _ provider: IdentityProviderRegistration, _ parameters: [String: String],
        _ request: FlowRequest, clearing: String
    ) async -> FlowAnswer {
        do throws(StoreError) {
            // Used up before anything is asked of the provider: of two callbacks with one state only one goes on.
            let digest = Digest.sha256(Array("login-state ".utf8) + state.id)
            guard try await store.consumeNonce(digest, expiresAtSeconds: state.expiresAtSeconds) else {
                return restartElsewhere(state.goal, request, why: "state was used before")
            }
            // Before the provider is asked, where it was not counted at the beginning.
            let known = if let count = state.endingsKnown { count } else { try await store.endingCount() }
            let outcome: TokenExchange.Outcome
            do throws(IdentityError) {
                outcome = try await identify(state, provider, parameters, request)
            } catch {
                if let answer = await askAgain(error, state, provider, request, clearing) { return answer }
                return .refuse(
                    FlowRefusal(
                        error.reason, detail: error.description, providerCode: error.providerCode,
                        providerWords: error.providerWords, retryURL: url(of: state.goal),
                        setCookies: [clearing] + forgetting(provider, request)))
            }
            guard let current = configuration.provider(provider.name),
                let application = application(of: state.goal),
                application.identityProviders.contains(where: { ExactText.isEqual($0, provider.name) })
            else {
                return .refuse(
                    FlowRefusal(
                        .identityProviderNotAccepted, detail: "the application changed during the sign-in",
                        retryURL: url(of: state.goal), setCookies: [clearing]))
            }
            guard ExactText.isEqual(current.clientID, provider.clientID),
                current.admits(outcome.person.issuer)
            else {
                // Another provider has its name by now, and would get its session.
                return restartElsewhere(
                    state.goal, request, why: "the identity provider changed during the sign-in")
            }
            // Before anything is kept: what does not bring what was asked changes nothing.
            if let refusal = insufficiency(outcome, state, request, clearing: clearing) {
                guard case .refuse(var refusal) = refusal, state.goal.stepUpName == nil else {
                    return refusal
                }
                refusal.setCookies += forgetting(provider, request)
                return .refuse(refusal)
            }
            return try await keep(
                outcome, of: state, provider, request, endingsKnown: known,
                setCookies: [clearing] + remembering(provider, application, request))
        } catch {
            return storeFailed(error, retryURL: url(of: state.goal))
        }
    }

    /// What comes of a sign-in that brought what was asked: a session, unless something has ended it meanwhile.
    private func keep(
        _ outcome: TokenExchange.Outcome, of state: LoginState, _ provider: IdentityProviderRegistration,
        _ request: FlowRequest, endingsKnown known: Int64, setCookies: [String]
    ) async throws(StoreError) -> FlowAnswer {
        // Also before anything is kept: what the browser has begun since it was signed out is none of this one's.
        if try await isSignedOut(state, beyond: known, request) {
            giveBack(refresh(of: outcome, provider, sessionID: "", request), request)
            return signedOut(state.goal, removed: [], setCookies: setCookies)
        }
        let person = try await self.known(outcome.person)
        // The same of other endings: where the browser has signed in anew since, that one was made after them, and a
        // sign-in from before them must not be laid over it, and take it along when it ends.
        let last = try await ending(
            of: prospect(person, provider, request), madeBy: state, beyond: known,
            nowSeconds: request.nowSeconds)
        if let last {
            giveBack(refresh(of: outcome, provider, sessionID: "", request), request)
            return await restart(state.goal, afterEndingAt: last, request)
        }
        let (session, cookie) = try await establish(outcome, as: person, state, provider, request)
        // After it is kept: whatever is ended from here on finds it, and what was ended before is found here.
        if try await isSignedOut(state, beyond: known, request) {
            let removed = try await takeBack(session, nowSeconds: request.nowSeconds)
            return signedOut(state.goal, removed: removed, setCookies: setCookies)
        }
        if let last = try await ending(
            of: session, madeBy: state, beyond: known, nowSeconds: request.nowSeconds)
        {
            _ = try await takeBack(session, nowSeconds: request.nowSeconds)
            return await restart(state.goal, afterEndingAt: last, request)
        }
        return handOver(
            state.goal, session, request,
            setCookies: [cookie?.setCookie].compactMap { $0 } + setCookies, comesBack: true)
    }

    private func giveBack(_ refresh: StoredRefresh?, _ request: FlowRequest) {
        giveBack([refresh].compactMap { $0 }, nowSeconds: request.nowSeconds)
    }

    /// What a sign-in is about to become, with all that endings know one by.
    private func prospect(
        _ person: PersonFacts, _ provider: IdentityProviderRegistration, _ request: FlowRequest
    ) -> StoredSession {
        StoredSession(
            id: "", kind: .global, tokenDigest: [], host: request.host, identityProvider: provider.name,
            issuer: person.issuer, subject: person.subject, email: person.email, name: person.name,
            groups: person.groups, claims: person.claims,
            authenticatedAtSeconds: person.authenticatedAtSeconds, createdAtSeconds: request.nowSeconds,
            expiresAtSeconds: request.nowSeconds)
    }

    /// - Returns: what was ended.
    private func takeBack(
        _ session: StoredSession, nowSeconds: Int64
    ) async throws(StoreError) -> [StoredSession] {
        let tokens = await refreshes(of: [session.id])
        let removed = try await store.remove(sessionIDs: [session.id])
        ended(removed)
        giveBack(tokens, nowSeconds: nowSeconds)
        return removed
    }

    /// When something ended what this sign-in has become; nil: nothing did, since it began.
    private func ending(
        of session: StoredSession, madeBy state: LoginState, beyond known: Int64, nowSeconds: Int64
    ) async throws(StoreError) -> Int64? {
        let began = state.beganAtSeconds ?? state.issuedAtSeconds
        if let last = try await sessions.ending(of: session, sinceSeconds: began, beyond: known) {
            return last
        }
        guard let sid = session.providerSessionID,
            loggedOutLogins.names(sid, state.id, nowSeconds: nowSeconds)
        else { return nil }
        return nowSeconds
    }

    /// The sign-in that was ended while it was under way begins anew, in a second of its own.
    ///
    /// A provider that knows the browser answers at once, so the next one would begin in the second of the ending too
    /// and be taken for ended with it, and the one after that: until this browser seems to keep no cookies. Waiting
    /// tells them apart: in the second of an ending every sign-in counts as one that began before it.
    private func restart(
        _ goal: LoginGoal, afterEndingAt last: Int64, _ request: FlowRequest
    ) async -> FlowAnswer {
        if last >= request.nowSeconds { await pause(Self.endingMilliseconds) }
        var goal = goal
        // Nothing is left that could be made stronger; who is signed in again is told of it by the page.
        (goal.demand, goal.stepUpName) = (nil, nil)
        return restartElsewhere(goal, request, why: "signed out while signing in")
    }

    private func identify(
        _ state: LoginState, _ provider: IdentityProviderRegistration, _ parameters: [String: String],
        _ request: FlowRequest
    ) async throws(IdentityError) -> TokenExchange.Outcome {
        let metadata = try await directory.metadata(of: provider, nowSeconds: request.nowSeconds)
        // Before the error and before the code: an answer of somebody else is neither (RFC 9207 §2.4).
        if let issuer = parameters["iss"] {
            guard provider.admits(issuer) else {
                throw IdentityError(.tokenInvalid, "iss of the answer is not the provider's")
            }
        } else if metadata.announcesIssuerParameter {
            throw IdentityError(.tokenInvalid, "the answer has no iss, although the provider announces it")
        }
        if let error = parameters["error"] {
            let isPassing = ["temporarily_unavailable", "server_error"].contains(error)
            throw IdentityError(
                isPassing ? .providerUnavailable : .providerRefused, "\(provider.name) answered an error",
                providerCode: ProviderCode.of(error: error, description: parameters["error_description"]),
                providerWords: ProviderCode.words(parameters["error_description"] ?? error))
        }
        guard let code = parameters["code"], (1...4096).contains(code.utf8.count),
            code.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else { throw IdentityError(.providerMalformed, "the answer has neither code nor error") }
        let exchange = TokenExchange(
            registration: provider, metadata: metadata, directory: directory, fetcher: fetcher,
            nowSeconds: request.nowSeconds)
        return try await exchange.redeem(
            code: code, redirectURL: configuration.callbackURL(of: provider), verifier: state.verifier,
            nonce: state.nonce)
    }

    /// The global session of this browser from now on, always under a new secret (session fixation).
    ///
    /// The same person at the same provider keeps the session, so that tabs which sign in side by side end up in one.
    /// Another provider makes a session of its own; the one before stays, because its applications still accept it,
    /// and is linked so that signing out ends both.
    private func establish(
        _ outcome: TokenExchange.Outcome, as person: PersonFacts, _ state: LoginState,
        _ provider: IdentityProviderRegistration, _ request: FlowRequest
    ) async throws(StoreError) -> (StoredSession, SessionCookie?) {
        let before = try await sessions.lookUp(
            cookieField: request.cookieField, kind: .global, host: request.host,
            nowSeconds: request.nowSeconds)
        let isHint = outcome.idToken.utf8.count <= Self.idTokenHintBytesMax
        let idToken =
            isHint ? seals.sealer.seal(Array(outcome.idToken.utf8), context: Self.idTokenContext) : nil
        var person = person
        person.claims[StoredSession.browserClaim] = .list(
            browserNames(madeBy: state, after: before, request))
        let lifetime = provider.ask.sessionSeconds ?? configuration.globalSessionSeconds
        if let before, let presented = sessions.presentedDigest(cookieField: request.cookieField),
            ExactText.isEqual(before.identityProvider, provider.name),
            ExactText.isEqual(before.issuer, person.issuer),
            ExactText.isEqual(before.subject, person.subject)
        {
            // First: from then on a refresh that is under way cannot lay what it heard over this sign-in.
            try await keepRefresh(of: outcome, provider, sessionID: before.id, request)
            if let renewed = try await sessions.renew(
                before, presented: presented, person: person, idToken: idToken,
                nowSeconds: request.nowSeconds,
                lifetimeSeconds: lifetime)
            {
                ended(try await sessions.link(renewed.session, to: nil))
                return renewed
            }
            // One token is one session's.
            try await store.removeRefresh(sessionID: before.id)
        }
        let made = try await sessions.createGlobal(
            person: person, provider: provider.name, host: request.host, idToken: idToken,
            nowSeconds: request.nowSeconds, lifetimeSeconds: lifetime)
        try await keepRefresh(of: outcome, provider, sessionID: made.session.id, request)
        // Where the sign-in of the cookie has ended, to what lives of the browser's others: signing out has to find
        // them.
        var other = before
        if other == nil {
            other = try await sessions.leftBehind(cookieField: request.cookieField, host: request.host).first
        }
        ended(try await sessions.link(made.session, to: other))
        return made
    }

    static let idTokenContext = "gatepost-id-token"
}
