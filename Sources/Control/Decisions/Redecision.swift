import Border
import Identity
import JSON
import Posture
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
            var record: SessionRecord?
            if let decided = try await decided(digest, application) {
                let kept = await guarded(decided, .request)
                revocations.keep(kept, nowSeconds: now)
                record = kept
            }
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
        if await renewMachine(digest) { return }
        for _ in 0..<Self.attemptsMax {
            do throws(StoreError) {
                guard let decided = try await decided(digest, application) else {
                    // Gone from the store: then nobody may go on with what a reactor remembers of it.
                    if let session = revocations.sessionID(digest) {
                        revocations.send([.endSession(session)])
                    }
                    return
                }
                if revocations.send([.replace(await guarded(decided, .renewal))]).isEmpty { return }
            } catch {
                // What is decided stays decided until its own end, which the reactor keeps.
                return EventLog.write("store-failed", [("what", .string("\(error)"))])
            }
        }
    }

    private func decided(
        _ digest: [UInt8], _ application: String
    ) async throws(StoreError) -> DecidedSession? {
        // The sequence before the load: whatever is revoked while we read is then known to be newer.
        let sequence = revocations.sequence
        let now = nowSeconds()
        guard let session = try await store.session(tokenDigest: digest, nowSeconds: now),
            session.kind == .application, session.application == application
        else { return nil }
        var decided = try await services.records.decided(session, sequence: sequence, nowSeconds: now)
        // The browser may still hold the token before the last rotation: the reactor knows the record by the token.
        decided?.record.tokenDigest = digest
        return decided
    }

    /// Follows what becomes known of devices. What one answer of a provider changed is judged as a whole.
    func followDevices() async {
        var batch: ChangeBatch?
        for await change in services.posture.changes {
            let cause = ChangeCause.device(change.deviceID)
            var open = batch ?? beginBatch(cause, eventNanoseconds: change.eventNanoseconds)
            open.cause = cause
            await decideAnew(device: change.deviceID, &open)
            if change.followedBy == 0 { await finish(open) }
            batch = change.followedBy == 0 ? nil : open
        }
        if let batch { await finish(batch) }
    }

    /// A device's facts changed: every session on it is decided anew, and open streams follow.
    func deviceChanged(_ device: String, _ eventNanoseconds: UInt64) async {
        var batch = beginBatch(.device(device), eventNanoseconds: eventNanoseconds)
        await decideAnew(device: device, &batch)
        await finish(batch)
    }

    private func finish(_ batch: ChangeBatch) async {
        do throws(StoreError) {
            try await settle(batch)
        } catch {
            // What could not be read again keeps its record until that ends, at most 100 s.
            EventLog.write("store-failed", [("what", .string("\(error)"))])
        }
        changes.announce()
    }

    private func decideAnew(device: String, _ batch: inout ChangeBatch) async {
        decisions.changeBegins(.device(device))
        defer { decisions.changeEnds(.device(device), "device", atSeconds: nowSeconds()) }
        await redecideMachines(eventNanoseconds: batch.eventNanoseconds) { $0.device == device }
        do throws(StoreError) {
            let sessions = try await store.sessions(.device(id: device), limit: Sessions.listMax)
            for global in sessions where global.kind == .global {
                try await decideAnew(.global(id: global.id), limit: Sessions.listMax, &batch)
            }
        } catch {
            // Whose sessions these are cannot be read now. The news may be bad, so what the device has open ends;
            // the next request asks again and gets the store's own failure.
            EventLog.write(
                "store-failed", [("what", .string("\(error)")), ("device_cut", .string(device))])
            revocations.send([.endDevice(device)], eventNanoseconds: batch.eventNanoseconds)
        }
    }

    /// Decides every application session of a global session anew.
    func globalChanged(
        _ id: String, _ cause: ChangeCause, eventNanoseconds: UInt64 = monotonicNanoseconds()
    ) async throws(StoreError) {
        try await redecide(
            .global(id: id), limit: Sessions.listMax, beginBatch(cause, eventNanoseconds: eventNanoseconds))
    }

    /// Decides application sessions anew, judges what they lose as a whole, and tells every reactor.
    ///
    /// - Parameter batch: just begun; it is settled here, whatever happens.
    func redecide(_ query: SessionQuery, limit: Int, _ batch: ChangeBatch) async throws(StoreError) {
        var batch = batch
        var failure: StoreError?
        do throws(StoreError) {
            try await decideAnew(query, limit: limit, &batch)
        } catch {
            failure = error
        }
        // Also after a failure: what was found must not stay unjudged.
        try await settle(batch)
        if let failure { throw failure }
    }

    private func decideAnew(
        _ query: SessionQuery, limit: Int, _ batch: inout ChangeBatch
    ) async throws(StoreError) {
        var open: Set<String>?
        for _ in 0..<Self.attemptsMax {
            let sequence = revocations.sequence
            let sessions = try await store.sessions(query, limit: limit).filter {
                open?.contains($0.id) ?? true
            }
            let overtaken = try await decideAnew(sessions, sequence: sequence, &batch)
            if overtaken.isEmpty { return }
            open = overtaken
        }
        end(open ?? [], batch)
    }

    /// The same for sessions by their ids.
    func decideAnew(sessions ids: Set<String>, _ batch: inout ChangeBatch) async throws(StoreError) {
        var open = ids
        for _ in 0..<Self.attemptsMax {
            let sequence = revocations.sequence
            var sessions: [StoredSession] = []
            for id in open.sorted() {
                if let session = try await store.session(id: id) { sessions.append(session) }
            }
            open = try await decideAnew(sessions, sequence: sequence, &batch)
            if open.isEmpty { return }
        }
        end(open, batch)
    }

    private func end(_ sessions: Set<String>, _ batch: ChangeBatch) {
        revocations.send(sessions.sorted().map { .endSession($0) }, eventNanoseconds: batch.eventNanoseconds)
    }

    /// - Returns: sessions that were touched meanwhile.
    private func decideAnew(
        _ sessions: [StoredSession], sequence: UInt64, _ batch: inout ChangeBatch
    ) async throws(StoreError) -> Set<String> {
        var overtaken: Set<String> = []
        for start in stride(from: 0, to: sessions.count, by: Self.sliceSessions) {
            let slice = sessions[start..<min(start + Self.sliceSessions, sessions.count)]
            let effects = try await effects(of: slice, sequence: sequence, &batch)
            overtaken.formUnion(revocations.send(effects, eventNanoseconds: batch.eventNanoseconds))
        }
        return overtaken
    }

    private func effects(
        of sessions: ArraySlice<StoredSession>, sequence: UInt64, _ batch: inout ChangeBatch
    ) async throws(StoreError) -> [Revocation.Effect] {
        let now = nowSeconds()
        let services = services
        var effects: [Revocation.Effect] = []
        for session in sessions where session.kind == .application {
            guard session.expiresAtSeconds > now,
                let decided = try await services.records.decided(session, sequence: sequence, nowSeconds: now)
            else {
                effects.append(.endSession(session.id))
                continue
            }
            guard let record = unheld(decided, services, &batch) else { continue }
            effects += decided.effects(record, nowSeconds: now)
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
