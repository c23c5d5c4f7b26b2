import Access
import Border
import HTTP
import JSON

/// A person's session beside a client certificate that may stand for the device.
///
/// Such a session has a record for each certificate: found by the cookie's secret and the certificate together, so
/// that what one connection has proven is nobody's on another. A connection remembers what its last cookie led to,
/// whatever that was found by, so a request that repeats the cookie pays for none of this.
extension Reactor {
    /// What the record of a cookie is found by on this connection.
    func secret(of cookie: SessionCookie, _ slot: Int32, _ route: Route) -> Token {
        guard route.readsDeviceCertificates, certificate(slot, for: route) != nil,
            let proof = downstreams[slot].pointee.machine?.proof
        else { return cookie.secret }
        return Token(
            sha256: Array("gatepost certified secret\n".utf8) + cookie.secret.bytes + proof.digest.bytes)
    }

    /// - Parameter key: `secret(of:)`, of a genuine cookie.
    func pullPerson(_ slot: Int32, _ cookie: SessionCookie, by key: Token, _ application: String) -> Step {
        downstreams[slot].pointee.exchange.secret = key
        guard key != cookie.secret, let proof = downstreams[slot].pointee.machine?.proof,
            let facts = proof.facts
        else { return pull(slot, cookie.digest, application) }
        let shown = claim(slot, proof, facts)
        let digest = cookie.digest
        return ask(slot) { ticket in
            .pullCertified(ticket, tokenDigest: digest, shown, application: application)
        }
    }

    /// The record has run out: the cookie tells anew whose session it is, and the connection whether the certificate
    /// still counts.
    ///
    /// - Precondition: the request was parsed in this walk.
    func pullCertifiedAnew(_ slot: Int32, _ application: String) -> Step {
        // It leads to the record that has run out.
        downstreams[slot].pointee.lastCookie = CookieMemo()
        let head = downstreams[slot].pointee.input.bytes.span
        guard case .value(let range) = work.pointee.fields.sessionCookie,
            let cookie = SessionCookie(head.extracting(range.indices)),
            let route = downstreams[slot].pointee.route
        else { return refuse(slot, 401, .signInRequired) }
        return pullPerson(slot, cookie, by: secret(of: cookie, slot, route), application)
    }

    func claim(_ slot: Int32, _ proof: ClientProof, _ facts: CertificateFacts) -> MachineClaim {
        MachineClaim(
            tokenDigest: proof.digest.bytes, listener: ServerContext.listener(of: ssl(of: slot)),
            subject: facts.subject, names: facts.names, issuerDigest: facts.issuerDigest,
            serial: facts.serial, notAfterSeconds: facts.notAfterSeconds)
    }

    /// The certificate that stands for the device of whoever sent this request; nil: none counts, or none is asked.
    func deviceClaim(_ slot: Int32) -> MachineClaim? {
        guard let route = downstreams[slot].pointee.route, route.readsDeviceCertificates,
            let facts = certificate(slot, for: route), let proof = downstreams[slot].pointee.machine?.proof
        else { return nil }
        return claim(slot, proof, facts)
    }

    /// What a refusal tells a program of the certificate that it showed, as JSON; nil: the refusal is not about it.
    func shownCertificate(_ slot: Int32, _ reason: Reason) -> [UInt8]? {
        switch reason {
        case .deviceCertificateRequired, .deviceCertificateUnknown, .deviceCertificateConflict,
            .deviceUnknown, .deviceOwnerMismatch:
            guard let claim = deviceClaim(slot) else { return nil }
            var members: JSONObject = ["serial": .string(claim.serial)]
            members["subject"] = claim.subject.map { .string($0) }
            return JSONValue.object(members).serialized()
        case _: return nil
        }
    }

    /// Under a new configuration a certificate may count no more: what it opened is decided without it in this turn.
    func checkProofs() {
        for slot in 0..<downstreams.capacity where downstreams.isInUse(slot) {
            if let proof = downstreams[slot].pointee.machine?.proof, isRevoked(proof) { forget(proof, slot) }
            guard downstreams[slot].pointee.phase != .connecting else { continue }
            let exchange = downstreams[slot].pointee.exchange
            if exchange.upstream >= 0 { checkProof(slot, session: exchange.session) }
        }
    }
}
