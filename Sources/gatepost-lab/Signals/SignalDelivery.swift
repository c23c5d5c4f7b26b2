import Foundation
import JSON
import Signatures
import Synchronization

/// Tokens and their way to the receiver: push with retries (RFC 8935), poll with redelivery (RFC 8936).
extension SignalTransmitter {
    /// After this an undelivered token is given up.
    static let triedSecondsMax: Int64 = 86_400

    /// Makes a token for one stream or all, as the faults want it, and queues it.
    ///
    /// - Parameter claims: further members of the token, or others than usual; null takes one away.
    /// - Returns: the `jti`.
    @discardableResult
    func emit(
        _ type: String, subject: JSONObject, event: JSONObject = [:], claims: JSONObject = [:],
        streamID: String? = nil
    ) -> String {
        let now = clock.nowSeconds
        let number = state.withLock { state in
            state.made += 1
            return state.made
        }
        var tokenID = "\(now)-\(number)"
        if faults.fires(.duplicateTokenID) != nil { tokenID = state.withLock { $0.lastTokenID } }
        let compact = token(tokenID, type, subject, event, claims, now)
        let delivery = Delivery(
            tokenID: tokenID, compact: compact, madeAtSeconds: now, dueAtSeconds: now)
        // Events of the stream about itself need nobody on it.
        let needsSubject = faults.isActive(.nobodyByDefault) && streamID == nil
        state.withLock { state in
            state.lastTokenID = tokenID
            for index in state.streams.indices
            where streamID == nil || state.streams[index].id == streamID {
                if needsSubject, !state.streams[index].tells(about: subject) { continue }
                // A disabled stream holds nothing, a paused one everything.
                guard state.streams[index].status != "disabled",
                    state.streams[index].waiting.count < Self.queueMax
                else { continue }
                state.streams[index].waiting.append(delivery)
            }
        }
        return tokenID
    }

    private func token(
        _ id: String, _ type: String, _ subject: JSONObject, _ event: JSONObject, _ claims: JSONObject,
        _ now: Int64
    ) -> String {
        var payload: JSONObject = [
            "iss": .string(address), "jti": .string(id), "iat": .integer(now), "aud": .string(Self.audience),
            "sub_id": .object(subject), "events": .object(JSONObject([(type, .object(event))])),
        ]
        spoil(&payload, type, event, now)
        for member in claims.members { payload[member.name] = member.value.isNull ? nil : member.value }
        var header: JSONObject = ["typ": "secevent+jwt"]
        if faults.fires(.wrongType) != nil { header["typ"] = "JWT" }
        if faults.fires(.noType) != nil { header["typ"] = nil }
        var key = state.withLock { $0.keys[0] }
        if faults.fires(.unknownKey) != nil { key = Self.newKey(99) }
        if faults.fires(.unsecured) != nil {
            header["alg"] = "none"
            return Base64URL.encode(header.serialized()) + "." + Base64URL.encode(payload.serialized()) + "."
        }
        let compact = JWS.sign(header: header, payload: payload, with: key)
        guard faults.fires(.wrongSignature) != nil else { return compact }
        let parts = compact.split(separator: ".")
        return parts[0] + "." + parts[1] + "." + Base64URL.encode(key.sign([1]))
    }

    private func spoil(_ payload: inout JSONObject, _ type: String, _ event: JSONObject, _ now: Int64) {
        let rows: [(SignalFault, String, JSONValue?)] = [
            (.expiry, "exp", .integer(now + 3_600)), (.subject, "sub", "somebody"),
            (.wrongIssuer, "iss", "https://other.example"), (.wrongAudience, "aud", "https://other.example"),
            (.noIssuedAt, "iat", nil), (.futureIssuedAt, "iat", .integer(now + 301)),
            (.noTokenID, "jti", nil),
            (.noEvents, "events", [:]), (.noSubject, "sub_id", nil),
            (.twoEvents, "events", .object(JSONObject([(type, .object(event)), (type + "-2", [:])]))),
            (.unknownEvent, "events", ["https://vendor.example/event-type/something-new": [:]]),
            (.hugeToken, "padding", .string(String(repeating: "x", count: 70_000))),
        ]
        for (fault, name, value) in rows where faults.fires(fault) != nil { payload[name] = value }
        if faults.fires(.nestedSubject) != nil, let subject = payload["sub_id"] {
            var event = event
            event["subject"] = subject
            payload["events"] = .object(JSONObject([(type, .object(event))]))
            payload["sub_id"] = nil
        }
        if faults.fires(.criticalMember) != nil, let user = payload["sub_id"] {
            payload["sub_id"] = [
                "format": "complex", "user": user, "application": ["format": "opaque", "id": "app-1"],
            ]
        }
    }

    // MARK: Push

    /// Delivers what is due, in order, as far as the receiver takes it.
    func push() {
        let now = clock.nowSeconds
        let due = state.withLock { state in
            state.streams.filter { $0.method == "urn:ietf:rfc:8935" && $0.status == "enabled" }
                .flatMap { stream in
                    stream.waiting.filter { $0.dueAtSeconds <= now }.map { (stream, $0) }
                }
        }
        for (stream, delivery) in due { settle(stream.id, delivery, send(delivery, to: stream), now) }
    }

    private func send(_ delivery: Delivery, to stream: Stream) -> (status: Int, error: String?) {
        guard let url = stream.endpointURL.flatMap(URL.init(string:)), url.scheme == "http",
            let port = url.port.flatMap({ UInt16(exactly: $0) })
        else { return (0, nil) }
        var fields = [("Content-Type", "application/secevent+jwt"), ("Accept", "application/json")]
        if let authorization = stream.authorization { fields.append(("Authorization", authorization)) }
        guard
            let answer = try? LabClient(port: port).send(
                "POST", url.path, fields: fields, body: Array(delivery.compact.utf8))
        else { return (0, nil) }
        return (answer.status, (try? JSONValue(parsing: answer.body))?["err"]?.string)
    }

    private func settle(
        _ streamID: String, _ delivery: Delivery, _ answer: (status: Int, error: String?), _ now: Int64
    ) {
        state.withLock { state in
            guard let index = state.streams.firstIndex(where: { $0.id == streamID }),
                let at = state.streams[index].waiting.firstIndex(where: { $0.compact == delivery.compact })
            else { return }
            if answer.status == 202 || (answer.status == 400 && answer.error != nil) {
                state.streams[index].waiting.remove(at: at)
                if let error = answer.error {
                    state.streams[index].refused[delivery.tokenID] = error
                } else {
                    state.streams[index].acknowledged.append(delivery.tokenID)
                }
                return
            }
            guard now - delivery.madeAtSeconds < Self.triedSecondsMax else {
                state.streams[index].waiting.remove(at: at)
                return
            }
            state.streams[index].waiting[at].attempt += 1
            state.streams[index].waiting[at].dueAtSeconds = now + min(300, 1 << min(delivery.attempt, 9))
        }
    }

    // MARK: Poll

    func poll(_ id: String, _ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST", let body = try Self.body(exchange) else {
            return .json([:], status: 400)
        }
        guard state.withLock({ $0.streams.contains { $0.id == id } }) else { return .json([:], status: 404) }
        if let slow = faults.fires(.slowPoll) {
            Thread.sleep(forTimeInterval: Double(slow.milliseconds) / 1_000)
        }
        takeOutcomes(body, of: id)
        let most = Int(min(max(body["maxEvents"]?.integer ?? 100, 0), 1_000))
        let isHeld = body["returnImmediately"]?.bool != true && most > 0
        let end = Date().addingTimeInterval(Double(state.withLock { $0.longPollMilliseconds }) / 1_000)
        var waiting = deliverable(id)
        while isHeld, waiting.isEmpty, Date() < end {
            Thread.sleep(forTimeInterval: 0.02)
            waiting = deliverable(id)
        }
        if faults.fires(.malformedPoll) != nil { return .json(["sets": ["not", "an", "object"]]) }
        let isMislabelled = faults.fires(.mislabelledPoll) != nil
        let sets = waiting.prefix(most).map {
            ($0.tokenID + (isMislabelled ? "-x" : ""), JSONValue.string($0.compact))
        }
        return .json([
            "sets": .object(JSONObject(sets)), "moreAvailable": .bool(waiting.count > most),
        ])
    }

    /// What waits, each `jti` once: an object cannot have two of a name.
    private func deliverable(_ id: String) -> [Delivery] {
        let stream = state.withLock { state in state.streams.first { $0.id == id } }
        guard let stream, stream.status == "enabled" else { return [] }
        var seen: Set<String> = []
        return stream.waiting.filter { seen.insert($0.tokenID).inserted }
    }

    private func takeOutcomes(_ body: JSONValue, of id: String) {
        let taken = (body["ack"]?.array ?? []).compactMap(\.string)
        let refused = body["setErrs"]?.object?.members ?? []
        state.withLock { state in
            guard let index = state.streams.firstIndex(where: { $0.id == id }) else { return }
            for tokenID in taken + refused.map(\.name) {
                guard let at = state.streams[index].waiting.firstIndex(where: { $0.tokenID == tokenID })
                else {
                    continue
                }
                state.streams[index].waiting.remove(at: at)
            }
            state.streams[index].acknowledged += taken
            for error in refused {
                state.streams[index].refused[error.name] = error.value["err"]?.string ?? ""
            }
        }
    }
}
