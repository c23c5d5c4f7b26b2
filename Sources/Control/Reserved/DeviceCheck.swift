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
                [("request_id", .string(request.requestID)), ("what", .string(error.detail))])
            return nil
        }
    }

    func deviceCheckPage(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        guard let id = request.parameter("tx") else { return answers.failure(400, .requestMalformed) }
        guard try await owner(of: id, await globalSession(request)) != nil,
            let (application, returnPath) = await services.posture.destination(transaction: id)
        else { return await signInAnew(id, request) }
        let (agent, urls) = agent(of: application)
        let links = agent.map { services.links(of: $0, on: request.browserPlatform) } ?? []
        let page = Pages.deviceCheck(
            application: application, transaction: id, agentURLs: urls, links: links,
            back: request.parameter("soft") == nil ? nil : returnPath,
            requestID: request.requestID, nonce: Answers.nonce())
        return answers.page(200, page)
    }

    /// The global session that a device check belongs to: the cookie's own, or one that the same browser has by another
    /// provider, whose application asked.
    private func owner(
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
        else { return answers.refusal(403, .sessionMismatch) }
        do throws(PostureRefusal) {
            return answers.json(
                200, try await services.posture.challenge(transaction: id, globalSession: global.id))
        } catch {
            return answers.refusal(403, error.reason)
        }
    }

    func deviceAssert(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        guard let session = try await sameOriginSession(request), let body = body(of: request),
            let id = body["tx"]?.string, let assertion = body["assertion"]?.string,
            let global = try await owner(of: id, session)
        else { return answers.refusal(403, .sessionMismatch) }
        let subjects = try await store.subjects(issuer: global.issuer, subject: global.subject)
        let proof: DeviceProof
        do throws(PostureRefusal) {
            proof = try await services.posture.assert(
                transaction: id, assertion: assertion, globalSession: global.id, issuer: global.issuer,
                subject: global.subject, knownAs: subjects, boundThumbprint: global.deviceThumbprint)
        } catch {
            EventLog.write(
                "device-check-refused",
                [
                    ("request_id", .string(request.requestID)), ("reason", .string(error.reason.rawValue)),
                    ("what", .string(error.detail)), ("alert", .bool(error.isAlert)),
                ])
            if error.endsSession { try await endForOtherDevice(global, request) }
            return answers.refusal(403, error.reason)
        }
        // What is held of this device stays as it was: nothing is built on it meanwhile.
        if blast.radius({ $0.isHeld(device: proof.deviceID) }) {
            EventLog.write(
                "device-check-refused",
                [
                    ("request_id", .string(request.requestID)), ("device", .string(proof.deviceID)),
                    ("reason", .string(Reason.changeHeld.rawValue)),
                ])
            return answers.refusal(403, .changeHeld)
        }
        // Before the secret changes: its answer should reach the browser at once.
        await firstContact(proof.deviceID)
        guard let cookie = try await keep(proof, of: global, knownAs: subjects, presentedBy: session, request)
        else {
            return answers.refusal(403, .sessionEnded)
        }
        try await globalChanged(global.id, .deviceCheck)
        changes.announce()
        return answers.json(
            200, ["verdict": "proven", "next": .string(proof.returnPath)], setCookies: cookie)
    }

    /// Writes the proof to the session that it is for. What the browser may do has grown, so the secret of its own
    /// session changes: one that was taken before is worth nothing more.
    ///
    /// - Returns: cookies to set; nil when a session is gone.
    private func keep(
        _ proof: DeviceProof, of global: StoredSession, knownAs subjects: [String],
        presentedBy session: StoredSession, _ request: ControlRequest
    ) async throws(StoreError) -> [String]? {
        let sessions = Sessions(store: store, ring: ring)
        let note = { (session: inout StoredSession) in
            session.deviceID = proof.deviceID
            session.deviceThumbprint = proof.thumbprint
            session.statement = proof.statement
            // Whose device it is is asked again with every decision.
            Sessions.note(subjects: subjects, in: &session)
        }
        guard let presented = sessions.presentedDigest(cookieField: request.values("cookie")),
            let rotated = try await sessions.rotate(
                session.id, presented: presented, nowSeconds: nowSeconds(),
                { if $0.id == global.id { note(&$0) } })
        else { return nil }
        if session.id != global.id, try await sessions.change(global.id, note) == nil { return nil }
        return rotated.cookie.map { [$0.setCookie] } ?? []
    }

    /// The page waits for the providers' first word about this device, within bounds; a request never does.
    private func firstContact(_ device: String) async {
        let posture = services.posture
        await Patience.wait(milliseconds: services.config.gateway.limits.firstContactMilliseconds) {
            await posture.priorityFetch(deviceID: device)
        }
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
            return answers.refusal(403, error.reason)
        }
    }

    /// The integration whose agent is asked, and where it listens.
    private func agent(of application: String) -> (integration: String?, urls: [String]) {
        let services = services
        let agent = services.application(application)?.agent
        for integration in services.config.integrations {
            guard case .endpointAgent(let settings) = integration.kind,
                agent == nil || agent == integration.name
            else { continue }
            return (
                integration.name,
                ["http://127.0.0.1:\(settings.port)", "http://localhost:\(settings.port)"]
            )
        }
        return (nil, [])
    }

    /// A POST of our own page: the session's cookie, our Origin, JSON, and a field that a form cannot send.
    private func sameOriginSession(_ request: ControlRequest) async throws(StoreError) -> StoredSession? {
        guard request.value("origin") == services.authOrigin, request.value("x-gatepost-request") == "1",
            request.value("content-type") == "application/json"
        else { return nil }
        return try await globalSession(request)
    }

    private func body(of request: ControlRequest) -> JSONValue? {
        guard request.value("content-type") == "application/json" else { return nil }
        return try? JSONValue(
            parsing: request.body, limits: JSONLimits(bytesMax: 65_536, depthMax: 8, membersMax: 500))
    }
}
