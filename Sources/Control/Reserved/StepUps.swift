import Access
import Border
import Config
import Identity
import JSON
import Store

/// Stronger sign-ins of people who are signed in: who is sent to their provider, and what programs are told.
extension ControlPlane {
    /// What a refused request is judged by: the session that it came with, and the device of that.
    struct Standing {
        var session: StoredSession
        var device: DeviceFacts?
        var policy: Application
        var nowSeconds: Int64
    }

    /// The step-up that would forward this very request, as an answer; nil: none would.
    func stepUpAnswer(_ request: ControlRequest, _ standing: Standing) async -> ControlResponse? {
        let session = standing.session
        let path = judgedPath(request.path, request)
        let facts = request.facts
        let offer = offers(standing).first { offer in
            if case .forward = offer.residual.decide(facts, path: path.span, atSeconds: standing.nowSeconds) {
                return true
            }
            return false
        }
        guard let offer else { return nil }
        let answers = Answers(request: request)
        let reason = Reason.authenticationInsufficient
        let origin = services.origin(of: request.host)
        guard request.method == "GET" else {
            return answers.failure(
                401, reason, retryURL: "\(origin)/.gatepost/sign-in?\(offer.way.query)", isForm: true)
        }
        let now = standing.nowSeconds
        // It has just come from there, and it is not enough all the same: a page, never a loop.
        if Sessions.cameFrom(offer.stepUp, session, atSeconds: now) {
            let query = request.query.isEmpty ? "" : "?\(request.query)"
            return answers.failure(
                403, reason, shortfalls: offer.stepUp.unmet(by: session.facts.person, atSeconds: now),
                retryURL: origin + request.path + query)
        }
        return respond(
            await services.flow.stepUp(
                flowRequest(request), application: standing.policy.name, provider: session.identityProvider,
                asking: offer.stepUp), request)
    }

    /// The step-up that would let a form through that waits at `page`, and leads back to it; nil: none would, or it has
    /// just come from there.
    func stepUpAnswer(
        forForm sending: ControlRequest, at page: ControlRequest, _ standing: Standing
    ) async -> ControlResponse? {
        let path = judgedPath(sending.path, sending)
        let facts = sending.facts
        let offer = offers(standing).first { offer in
            if case .forward = offer.residual.decide(facts, path: path.span, atSeconds: standing.nowSeconds) {
                return true
            }
            return false
        }
        guard let offer,
            !Sessions.cameFrom(offer.stepUp, standing.session, atSeconds: standing.nowSeconds)
        else { return nil }
        return respond(
            await services.flow.stepUp(
                flowRequest(page), application: standing.policy.name, original: page.path,
                provider: standing.session.identityProvider, asking: offer.stepUp), page)
    }

    /// `GET /.gatepost/sign-in?step-up=<policy>` on an application's host: the `open_url` of a 401. It leads
    /// back to the page that opened it, like every `open_url`.
    func stepUpAsked(_ name: String, _ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let flow = services.flow
        let step = flowRequest(request)
        guard let application = request.application, let policy = services.policy(application) else {
            return Answers(request: request).failure(404, .routeNotFound)
        }
        guard !SessionCookie.isDoubled(in: request.values("cookie")) else {
            return Answers(request: request).failure(400, .cookieAmbiguous)
        }
        guard let session = try await applicationSession(request), let globalID = session.globalID,
            let global = try await store.session(id: globalID)
        else {
            return respond(
                await flow.beginAtApplication(
                    step, application: application, original: request.openedFrom(services)), request)
        }
        let device = await services.records.facts(of: global)
        let standing = Standing(session: session, device: device, policy: policy, nowSeconds: nowSeconds())
        // What is there by now, or held, is not asked for: the application says what is the matter.
        guard !isHeld(global), let offer = offers(standing).first(where: { $0.policy == name }) else {
            return Answers(request: request).redirect(request.openedFrom(services), status: 303)
        }
        return respond(
            await flow.stepUp(
                step, application: application, original: request.openedFrom(services),
                provider: session.identityProvider, asking: offer.stepUp), request)
    }

    /// Whether a change of the session's device is held: nothing is built on it meanwhile, by no sign-in either.
    func isHeld(_ global: StoredSession) -> Bool {
        global.deviceID.map { device in blast.radius { $0.isHeld(device: device) } } ?? false
    }

    /// After a step-up everything that the session has open goes on under what it may do now.
    func upgraded(_ globalID: String) async {
        do throws(StoreError) {
            try await globalChanged(globalID, .stepUp)
        } catch {
            // The records that are out keep their end, at most 100 s.
            EventLog.write("store-failed", [("what", .string("\(error)"))])
        }
        changes.announce()
    }

    private func offers(_ standing: Standing) -> [StepUpOffer] {
        services.config.policy.stepUps(
            of: standing.session.facts, standing.device, for: standing.policy,
            atSeconds: standing.nowSeconds)
    }
}

extension ControlRequest {
    /// The request's own facts, as a reactor decided by them.
    var facts: RequestFacts {
        RequestFacts(method: RequestMethod(rawValue: method) ?? .other, client: client)
    }
}

extension StepUpOffer {
    /// Prepared for reactors. What is asked holds no byte that would end a quoted string.
    var way: StepUpWay {
        var parameters = [
            "error=\"insufficient_user_authentication\"",
            "error_description=\"a stronger or more recent sign-in is needed\"",
        ]
        // RFC 9470 has no word for methods: `open_url` asks for them too.
        var contexts: [String] = []
        for value in stepUp.contexts.joined() where !contexts.contains(value) { contexts.append(value) }
        if !contexts.isEmpty { parameters.append("acr_values=\"\(contexts.joined(separator: " "))\"") }
        if let age = stepUp.ageSecondsMax { parameters.append("max_age=\"\(age)\"") }
        return StepUpWay(
            residual: residual, challenge: parameters.joined(separator: ", "),
            query: FormText.encode([("step-up", policy)]))
    }
}
