import Access
import Border
import Store
import Synchronization

/// A record in use that nears its end: a session's secret, and where it is used.
struct Renewal: Sendable, Hashable {
    var digest: [UInt8]
    var application: String
}

/// Renewals that reactors asked for and that nobody has begun.
///
/// With 200,000 sessions in use some thousands come in a second. Read and decided many at a time each costs a fraction
/// of what it costs alone.
final class RenewalQueue: Sendable {
    /// Taken together.
    static let atOnceMax = 200
    /// Beyond, one is dropped: reactors ask again.
    static let waitingMax = 100_000

    private struct State {
        var waiting: [Renewal] = []
        /// Of `waiting` these were taken.
        var taken = 0
        var isWorkedOn = false
    }
    private let state = Mutex(State())

    /// - Returns: whether the caller is to work through the queue.
    func add(_ renewal: Renewal) -> Bool {
        state.withLock { state in
            guard state.waiting.count - state.taken < Self.waitingMax else { return false }
            state.waiting.append(renewal)
            defer { state.isWorkedOn = true }
            return !state.isWorkedOn
        }
    }

    /// The next ones in the order of their coming; none: the caller works no longer.
    func take() -> [Renewal] {
        state.withLock { state in
            let some = Array(state.waiting[state.taken...].prefix(Self.atOnceMax))
            state.taken += some.count
            if state.taken * 2 >= state.waiting.count {
                state.waiting.removeFirst(state.taken)
                state.taken = 0
            }
            state.isWorkedOn = !some.isEmpty
            return some
        }
    }
}

extension ControlPlane {
    /// A reactor uses a record that nears its end. Several reactors may; one renewal serves them all.
    func renewSoon(_ renewal: Renewal) {
        // What they wait for may be somebody else's answer: nobody waits for theirs.
        if machines.active(renewal.digest) != nil || certified.isUse(renewal.digest) {
            Task(priority: .utility) { await renew(renewal.digest, renewal.application) }
        } else if renewals.add(renewal) {
            Task(priority: .utility) {
                while true {
                    let some = renewals.take()
                    if some.isEmpty { return }
                    // What does not go as it mostly does goes its own way, which knows all the others.
                    for one in await renewTogether(some) {
                        Task(priority: .utility) { await renew(one.digest, one.application) }
                    }
                }
            }
        }
    }

    /// Renews the records of sessions by one read of the store, one question about devices, and one message.
    ///
    /// - Returns: those that were not renewed: ended, overtaken, known by another secret meanwhile, or read in vain.
    func renewTogether(_ some: [Renewal]) async -> [Renewal] {
        let now = nowSeconds()
        var byID: [String: Renewal] = [:]
        var left: [Renewal] = []
        for one in some {
            // Another reactor pulled a fresh one: this one has not heard of it.
            if let fresh = revocations.fresh(one.digest, application: one.application, nowSeconds: now),
                revocations.send([.replace(fresh)]).isEmpty
            {
                continue
            }
            guard let id = revocations.sessionID(one.digest), byID[id] == nil else {
                left.append(one)
                continue
            }
            guard revocations.beginRenewal(one.digest) else { continue }
            byID[id] = one
        }
        guard !byID.isEmpty else { return left }
        // A row that cannot be read must not cost the others their renewal: each then tries by itself, and says so.
        let sent = (try? await sentRecords(of: byID, now)) ?? []
        for (id, one) in byID {
            revocations.endRenewal(one.digest)
            if !sent.contains(id) { left.append(one) }
        }
        return left
    }

    /// - Returns: the sessions whose new records are on their way.
    private func sentRecords(
        of renewals: [String: Renewal], _ now: Int64
    ) async throws(StoreError) -> Set<String> {
        // The sequence before the load: whatever is revoked while we read is then known to be newer.
        let sequence = revocations.sequence
        var sessions: [StoredSession] = []
        for session in try await store.sessions(.ids(renewals.keys.sorted()), limit: renewals.count) {
            guard let one = renewals[session.id], session.tokenDigest == one.digest,
                now < session.expiresAtSeconds, now < session.binding?.secretUntilSeconds ?? .max,
                session.kind == .application, session.application == one.application,
                let used = try await used(session, now)
            else { continue }
            noteRefreshUse(of: used, now)
            sessions.append(used)
        }
        let services = services
        let all = try await services.records.decided(sessions, sequence: sequence, nowSeconds: now)
        var effects: [Revocation.Effect] = []
        for (session, decided) in zip(sessions, all) {
            guard let decided else { continue }
            noteExpiredProof(decided)
            let bounded = await guarded(decided, decided.cause(.renewal)).bounded(
                to: session.tokenDigest, of: decided.session)
            // A secret that opens nothing more needs no assertion.
            let isUsable = now < bounded.residual.validUntilSeconds
            effects.append(.replace(isUsable ? services.records.signed(bounded, of: decided) : bounded))
        }
        let overtaken = revocations.send(effects)
        let sent = effects.compactMap { effect -> String? in
            guard case .replace(let record) = effect else { return nil }
            return record.session
        }
        return Set(sent).subtracting(overtaken)
    }
}
