import Access
import Border
import HTTP

/// Host → route. Only exact names: there is no default application.
extension Reactor {
    func route(_ slot: Int32, _ request: CanonicalRequest) -> Route? {
        let head = downstreams[slot].pointee.input.bytes.span
        let host = request.host.isInScratch ? work.pointee.scratch.bytes.span : head
        let name = host.extracting(request.host.range.indices)
        if let last = downstreams[slot].pointee.lastRoute, last.revision == state.pointee.revision {
            let known = last.hostBytes
            if Plan.equal(known.span, name) { return last }
        }
        return plan.route(host: name)
    }

    func remember(_ slot: Int32, _ route: Route) {
        let connection = downstreams[slot]
        if connection.pointee.lastRoute !== route { connection.pointee.lastRoute = route }
        connection.pointee.exchange.isRouted = true
    }

    /// A connection made for one name may carry requests for another only where one certificate covers both;
    /// 421 tells the browser to make a new one (RFC 9110 section 15.5.20).
    func isRightConnection(_ slot: Int32, for route: Route) -> Bool {
        if route.asksForCertificate, plan.server.asks(ssl(of: slot)) {
            guard isProof(slot, for: route) else { return false }
        }
        let certificate = downstreams[slot].pointee.certificate
        return certificate < 0 || certificate == route.certificate
            || plan.server.covers(Int(certificate), route.host)
    }

    /// Whether a connection was asked for a certificate by this very host, against the authorities of today. What was
    /// proven to another host counts there; after new authorities or revocations it is to be proven again.
    private func isProof(_ slot: Int32, for route: Route) -> Bool {
        guard let proof = downstreams[slot].pointee.machine?.proof else { return false }
        let (host, wanted) = (proof.host, route.hostBytes)
        guard Plan.equal(host.span, wanted.span) else { return false }
        return plan.server.trusts(proof.authorities, of: ssl(of: slot))
    }

    /// The certificate that counts for a request for `route` at this second; nil: none.
    func certificate(_ slot: Int32, for route: Route?) -> CertificateFacts? {
        guard let proof = downstreams[slot].pointee.machine?.proof, let facts = proof.facts, let route,
            route.asksForCertificate, !proof.isRevoked, nowSeconds < facts.notAfterSeconds,
            isProof(slot, for: route)
        else { return nil }
        return facts
    }

    /// Whether the path lies under `/.gatepost/`: such a request is never forwarded.
    func isReserved(_ slot: Int32, _ request: CanonicalRequest) -> Bool {
        let prefix: StaticString = "/.gatepost"
        let length = prefix.utf8CodeUnitCount
        guard request.path.count >= length else { return false }
        let head = downstreams[slot].pointee.input.bytes.span
        let path = (request.path.isInScratch ? work.pointee.scratch.bytes.span : head)
            .extracting(request.path.range.indices)
        for index in 0..<length where path[index] | 0x20 != prefix.utf8Start[index] | 0x20 { return false }
        return path.count == length || path[length] == UInt8(ascii: "/")
    }

    func contains(_ word: StaticString, in text: Span<UInt8>, wholly: Bool) -> Bool {
        let length = word.utf8CodeUnitCount
        guard text.count >= length, !wholly || text.count == length else { return false }
        for start in 0...(text.count - length) {
            var index = 0
            while index < length, text[start + index] | 0x20 == word.utf8Start[index] | 0x20 { index += 1 }
            if index == length { return true }
        }
        return false
    }
}
