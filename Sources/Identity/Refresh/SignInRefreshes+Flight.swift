import Access
import Store

/// One refresh of one session, from the kept token to what the provider says of the person.
extension SignInRefreshes {
    /// A change that others overtake is tried this often.
    private static let attemptsMax = 16

    /// - Returns: false when nothing was done, so that doing it again at once would do nothing again.
    func refresh(_ id: String, _ asking: RefreshAsking) async -> Bool {
        do throws(StoreError) {
            return try await attempt(id, asking)
        } catch {
            storeFailed(error, sessionID: id, asking.effects)
            return false
        }
    }

    private func attempt(_ id: String, _ asking: RefreshAsking) async throws(StoreError) -> Bool {
        guard let row = try await store.refresh(sessionID: id), let session = try await store.session(id: id)
        else {
            unfinished[id] = nil
            return true
        }
        let now = nowSeconds()
        if case .ending(row, let end)? = unfinished[id] { return try await finish(row, end, asking) }
        // One that is about to be given up is asked, whether it is used or not.
        guard now < session.expiresAtSeconds, isUsed(session, asking, now) || isOverdue(row, asking, now)
        else {
            return try await rest(row, asking)
        }
        guard let kept = token(row, asking), asking.registration.admits(session.issuer) else {
            try await store.removeRefresh(sessionID: id)
            asking.effects.told(.unreadable(sessionID: id, provider: row.provider))
            return true
        }
        return try await ask(row, kept, session, asking, now)
    }

    private func isUsed(_ session: StoredSession, _ asking: RefreshAsking, _ now: Int64) -> Bool {
        let seconds = max(asking.registration.refreshSeconds ?? 0, RefreshTimes.useSecondsMin)
        return uses.isUsed(session.id, withinSeconds: seconds, nowSeconds: now)
    }

    /// Nobody uses it: the next use makes it due.
    private func rest(_ row: StoredRefresh, _ asking: RefreshAsking) async throws(StoreError) -> Bool {
        // Forgotten first: a use from here on is a new one, and wakes it.
        uses.forget(row.sessionID)
        var resting = row
        resting.dueAtSeconds = nil
        if case .rotated(row, let kept)? = unfinished[row.sessionID] {
            resting.sealedToken = kept.sealed(sealer, for: binding(row, asking))
            resting.unansweredSinceSeconds = nil
        }
        let replaced = try await store.replace(row, with: resting, sessions: [])
        unfinished[row.sessionID] = nil
        uses.wakeIfUsed(row.sessionID)
        return replaced == .done
    }

    /// The newest token there is: one that the store did not take yet, or the store's.
    private func token(_ row: StoredRefresh, _ asking: RefreshAsking) -> KeptRefresh? {
        if case .rotated(row, let kept)? = unfinished[row.sessionID] { return kept }
        unfinished[row.sessionID] = nil
        return KeptRefresh(row.sealedToken, sealer, for: binding(row, asking))
    }

    private func binding(_ row: StoredRefresh, _ asking: RefreshAsking) -> RefreshBinding {
        RefreshBinding(sessionID: row.sessionID, registration: asking.registration)
    }

    private func ask(
        _ row: StoredRefresh, _ kept: KeptRefresh, _ session: StoredSession, _ asking: RefreshAsking,
        _ now: Int64
    ) async throws(StoreError) -> Bool {
        let metadata: ProviderMetadata
        do throws(IdentityError) {
            metadata = try await asking.directory.metadata(of: asking.registration, nowSeconds: now)
        } catch {
            let failure = RefreshFailure.unavailable(
                .init(what: error.what, retryAfterSeconds: nil, mayHaveRotated: false))
            return try await failed(row, with: failure, kept, nil, asking)
        }
        // A token that the store did not take before is no lost answer.
        let isLost = row.unansweredSinceSeconds != nil && unfinished[row.sessionID] == nil
        // Written down before it is sent: whoever finds it after a crash knows that an answer is missing.
        var asked = row
        asked.sealedToken = kept.sealed(sealer, for: binding(row, asking))
        if !isLost {
            asked.unansweredSinceSeconds = now
            asked.endingsKnown = try await store.endingCount()
        }
        guard try await store.replace(row, with: asked, sessions: []) == .done else { return true }
        unfinished[row.sessionID] = nil
        let exchange = TokenExchange(
            registration: asking.registration, metadata: metadata, directory: asking.directory,
            fetcher: fetcher, nowSeconds: now)
        let answer = await exchange.refresh(kept, issuer: session.issuer, subject: session.subject)
        var newest = kept
        newest.token = answer.token ?? kept.token
        let said = Said(
            asked: asked, answer: answer, kept: newest, exchange: exchange, wasAnswerLost: isLost)
        do throws(StoreError) {
            return try await take(said, asking)
        } catch {
            remember(said)
            throw error
        }
    }

    /// What a provider said to one request.
    private struct Said {
        /// What the store had when it was asked.
        var asked: StoredRefresh
        var answer: RefreshAnswer
        /// With the token to ask with from now on.
        var kept: KeptRefresh
        var exchange: TokenExchange
        var wasAnswerLost: Bool
    }

    private func take(_ said: Said, _ asking: RefreshAsking) async throws(StoreError) -> Bool {
        switch said.answer.result {
        case .success(let news): return try await keep(news, said, asking)
        case .failure(let failure):
            switch failure {
            case .revoked, .interaction, .otherSubject:
                return try await finish(said.asked, end(failure, said), asking)
            case .refusesClient, .unavailable, .unusable:
                return try await failed(said.asked, with: failure, said.kept, said, asking)
            }
        }
    }

    private func end(_ failure: RefreshFailure, _ said: Said) -> RefreshEnd {
        RefreshEnd(
            sessionID: said.asked.sessionID, provider: said.asked.provider, failure: failure,
            wasAnswerLost: said.wasAnswerLost)
    }

    /// The store did not take it. A token is not lost by that, unless the process ends too; then the row says that an
    /// answer is missing.
    private func remember(_ said: Said) {
        let id = said.asked.sessionID
        if case .ending? = unfinished[id] { return }
        guard unfinished.count < Self.unfinishedMax || unfinished[id] != nil else { return }
        switch said.answer.result {
        case .failure(let failure):
            switch failure {
            case .revoked, .interaction, .otherSubject:
                unfinished[id] = .ending(row: said.asked, end(failure, said))
            case .refusesClient, .unavailable, .unusable:
                if said.answer.isGranted { unfinished[id] = .rotated(row: said.asked, said.kept) }
            }
        case .success: unfinished[id] = .rotated(row: said.asked, said.kept)
        }
    }

    // MARK: It stands

    private func keep(
        _ news: PersonNews, _ said: Said, _ asking: RefreshAsking
    ) async throws(StoreError) -> Bool {
        let now = nowSeconds()
        var row = said.asked
        row.sealedToken = said.kept.sealed(sealer, for: binding(row, asking))
        row.refreshedAtSeconds = now
        row.unansweredSinceSeconds = nil
        row.failingSinceSeconds = nil
        row.failure = nil
        row.failureCount = 0
        row.dueAtSeconds = RefreshTimes.next(
            everySeconds: asking.registration.refreshSeconds ?? RefreshTimes.retrySecondsMax,
            expiresInSeconds: said.answer.expiresInSeconds, nowSeconds: now, random: random())
        answered(asking)
        for _ in 0..<Self.attemptsMax {
            let changes = try await changes(news, below: row.sessionID)
            switch try await store.replace(said.asked, with: row, sessions: changes) {
            case .done:
                unfinished[row.sessionID] = nil
                // The id of the token alone decides nothing.
                if changes.contains(where: { $0.old.facts != $0.new.facts }) {
                    await asking.effects.changed(globalID: row.sessionID)
                }
                return true
            case .refreshChanged: return try await superseded(said, asking)
            case .sessionChanged: continue
            case .sessionEnded: return try await loggedOut(said, asking)
            }
        }
        // Somebody changes the sessions all the time. The token must not wait for that; what was said is asked again.
        row.dueAtSeconds = RefreshTimes.retry(
            count: 1, everySeconds: RefreshTimes.secondsMin, nowSeconds: now, random: random())
        guard try await store.replace(said.asked, with: row, sessions: []) == .done else {
            return try await superseded(said, asking)
        }
        unfinished[row.sessionID] = nil
        return true
    }

    /// The provider has signed the person out while its answer, with a new name of its session, was on the way.
    private func loggedOut(_ said: Said, _ asking: RefreshAsking) async throws(StoreError) -> Bool {
        let end = RefreshEnd(
            sessionID: said.asked.sessionID, provider: said.asked.provider, failure: .revoked("logged-out"),
            wasAnswerLost: false)
        // First: a store that fails now must not forget it.
        unfinished[said.asked.sessionID] = .ending(row: said.asked, end)
        return try await finish(said.asked, end, asking)
    }

    /// The global session and those below it, where the news change them.
    private func changes(_ news: PersonNews, below id: String) async throws(StoreError) -> [SessionChange] {
        guard let global = try await store.session(id: id) else { return [] }
        let below = try await store.sessions(.global(id: id), limit: Sessions.listMax)
        return ([global] + below).compactMap { session in
            var changed = session
            news.apply(to: &changed)
            return changed == session ? nil : SessionChange(session, changed)
        }
    }

    private func answered(_ asking: RefreshAsking) {
        let name = asking.registration.name
        if paces[name, default: ProviderPace()].succeeded(nowSeconds: nowSeconds()) {
            asking.effects.told(.working(provider: name))
        }
    }

    /// A sign-in has brought a newer token, or the session has ended. Of an ended one nothing is left to use the token
    /// that the provider has just made; a newer sign-in's may be of the same family, and giving one back ends all.
    private func superseded(_ said: Said, _ asking: RefreshAsking) async throws(StoreError) -> Bool {
        let id = said.asked.sessionID
        unfinished[id] = nil
        guard try await store.session(id: id) == nil else {
            asking.effects.told(.superseded(sessionID: id, provider: said.asked.provider))
            return true
        }
        guard said.answer.isGranted else { return true }
        do throws(IdentityError) {
            try await said.exchange.revoke(refreshToken: said.kept.token)
        } catch {
            asking.effects.told(.notRevoked(provider: said.asked.provider, what: error.what))
        }
        return true
    }

    // MARK: It does not

    private func finish(
        _ row: StoredRefresh, _ end: RefreshEnd, _ asking: RefreshAsking
    ) async throws(StoreError) -> Bool {
        answered(asking)
        let removed = try await store.end(refreshing: row)
        unfinished[row.sessionID] = nil
        if removed.isEmpty {
            asking.effects.told(.superseded(sessionID: row.sessionID, provider: row.provider))
        } else {
            uses.forget(row.sessionID)
            await asking.effects.ended(removed, by: end)
        }
        return true
    }

    /// The session goes on until its own end or that of the provider's grace; nothing of it is made longer.
    private func failed(
        _ row: StoredRefresh, with failure: RefreshFailure, _ kept: KeptRefresh, _ said: Said?,
        _ asking: RefreshAsking
    ) async throws(StoreError) -> Bool {
        let now = nowSeconds()
        let name = asking.registration.name
        let since = unconfirmedSince(row, now)
        let grace = asking.registration.refreshGraceSeconds
        if paces[name, default: ProviderPace()].failed(
            failure, graceSeconds: grace, nowSeconds: now, random: random())
        {
            asking.effects.told(.failing(provider: name, failure))
        }
        if now - since >= grace {
            if try await giveUp(row, failure, asking.effects) { return true }
            guard let said else { return true }
            return try await superseded(said, asking)
        }
        var next = row
        next.sealedToken = kept.sealed(sealer, for: binding(row, asking))
        next.failure = failure.word
        next.failingSinceSeconds = since
        next.failureCount = row.failureCount + 1
        let retry = RefreshTimes.retry(
            count: next.failureCount,
            everySeconds: asking.registration.refreshSeconds ?? RefreshTimes.retrySecondsMax, nowSeconds: now,
            random: random())
        next.dueAtSeconds = min(retry, since + grace)
        if let said {
            // A refusal means that the token was not used, and an answer that nothing is missing.
            let isSettled = said.answer.isGranted || (!failure.mayHaveRotated && !said.wasAnswerLost)
            if isSettled { next.unansweredSinceSeconds = nil }
        }
        guard try await store.replace(row, with: next, sessions: []) == .done else {
            guard let said else { return true }
            return try await superseded(said, asking)
        }
        unfinished[row.sessionID] = nil
        return true
    }
}
