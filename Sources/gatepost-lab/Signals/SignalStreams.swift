import JSON
import Signatures
import Synchronization

/// Stream management (SSF 1.0 §8.1).
extension SignalTransmitter {
    func streams(_ exchange: Exchange) throws -> Response {
        let body = try Self.body(exchange)
        let named = Parameters(parsing: exchange.head.query)?["stream_id"]
        switch exchange.head.method {
        case "GET": return read(named)
        case "POST": return create(body)
        case "PATCH", "PUT": return update(body, replaces: exchange.head.method == "PUT")
        case "DELETE":
            let count = state.withLock { state in
                let before = state.streams.count
                state.streams.removeAll { $0.id == named }
                return before - state.streams.count
            }
            return count == 0 ? .json([:], status: 404) : Response(status: 204)
        default: return .json([:], status: 405)
        }
    }

    private func read(_ id: String?) -> Response {
        let all = state.withLock { $0.streams }
        guard let id else { return .json(.array(all.map(document))) }
        return all.first { $0.id == id }.map { .json(document($0)) } ?? .json([:], status: 404)
    }

    private func create(_ body: JSONValue?) -> Response {
        guard let body else { return .json([:], status: 400) }
        let method = body["delivery"]?["method"]?.string ?? "urn:ietf:rfc:8936"
        guard ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"].contains(method) else {
            return .json([:], status: 400)
        }
        if method == "urn:ietf:rfc:8935", body["delivery"]?["endpoint_url"]?.string == nil {
            return .json([:], status: 400)
        }
        let isFull = faults.isActive(.oneStreamOnly) && state.withLock { !$0.streams.isEmpty }
        if isFull { return .json([:], status: 409) }
        var stream = Stream(id: Base64URL.encode(Random.bytes(12)), method: method, requested: [])
        Self.write(body, to: &stream)
        let made = stream
        state.withLock { $0.streams.append(made) }
        if method == "urn:ietf:rfc:8935" { startPushing() }
        return .json(document(made), status: 201)
    }

    private func update(_ body: JSONValue?, replaces: Bool) -> Response {
        guard let body, let id = body["stream_id"]?.string else { return .json([:], status: 400) }
        let changed = state.withLock { state -> Stream? in
            guard let index = state.streams.firstIndex(where: { $0.id == id }) else { return nil }
            if replaces {
                state.streams[index].requested = []
                state.streams[index].description = nil
            }
            Self.write(body, to: &state.streams[index])
            return state.streams[index]
        }
        return changed.map { .json(document($0)) } ?? .json([:], status: 404)
    }

    private static func write(_ body: JSONValue, to stream: inout Stream) {
        if let events = body["events_requested"]?.array { stream.requested = events.compactMap(\.string) }
        if let text = body["description"]?.string { stream.description = text }
        guard let delivery = body["delivery"] else { return }
        if let method = delivery["method"]?.string { stream.method = method }
        stream.endpointURL = delivery["endpoint_url"]?.string ?? stream.endpointURL
        stream.authorization = delivery["authorization_header"]?.string ?? stream.authorization
    }

    /// What a transmitter shows: never the authorization that it was given.
    private func document(_ stream: Stream) -> JSONValue {
        let endpoint =
            stream.method == "urn:ietf:rfc:8936" ? address + "/poll/" + stream.id : stream.endpointURL
        let issuer = faults.isActive(.streamIssuer) ? "https://other.example" : address
        let audience = faults.isActive(.streamAudience) ? "https://other.example" : Self.audience
        let (interval, inactivity) = state.withLock { ($0.verificationSecondsMin, $0.inactivitySeconds) }
        var document: JSONObject = [
            "stream_id": .string(stream.id), "iss": .string(issuer), "aud": [.string(audience)],
            "events_requested": .array(stream.requested.map { .string($0) }),
            // This one never delivers what RISC calls purged: a receiver has to look at what it gets.
            "events_delivered": .array(
                stream.requested.filter { !$0.hasSuffix("account-purged") }.map { .string($0) }),
            "delivery": [
                "method": .string(stream.method), "endpoint_url": endpoint.map { .string($0) } ?? .null,
            ], "min_verification_interval": .integer(interval),
        ]
        if let inactivity { document["inactivity_timeout"] = .integer(inactivity) }
        if let text = stream.description { document["description"] = .string(text) }
        return .object(document)
    }

    func status(_ exchange: Exchange) throws -> Response {
        let body = try Self.body(exchange)
        let id = body?["stream_id"]?.string ?? Parameters(parsing: exchange.head.query)?["stream_id"]
        let word = body?["status"]?.string
        if exchange.head.method == "POST", !["enabled", "paused", "disabled"].contains(word ?? "") {
            return .json([:], status: 400)
        }
        let found = state.withLock { state -> Stream? in
            guard let index = state.streams.firstIndex(where: { $0.id == id }) else { return nil }
            if let word {
                state.streams[index].status = word
                state.streams[index].reason = body?["reason"]?.string
            }
            return state.streams[index]
        }
        guard let found else { return .json([:], status: 404) }
        return .json([
            "stream_id": .string(found.id), "status": .string(found.status),
            "reason": found.reason.map { .string($0) } ?? .null,
        ])
    }

    func verify(_ exchange: Exchange) throws -> Response {
        let body = try Self.body(exchange)
        guard let id = body?["stream_id"]?.string else { return .json([:], status: 400) }
        if let setting = faults.fires(.throttledVerification) {
            return .json([:], status: 429, fields: [("Retry-After", "\(setting.retryAfterSeconds)")])
        }
        let now = exchange.nowSeconds
        let outcome = state.withLock { state -> Int in
            guard let index = state.streams.firstIndex(where: { $0.id == id }) else { return 404 }
            if let last = state.streams[index].verifiedAtSeconds, now - last < state.verificationSecondsMin {
                return 429
            }
            state.streams[index].verifiedAtSeconds = now
            return 204
        }
        guard outcome == 204 else { return .json([:], status: outcome) }
        if faults.fires(.noVerification) == nil { sendVerification(id, state: body?["state"]?.string) }
        return Response(status: 204)
    }

    /// A verification event, asked for or not.
    func sendVerification(_ id: String, state asked: String?) {
        var event: JSONObject = [:]
        if let asked { event["state"] = .string(asked) }
        if faults.fires(.wrongState) != nil { event["state"] = "another-state" }
        if faults.fires(.missingState) != nil { event["state"] = nil }
        emit(
            "https://schemas.openid.net/secevent/ssf/event-type/verification",
            subject: ["format": "opaque", "id": .string(id)], event: event, streamID: id)
    }

    /// Who is added is told about; without `default_subjects: NONE` everybody is anyway.
    func subjects(_ action: String?, _ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST", let body = try Self.body(exchange),
            body["subject"]?.object != nil,
            let id = body["stream_id"]?.string
        else { return .json([:], status: 400) }
        if let setting = faults.fires(.throttledSubjects) {
            return .json([:], status: 429, fields: [("Retry-After", "\(setting.retryAfterSeconds)")])
        }
        let subject = body["subject"] ?? .null
        let isKnown = action == "remove" || faults.fires(.unknownSubjects) == nil
        let isDone = state.withLock { state -> Bool in
            guard isKnown, let index = state.streams.firstIndex(where: { $0.id == id }) else { return false }
            state.streams[index].subjects.removeAll { $0 == subject }
            if action != "remove" { state.streams[index].subjects.append(subject) }
            return true
        }
        guard isDone else { return .json([:], status: 404) }
        return Response(status: action == "remove" ? 204 : 200)
    }

    static func body(_ exchange: Exchange) throws -> JSONValue? {
        exchange.head.method == "GET" ? nil : try? JSONValue(parsing: try exchange.readBody())
    }
}
