import Access
import Store

/// The end of sign-ins that their provider does not confirm: whoever was dismissed at a provider that cannot be reached
/// must not stay until the end of their session.
///
/// A refresh that was tried counts from its first failure, one that never was (while a provider fails one session at a
/// time tries it) from when it was due and its provider was failing. Both are over only while the provider fails, and
/// only by a failure that was heard then: one refusal proves nothing of the time after it. After a start, or once it
/// answers again, a sign-in is asked about before it is given up.
extension SignInRefreshes {
    /// Given up before the store is looked at again.
    private static let overdueMax = 512
    /// Ended side by side: the store commits them together.
    private static let besideMax = 32

    /// Since when this refresh is in vain, or waits in vain; now, where nothing is known to be wrong.
    func unconfirmedSince(_ row: StoredRefresh, _ now: Int64) -> Int64 {
        let outage = paces[row.provider]?.failingSinceSeconds
        // One that rests was not asked since; what was wrong before this outage may long be over.
        if let since = row.failingSinceSeconds, row.dueAtSeconds != nil || since >= outage ?? now {
            return since
        }
        guard let since = outage else { return now }
        return min(now, max(row.dueAtSeconds ?? now, since))
    }

    /// Whether its provider, which fails now, has not confirmed it for the grace: one more failure ends it.
    func isOverdue(_ row: StoredRefresh, _ asking: RefreshAsking, _ now: Int64) -> Bool {
        paces[row.provider]?.failingSinceSeconds != nil
            && now - unconfirmedSince(row, now) >= asking.registration.refreshGraceSeconds
    }

    /// Returns at once.
    func giveUpOverdue(_ registration: IdentityProviderRegistration, _ effects: any RefreshEffects) {
        let name = registration.name
        guard givingUp[name] == nil, !isStorePaused, paces[name]?.failingSinceSeconds != nil else { return }
        givingUp[name] = Task {
            do throws(StoreError) {
                while try await giveUpSome(registration, effects) {}
            } catch {
                storeFailed(error, sessionID: "", effects)
            }
            givingUp[name] = nil
        }
    }

    /// - Returns: whether there may be more.
    private func giveUpSome(
        _ registration: IdentityProviderRegistration, _ effects: any RefreshEffects
    ) async throws(StoreError) -> Bool {
        let name = registration.name
        guard let since = paces[name]?.failingSinceSeconds else { return false }
        guard let heard = paces[name]?.lastFailureSeconds else { return false }
        let last = heard - registration.refreshGraceSeconds
        let overdue = try await store.overdueRefreshes(
            of: name, failingSinceSeconds: last, restingSinceSeconds: since,
            dueSinceSeconds: since <= last ? last : .min, limit: Self.overdueMax)
        // One whose answer is on its way, or in memory, is not unconfirmed yet; the flight's own end decides.
        var left = overdue.filter { flights[$0.sessionID] == nil && unfinished[$0.sessionID] == nil }[...]
        let isAll = overdue.count < Self.overdueMax || left.isEmpty
        while !left.isEmpty {
            // It answers again: it is asked.
            guard let failure = paces[name]?.failure else { return false }
            let some = left.prefix(Self.besideMax)
            left = left.dropFirst(Self.besideMax)
            let ends = some.map { row in Task { await givenUp(row, failure, effects) } }
            var problem: StoreError?
            for end in ends { problem = await end.value ?? problem }
            if let problem { throw problem }
        }
        return !isAll
    }

    private func givenUp(
        _ row: StoredRefresh, _ failure: RefreshFailure, _ effects: any RefreshEffects
    ) async -> StoreError? {
        do throws(StoreError) {
            _ = try await giveUp(row, failure, effects)
            return nil
        } catch {
            return error
        }
    }

    /// Ends a sign-in whose row still is as it was read. The token is not given back: nobody is there to take it.
    ///
    /// - Returns: whether it was ended; false when a sign-in has brought a newer token, or something else ended it.
    func giveUp(
        _ row: StoredRefresh, _ failure: RefreshFailure, _ effects: any RefreshEffects
    ) async throws(StoreError) -> Bool {
        let removed = try await store.end(refreshing: row)
        guard !removed.isEmpty else { return false }
        unfinished[row.sessionID] = nil
        uses.forget(row.sessionID)
        var end = RefreshEnd(
            sessionID: row.sessionID, provider: row.provider, failure: failure, wasAnswerLost: false)
        end.isGraceOver = true
        await effects.ended(removed, by: end)
        return true
    }
}
