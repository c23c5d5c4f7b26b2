import Access
import Border
import COpenSSL
import HTTP

/// Service token, bearer token or client certificate → record, from the same cache as people's sessions.
extension Reactor {
    /// - Returns: nil when no machine speaks, so that somebody's cookie is looked at.
    func findMachine(_ slot: Int32, _ route: Route) -> SessionResult? {
        let head = downstreams[slot].pointee.input.bytes.span
        let isPerson: Bool
        switch work.pointee.fields.sessionCookie {
        case .absent: isPerson = false
        case .value, .ambiguous: isPerson = true
        }
        if route.readsBearerTokens, work.pointee.fields.contains(.authorization),
            let bearer = findBearer(slot, route, isPerson: isPerson)
        {
            return bearer
        }
        guard let range = work.pointee.fields.value(named: ServiceToken.fieldName, in: head) else {
            return isPerson ? nil : findCertificate(slot, route)
        }
        // One request has one client: who sends two proofs, or one twice, means something that nobody can know.
        guard !isPerson, !work.pointee.fields.isRepeated(named: ServiceToken.fieldName, in: head) else {
            return .done(refuse(slot, 400, .requestMalformed))
        }
        return findToken(slot, route, head.extracting(range.indices))
    }

    private func findToken(_ slot: Int32, _ route: Route, _ text: Span<UInt8>) -> SessionResult {
        let connection = downstreams[slot]
        guard connection.pointee.exchange.sessionAnswer == .notAsked, text.count == ServiceToken.textBytes
        else { return .done(refuse(slot, 401, .serviceUnknown)) }
        if let memo = connection.pointee.machine?.lastToken, memo.equals(text), sessions.finds(memo.session),
            let hit = machineHit(memo.session.slot, route)
        {
            return hit
        }
        let key = ServiceToken.digest(text, host: route.hostBytes)
        let found = sessions.find(key)
        if found >= 0, let hit = machineHit(found, route) {
            let memory = connection.pointee.machine ?? MachineMemory(nil)
            memory.lastToken = ServiceTokenMemo(text, sessions.handle(found))
            connection.pointee.machine = memory
            return hit
        }
        connection.pointee.exchange.secret = key
        return .done(pullService(slot, key.bytes, route.name))
    }

    /// A certificate is a weaker word than a token: it is shown whenever it is asked for. So where nothing is known of
    /// it the request is nobody's, and a person may still sign in.
    private func findCertificate(_ slot: Int32, _ route: Route) -> SessionResult? {
        guard downstreams[slot].pointee.exchange.sessionAnswer == .notAsked,
            let proof = downstreams[slot].pointee.machine?.proof, certificate(slot, for: route) != nil
        else { return nil }
        let found = sessions.find(proof.digest)
        if found >= 0, let hit = machineHit(found, route) { return hit }
        return .done(pullMachine(slot, proof, route.name))
    }

    func machineHit(_ found: Int32, _ route: Route) -> SessionResult? {
        guard sessions[found].pointee.record.client != .person else { return nil }
        guard sessions[found].pointee.record.expiresAtSeconds > nowSeconds else {
            endSession(found, sequence: nil)
            return nil
        }
        return sessionHit(found, route)
    }

    private func pullService(_ slot: Int32, _ digest: [UInt8], _ application: String) -> Step {
        ask(slot) { .pullService($0, tokenDigest: digest, application: application) }
    }

    func pullMachine(_ slot: Int32, _ proof: ClientProof, _ application: String) -> Step {
        guard let facts = proof.facts else { return refuse(slot, 401, .signInRequired) }
        downstreams[slot].pointee.exchange.secret = proof.digest
        let claim = claim(slot, proof, facts)
        return ask(slot) { .pullMachine($0, claim, application: application) }
    }

    /// The record again, by what it was found by.
    ///
    /// - Precondition: the request was parsed in this walk, or the record is no bearer token's and
    ///   stands beside no certificate.
    func pullAnew(_ slot: Int32, _ record: SessionRecord) -> Step {
        switch record.client {
        case .person where record.certificate != nil: return pullCertifiedAnew(slot, record.application)
        case .person: return pull(slot, record.tokenDigest, record.application)
        case .serviceToken: return pullService(slot, record.tokenDigest, record.application)
        case .bearerToken: return pullBearerAnew(slot, record)
        case .certificate:
            guard let proof = downstreams[slot].pointee.machine?.proof else {
                return refuse(slot, 401, .signInRequired)
            }
            return pullMachine(slot, proof, record.application)
        }
    }

    /// Whether a machine that is turned away may be a person's browser, which shows its certificate to everybody who
    /// asks: then its page is the sign-in, and not the machine's refusal.
    func mayBePerson(_ slot: Int32, _ session: Int32) -> Bool {
        session >= 0 && sessions[session].pointee.record.client == .certificate && isNavigation(slot)
    }
}
