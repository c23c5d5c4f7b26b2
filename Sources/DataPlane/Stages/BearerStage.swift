import Access
import Border
import HTTP

/// `Authorization: Bearer` → record, at applications whose policies ask for tokens of configured issuers, and
/// nowhere else. Whether a token is genuine the control plane says, once; what is asked here of every request
/// is who it is.
extension Reactor {
    /// - Returns: nil when the field speaks of something else, say of a password for the application.
    func findBearer(_ slot: Int32, _ route: Route, isPerson: Bool) -> SessionResult? {
        let head = downstreams[slot].pointee.input.bytes.span
        guard let range = work.pointee.fields.onlyValue(.authorization) else {
            return .done(refuse(slot, 400, .requestMalformed))
        }
        let value = head.extracting(range.indices)
        let text: Span<UInt8>
        switch BearerToken.read(value) {
        case .other: return nil
        case .malformed: return .done(refuse(slot, 401, .bearerTokenInvalid))
        case .token(let start): text = value.extracting(start..<value.count)
        }
        // One request has one client.
        guard !isPerson, work.pointee.fields.value(named: ServiceToken.fieldName, in: head) == nil else {
            return .done(refuse(slot, 400, .requestMalformed))
        }
        return find(slot, route, text)
    }

    private func find(_ slot: Int32, _ route: Route, _ text: Span<UInt8>) -> SessionResult {
        let connection = downstreams[slot]
        guard connection.pointee.exchange.sessionAnswer == .notAsked else {
            return .done(refuse(slot, 401, .bearerTokenInvalid))
        }
        if let memo = connection.pointee.machine?.lastBearer, memo.equals(text), sessions.finds(memo.session),
            let hit = machineHit(memo.session.slot, route)
        {
            return hit
        }
        let key = BearerToken.digest(text, host: route.hostBytes)
        let found = sessions.find(key)
        if found >= 0, let hit = machineHit(found, route) {
            let memory = connection.pointee.machine ?? MachineMemory(nil)
            memory.lastBearer = BearerTokenMemo(text, sessions.handle(found))
            connection.pointee.machine = memory
            return hit
        }
        return .done(pullBearer(slot, key, text, route.name))
    }

    /// Anybody can make up tokens that have to be looked at, so unknown ones have half of the places of those
    /// who wait: people who come with a session always find one.
    private func pullBearer(
        _ slot: Int32, _ key: Token, _ text: Span<UInt8>, _ application: String
    ) -> Step {
        guard state.pointee.parked < max(1, limits.parkedMax / 2) else {
            counters.add(.parkedRefused)
            return refuse(slot, 503, .overloaded)
        }
        downstreams[slot].pointee.exchange.secret = key
        let token = text.withUnsafeBytes { Array($0) }
        return ask(slot) {
            .pullBearer($0, tokenDigest: key.bytes, token: token, application: application)
        }
    }

    /// The record has run out: the token's own text tells anew who it is.
    func pullBearerAnew(_ slot: Int32, _ record: SessionRecord) -> Step {
        let head = downstreams[slot].pointee.input.bytes.span
        guard let key = Token(record.tokenDigest),
            let range = work.pointee.fields.onlyValue(.authorization)
        else { return refuse(slot, 401, .bearerTokenInvalid) }
        let value = head.extracting(range.indices)
        guard case .token(let start) = BearerToken.read(value) else {
            return refuse(slot, 401, .bearerTokenInvalid)
        }
        return pullBearer(slot, key, value.extracting(start..<value.count), record.application)
    }
}
