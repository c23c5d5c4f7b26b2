import Access
import Border
import Config
import Identity
import JSON
import Posture
import Store
import Synchronization

/// Which proofs were asked to be repeated ahead of their end. Each is asked once at each application: an
/// agent that does not answer then is asked again when the proof has ended, and until then nobody is sent
/// anywhere.
final class AskedRechecks: Sendable {
    /// When there are more everything is forgotten: some people are asked once more.
    static let countMax = 100_000

    private let asked = Mutex<[String: Int64]>([:])

    /// - Returns: whether the proof of that moment was not asked for yet; then it counts as asked for from now on.
    func begin(_ globalSession: String, at application: String, verifiedAtSeconds: Int64) -> Bool {
        asked.withLock { asked in
            let key = "\(globalSession) \(application)"
            guard asked[key] != verifiedAtSeconds else { return false }
            if asked.count >= Self.countMax, asked[key] == nil { asked = [:] }
            asked[key] = verifiedAtSeconds
            return true
        }
    }
}

/// The device check of people who have been here all along: ahead of the proof's end without a word, after it
/// as soon as they open something (handshake.md 4.4).
extension ControlPlane {
    /// A reactor asks about a page that may be opened: it goes on, or by way of the device check.
    func recheck(_ request: ControlRequest) async {
        let answer = await recheckAnswer(request)
        let message = answer.map { ToReactor.response($0) } ?? .proceed(request.ticket)
        await reactors.send(message, to: Int(request.ticket.reactor))
    }

    /// - Returns: nil where the page is simply opened: always when something is in the way, since it may be opened.
    func recheckAnswer(_ request: ControlRequest) async -> ControlResponse? {
        do throws(StoreError) {
            let services = services
            guard let session = try await applicationSession(request),
                let policy = services.policy(request.application), let globalID = session.globalID,
                let global = try await store.session(id: globalID), !isHeld(global),
                let statement = global.statement, let device = await services.records.facts(of: global),
                let ages = services.records.recheckAtSeconds(of: device, for: policy), nowSeconds() >= ages,
                rechecks.begin(
                    global.id, at: policy.name, verifiedAtSeconds: statement.verifiedAtSeconds),
                let url = await startDeviceCheck(
                    global, policy, agent: services.application(policy.name)?.agent, request)
            else { return nil }
            return Answers(request: request).redirect(url + "&soft=1")
        } catch {
            EventLog.write(
                "store-failed", [("request_id", .string(request.requestID)), ("what", .string("\(error)"))])
            return nil
        }
    }

    /// `GET /.gatepost/sign-in?device-check=1` on an application's host: the `open_url` of a 401 with the reason
    /// `posture-required`. It leads by way of the device check back to the page that opened it.
    func deviceCheckAsked(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        let target = request.openedFrom(services)
        guard let application = request.application, let policy = services.policy(application) else {
            return answers.failure(404, .routeNotFound)
        }
        guard !SessionCookie.isDoubled(in: request.values("cookie")) else {
            return answers.failure(400, .cookieAmbiguous)
        }
        guard let session = try await applicationSession(request), let globalID = session.globalID,
            let global = try await store.session(id: globalID)
        else {
            return respond(
                await services.flow.beginAtApplication(
                    flowRequest(request), application: application, original: target), request)
        }
        // What is held, or proven by now, is not asked for: the application says what is the matter.
        guard !isHeld(global), await !hasProof(global, for: policy, nowSeconds()),
            let agent = services.application(application)?.agent,
            let url = await startDeviceCheck(global, policy, agent: agent, request, returnTo: target)
        else { return answers.redirect(target, status: 303) }
        return answers.redirect(url, status: 303)
    }

    /// Whether this sign-in's device is proven as the application asks.
    ///
    /// A device that counts no more (its certificate came onto its authority's list) has no proof, however young: the
    /// check is where it says so, and where the device that it has become by a new enrolment is let in.
    func hasProof(_ global: StoredSession, for policy: Application, _ now: Int64) async -> Bool {
        guard let id = global.deviceID, let statement = global.statement, now < statement.expiresAtSeconds,
            await services.records.facts(of: global) != nil
        else { return false }
        return policy.proofShortfall(
            of: DeviceFacts(id: id, platform: nil, statement: statement), atSeconds: now) == nil
    }

    /// Another enrolled device has proved itself in this session. The cookie is on a computer that it was not given
    /// to, so nothing of it counts any more (handshake.md 4.4).
    func endForOtherDevice(_ global: StoredSession, _ request: ControlRequest) async throws(StoreError) {
        let removed = try await Sessions(store: store, ring: ring).end(ids: [global.id])
        ended(removed)
        await noteEnding(
            "device-changed",
            [
                ("request_id", .string(request.requestID)), ("session", .string(global.id)),
                ("device", global.deviceID.map { .string($0) } ?? .null),
            ], removed)
    }

    /// An agent that has gone is an event like a provider's word: said when somebody loses something by it.
    func noteExpiredProof(_ decided: DecidedSession) {
        guard decided.lacksProof, let had = revocations.latest(decided.record.name),
            had.residual.policies.contains(where: \.grants)
        else { return }
        EventLog.write(
            "device-check-expired",
            [
                ("session", .string(decided.session.id)),
                ("application", .string(decided.record.application)),
                ("device", decided.record.device.map { .string($0) } ?? .null),
            ])
    }
}

extension DecidedSession {
    /// Nothing is open to it any more because the device has to prove itself again.
    var lacksProof: Bool {
        record.residual.refusal == .postureRequired && !record.residual.policies.contains(where: \.grants)
    }

    /// Why it was decided anew, as far as the decision itself tells.
    func cause(_ cause: ChangeCause) -> ChangeCause { lacksProof ? .proofExpired : cause }
}

extension SessionRecords {
    /// From when on pages go by way of the device check ahead of the proof's end; nil: never. Only where nobody will
    /// notice: a proof that took a click would take one again. A page that went to the agent by itself (WebKit) goes
    /// again, after a picture has shown that the agent is there.
    func recheckAtSeconds(of device: DeviceFacts, for policy: Application) -> Int64? {
        guard let statement = device.statement, let transport = statement.transport,
            transport == .fetch || statement.isUnasked == true,
            policy.posture.map({ $0.transports.contains(transport) }) ?? true
        else { return nil }
        return policy.proofAgesAtSeconds(of: device, asksAgent: config.policy.asksAgent)
    }
}
