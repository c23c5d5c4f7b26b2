import Access
import JSON
import Signatures
import Store

/// What happens on an application's own host: the beginning and the end of a sign-in.
extension SignInFlow {
    /// Begins a sign-in for a navigation without a session that counts: a sealed login cookie on this host, and a
    /// redirect to the auth host.
    ///
    /// - Parameters:
    ///   - application: configured name of the application of `request.host`.
    ///   - original: path and query to return to; the request's own when nil. What is no path on this host, or
    ///     longer than 1,500 bytes, becomes `/`.
    ///   - wantsChoice: the person wants another account: nothing is handed over, and nothing remembered is used.
    public func beginAtApplication(
        _ request: FlowRequest, application: String, original: String? = nil, wantsChoice: Bool = false
    ) -> FlowAnswer {
        guard let known = configuration.application(application), ExactText.isEqual(known.host, request.host)
        else {
            return .refuse(
                FlowRefusal(.routeNotFound, detail: "application \(application) is not on \(request.host)"))
        }
        let own = request.query.isEmpty ? request.path : "\(request.path)?\(request.query)"
        return begin(known, request, target: original ?? own, restartCount: 0, wantsChoice: wantsChoice)
    }

    func begin(
        _ application: IdentityApplication, _ request: FlowRequest, target: String, restartCount: Int64,
        demand: StepUpDemand? = nil, wantsChoice: Bool = false
    ) -> FlowAnswer {
        let secret = random(32)
        let expiry = request.nowSeconds + LoginState.lifetimeSeconds
        var goal = LoginGoal(
            application: application.name, host: application.host, target: ReturnTarget.checked(target),
            binding: Digest.sha256(secret), restartCount: restartCount, demand: demand)
        goal.begin = signedOutLogins.begin
        let cookie = seals.seal(
            ["secret": .string(Base64URL.encode(secret)), "iat": .integer(request.nowSeconds)],
            as: .applicationCookie, expiresAtSeconds: expiry)
        let slot = LoginSlots(cookieField: request.cookieField).place(secret) { value in
            guard
                case .valid(let found) = seals.open(
                    value, as: .applicationCookie, nowSeconds: request.nowSeconds)
            else { return nil }
            return found["iat"]?.integer
        }
        var members = goal.wholeMembers
        if wantsChoice { members[Self.choiceMember] = true }
        let sealed = seals.seal(members, as: .request, expiresAtSeconds: expiry)
        return .redirect(
            url: configuration.origin(of: configuration.authHost) + ReservedPath.signIn + "?request="
                + sealed,
            setCookies: [
                CookieText.set(LoginSlots.name(slot), cookie, maxAgeSeconds: LoginState.lifetimeSeconds)
            ])
    }

    /// `GET /.gatepost/handoff?code=` on an application host: redeems the one-time code for an application session.
    public func handoff(_ request: FlowRequest) async -> FlowAnswer {
        if let refusal = requireGET(request) { return refusal }
        guard let application = configuration.application(host: request.host),
            let code = parameters(request)?["code"]
        else { return malformed("handoff without application or code") }
        let opened = seals.open(code, as: .handoff, nowSeconds: request.nowSeconds)
        let value: JSONValue
        let isExpired: Bool
        switch opened {
        case .valid(let found): (value, isExpired) = (found, false)
        case .expired(let found): (value, isExpired) = (found, true)
        case .foreign:
            return .refuse(
                FlowRefusal(
                    .loginStateLost, detail: "handoff code is not ours",
                    retryURL: configuration.origin(of: request.host) + "/"))
        }
        guard let goal = LoginGoal(value), ExactText.isEqual(goal.host, request.host),
            ExactText.isEqual(goal.application, application.name),
            let nonce = value["id"]?.string, let globalID = value["global"]?.string
        else {
            return .refuse(
                FlowRefusal(
                    .loginStateLost, detail: "handoff code is for another application or host",
                    retryURL: configuration.origin(of: request.host) + "/"))
        }
        let slot = slot(bound: goal.binding, request)
        guard !isExpired, let slot else {
            return await unredeemed(
                goal, application, globalID: globalID, slot: slot, request,
                why: isExpired ? "code expired" : "login cookie is gone")
        }
        return await redeem(goal, application, nonce: nonce, globalID: globalID, slot: slot, request)
    }

    private func redeem(
        _ goal: LoginGoal, _ application: IdentityApplication, nonce: String, globalID: String, slot: Int,
        _ request: FlowRequest
    ) async -> FlowAnswer {
        do throws(StoreError) {
            let digest = Digest.sha256(Array("handoff \(nonce)".utf8))
            let keepUntil = request.nowSeconds + 2 * Self.handoffSeconds
            guard try await store.consumeNonce(digest, expiresAtSeconds: keepUntil) else {
                return await again(goal, application, request, why: "handoff code was used before")
            }
            guard let global = try await store.session(id: globalID), global.kind == .global,
                request.nowSeconds < global.expiresAtSeconds, Sessions.counts(global, at: application)
            else {
                return await unredeemed(
                    goal, application, globalID: globalID, slot: slot, request, why: "global session is gone")
            }
            let done = CookieText.set(LoginSlots.name(slot), "", maxAgeSeconds: 0)
            if let cookies = try await upgrade(goal, from: global, application, request) {
                return .upgraded(globalID: global.id, url: url(of: goal), setCookies: cookies + [done])
            }
            let made = try await sessions.createApplication(
                application, under: global, nowSeconds: request.nowSeconds)
            if configuration.hasIdleTimes {
                try await sessions.noteUse(ofSignIn: global, nowSeconds: request.nowSeconds)
            }
            ended(try await sessions.trim(application, under: global, keeping: made.session))
            return .redirect(
                url: url(of: goal),
                setCookies: [made.cookie.setCookie, done])
        } catch {
            guard error.kind != .globalSessionGone else {
                return await unredeemed(
                    goal, application, globalID: globalID, slot: slot, request, why: "ended meanwhile")
            }
            return storeFailed(error, retryURL: url(of: goal))
        }
    }

    /// A code that no session comes of: the sign-in begins again, unless its browser was signed out since.
    private func unredeemed(
        _ goal: LoginGoal, _ application: IdentityApplication, globalID: String, slot: Int?,
        _ request: FlowRequest, why: String
    ) async -> FlowAnswer {
        do throws(StoreError) {
            guard try await store.isSignedOut(browser: globalID) else {
                return await again(goal, application, request, why: why)
            }
        } catch {
            return storeFailed(error, retryURL: url(of: goal))
        }
        return signedOut(
            goal, removed: [],
            setCookies: slot.map { [CookieText.set(LoginSlots.name($0), "", maxAgeSeconds: 0)] } ?? [])
    }

    /// The slot whose cookie holds the random that the code is bound to.
    private func slot(bound binding: [UInt8], _ request: FlowRequest) -> Int? {
        LoginSlots(cookieField: request.cookieField).values.firstIndex { value in
            let found = value.flatMap { seals.binding(applicationCookie: $0, nowSeconds: request.nowSeconds) }
            return found.map { constantTimeEqual($0, binding) } ?? false
        }
    }

    /// `GET /.gatepost/sign-in?restart=` on an application host: the auth host lost the state of a sign-in and sends
    /// the browser back to begin again.
    public func restart(_ request: FlowRequest) async -> FlowAnswer {
        if let refusal = requireGET(request) { return refusal }
        guard let application = configuration.application(host: request.host),
            case .valid(let value) = seals.open(
                parameters(request)?["restart"], as: .restart, nowSeconds: request.nowSeconds),
            let goal = LoginGoal(value), ExactText.isEqual(goal.host, request.host),
            ExactText.isEqual(goal.application, application.name)
        else {
            return .refuse(
                FlowRefusal(
                    .loginStateLost, detail: "restart is not ours or too old",
                    retryURL: configuration.origin(of: request.host) + "/"))
        }
        if value[Self.anewMember] == true {
            return begin(application, request, target: goal.target, restartCount: goal.restartCount)
        }
        return await again(goal, application, request, why: "state was lost at the auth host")
    }

    /// A lost state begins again at its original URL without an error, unless another tab has signed in meanwhile
    /// (then there is nothing left to do) or this browser keeps losing it.
    private func again(
        _ goal: LoginGoal, _ application: IdentityApplication, _ request: FlowRequest, why: String
    ) async -> FlowAnswer {
        // The page would begin the step-up anew, and lose it anew: somebody has to look at it.
        if goal.stepUpName != nil {
            return .refuse(FlowRefusal(.loginStateLost, detail: why, retryURL: url(of: goal)))
        }
        do throws(StoreError) {
            let session = try await sessions.lookUp(
                cookieField: request.cookieField, kind: .application, host: request.host,
                nowSeconds: request.nowSeconds)
            if let session, Sessions.counts(session, at: application) {
                return .redirect(url: url(of: goal), setCookies: [])
            }
        } catch {
            return storeFailed(error, retryURL: url(of: goal))
        }
        guard goal.restartCount < LoginGoal.restartCountMax else {
            return .refuse(FlowRefusal(.loginStateLost, detail: why, retryURL: url(of: goal)))
        }
        return begin(application, request, target: goal.target, restartCount: goal.restartCount + 1)
    }
}
