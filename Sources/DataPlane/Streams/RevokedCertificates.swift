import Access
import Border

/// Client certificates that an administrator revoked by their serial numbers: looked at once in a handshake, and on
/// every open connection when one is revoked. A request pays for none of it.
extension Reactor {
    func isRevoked(_ proof: ClientProof) -> Bool {
        let numbers = state.pointee.revokedSerials.numbers
        guard !numbers.isEmpty || !state.pointee.furtherRevokedSerials.isEmpty, let facts = proof.facts
        else { return false }
        let number = CertificateFacts.number(facts.serial)
        return numbers.contains(number) || state.pointee.furtherRevokedSerials.contains(number)
    }

    /// - Returns: how many streams are to be cut.
    func revoke(certificate number: String) -> Int {
        state.pointee.furtherRevokedSerials.insert(number)
        var count = 0
        for slot in downstreams.everUsed where downstreams.isInUse(slot) {
            guard let proof = downstreams[slot].pointee.machine?.proof, isRevoked(proof) else { continue }
            forget(proof, slot)
            // Who waits for the upstream's connection is decided anew when it is there.
            guard downstreams[slot].pointee.phase != .connecting else { continue }
            let exchange = downstreams[slot].pointee.exchange
            if exchange.upstream >= 0, checkProof(slot, session: exchange.session) { count += 1 }
        }
        return count
    }

    /// What the connection's last cookie led to was found by the certificate too.
    func forget(_ proof: ClientProof, _ slot: Int32) {
        proof.isRevoked = true
        downstreams[slot].pointee.lastCookie = CookieMemo()
    }
}
