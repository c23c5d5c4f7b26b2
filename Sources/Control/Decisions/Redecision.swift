import Access
import Border
import Identity
import JSON
import Posture
import Store

/// Sign-ins that were read together, and the sequence of revocations that was read before them.
struct ReadSignIns {
    var sequence: UInt64
    var byID: [String: StoredSession]
}

/// Session records for reactors: on demand, ahead of their end, and whenever something they were made of changes.
extension ControlPlane {
    /// A record that is overtaken again and again by revocations is made this often, then its session's streams end.
    private static let attemptsMax = 4
    /// Sessions decided before the reactors hear of them: the first are cut while the rest is still being decided.
    private static let sliceSessions = 200
    /// Sign-ins whose application sessions are read at once.
    private static let globalsPerStep = 500
    /// Sessions that lose nothing and wait for the others to be cut; a reload may be about everybody.
    private static let waitingMax = 10_000

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
                noteExpiredProof(decided)
                let bounded = await guarded(decided, decided.cause(.request)).bounded(
                    to: digest, of: decided.session)
                let kept = services.records.signed(bounded, of: decided)
                revocations.keep(kept, nowSeconds: now)
                record = kept
            }
            await reactors.send(.session(ticket, record), to: reactor)
        } catch {
            EventLog.write("store-failed", [("what", .string("\(error)"))])
            await reactors.send(.sessionUnavailable(ticket), to: reactor)
        }
    }

    /// A record nears its end and is in use; this way knows every kind of it.
    func renew(_ digest: [UInt8], _ application: String) async {
        let now = nowSeconds()
        // Another reactor pulled a fresh one: this one has not heard of it.
        if let fresh = revocations.fresh(digest, application: application, nowSeconds: now) {
            if revocations.send([.replace(fresh)]).isEmpty { return }
        }
        guard revocations.beginRenewal(digest) else { return }
        defer { revocations.endRenewal(digest) }
        if await renewMachine(digest) { return }
        if await renewCertified(digest) { return }
        for _ in 0..<Self.attemptsMax {
            do throws(StoreError) {
                guard let decided = try await decided(digest, application, isOpen: true) else {
                    // Gone from the store: then nobody may go on with what a reactor remembers of it.
                    if let session = revocations.sessionID(digest) {
                        revocations.send([.endSession(session)])
                    }
                    return
                }
                noteExpiredProof(decided)
                let bounded = await guarded(decided, decided.cause(.renewal)).bounded(
                    to: digest, of: decided.session)
                // A secret that opens nothing more needs no assertion.
                let isUsable = now < bounded.residual.validUntilSeconds
                let record = isUsable ? services.records.signed(bounded, of: decided) : bounded
                if revocations.send([.replace(record)]).isEmpty { return }
            } catch {
                // What is decided stays decided until its own end, which the reactor keeps.
                return EventLog.write("store-failed", [("what", .string("\(error)"))])
            }
        }
    }

    /// - Parameter isOpen: what the secret opened may still be open, also when the secret itself has ended.
    func decided(
        _ digest: [UInt8], _ application: String, isOpen: Bool = false, beside use: CertifiedSession? = nil
    ) async throws(StoreError) -> DecidedSession? {
        // The sequence before the load: whatever is revoked while we read is then known to be newer.
        let sequence = revocations.sequence
        let now = nowSeconds()
        var found = try await store.session(tokenDigest: digest, nowSeconds: now)
        if found == nil, isOpen, let id = use?.session ?? revocations.sessionID(digest) {
            found = try await store.session(id: id)
        }
        guard let session = found, now < session.expiresAtSeconds, session.kind == .application,
            session.application == application,
            let session = try await used(session, now)
        else { return nil }
        noteRefreshUse(of: session, now)
        let decided = try await services.records.decided(
            session, beside: use, sequence: sequence, nowSeconds: now)
        guard let use, let decided,
            certified.note(device: decided.record.device, of: use.digest, nowSeconds: now)
        else { return decided }
        // News of the device that came while it was being read found no session on it. Now they do.
        let again = try await services.records.decided(
            session, beside: use, sequence: sequence, nowSeconds: now)
        certified.note(device: again?.record.device, of: use.digest, nowSeconds: now)
        return again
    }

    /// Decides every application session of a global session anew.
    ///
    /// - Parameter read: the global session itself, where it was just read or written.
    func globalChanged(
        _ id: String, _ cause: ChangeCause, eventNanoseconds: UInt64 = monotonicNanoseconds(),
        read: ReadSignIns? = nil
    ) async throws(StoreError) {
        try await redecide(
            .global(id: id), limit: Sessions.listMax, under: read,
            beginBatch(cause, eventNanoseconds: eventNanoseconds))
    }

    /// Decides application sessions anew, judges what they lose as a whole, and tells every reactor.
    ///
    /// - Parameter batch: just begun; it is settled here, whatever happens.
    func redecide(
        _ query: SessionQuery, limit: Int, under signIns: ReadSignIns? = nil, _ batch: ChangeBatch
    ) async throws(StoreError) {
        var batch = batch
        var failure: StoreError?
        do throws(StoreError) {
            try await decideAnew(query, under: signIns, limit: limit, &batch)
        } catch {
            failure = error
        }
        // Also after a failure: what was found must not stay unjudged.
        try await settle(batch)
        if let failure { throw failure }
    }

    /// - Parameter signIns: what was read of them already; it counts for the first attempt.
    /// - Returns: whether there may be more sessions than the limit.
    @discardableResult
    private func decideAnew(
        _ query: SessionQuery, under signIns: ReadSignIns? = nil, limit: Int, _ batch: inout ChangeBatch
    ) async throws(StoreError) -> Bool {
        var open: Set<String>?
        var isFull = false
        var signIns = signIns
        for _ in 0..<Self.attemptsMax {
            // What was read first says from when on a revocation is newer.
            let sequence = signIns?.sequence ?? revocations.sequence
            let all = try await store.sessions(query, limit: limit)
            isFull = all.count >= limit
            let overtaken = try await decideAnew(
                all.filter { open?.contains($0.id) ?? true }, under: signIns?.byID ?? [:], sequence: sequence,
                &batch)
            if overtaken.isEmpty { return isFull }
            open = overtaken
            signIns = nil
        }
        end(open ?? [], batch)
        return isFull
    }

    /// The same for sessions by their ids.
    func decideAnew(sessions ids: Set<String>, _ batch: inout ChangeBatch) async throws(StoreError) {
        var open = ids
        for _ in 0..<Self.attemptsMax {
            let sequence = revocations.sequence
            var sessions: [StoredSession] = []
            let ids = open.sorted()
            for start in stride(from: 0, to: ids.count, by: Self.globalsPerStep) {
                let some = Array(ids[start..<min(start + Self.globalsPerStep, ids.count)])
                sessions += try await store.sessions(.ids(some), limit: some.count)
            }
            open = try await decideAnew(sessions, sequence: sequence, &batch)
            if open.isEmpty { return }
        }
        end(open, batch)
    }

    private func end(_ sessions: Set<String>, _ batch: ChangeBatch) {
        revocations.send(sessions.sorted().map { .endSession($0) }, eventNanoseconds: batch.eventNanoseconds)
    }

    /// The same for the application sessions of these sign-ins.
    ///
    /// - Parameter read: the sign-ins themselves, where they were just read; nil: each step reads its own.
    func decideAnew(
        globals: ArraySlice<String>, read: ReadSignIns? = nil, _ batch: inout ChangeBatch
    ) async throws(StoreError) {
        var start = globals.startIndex
        while start < globals.endIndex {
            let end = min(start + Self.globalsPerStep, globals.endIndex)
            try await decideAnew(someGlobals: globals[start..<end], read, &batch)
            start = end
        }
    }

    private func decideAnew(
        someGlobals globals: ArraySlice<String>, _ read: ReadSignIns?, _ batch: inout ChangeBatch
    ) async throws(StoreError) {
        let query = SessionQuery.globals(ids: Array(globals))
        let isFull = try await decideAnew(query, under: read, limit: Sessions.listMax, &batch)
        guard isFull, globals.count > 1 else { return }
        // More than one listing holds: nobody is left out.
        let middle = globals.startIndex + globals.count / 2
        try await decideAnew(someGlobals: globals[..<middle], nil, &batch)
        try await decideAnew(someGlobals: globals[middle...], nil, &batch)
    }

    /// - Returns: sessions that were touched meanwhile.
    private func decideAnew(
        _ sessions: [StoredSession], under signIns: [String: StoredSession] = [:], sequence: UInt64,
        _ batch: inout ChangeBatch
    ) async throws(StoreError) -> Set<String> {
        var overtaken: Set<String> = []
        // Those that reactors know may have something open; the others only have to be decided before they are used.
        let known = revocations.known(sessions.lazy.map(\.id))
        let sorted = sessions.filter { known.contains($0.id) } + sessions.filter { !known.contains($0.id) }
        for start in stride(from: 0, to: sorted.count, by: Self.sliceSessions) {
            let slice = Array(sorted[start..<min(start + Self.sliceSessions, sorted.count)])
            let cuts = try await cuts(of: slice, under: signIns, sequence: sequence, &batch)
            overtaken.formUnion(revocations.send(cuts, eventNanoseconds: batch.eventNanoseconds))
            if batch.unchanged.count >= Self.waitingMax {
                // They may be of another question than this one's: the batch decides them again.
                batch.again.formUnion(await tellUnchanged(&batch))
            }
        }
        return overtaken
    }

    /// Decides sessions. Those that lose nothing wait in the batch until every cut is on its way.
    ///
    /// - Returns: what the others lose, first those that lose everything.
    private func cuts(
        of sessions: [StoredSession], under signIns: [String: StoredSession], sequence: UInt64,
        _ batch: inout ChangeBatch
    ) async throws(StoreError) -> [Revocation.Effect] {
        let now = nowSeconds()
        let services = services
        var living = sessions.filter { $0.kind == .application && $0.expiresAtSeconds > now }
        var uses: [CertifiedSession?] = living.map { _ in nil }
        if certified.count > 0 {
            for session in living {
                for use in certified.uses(of: session.id) {
                    living.append(session)
                    uses.append(use)
                }
            }
        }
        let all = try await services.records.decided(
            living, beside: uses, under: signIns, sequence: sequence, nowSeconds: now)
        for decided in all {
            guard let decided, let use = decided.use else { continue }
            certified.note(device: decided.record.device, of: use.digest, nowSeconds: now)
        }
        var effects: [Revocation.Effect] = sessions.compactMap { session in
            session.kind == .application && session.expiresAtSeconds <= now ? .endSession(session.id) : nil
        }
        var narrowed: [Revocation.Effect] = []
        for (session, decided) in zip(living, all) {
            guard let decided else {
                effects.append(.endSession(session.id))
                continue
            }
            switch unheld(decided, services, &batch) {
            case .waits: break
            case .same(let record): batch.unchanged.append(UnchangedSession(decided, record))
            case .less(let record):
                let signed = services.records.signed(record, of: decided)
                if signed.identityFields.isEmpty {
                    effects += decided.effects(signed, nowSeconds: now)
                } else {
                    narrowed += decided.effects(signed, nowSeconds: now)
                }
            }
        }
        return effects + narrowed
    }

    /// Ends sessions in the store first, then on the reactors: nothing that is acknowledged can come back.
    @discardableResult
    func end(_ ids: [String]) async throws(StoreError) -> [StoredSession] {
        let removed = try await store.remove(sessionIDs: ids)
        ended(removed)
        return removed
    }
}
