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
        _ global: StoredSession, _ policy: Application, agent: String?, _ request: ControlRequest
    ) async -> String? {
        let services = services
        let path = request.query.isEmpty ? request.path : request.path + "?" + request.query
        do throws(PostureRefusal) {
            let id = try await services.posture.start(
                globalSession: global.id, application: policy.name,
                returnPath: services.origin(of: request.host) + path, agent: agent,
                deviceOwner: policy.deviceOwner,
                issuer: global.issuer, subject: global.subject)
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
        guard let global = try await globalSession(request), let id = request.parameter("tx") else {
            return answers.failure(403, .sessionMismatch)
        }
        do throws(PostureRefusal) {
            let (application, _) = try await services.posture.returnPath(
                transaction: id, globalSession: global.id)
            let page = Pages.deviceCheck(
                application: application, transaction: id, agentURLs: agentURLs(of: application),
                requestID: request.requestID, nonce: Answers.nonce())
            return answers.page(200, page)
        } catch {
            return answers.failure(403, error.reason)
        }
    }

    func deviceChallenge(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        guard let global = try await sameOriginSession(request), let body = body(of: request),
            let id = body["tx"]?.string
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
        guard var global = try await sameOriginSession(request), let body = body(of: request),
            let id = body["tx"]?.string, let assertion = body["assertion"]?.string
        else { return answers.refusal(403, .sessionMismatch) }
        let proof: DeviceProof
        do throws(PostureRefusal) {
            proof = try await services.posture.assert(
                transaction: id, assertion: assertion, globalSession: global.id, issuer: global.issuer,
                subject: global.subject, boundThumbprint: global.deviceThumbprint)
        } catch {
            EventLog.write(
                "device-check-refused",
                [
                    ("request_id", .string(request.requestID)), ("reason", .string(error.reason.rawValue)),
                    ("what", .string(error.detail)), ("alert", .bool(error.isAlert)),
                ])
            return answers.refusal(403, error.reason)
        }
        global.deviceID = proof.deviceID
        global.deviceThumbprint = proof.thumbprint
        global.statement = proof.statement
        // What the session may do has grown, so its secret changes: one that was taken before is worth nothing more.
        let sessions = Sessions(store: store, ring: ring)
        guard let rotated = try await sessions.rotate(global, nowSeconds: nowSeconds()) else {
            return answers.refusal(403, .sessionEnded)
        }
        await firstContact(proof.deviceID)
        try await globalChanged(global.id)
        changes.announce()
        return answers.json(
            200, ["verdict": "proven", "next": .string(proof.returnPath)],
            setCookies: [rotated.cookie.setCookie])
    }

    /// The page waits for the providers' first word about this device, within bounds; a request never does.
    private func firstContact(_ device: String) async {
        let posture = services.posture
        let wait = services.config.gateway.limits.firstContactMilliseconds
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await posture.priorityFetch(deviceID: device) }
            group.addTask { try? await Task.sleep(for: .milliseconds(wait)) }
            await group.next()
            group.cancelAll()
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

    private func agentURLs(of application: String) -> [String] {
        let services = services
        let agent = services.application(application)?.agent
        for integration in services.config.integrations {
            guard case .endpointAgent(let settings) = integration.kind,
                agent == nil || agent == integration.name
            else { continue }
            return ["http://127.0.0.1:\(settings.port)", "http://localhost:\(settings.port)"]
        }
        return []
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
