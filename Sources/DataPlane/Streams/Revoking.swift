import Access
import Border

/// Applies revocations: forget the sessions, re-decide what is open, queue for its end what is no longer allowed.
extension Reactor {
    /// A request without a long life may still finish for this long.
    private static let drainMilliseconds: UInt64 = 2_000
    /// A response that streams for longer than this is a stream, not a short request.
    private static let shortNanoseconds: UInt64 = 2_000_000_000

    /// Whatever stood in the lane when the turn began holds for all of the turn. Who goes on sending meanwhile, as fast
    /// as it is read, is heard in the next one.
    func applyRevocations() {
        for _ in 0..<inbox.revocationsMax {
            guard let revocation = inbox.nextRevocation() else { return }
            apply(revocation)
        }
        inbox.signalAgain()
    }

    private func apply(_ revocation: Revocation) {
        counters.add(.revocations)
        state.pointee.recent.append(revocation)
        state.pointee.cuts.isRevoking = true
        var streams = 0
        switch revocation.effect {
        case .endSession(let session): streams = end(sessions.slots(.session, session), revocation.sequence)
        case .endPerson(let person): streams = end(sessions.slots(.person, person), revocation.sequence)
        case .endDevice(let device): streams = end(sessions.slots(.device, device), revocation.sequence)
        case .endApplication(let application):
            streams = end(sessions.slots(application: application), revocation.sequence)
            streams += cutAnonymous(of: application)
        case .revokeCertificate(let number): streams = revoke(certificate: number)
        case .replace(let record): streams = replace(record, revocation.sequence)
        }
        state.pointee.cuts.isRevoking = false
        let cause = CutQueue.Cause(
            sequence: revocation.sequence, eventNanoseconds: revocation.eventNanoseconds)
        guard streams > 0 else { return report(cause, streams: 0) }
        state.pointee.cuts.append(.end(cause))
    }

    /// A record loaded after the event already reflects it: the session it describes is a new one.
    private func end(_ slots: [Int32], _ sequence: UInt64) -> Int {
        slots.reduce(0) { sum, slot in
            guard sessions[slot].pointee.record.sequence < sequence else { return sum }
            return sum + endSession(slot, sequence: sequence)
        }
    }

    /// Forgets a cached session. With a sequence (a revocation) its open exchanges are cut or drained as
    /// well.
    @discardableResult
    func endSession(_ session: Int32, sequence: UInt64?) -> Int {
        let open = streams(of: session)
        sessions.drop(session)
        guard sequence != nil else { return 0 }
        return open.reduce(0) { $0 + (cutOrDrain($1) ? 1 : 0) }
    }

    private func replace(_ record: SessionRecord, _ sequence: UInt64) -> Int {
        guard record.version == 1, let digest = Token(record.tokenDigest) else { return 0 }
        var newer = record
        newer.sequence = max(record.sequence, sequence)
        var streams = record.client == .person ? renewOthers(newer, than: digest, sequence) : 0
        let session = sessions.find(digest: digest)
        if session >= 0, sessions[session].pointee.record.sequence < sequence {
            streams += renew(session, newer)
        }
        return streams
    }

    /// The same session under its other secrets, as rotations leave them behind: what they opened is the session's and
    /// goes by the newer record. Whether they still open anything is asked before their next use.
    private func renewOthers(_ newer: SessionRecord, than digest: Token, _ sequence: UInt64) -> Int {
        sessions.slots(.session, newer.session).reduce(0) { sum, slot in
            guard sessions[slot].pointee.digest != digest,
                // Beside another certificate the same session is decided by itself.
                sessions[slot].pointee.record.certificate?.digest == newer.certificate?.digest,
                sessions[slot].pointee.record.sequence < sequence
            else { return sum }
            var other = newer
            other.tokenDigest = sessions[slot].pointee.record.tokenDigest
            other.openResidual = newer.openResidual ?? newer.residual
            other.residual.validUntilSeconds = 0
            return sum + renew(slot, other)
        }
    }

    /// Gives a session a new record and decides what it has open anew.
    ///
    /// - Returns: how many streams are to be cut.
    @discardableResult
    func renew(_ session: Int32, _ newer: SessionRecord) -> Int {
        var newer = newer
        // Nobody knows the certificate's record any more: it stays one, and the next request asks anew.
        if newer.certificate == nil, let use = sessions[session].pointee.record.certificate {
            newer.certificate = CertificateUse(
                digest: use.digest, without: newer.openResidual ?? newer.residual)
        }
        sessions.replaceRecord(session, newer)
        return streams(of: session).reduce(0) { sum, slot in
            guard let reason = ending(slot, newer.openResidual ?? newer.residual) else { return sum }
            return sum + (cutOrDrain(slot, reason) ? 1 : 0)
        }
    }

    /// The request behind an open exchange, decided again. Its path was noted when it began.
    ///
    /// - Returns: why it ends; nil when it goes on.
    func ending(_ slot: Int32, _ residual: Residual) -> Reason? {
        let connection = downstreams[slot]
        let facts = RequestFacts(
            method: connection.pointee.exchange.accessMethod, client: connection.pointee.client,
            certificate: certificate(slot, for: connection.pointee.route))
        let decision = connection.pointee.decidedPath.withBytes {
            residual.decide(facts, path: $0, atSeconds: nowSeconds)
        }
        switch decision {
        case .forward(let policy):
            return ending(slot, EnforcedLimits(residual.policies[policy].restriction?.limits))
        case .refuse(let reason): return reason
        // No answer is no permission.
        case .recompute, .signIn: return .sessionEnded
        }
    }

    private func cutAnonymous(of application: String) -> Int {
        var count = 0
        for slot in downstreams.everUsed where downstreams.isInUse(slot) {
            let connection = downstreams[slot]
            guard isOpenToAnybody(slot), connection.pointee.route?.name == application else { continue }
            if cutOrDrain(slot) { count += 1 }
        }
        return count
    }

    /// Whether something is open that no session opened. Who still waits for the upstream's connection may have
    /// one: that shows when the request is walked again.
    private func isOpenToAnybody(_ slot: Int32) -> Bool {
        let connection = downstreams[slot]
        return connection.pointee.exchange.session < 0 && connection.pointee.exchange.upstream >= 0
            && connection.pointee.phase != .connecting
    }

    /// What nobody is signed in for was opened by a route's own decision: a new configuration decides it anew, and what
    /// has no route any more ends.
    func redecideAnonymous(under plan: Plan) {
        // Thousands of streams have few routes between them, and a configuration may have thousands of routes.
        var found: [ObjectIdentifier: Route?] = [:]
        for slot in downstreams.everUsed where downstreams.isInUse(slot) {
            let connection = downstreams[slot]
            guard isOpenToAnybody(slot), let old = connection.pointee.route else { continue }
            let known = found[ObjectIdentifier(old)]
            let new = known ?? plan.routes.first { $0.host == old.host && $0.name == old.name }
            if known == nil { found[ObjectIdentifier(old)] = .some(new) }
            guard let anonymous = new?.application?.anonymous else {
                _ = cutOrDrain(slot)
                continue
            }
            if let reason = ending(slot, anonymous) { _ = cutOrDrain(slot, reason, by: new) }
        }
    }

    /// - Parameter route: whose decision it is, where nobody is signed in.
    /// - Returns: whether it was queued to be cut; otherwise it is already, or it has at most two seconds to finish.
    func cutOrDrain(_ slot: Int32, _ reason: Reason = .sessionEnded, by route: Route? = nil) -> Bool {
        let connection = downstreams[slot]
        guard !connection.pointee.exchange.isCutQueued else { return false }
        let age = nowNanoseconds &- connection.pointee.exchange.beganNanoseconds
        let isStreaming = connection.pointee.exchange.isResponseBegun && age > Self.shortNanoseconds
        guard
            connection.pointee.phase == .tunnel || connection.pointee.exchange.isEventStream || isStreaming
                || isOpenCall(slot)
        else {
            // Once: looking again must not give it more time.
            guard connection.pointee.exchange.cutAtMilliseconds == .max else { return false }
            counters.add(.streamsDrained)
            connection.pointee.exchange.cutAtMilliseconds = nowMilliseconds + Self.drainMilliseconds
            connection.pointee.exchange.cutReason = reason
            connection.pointee.endsAfterResponse = true
            let deadline = timers.deadline(of: slot)
            timers.set(slot, at: min(deadline, connection.pointee.exchange.cutAtMilliseconds))
            return false
        }
        if let route { connection.pointee.lastRoute = route }
        noteCut(slot, reason)
        queueCut(slot, reason)
        return true
    }

    /// Why it ends, and whose word that is: the log names the decision that the reason came from.
    func noteCut(_ slot: Int32, _ reason: Reason) {
        let exchange = downstreams[slot]
        exchange.pointee.exchange.reason = reason
        let session = exchange.pointee.exchange.session
        guard reason != .sessionEnded, session >= 0 else { return }
        exchange.pointee.exchange.decidedBy = sessions[session].pointee.record.decision
    }
}
