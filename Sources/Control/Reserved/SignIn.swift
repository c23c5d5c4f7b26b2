import Access
import Border
import Config
import Identity
import JSON
import Store

extension ProviderWords {
    /// nil where the refusal was ours, or the provider said nothing.
    init?(_ refusal: FlowRefusal, on platform: Platform?) {
        guard let sentence = refusal.providerWords else { return nil }
        self.init(code: refusal.providerCode, sentence: sentence, platform: platform)
    }
}

/// Sign-in and sign-out: requests of the border → steps of the flow → responses.
extension ControlPlane {
    /// A navigation without a session that counts, or the address in a 401's `open_url`.
    func beginSignIn(_ request: ControlRequest) async -> ControlResponse {
        let answers = Answers(request: request)
        let flow = flowRequest(request)
        guard let application = request.application else { return answers.failure(404, .routeNotFound) }
        // Another sign-in would bring a third one, and lead here again.
        guard !SessionCookie.isDoubled(in: request.values("cookie")) else {
            return answers.failure(400, .cookieAmbiguous)
        }
        if request.purpose == .reserved {
            if request.query == "choose" {
                return respond(
                    await services.flow.beginAtApplication(
                        flow, application: application, original: "/", wantsChoice: true), request)
            }
            guard request.query.isEmpty else { return respond(await services.flow.restart(flow), request) }
            return respond(
                await services.flow.beginAtApplication(
                    flow, application: application, original: request.openedFrom(services)), request)
        }
        return respond(
            await services.flow.beginAtApplication(flow, application: application, original: nil), request)
    }

    /// Every other step of the flow.
    func signInStep(_ request: ControlRequest) async -> ControlResponse {
        let flow = services.flow
        let step = flowRequest(request)
        guard !request.isStepUnseen else {
            return Answers(request: request).refusal(403, .originNotAllowed)
        }
        // A provider may take longer than the request may wait: then a page of ours has to be in time.
        let answer = await Patience.value(milliseconds: signInMilliseconds) { await flow.answer(step) }
        switch answer {
        case .some(.some(let answer)):
            if case .upgraded(let globalID, _, _) = answer { await upgraded(globalID) }
            var response = await offeringKey(respond(answer, request), request)
            await noteSender(on: &response, request)
            return response
        case .some(nil): return Answers(request: request).failure(404, .routeNotFound)
        case nil:
            let refusal = FlowRefusal(
                .identityProviderUnavailable, detail: "no answer within \(signInMilliseconds) ms",
                retryURL: await flow.beginning(of: step))
            return respond(.refuse(refusal), request)
        }
    }

    /// Well below the deadline of the waiting request.
    var signInMilliseconds: Int {
        let parked = services.config.gateway.limits.parkedMilliseconds
        return parked - min(1_500, parked / 4)
    }

    func respond(_ answer: FlowAnswer, _ request: ControlRequest) -> ControlResponse {
        let answers = Answers(request: request)
        let nonce = Answers.nonce()
        switch answer {
        case .redirect(let url, let setCookies):
            return answers.redirect(url, setCookies: setCookies, status: 303)
        case .upgraded(_, let url, let setCookies):
            return answers.redirect(url, setCookies: setCookies, status: 303)
        case .leave(let url, let setCookies):
            return passage(to: url, setCookies, Scripts.keepFragment, request)
        case .comeBack(let url, let setCookies):
            return passage(to: url, setCookies, Scripts.addFragment, request)
        case .chooser(let chooser):
            let page = Pages.chooser(
                chooser, origin: services.origin(of: chooser.host), requestID: request.requestID, nonce: nonce
            )
            return answers.page(200, page)
        case .confirmSignOut:
            return answers.page(
                200,
                Pages.confirmSignOut(
                    requestID: request.requestID, nonce: nonce, hasWayBack: request.application != nil))
        case .afterSignOut(let page):
            return answers.page(
                200, Pages.signedOut(page, requestID: request.requestID, nonce: nonce))
        case .signedOut(let url, _, let setCookies, let page):
            var response =
                if let url {
                    answers.redirect(url, setCookies: setCookies, status: 303)
                } else {
                    answers.page(
                        200, Pages.signedOut(page, requestID: request.requestID, nonce: nonce),
                        setCookies: setCookies)
                }
            // Otherwise the back button shows the application as it was (W3C Clear Site Data §3.1).
            response.fields.append(Field("Clear-Site-Data", "\"cache\""))
            return response
        case .refuse(let refusal):
            EventLog.write(
                "sign-in-refused",
                [
                    ("request_id", .string(request.requestID)), ("reason", .string(refusal.reason.rawValue)),
                    ("what", .string(refusal.detail)),
                    ("provider_code", refusal.providerCode.map { .string($0) } ?? .null),
                ])
            return answers.failure(
                Self.status(of: refusal.reason), refusal.reason,
                provider: ProviderWords(refusal, on: request.browserPlatform),
                shortfalls: refusal.shortfalls, retryURL: refusal.retryURL, setCookies: refusal.setCookies)
        }
    }

    /// To a provider or back: a redirect, or for a browser's document a page whose script does it with the fragment.
    private func passage(
        to url: String, _ setCookies: [String], _ script: String, _ request: ControlRequest
    ) -> ControlResponse {
        let answers = Answers(request: request)
        guard request.isDocument else {
            return answers.redirect(url, setCookies: setCookies, status: 303)
        }
        let page = Pages.passage(to: url, script: script, request.requestID, nonce: Answers.nonce())
        return answers.page(200, page, setCookies: setCookies)
    }

    private static func status(of reason: Reason) -> Int {
        switch reason {
        case .identityProviderUnavailable, .storeUnavailable, .overloaded: 503
        case .methodNotAllowed: 405
        case .routeNotFound: 404
        case .requestMalformed, .loginStateLost: 400
        case _: 403
        }
    }

    func flowRequest(_ request: ControlRequest) -> FlowRequest {
        var flow = FlowRequest(
            host: request.host, path: request.path, query: request.query,
            cookieField: request.values("cookie"),
            originField: request.value("origin"), method: request.method, body: request.body,
            nowSeconds: nowSeconds())
        flow.languages = request.value("accept-language")
        return flow
    }

    /// The application session of this host's cookie.
    func applicationSession(_ request: ControlRequest) async throws(StoreError) -> StoredSession? {
        let sessions = Sessions(store: store, ring: ring)
        return try await sessions.lookUp(
            cookieField: request.values("cookie"), kind: .application, host: request.host,
            nowSeconds: nowSeconds())
    }

    /// The global session of the auth host's cookie.
    func globalSession(_ request: ControlRequest) async throws(StoreError) -> StoredSession? {
        let sessions = Sessions(store: store, ring: ring)
        return try await sessions.lookUp(
            cookieField: request.values("cookie"), kind: .global, host: request.host, nowSeconds: nowSeconds()
        )
    }
}
