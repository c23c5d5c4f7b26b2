import Access
import Border
import Identity
import JSON
import Posture
import Store

/// How a browser comes back that went to the agent itself: `?tx=…` with `a=` (the answer; beside it `s=`, a
/// management server's statement) or `e=` (why there is none).
enum DeviceReturn {
    static let path = "/.gatepost/posture/return"
    /// Of path and query together; everywhere else the configured bound of targets is the only one.
    static let targetBytesMax = 16 << 10

    enum Outcome: Equatable {
        case answer(AgentAnswer)
        case refusal(Reason)
    }

    /// Exactly these parameters, each once, of the bytes that transactions, answers and words have; nil for
    /// everything else. Nothing is decoded, so that there is one reading, also of an answer that is longer
    /// than a form's text may be.
    static func parse(_ query: String) -> (transaction: String, outcome: Outcome)? {
        var parameters: [String: String] = [:]
        for pair in query.utf8.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false) {
            let parts = pair.split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[1].allSatisfy(isPlain), parameters.count < 3,
                parameters.updateValue(
                    String(decoding: parts[1], as: UTF8.self),
                    forKey: String(decoding: parts[0], as: UTF8.self))
                    == nil
            else { return nil }
        }
        guard (2...3).contains(parameters.count), let transaction = parameters["tx"],
            (1...64).contains(transaction.utf8.count)
        else { return nil }
        if let assertion = parameters["a"], !assertion.isEmpty {
            let statement = parameters["s"]
            guard parameters.count == (statement == nil ? 2 : 3) else { return nil }
            return (transaction, .answer(AgentAnswer(assertion: assertion, statement: statement)))
        }
        guard parameters.count == 2, let reason = parameters["e"].flatMap({ DeviceStates.ofAgent[$0] })
        else { return nil }
        return (transaction, .refusal(reason))
    }

    /// Base64url, dots and the words' hyphens.
    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
    }

    /// The clean address that a failed return leads to: no answer is in it, and it can be reloaded.
    static func page(_ authOrigin: String, _ transaction: String, _ reason: Reason, ageSeconds: Int64?)
        -> String
    {
        var parameters = [("tx", transaction), ("e", reason.rawValue)]
        if let ageSeconds { parameters.append(("days", "\(ageSeconds / 86_400)")) }
        return "\(authOrigin)/.gatepost/posture/start?" + FormText.encode(parameters)
    }

    /// The state that the page shows instead of beginning; words of others show nothing.
    static func state(of request: ControlRequest) -> Reason? {
        request.parameter("e").flatMap(Reason.init(rawValue:)).flatMap {
            DeviceStates.titles[$0] == nil ? nil : $0
        }
    }

    static func days(of request: ControlRequest) -> Int? {
        request.parameter("days").flatMap { Int($0) }.flatMap { (0...99_999).contains($0) ? $0 : nil }
    }
}

extension ControlPlane {
    func deviceReturn(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        guard request.path.utf8.count + 1 + request.query.utf8.count <= DeviceReturn.targetBytesMax else {
            return answers.failure(414, .answerTooLarge)
        }
        guard let (id, outcome) = DeviceReturn.parse(request.query) else {
            return answers.failure(400, .requestMalformed)
        }
        // A picture or frame of another site is not a person who comes back.
        guard request.value("sec-fetch-mode") ?? "navigate" == "navigate",
            request.value("sec-fetch-dest") ?? "document" == "document"
        else { return answers.failure(403, .originNotAllowed) }
        guard let session = try await globalSession(request), let global = try await owner(of: id, session)
        else {
            var assertion: String?
            if case .answer(let answer) = outcome { assertion = answer.assertion }
            if await !spoil(assertion, request) {
                refusedStranger("a browser came back without the session of its device check", request)
            }
            return answers.failure(403, .sessionMismatch)
        }
        let origin = services.authOrigin
        switch outcome {
        case .refusal(let reason):
            deviceStateNoted(reason, of: id, request)
            return answers.redirect(
                DeviceReturn.page(origin, id, reason, ageSeconds: nil), status: 303)
        case .answer(let answer):
            switch try await prove(
                answer, of: id, by: global, presentedBy: session, request, isReturn: true)
            {
            case .proven(let next, let cookies):
                return answers.redirect(next, setCookies: cookies, status: 303)
            case .refused(let refusal):
                return answers.redirect(
                    DeviceReturn.page(origin, id, refusal.reason, ageSeconds: refusal.ageSeconds), status: 303
                )
            }
        }
    }

    /// Uses up an answer that came with another session than its own, and says so.
    ///
    /// - Returns: false where there is none that could be used up; then nothing was said.
    func spoil(_ assertion: String?, _ request: ControlRequest) async -> Bool {
        guard let assertion, await services.posture.discard(assertion: assertion) else { return false }
        deviceChecks.refused(
            PostureRefusal(
                .sessionMismatch, "an agent's answer came with another session; it is used up", isAlert: true),
            request)
        return true
    }
}

/// What an agent answered, by whichever way it came.
struct AgentAnswer: Equatable {
    var assertion: String
    /// The management server's words beside it (mode A).
    var statement: String?

    init(assertion: String, statement: String? = nil) {
        self.assertion = assertion
        self.statement = statement
    }

    /// `{assertion[, statement]}`; nil without an assertion, and for a statement that is no text.
    init?(_ body: JSONValue) {
        guard let assertion = body["assertion"]?.string else { return nil }
        self.assertion = assertion
        statement = body["statement"]?.string
        guard statement != nil || body["statement"] == nil else { return nil }
    }
}
