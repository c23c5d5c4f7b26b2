import Border
import Identity
import JSON
import Store

/// Session records for reactors: on demand, ahead of their end, and whenever something they were made of changes.
extension ControlPlane {
    /// A record that is overtaken again and again by revocations is made this often, then its session's streams end.
    private static let attemptsMax = 4
    /// Sessions decided before the reactors hear of them: the first are cut while the rest is still being decided.
    private static let sliceSessions = 200

    /// A reactor met a token that it does not know.
    func pull(_ ticket: Ticket, _ digest: [UInt8], _ application: String) async {
        let reactor = Int(ticket.reactor)
        let now = nowSeconds()
        if let record = revocations.fresh(digest, application: application, nowSeconds: now) {
            return await reactors.send(.session(ticket, record), to: reactor)
        }
        do throws(StoreError) {
            let record = try await record(digest, application)
            if let record { revocations.keep(record, nowSeconds: now) }
            await reactors.send(.session(ticket, record), to: reactor)
        } catch {
            EventLog.write("store-failed", [("what", .string("\(error)"))])
            await reactors.send(.sessionUnavailable(ticket), to: reactor)
        }
    }

    /// A reactor uses a record that nears its end. Several reactors may; one renewal serves them all.
    func renew(_ digest: [UInt8], _ application: String) async {
        let now = nowSeconds()
        // Another reactor pulled a fresh one: this one has not heard of it.
        if let fresh = revocations.fresh(digest, application: application, nowSeconds: now) {
            if revocations.send([.replace(fresh)]).isEmpty { return }
        }
        guard revocations.beginRenewal(digest) else { return }
        defer { revocations.endRenewal(digest) }
        for _ in 0..<Self.attemptsMax {
            do throws(StoreError) {
                guard let record = try await record(digest, application) else {
                    // Gone from the store: then nobody may go on with what a reactor remembers of it.
                    if let session = revocations.sessionID(digest) {
                        revocations.send([.endSession(session)])
                    }
                    return
                }
                if revocations.send([.replace(record)]).isEmpty { return }
            } catch {
                // What is decided stays decided until its own end, which the reactor keeps.
                return EventLog.write("store-failed", [("what", .string("\(error)"))])
            }
        }
    }

    private func record(_ digest: [UInt8], _ application: String) async throws(StoreError) -> SessionRecord? {
        // The sequence before the load: whatever is revoked while we read is then known to be newer.
        let sequence = revocations.sequence
        let now = nowSeconds()
        guard let session = try await store.session(tokenDigest: digest, nowSeconds: now),
            session.kind == .application, session.application == application
        else { return nil }
        var record = try await services.records.record(for: session, sequence: sequence, nowSeconds: now)
        // The browser may still hold the token before the last rotation: the reactor knows the record by the token.
        record?.tokenDigest = digest
        return record
    }

    /// A device's facts changed: every session on it is decided anew, and open streams follow.
    func deviceChanged(_ device: String, _ eventNanoseconds: UInt64) async {
        decisions.changeBegins(.device(device))
        defer { decisions.changeEnds(.device(device), "device", atSeconds: nowSeconds()) }
        do throws(StoreError) {
            let sessions = try await store.sessions(.device(id: device), limit: Sessions.listMax)
            for global in sessions where global.kind == .global {
                try await globalChanged(global.id, eventNanoseconds: eventNanoseconds)
            }
        } catch {
            // Whose sessions these are cannot be read now. The news may be bad, so what the device has open ends;
            // the next request asks again and gets the store's own failure.
            EventLog.write(
                "store-failed", [("what", .string("\(error)")), ("device_cut", .string(device))])
            revocations.send([.endDevice(device)], eventNanoseconds: eventNanoseconds)
        }
        changes.announce()
    }

    /// Decides every application session of a global session anew.
    func globalChanged(
        _ id: String, eventNanoseconds: UInt64 = monotonicNanoseconds()
    ) async throws(StoreError) {
        try await redecide(.global(id: id), limit: Sessions.listMax, eventNanoseconds: eventNanoseconds)
    }

    /// Decides application sessions anew and tells every reactor.
    func redecide(
        _ query: SessionQuery, limit: Int, eventNanoseconds: UInt64 = monotonicNanoseconds()
    ) async throws(StoreError) {
        var open: Set<String>?
        for _ in 0..<Self.attemptsMax {
            let sequence = revocations.sequence
            let sessions = try await store.sessions(query, limit: limit).filter {
                open?.contains($0.id) ?? true
            }
            var overtaken: Set<String> = []
            for start in stride(from: 0, to: sessions.count, by: Self.sliceSessions) {
                let slice = sessions[start..<min(start + Self.sliceSessions, sessions.count)]
                let effects = try await effects(of: slice, sequence: sequence)
                overtaken.formUnion(revocations.send(effects, eventNanoseconds: eventNanoseconds))
            }
            if overtaken.isEmpty { return }
            open = overtaken
        }
        revocations.send((open ?? []).sorted().map { .endSession($0) }, eventNanoseconds: eventNanoseconds)
    }

    private func effects(
        of sessions: ArraySlice<StoredSession>, sequence: UInt64
    ) async throws(StoreError) -> [Revocation.Effect] {
        let now = nowSeconds()
        let records = services.records
        var effects: [Revocation.Effect] = []
        for session in sessions where session.kind == .application {
            guard session.expiresAtSeconds > now,
                let record = try await records.record(for: session, sequence: sequence, nowSeconds: now)
            else {
                effects.append(.endSession(session.id))
                continue
            }
            effects.append(.replace(record))
            // A parallel tab may still hold the token before the last rotation: its cached record changes too.
            if let previous = session.previousTokenDigest, let until = session.previousUntilSeconds,
                now < until
            {
                var twin = record
                twin.tokenDigest = previous
                effects.append(.replace(twin))
            }
        }
        return effects
    }

    /// Ends sessions in the store first, then on the reactors: nothing that is acknowledged can come back.
    @discardableResult
    func end(_ ids: [String]) async throws(StoreError) -> [StoredSession] {
        let removed = try await store.remove(sessionIDs: ids)
        ended(removed)
        return removed
    }
}
