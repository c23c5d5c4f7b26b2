/// Pushed authorization requests (RFC 9126): checked like those that come through a browser, and named once.

import JSON
import Synchronization

extension OpenIDProvider {
    /// `POST /par`.
    func push(_ exchange: Exchange) throws -> Response {
        if faults.fires(.pushUnavailable) != nil { return .text("Busy.\n", status: 503) }
        if faults.fires(.pushRefused) != nil { return Self.pushRefusal("invalid_request", "not today") }
        guard exchange.head.method == "POST" else { return .text("POST only.\n", status: 405) }
        guard exchange.head.field("content-type")?.hasPrefix("application/x-www-form-urlencoded") == true,
            let form = Parameters(parsing: try exchange.readBody())
        else { return Self.pushRefusal("invalid_request", "not a form, or a doubled parameter") }
        guard let client = authenticate(exchange, form), form["client_id"] ?? client.id == client.id else {
            return .json(["error": "invalid_client"], status: 401)
        }
        guard form["request_uri"] == nil else {
            return Self.pushRefusal("invalid_request", "a pushed request names no other one")
        }
        var parameters = form
        for name in ["client_secret", "client_assertion", "client_assertion_type"] {
            parameters = parameters.removing(name)
        }
        if let problem = problem(of: parameters) { return Self.pushRefusal(problem.error, problem.text) }
        let name = state.withLock {
            $0.pushed(parameters, clientID: client.id, nowSeconds: exchange.nowSeconds)
        }
        var answer: JSONObject = [
            "request_uri": .string(name), "expires_in": .integer(ProviderState.pushedSeconds),
        ]
        if faults.fires(.pushWithoutName) != nil { answer["request_uri"] = nil }
        if faults.fires(.pushShortLived) != nil { answer["expires_in"] = 1 }
        let honest = Response.json(.object(answer), status: 201)
        return faults.fires(.pushDoubled) == nil
            ? honest : doubled(honest, "\"request_uri\":\"urn:evil:1\"")
    }

    private static func pushRefusal(_ error: String, _ text: String) -> Response {
        .json(["error": .string(error), "error_description": .string(text)], status: 400)
    }

    /// The parameters of an authorization request, wherever they are: those of a pushed one may come only with the name
    /// of their client, and count once (RFC 9126 §2.2, §4).
    ///
    /// - Returns: nil when the name is unknown, used, too old or another client's, or pushing is required and
    /// was not done.
    func unfolded(_ parameters: Parameters, _ nowSeconds: Int64) -> Parameters? {
        guard let name = parameters["request_uri"] else {
            return faults.fires(.pushRequired) == nil ? parameters : nil
        }
        guard let clientID = parameters["client_id"], parameters.pairs.count == 2 else { return nil }
        return state.withLock { $0.unfold(name, clientID: clientID, nowSeconds: nowSeconds) }
    }
}

extension ProviderState {
    static let pushedSeconds: Int64 = 60
    static let pushedPrefix = "urn:ietf:params:oauth:request_uri:"

    mutating func pushed(_ parameters: Parameters, clientID: String, nowSeconds: Int64) -> String {
        if pushedRequests.count >= Self.entriesMax { pushedRequests.removeAll() }
        let name = Self.pushedPrefix + Self.secretText()
        pushedRequests[name] = (parameters, clientID, nowSeconds + Self.pushedSeconds)
        return name
    }

    /// Puts a signed access token in the place of an opaque one.
    mutating func rename(_ token: String, to signed: String, of code: String) {
        tokens[signed] = tokens.removeValue(forKey: token)
        codes[code]?.accessToken = signed
    }

    mutating func unfold(_ name: String, clientID: String, nowSeconds: Int64) -> Parameters? {
        guard let entry = pushedRequests.removeValue(forKey: name), entry.clientID == clientID,
            nowSeconds < entry.expiresAtSeconds
        else { return nil }
        return entry.parameters
    }
}
