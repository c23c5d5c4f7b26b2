import Access
import Border
import Config
import Identity
import JSON
import Posture
import Signatures
import Store

/// A form that somebody sent after the session had ended: kept, shown again after the sign-in, and sent by the person.
///
/// Nothing is sent by itself: between the form and now somebody signed in, and time has passed.
extension ControlPlane {
    /// A reactor has judged whose form it is and how long; here it is taken apart and put away.
    func keepForm(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let now = nowSeconds()
        guard let name = request.application, services.application(name)?.keepsForms == true,
            request.method == "POST", request.value("origin") == services.origin(of: request.host),
            SentForm(request.body) != nil
        else { return try await formRefused(request) }
        // A sign-in would bring a third one, and not the form.
        guard !SessionCookie.isDoubled(in: request.values("cookie")) else {
            return Answers(request: request).failure(400, .cookieAmbiguous, isForm: true)
        }
        let person: [UInt8]?
        switch PersonCookie.find(
            cookieField: request.values("cookie"), host: request.host, sealer: Sealer(ring: ring))
        {
        case .nobody: person = nil
        case .person(let digest): person = digest
        case .ambiguous: return try await formRefused(request)
        }
        let browser = FormCookie(cookieField: request.values("cookie")) ?? FormCookie()
        let id = FormPath.newID()
        let form = KeptForms.Form(
            application: name, target: request.target,
            sealed: Sealer(ring: ring).seal(request.body, context: Self.context(id, browser.digest)),
            browser: browser.digest, person: person, client: request.client,
            expiresAtSeconds: now + KeptForms.lifetimeSeconds)
        guard forms.keep(form, id: id, nowSeconds: now) else { return try await formRefused(request) }
        let answer = await services.flow.beginAtApplication(
            flowRequest(request), application: name, original: FormPath.path(of: id))
        var response = respond(answer, request)
        response.fields.append(
            Field("Set-Cookie", browser.setCookie(maxAgeSeconds: KeptForms.lifetimeSeconds)))
        return response
    }

    /// Whoever is signed in lacks a device check, and no sign-in.
    private func formRefused(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let isSignedIn = try await applicationSession(request) != nil
        return try await refused(request, isSignedIn ? .postureRequired : .signInRequired)
    }

    /// `GET /.gatepost/form/<id>` on an application's host: where the sign-in came back to.
    func keptForm(_ id: String, _ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        let now = nowSeconds()
        let services = services
        guard request.isNavigation else { return answers.refusal(403, .formNotKept) }
        guard let session = try await applicationSession(request), let globalID = session.globalID,
            let global = try await store.session(id: globalID)
        else {
            let url = services.origin(of: request.host) + "/.gatepost/sign-in"
            return answers.failure(401, .signInRequired, retryURL: url)
        }
        guard let browser = FormCookie(cookieField: request.values("cookie")),
            let policy = services.policy(request.application),
            let form = forms.find(id, browser: browser.digest, nowSeconds: now),
            ExactText.isEqual(form.application, policy.name)
        else { return formGone(request) }
        guard Self.isSender(form, global) else {
            _ = forms.take(id, browser: browser.digest, nowSeconds: now)
            return formGone(request)
        }
        // Whoever may not send it now is told before it is gone; a device that must be shown first is asked for here,
        // because a form that is sent cannot go by way of another page.
        var sending = request
        sending.method = "POST"
        sending.path = form.path
        if let refusal = await refusal(of: sending, session, global, policy, now) {
            if let way = await way(for: sending, at: request, session, global, policy, now) { return way }
            _ = forms.take(id, browser: browser.digest, nowSeconds: now)
            let page = Pages.blocked(
                application: policy.name, reason: refusal, checks: [], requestID: request.requestID,
                isSignedIn: true, watches: false, isForm: true, nonce: Answers.nonce())
            return answers.page(403, page, reason: refusal)
        }
        guard let taken = forms.take(id, browser: browser.digest, nowSeconds: now),
            let body = Sealer(ring: ring).open(taken.sealed, context: Self.context(id, browser.digest)),
            let sent = SentForm(body)
        else { return formGone(request) }
        return answers.page(
            200,
            Pages.sendForm(
                application: policy.name, url: services.origin(of: request.host) + taken.target,
                entries: sent.entries, requestID: request.requestID, nonce: Answers.nonce()))
    }

    /// Where somebody is sent whose form would go through after a stronger sign-in or a device check; both lead back to
    /// it. nil: nowhere.
    private func way(
        for sending: ControlRequest, at request: ControlRequest, _ session: StoredSession,
        _ global: StoredSession, _ policy: Application, _ now: Int64
    ) async -> ControlResponse? {
        let standing = Standing(
            session: session, device: await shownDevice(of: global, request, at: policy), policy: policy,
            nowSeconds: now)
        if !isHeld(global), let answer = await stepUpAnswer(forForm: sending, at: request, standing) {
            return answer
        }
        guard await needsDeviceCheck(sending, session, global, policy, now),
            let agent = services.application(policy.name)?.agent,
            let url = await startDeviceCheck(global, policy, agent: agent, request)
        else { return nil }
        return Answers(request: request).redirect(url)
    }

    /// Why sending the form would be refused now; nil: it would not.
    private func refusal(
        of request: ControlRequest, _ session: StoredSession, _ global: StoredSession, _ policy: Application,
        _ now: Int64
    ) async -> Reason? {
        let services = services
        let device = await shownDevice(of: global, request, at: policy)
        let residual = services.config.policy.residual(of: session.facts, device, for: policy, atSeconds: now)
        let path = judgedPath(request.path, request)
        switch residual.decide(request.facts, path: path.span, atSeconds: now) {
        case .forward: return nil
        case .refuse(let reason): return reason
        case .signIn, .recompute: return .signInRequired
        }
    }

    private func formGone(_ request: ControlRequest) -> ControlResponse {
        Answers(request: request).failure(
            410, .formNotKept, retryURL: services.origin(of: request.host) + "/", isForm: true)
    }

    /// At the end of a sign-in the browser is told who it was: the session that it gets now will end one day.
    func noteSender(on response: inout ControlResponse, _ request: ControlRequest) async {
        guard request.path == "/.gatepost/handoff",
            services.application(request.application)?.keepsForms == true
        else { return }
        let prefix = "\(SessionCookie.name)="
        for field in response.fields where field.name == "Set-Cookie" && field.value.hasPrefix(prefix) {
            let value = String(field.value.dropFirst(prefix.count).prefix { $0 != ";" })
            guard let cookie = SessionCookie(parsing: value, ring: ring),
                let session = try? await store.session(
                    tokenDigest: cookie.tokenDigest, nowSeconds: nowSeconds())
            else { continue }
            let person = PersonCookie.digest(issuer: session.issuer, subject: session.subject)
            let sealer = Sealer(ring: ring)
            response.fields.append(
                Field("Set-Cookie", PersonCookie.setCookie(person, host: request.host, sealer: sealer)))
            return
        }
    }

    /// Somebody else who signs in at the same browser gets nothing of it.
    private static func isSender(_ form: KeptForms.Form, _ global: StoredSession) -> Bool {
        guard let person = form.person else { return true }
        return Sessions.subjects(of: global).contains {
            person == PersonCookie.digest(issuer: global.issuer, subject: $0)
        }
    }

    private static func context(_ id: String, _ browser: [UInt8]) -> String {
        "gatepost-form/\(id)/\(Base64URL.encode(browser))"
    }
}

extension KeptForms.Form {
    /// `target` without its query.
    var path: String { String(target.prefix { $0 != "?" }) }
}

extension ControlRequest {
    /// Path and query.
    var target: String { query.isEmpty ? path : "\(path)?\(query)" }
}
