import Access
import Border
import Config
import Identity
import JSON
import Posture
import Store

/// The device check on the auth host: page, challenge, proof; and the enrolment of devices.
extension ControlPlane {
    func startDeviceCheck(
        _ global: StoredSession, _ policy: Application, agent: String?, _ request: ControlRequest,
        returnTo target: String? = nil
    ) async -> String? {
        let services = services
        let path = target ?? request.target
        do throws(PostureRefusal) {
            let id = try await services.posture.start(
                globalSession: global.id, application: policy.name,
                returnPath: services.origin(of: request.host) + path, agent: agent,
                deviceOwner: policy.deviceOwner,
                issuer: global.issuer, subject: global.subject, demand: policy.posture)
            return "\(services.authOrigin)/.gatepost/posture/start?tx=\(id)"
        } catch {
            EventLog.write(
                "device-check-not-started",
                [
                    ("request_id", .string(request.requestID)), ("reason", .string(error.reason.rawValue)),
                    ("what", .string(error.detail)),
                ])
            return nil
        }
    }

    func deviceCheckPage(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        guard let id = request.parameter("tx") else { return answers.failure(400, .requestMalformed) }
        guard try await owner(of: id, await globalSession(request)) != nil,
            let (application, home) = await services.posture.destination(transaction: id)
        else { return await signInAnew(id, request) }
        let (agent, urls) = agent(of: application)
        let links = agent.map { services.links(of: $0, on: request.browserPlatform) } ?? []
        let page = DeviceCheckPage(
            application: application, transaction: id, home: home, agentURLs: urls, links: links,
            failed: DeviceReturn.state(of: request), days: DeviceReturn.days(of: request),
            back: request.parameter("soft") == nil ? nil : home,
            requestID: request.requestID, nonce: Answers.nonce())
        var answer = answers.page(200, page.page)
        // It has no form that needs an Origin, and the agent has no need to know which page it comes from.
        // Scripts of its own send their Origin all the same: their mode is CORS (Fetch standard, "append a
        // request Origin header").
        answer.fields.removeAll { $0.name == "Referrer-Policy" }
        answer.fields.append(Field("Referrer-Policy", "no-referrer"))
        return answer
    }

    /// The global session that a device check belongs to: the cookie's own, or one that the same browser has by another
    /// provider, whose application asked.
    func owner(
        of transaction: String, _ session: StoredSession?
    ) async throws(StoreError) -> StoredSession? {
        guard let session else { return nil }
        let posture = services.posture
        for id in [session.id] + Sessions.linked(session) {
            guard (try? await posture.returnPath(transaction: transaction, globalSession: id)) != nil else {
                continue
            }
            if id == session.id { return session }
            let linked = try await store.session(id: id)
            return linked.flatMap { $0.expiresAtSeconds > nowSeconds() ? $0 : nil }
        }
        return nil
    }

    /// The browser's session here is not the one that began the device check: it signs in anew at the application, and
    /// the check begins again under the session that it has then.
    private func signInAnew(_ transaction: String, _ request: ControlRequest) async -> ControlResponse {
        let answers = Answers(request: request)
        guard let (application, returnPath) = await services.posture.destination(transaction: transaction),
            let host = services.application(application)?.host
        else { return answers.failure(403, .sessionMismatch) }
        let origin = services.origin(of: host)
        guard returnPath.utf8.starts(with: origin.utf8) else { return answers.failure(403, .sessionMismatch) }
        let target = String(returnPath.dropFirst(origin.count))
        return respond(
            await services.flow.signInAnew(application: application, target: target, flowRequest(request)),
            request)
    }

    func deviceChallenge(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        guard let session = try await sameOriginSession(request), let body = body(of: request),
            let id = body["tx"]?.string, let global = try await owner(of: id, session)
        else {
            refusedStranger("a challenge was asked for without the session of its device check", request)
            return answers.refusal(403, .sessionMismatch)
        }
        do throws(PostureRefusal) {
            return answers.json(
                200,
                try await services.posture.challenge(
                    transaction: id, globalSession: global.id,
                    isForUnaskedVisit: body["unasked"] == .bool(true)))
        } catch {
            deviceChecks.refused(error, request, boundedAtSeconds: nowSeconds())
            return refused(error, request)
        }
    }

    func deviceAssert(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        guard let session = try await sameOriginSession(request), let body = body(of: request),
            let id = body["tx"]?.string, let answer = AgentAnswer(body),
            let global = try await owner(of: id, session)
        else { return await foreign(request) }
        switch try await prove(answer, of: id, by: global, presentedBy: session, request, isReturn: false) {
        case .refused(let refusal):
            return refused(refusal, request)
        case .proven(let next, let cookies):
            return answers.json(200, ["verdict": "proven", "next": .string(next)], setCookies: cookies)
        }
    }

    /// What an agent's answer came to.
    enum ProofOutcome {
        case proven(next: String, setCookies: [String])
        case refused(PostureRefusal)
    }

    /// Judges an agent's answer and keeps what it proves, whichever way it came.
    func prove(
        _ answer: AgentAnswer, of id: String, by global: StoredSession, presentedBy session: StoredSession,
        _ request: ControlRequest, isReturn: Bool
    ) async throws(StoreError) -> ProofOutcome {
        let subjects = try await store.subjects(issuer: global.issuer, subject: global.subject)
        let proof: DeviceProof
        do throws(PostureRefusal) {
            proof = try await services.posture.assert(
                transaction: id, assertion: answer.assertion, statement: answer.statement,
                globalSession: global.id, issuer: global.issuer, subject: global.subject, knownAs: subjects,
                email: global.email,
                boundThumbprint: global.deviceThumbprint, isReturn: isReturn)
        } catch {
            deviceChecks.refused(error, request)
            if error.endsSession { try await endForOtherDevice(global, request) }
            return .refused(error)
        }
        // What is held of this device stays as it was: nothing is built on it meanwhile.
        if blast.radius({ $0.isHeld(device: proof.deviceID) }) {
            let refusal = PostureRefusal(.changeHeld, "a change of device \(proof.deviceID) is held")
            deviceChecks.refused(refusal, request)
            return .refused(refusal)
        }
        // Before the secret changes: its answer should reach the browser at once.
        await firstContact(proof.deviceID)
        // The sequence before the write: what is revoked after it is known to be newer than what was written.
        let sequence = revocations.sequence
        guard
            let (cookies, written) = try await keep(
                proof, of: global, knownAs: subjects, presentedBy: session, request)
        else {
            let refusal = PostureRefusal(.sessionEnded, "the session ended during the check")
            deviceChecks.refused(refusal, request)
            return .refused(refusal)
        }
        try await globalChanged(
            global.id, .deviceCheck, read: ReadSignIns(sequence: sequence, byID: [global.id: written]))
        changes.announce()
        deviceChecks.proven()
        return .proven(next: proof.returnPath, setCookies: cookies)
    }

    /// Writes the proof to the session that it is for. What the browser may do has grown, so the secret of its own
    /// session changes: one that was taken before is worth nothing more.
    ///
    /// - Returns: cookies to set, and the session as it was written; nil when a session is gone, or another device was
    ///   proven in it meanwhile.
    private func keep(
        _ proof: DeviceProof, of global: StoredSession, knownAs subjects: [String],
        presentedBy session: StoredSession, _ request: ControlRequest
    ) async throws(StoreError) -> (setCookies: [String], written: StoredSession)? {
        let sessions = Sessions(store: store, ring: ring)
        let note = { (session: inout StoredSession) in
            // Another check may have come in between, with another device: then what this proof was judged by is
            // no more.
            let bound = session.deviceThumbprint
            guard bound == global.deviceThumbprint || bound == proof.thumbprint else { return }
            session.deviceID = proof.deviceID
            session.deviceThumbprint = proof.thumbprint
            session.statement = proof.statement
            // Whose device it is is asked again with every decision.
            Sessions.note(subjects: subjects, in: &session)
        }
        guard let presented = sessions.presentedDigest(cookieField: request.values("cookie")),
            let rotated = try await sessions.rotate(
                session.id, from: session, presented: presented, nowSeconds: nowSeconds(),
                { if $0.id == global.id { note(&$0) } })
        else { return nil }
        let written =
            session.id == global.id
            ? rotated.session : try await sessions.change(global.id, from: global, note)
        guard let written, written.deviceThumbprint == proof.thumbprint else { return nil }
        return (rotated.cookie.map { [$0.setCookie] } ?? [], written)
    }

    /// The page waits for the providers' first word about this device, within bounds; a request never does.
    func firstContact(_ device: String) async {
        let posture = services.posture
        // Of a device that came by a moment ago the answer is there; two tasks and an alarm would be for nothing.
        guard await posture.isPriorityFetchDue(deviceID: device) else { return }
        let limit = services.config.gateway.limits.firstContactMilliseconds
        let isTold: Bool? = await Patience.value(milliseconds: limit, pause: pause) {
            await posture.priorityFetch(deviceID: device)
            return true
        }
        if isTold == nil { deviceChecks.firstContactExpired() }
    }

    func enroll(_ request: ControlRequest, isRenewal: Bool) async -> ControlResponse {
        let answers = Answers(request: request)
        guard let body = body(of: request) else { return answers.refusal(400, .requestMalformed) }
        do throws(PostureRefusal) {
            let posture = services.posture
            return answers.json(
                200, isRenewal ? try await posture.renew(body) : try await posture.enroll(body))
        } catch {
            EventLog.write(
                "enrolment-refused",
                [
                    ("request_id", .string(request.requestID)), ("reason", .string(error.reason.rawValue)),
                    ("what", .string(error.detail)), ("alert", .bool(error.isAlert)),
                ])
            return refused(error, request)
        }
    }

    /// A refusal as the page and the agent read it: 403, or 503 where the gateway could not and may by the next try.
    func refused(_ refusal: PostureRefusal, _ request: ControlRequest) -> ControlResponse {
        let status =
            switch refusal.reason {
            case .storeUnavailable, .overloaded: 503
            case _: 403
            }
        return Answers(request: request).refusal(status, refusal.reason, ageSeconds: refusal.ageSeconds)
    }

    /// The integration whose agent is asked, and where it listens.
    private func agent(of application: String) -> (integration: String?, urls: [String]) {
        let services = services
        let agent = services.application(application)?.agent
        for integration in services.config.integrations {
            guard case .endpointAgent(let settings) = integration.kind,
                agent == nil || agent == integration.name
            else { continue }
            let ports = [settings.port] + settings.furtherPorts
            return (
                integration.name,
                ports.flatMap { ["http://127.0.0.1:\($0)", "http://localhost:\($0)"] }
            )
        }
        return (nil, [])
    }

    /// Counted, and written as often as a second may have lines: whoever has no session can ask without end.
    func refusedStranger(_ what: String, _ request: ControlRequest) {
        deviceChecks.refused(
            PostureRefusal(.sessionMismatch, what), request, boundedAtSeconds: nowSeconds())
    }

    /// An answer that came without the session of its check: it is used up, whoever it was made for.
    private func foreign(_ request: ControlRequest) async -> ControlResponse {
        let assertion = body(of: request)?["assertion"]?.string
        if await !spoil(assertion, request) {
            refusedStranger("an answer came without the session of its device check", request)
        }
        return Answers(request: request).refusal(403, .sessionMismatch)
    }

    /// A POST of our own page: the session's cookie, our Origin, JSON, and a field that a form cannot send.
    func sameOriginSession(_ request: ControlRequest) async throws(StoreError) -> StoredSession? {
        guard request.value("origin") == services.authOrigin, request.value("x-gatepost-request") == "1",
            request.value("content-type") == "application/json"
        else { return nil }
        return try await globalSession(request)
    }

    func body(of request: ControlRequest) -> JSONValue? {
        guard request.value("content-type") == "application/json" else { return nil }
        return try? JSONValue(
            parsing: request.body, limits: JSONLimits(bytesMax: 65_536, depthMax: 8, membersMax: 500))
    }
}
