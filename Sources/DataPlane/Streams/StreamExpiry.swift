import Border

/// What is open ends when the decision that opened it does, unless a fresh one has come in the meantime.
///
/// Requests renew their session's record as they come; a tunnel or an event stream may stay for hours without one. So
/// once a second whatever is open is held against its record: shortly before the end, and when the session's use has to
/// be told, a fresh record is asked for, and at the end the stream is cut, also when the control plane is gone.
extension Reactor {
    private static let checkMilliseconds: UInt64 = 1_000
    /// A fresh record is asked for so long before the end.
    private static let renewAheadSeconds: Int64 = 30
    /// And at most so often.
    private static let renewEverySeconds: Int64 = 10

    /// Looks again in a second, while anything is open.
    func scheduleStreamCheck() {
        guard state.pointee.streamCheckAtMilliseconds == .max, counters.value(.openExchanges) > 0 else {
            return
        }
        state.pointee.streamCheckAtMilliseconds = nowMilliseconds + Self.checkMilliseconds
    }

    func checkStreams() {
        state.pointee.streamCheckAtMilliseconds = .max
        for slot in downstreams.everUsed where downstreams.isInUse(slot) {
            // Who waits for the upstream's connection is decided anew when it is there.
            guard downstreams[slot].pointee.phase != .connecting else { continue }
            let exchange = downstreams[slot].pointee.exchange
            guard !exchange.isCutQueued else { continue }
            if exchange.upstream >= 0 { checkProof(slot, session: exchange.session) }
            guard exchange.session >= 0, exchange.upstream >= 0 else { continue }
            checkStream(slot, session: exchange.session)
        }
    }

    /// A certificate that has ended, or that was proven against authorities or revocations that are no longer the
    /// configured ones, counts no more for what it opened either.
    ///
    /// - Returns: whether it was queued to be cut.
    @discardableResult
    func checkProof(_ slot: Int32, session: Int32) -> Bool {
        guard let route = downstreams[slot].pointee.route,
            downstreams[slot].pointee.machine?.proof?.facts != nil, certificate(slot, for: route) == nil
        else { return false }
        let record = session >= 0 ? sessions[session].pointee.record : nil
        // Its own residual does not ask for the certificate, because the certificate is who it is.
        if record?.client == .certificate {
            counters.add(.streamsExpired)
            return cutOrDrain(slot)
        }
        let residual =
            record.map { $0.certificate?.without ?? $0.openResidual ?? $0.residual } ?? route.anonymous
        guard let reason = ending(slot, residual) else { return false }
        counters.add(.streamsExpired)
        return cutOrDrain(slot, reason)
    }

    private func checkStream(_ slot: Int32, session: Int32) {
        let entry = sessions[session]
        let until = entry.pointee.record.streamsUntilSeconds
        let isDue = nowSeconds >= entry.pointee.record.useNotedUntilSeconds
        guard isDue || until - nowSeconds <= Self.renewAheadSeconds else { return }
        guard nowSeconds < until else {
            counters.add(.streamsExpired)
            // That time ran out is decided as well, so that it is on record like every other loss.
            if !entry.pointee.isDropped, entry.pointee.renewalAskedAtSeconds < until { askForRecord(session) }
            _ = cutOrDrain(slot)
            return
        }
        guard !entry.pointee.isDropped,
            !(0..<Self.renewEverySeconds).contains(nowSeconds - entry.pointee.renewalAskedAtSeconds)
        else { return }
        askForRecord(session)
    }

    private func askForRecord(_ session: Int32) {
        let entry = sessions[session]
        guard
            toControl.send(
                .renew(
                    tokenDigest: entry.pointee.record.tokenDigest,
                    application: entry.pointee.record.application))
        else { return }
        entry.pointee.renewalAskedAtSeconds = nowSeconds
    }
}
