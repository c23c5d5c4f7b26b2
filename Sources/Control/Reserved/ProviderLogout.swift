import Access
import Border
import Identity
import JSON
import Store

/// Where identity providers say that somebody signed out there.
enum ProviderLogoutPath {
    /// Followed by the configured name of the provider, as in the callback's path.
    static let backchannel = "/.gatepost/backchannel-logout/"
    static let frontchannel = "/.gatepost/frontchannel-logout/"
}

/// Logout that identity providers begin: requests of the border → the flow → responses.
extension ControlPlane {
    /// nil when the request's path is neither.
    func providerLogout(_ request: ControlRequest) async -> ControlResponse? {
        if request.path.hasPrefix(ProviderLogoutPath.backchannel) { return await backchannelLogout(request) }
        if request.path.hasPrefix(ProviderLogoutPath.frontchannel) {
            return await frontchannelLogout(request)
        }
        return nil
    }

    private func backchannelLogout(_ request: ControlRequest) async -> ControlResponse {
        let flow = services.flow
        var step = flowRequest(request)
        step.body = request.body
        let asked = step
        // Keys may have to be fetched: whoever asks is told in time.
        let outcome = await Patience.value(milliseconds: signInMilliseconds) {
            await flow.backchannelLogout(
                asked, contentType: request.value("content-type"), from: request.client)
        }
        let answers = Answers(request: request)
        switch outcome {
        case .done(let provider, let ended)?:
            await noteProviderLogout("back-channel", provider, ended)
            return bare(request, 200)
        case .noProvider?: return answers.refusal(404, .routeNotFound)
        case .refused(let what, let isMethod)?:
            EventLog.write(
                "provider-logout-refused",
                [("request_id", .string(request.requestID)), ("what", .string(what))])
            return logoutError(request, isMethod ? 405 : 400, "invalid_request", what)
        case .tooMany(let seconds)?:
            var response = logoutError(
                request, 429, "temporarily_unavailable", "too many wrong logout tokens")
            response.fields.append(Field("Retry-After", String(seconds)))
            return response
        case .unavailable(let what)?:
            EventLog.write(
                "provider-logout-not-taken",
                [("request_id", .string(request.requestID)), ("what", .string(what))])
            return logoutUnavailable(request)
        case nil: return logoutUnavailable(request)
        }
    }

    private func logoutUnavailable(_ request: ControlRequest) -> ControlResponse {
        var response = logoutError(request, 503, "temporarily_unavailable", "try again")
        response.fields.append(Field("Retry-After", "5"))
        return response
    }

    /// Back-Channel Logout 1.0 §2.8: the error as OAuth has it (RFC 6749 §5.2).
    private func logoutError(
        _ request: ControlRequest, _ status: Int, _ error: String, _ what: String
    ) -> ControlResponse {
        let reason =
            switch status {
            case 405: Reason.methodNotAllowed
            case 429: Reason.overloaded
            case 503: Reason.storeUnavailable
            case _: Reason.requestMalformed
            }
        return Answers(request: request).json(
            status,
            .object(
                JSONObject([("error", .string(error)), ("error_description", .string(what))])),
            reason: reason)
    }

    private func frontchannelLogout(_ request: ControlRequest) async -> ControlResponse {
        let flow = services.flow
        let step = flowRequest(request)
        let outcome = await Patience.value(milliseconds: signInMilliseconds) {
            await flow.frontchannelLogout(step)
        }
        let answers = Answers(request: request)
        switch outcome {
        case .page(let origin, let ended, let provider, let setCookies)?:
            if !ended.isEmpty { await noteProviderLogout("front-channel", provider, ended) }
            return emptyFrame(request, in: origin, setCookies)
        case .noProvider?: return answers.failure(404, .routeNotFound)
        case .refused(let isMethod)?:
            return answers.failure(
                isMethod ? 405 : 400, isMethod ? .methodNotAllowed : .requestMalformed)
        case .unavailable(let what)?:
            EventLog.write(
                "provider-logout-not-taken",
                [("request_id", .string(request.requestID)), ("what", .string(what))])
            return answers.failure(503, .storeUnavailable)
        case nil: return answers.failure(503, .identityProviderUnavailable)
        }
    }

    /// An empty document that only the provider's own pages may frame: nothing can be put over it or read
    /// from it.
    private func emptyFrame(
        _ request: ControlRequest, in origin: String?, _ setCookies: [String]
    ) -> ControlResponse {
        let policy = "default-src 'none'; base-uri 'none'; frame-ancestors \(origin ?? "'none'")"
        var response = bare(request, 200)
        // X-Frame-Options knows only "nobody" and "we"; with frame-ancestors browsers do not look at it (CSP 3
        // §6.4.2).
        response.fields.append(Field("Content-Type", "text/html; charset=utf-8"))
        response.fields.append(Field("Content-Security-Policy", policy))
        response.fields += setCookies.map { Field("Set-Cookie", $0) }
        return response
    }

    private func bare(_ request: ControlRequest, _ status: Int) -> ControlResponse {
        ControlResponse(
            ticket: request.ticket, status: status,
            fields: [
                Field("Cache-Control", "no-store"), Field("Referrer-Policy", "no-referrer"),
                Field("X-Content-Type-Options", "nosniff"),
            ], body: [], reason: nil)
    }

    /// On record after the streams are cut. A record that cannot be written does not undo the logout, and the
    /// provider must not send it again.
    private func noteProviderLogout(
        _ channel: String, _ provider: String, _ ended: [StoredSession]
    ) async {
        await noteEnding(
            "provider-logout", [("provider", .string(provider)), ("channel", .string(channel))], ended)
    }

    /// Numbers to the event log, the sessions to the audit trail.
    func noteEnding(
        _ kind: String, _ members: [(String, JSONValue)], _ ended: [StoredSession]
    ) async {
        let count = SessionCount(ended, liveAtSeconds: nowSeconds())
        let numbers: [(String, JSONValue)] = [
            ("sign_ins", .integer(Int64(count.signIns))), ("sessions", .integer(Int64(count.sessions))),
            ("people", .integer(Int64(count.persons))),
        ]
        EventLog.write(kind, members + numbers)
        let ids = ended.prefix(1_000).map { JSONValue.string($0.id) }
        do throws(StoreError) {
            try await store.appendAudit(
                kind: kind, atSeconds: nowSeconds(),
                json: JSONValue.object(JSONObject(members + numbers + [("ids", .array(ids))]))
                    .serializedText())
        } catch {
            EventLog.write("store-failed", [("what", .string("\(error)"))])
        }
    }
}
