import Access
import Border
import JSON
import Posture

/// Where Shared Signals transmitters send to.
enum SignalPath {
    /// Followed by the configured name of the stream.
    static let prefix = "/.gatepost/signals/"
}

/// Push delivery of security events (RFC 8935).
extension ControlPlane {
    /// Seconds after which a transmitter tries again.
    private static let retrySeconds = 5

    func pushedSignal(_ request: ControlRequest) async -> ControlResponse {
        let answers = Answers(request: request)
        guard request.method == "POST" else { return answers.refusal(405, .methodNotAllowed) }
        let receipt = await services.posture.receiveSignal(
            stream: String(request.path.dropFirst(SignalPath.prefix.count)),
            authorization: request.values("authorization"), contentType: request.value("content-type"),
            body: request.body)
        switch receipt {
        case .acknowledged: return answers.empty(202)
        case .noSuchStream: return answers.refusal(404, .routeNotFound)
        case .refused(let refusal): return answers.signalRefusal(refusal)
        case .unavailable(let what):
            EventLog.write(
                "signal-not-taken",
                [("request_id", .string(request.requestID)), ("what", .string(what))])
            var response = answers.refusal(503, .storeUnavailable)
            response.fields.append(Field("Retry-After", String(Self.retrySeconds)))
            return response
        }
    }
}

extension Answers {
    /// RFC 8935 §2.3: 400 with the error as JSON. The words are for the transmitter's administrator.
    fileprivate func signalRefusal(_ refusal: SignalRefusal) -> ControlResponse {
        EventLog.write(
            "signal-refused",
            [
                ("request_id", .string(request.requestID)), ("err", .string(refusal.code.rawValue)),
                ("what", .string(refusal.what)),
            ])
        var response = json(
            400, ["err": .string(refusal.code.rawValue), "description": .string(refusal.what)],
            reason: refusal.code == .authenticationFailed ? .signatureInvalid : .requestMalformed)
        response.fields.append(Field("Content-Language", "en"))
        return response
    }

    /// RFC 8935 §2.2: an accepted token is answered without content.
    fileprivate func empty(_ status: Int) -> ControlResponse {
        var response = json(status, .null)
        response.body = []
        response.fields.removeAll { $0.name == "Content-Type" }
        return response
    }
}
