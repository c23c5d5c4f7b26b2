import Access
import Border
import Config
import Identity
import JSON
import Posture
import Store

/// Every request that the control plane answers: reserved paths, the way to sign-in, pages of refused navigations.
extension ControlPlane {
    func answer(_ request: ControlRequest) async -> ControlResponse {
        let answers = Answers(request: request)
        do throws(StoreError) {
            switch request.purpose {
            case .signIn: return await beginSignIn(request)
            case .keepForm: return try await keepForm(request)
            case .refused(let reason): return try await refused(request, reason)
            case .recheck:
                return await recheckAnswer(request) ?? answers.failure(503, .controlPlaneUnavailable)
            case .reserved:
                if request.host == services.config.gateway.authHost { return try await authHost(request) }
                return try await applicationHost(request)
            }
        } catch {
            EventLog.write(
                "store-failed", [("request_id", .string(request.requestID)), ("what", .string("\(error)"))])
            return answers.failure(503, .storeUnavailable)
        }
    }

    private func authHost(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        if request.path.hasPrefix("/.gatepost/callback/") { return await signInStep(request) }
        if request.path.hasPrefix(ConnectPath.prefix) { return await connectAnswer(request) }
        if request.path.hasPrefix(SignalPath.prefix) { return await pushedSignal(request) }
        if let logout = await providerLogout(request) { return logout }
        switch (request.path, request.method) {
        case ("/.gatepost/sign-in", _), ("/.gatepost/sign-out", _), ("/.gatepost/signed-out", _):
            return await signInStep(request)
        case ("/.gatepost/posture/start", "GET"): return try await deviceCheckPage(request)
        case ("/.gatepost/posture/challenge", "POST"): return try await deviceChallenge(request)
        case ("/.gatepost/posture/assert", "POST"): return try await deviceAssert(request)
        case (DeviceReturn.path, "GET"): return try await deviceReturn(request)
        case ("/.gatepost/posture/report", "POST"): return try await deviceReport(request)
        case ("/.gatepost/enroll", "POST"): return await enroll(request, isRenewal: false)
        case ("/.gatepost/renew", "POST"): return await enroll(request, isRenewal: true)
        case ("/.gatepost/posture/evaluate", "POST"):
            let reply = await services.posture.evaluate(
                assertion: request.fields.first { $0.name == "cf-access-jwt-assertion" }?.value,
                body: request.body)
            return answers.json(reply.status, reply.document)
        case ("/.gatepost/jwks.json", "GET"): return answers.keySet(services.assertion.keySet())
        case ("/.gatepost/posture/start", _), ("/.gatepost/posture/challenge", _),
            ("/.gatepost/posture/assert", _), (DeviceReturn.path, _), ("/.gatepost/posture/report", _),
            ("/.gatepost/posture/evaluate", _), ("/.gatepost/enroll", _),
            ("/.gatepost/renew", _), ("/.gatepost/jwks.json", _):
            return notAllowed(answers)
        case _: return answers.failure(404, .routeNotFound)
        }
    }

    private func applicationHost(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        if request.method == "GET", let id = FormPath.id(of: request.path) {
            return try await keptForm(id, request)
        }
        switch (request.path, request.method) {
        case ("/.gatepost/sign-in", "GET"):
            guard request.isNavigation else { return signInUnseen(request) }
            if request.parameter("device-check") != nil { return try await deviceCheckAsked(request) }
            if let name = request.parameter("step-up") { return try await stepUpAsked(name, request) }
            return await beginSignIn(request)
        case ("/.gatepost/handoff", _), ("/.gatepost/sign-out", _): return await signInStep(request)
        case ("/.gatepost/events", "GET"): return try await events(request)
        case (BoundPath.register, "POST"): return try await registerKey(request)
        case (BoundPath.refresh, "POST"): return try await refreshBound(request)
        case ("/.gatepost/sign-in", _), ("/.gatepost/events", _), (BoundPath.register, _),
            (BoundPath.refresh, _):
            return notAllowed(answers)
        case _: return answers.failure(404, .routeNotFound)
        }
    }

    private func notAllowed(_ answers: Answers) -> ControlResponse { answers.failure(405, .methodNotAllowed) }

    /// A refused navigation: to the device check when that can help, otherwise the page that says why.
    func refused(_ request: ControlRequest, _ reason: Reason) async throws(StoreError)
        -> ControlResponse
    {
        let answers = Answers(request: request)
        let services = services
        // Reloading the page of a refused form would send it again, and a redirect would lose it without a word.
        let isForm = request.method != "GET"
        if reason == .signInRequired {
            let url = services.origin(of: request.host) + "/.gatepost/sign-in"
            return answers.failure(401, reason, retryURL: url, isForm: isForm)
        }
        guard let session = try await applicationSession(request),
            let policy = services.policy(request.application),
            let globalID = session.globalID, let global = try await store.session(id: globalID)
        else {
            let page = Pages.blocked(
                application: request.application ?? request.host, reason: reason, checks: [],
                requestID: request.requestID, watches: false, isForm: isForm, nonce: Answers.nonce())
            return answers.page(403, page, reason: reason)
        }
        let now = nowSeconds()
        let isHeld = isHeld(global)
        let isAboutHeld = reason.isAboutDevice || reason == .authenticationInsufficient
        let reason = isHeld && isAboutHeld ? .changeHeld : reason
        let device = await shownDevice(of: global, request, at: policy)
        if !isHeld,
            let answer = await stepUpAnswer(
                request, Standing(session: session, device: device, policy: policy, nowSeconds: now))
        {
            return answer
        }
        let isCertified =
            device.flatMap { policy.counted($0, atSeconds: now).device?.certificate } != nil
            && reason != .postureRequired
        if !isForm, !isCertified, let settings = services.application(request.application),
            reason != .changeHeld, reason != .deviceCertificateConflict,
            await needsDeviceCheck(request, session, global, policy, now),
            let url = await startDeviceCheck(global, policy, agent: settings.agent, request)
        {
            return answers.redirect(url)
        }
        let record = services.config.policy.explain(session.facts, device, for: policy, atSeconds: now)
            .saying(services.config.checkRemedies)
        let platform = device?.platform ?? request.browserPlatform
        let checks = FailedChecks { services.links(of: $0, on: platform) }.of(record)
        let page = Pages.blocked(
            application: policy.name, reason: reason, checks: checks,
            requestID: request.requestID, isSignedIn: true, hasChoice: policy.identityProviders.count > 1,
            certificate: ShownCertificate(request.certificate, of: device, at: policy),
            watches: !isForm, isForm: isForm, nonce: Answers.nonce())
        return answers.page(403, page, reason: reason)
    }

    /// A proof helps where none, or only an old one, is known, and some device could let this request in. Whoever no
    /// policy admits on any device is told so at once.
    func needsDeviceCheck(
        _ request: ControlRequest, _ session: StoredSession, _ global: StoredSession, _ policy: Application,
        _ now: Int64
    ) async -> Bool {
        if !policy.accepts(.agent) { return false }
        if await hasProof(global, for: policy, now) { return false }
        let path = judgedPath(request.path, request)
        // Let in by now: what was missing has come since the refusal, and the page goes on by itself.
        let residual = services.config.policy.residual(of: session.facts, nil, for: policy, atSeconds: now)
        if case .forward = residual.decide(request.facts, path: path.span, atSeconds: now) { return false }
        return services.config.policy.couldDeviceHelp(
            session.facts, for: policy, request.facts, path: path.span, atSeconds: now)
    }

    /// Seconds that one question of the block page is held, well below the deadline of a parked request.
    private static let eventsTurns = 5
    /// One question in so many places for waiting requests.
    private static let placesPerQuestion = 4

    /// The block page asks whether its way is open. Each question is held until it is, at most some seconds.
    private func events(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        guard let session = try await applicationSession(request) else {
            return answers.json(401, ["state": "signed-out"], reason: .sessionEnded)
        }
        let global: StoredSession? =
            if let id = session.globalID { try await store.session(id: id) } else { nil }
        if try await isOpen(request, session) { return answers.json(200, ["state": "open"]) }
        let places = services.config.gateway.limits.parkedMax / Self.placesPerQuestion
        // The page that is answered at once asks again later.
        guard questions.enter(session.id, max: places) else { return answers.json(200, ["state": "blocked"]) }
        defer { questions.leave(session.id) }
        for _ in 0..<Self.eventsTurns {
            // Somebody is looking at the page: the providers are asked about this one device now, at most once a
            // second, instead of at their next turn.
            if let device = global?.deviceID {
                let posture = services.posture
                await Patience.wait(milliseconds: 1_000) { await posture.priorityFetch(deviceID: device) }
            }
            if try await isOpen(request, session) { return answers.json(200, ["state": "open"]) }
            await changes.wait(seconds: 1)
        }
        return answers.json(200, ["state": "blocked"])
    }

    private func isOpen(_ request: ControlRequest, _ session: StoredSession) async throws(StoreError) -> Bool
    {
        let services = services
        guard let policy = services.policy(request.application), let globalID = session.globalID,
            let global = try await store.session(id: globalID)
        else { return false }
        let device = await shownDevice(of: global, request, at: policy)
        let now = nowSeconds()
        let residual = services.config.policy.residual(of: session.facts, device, for: policy, atSeconds: now)
        let path = judgedPath(request.parameter("path") ?? "/", request)
        let facts = RequestFacts(method: .get, client: request.client)
        guard case .forward(let policy) = residual.decide(facts, path: path.span, atSeconds: now) else {
            return false
        }
        // A download is refused only when its answer comes: that page would come again at once.
        let restriction = residual.policies[policy].restriction
        return switch request.parameter("reason").flatMap(Reason.init(rawValue:)) {
        case .restrictedDownload: restriction?.blocksDownloads != true
        case .restrictedUpload: restriction?.blocksUploads != true
        case _: true
        }
    }
}
