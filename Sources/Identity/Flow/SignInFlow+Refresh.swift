import Access
import Signatures
public import Store

/// Refresh tokens at the beginning and at the end of a sign-in.
extension SignInFlow {
    /// Tokens that are given back at a time; beyond, providers keep them until they expire.
    private static let givingBackMax = 64
    /// Sessions of one person that are looked through for tokens.
    private static let givingBackSessionsMax = 1_000

    /// Whom sign-ins are refreshed at, by the configuration of this moment.
    public func refreshSource() -> RefreshSource {
        RefreshSource(
            registrations: configuration.providers.filter { $0.refreshSeconds != nil }, directory: directory)
    }

    /// Keeps the refresh token that a sign-in brought in the place of the one before. A sign-in without one
    /// leaves none: what an older sign-in's token brings would be laid over this one.
    func keepRefresh(
        of outcome: TokenExchange.Outcome, _ provider: IdentityProviderRegistration, sessionID: String,
        _ request: FlowRequest
    ) async throws(StoreError) {
        guard let row = refresh(of: outcome, provider, sessionID: sessionID, request) else {
            return try await store.removeRefresh(sessionID: sessionID)
        }
        do throws(StoreError) {
            try await store.keep(row)
        } catch {
            // Ended meanwhile: whatever comes next finds that out by itself.
            guard error.kind == .globalSessionGone else { throw error }
        }
    }

    /// The refresh token that a sign-in brought, for the session that comes of it; nil: it brought none that is used.
    func refresh(
        of outcome: TokenExchange.Outcome, _ provider: IdentityProviderRegistration, sessionID: String,
        _ request: FlowRequest
    ) -> StoredRefresh? {
        guard let every = provider.refreshSeconds, let given = outcome.refresh else { return nil }
        let binding = RefreshBinding(sessionID: sessionID, registration: provider)
        return StoredRefresh(
            sessionID: sessionID, provider: provider.name,
            sealedToken: given.kept.sealed(seals.sealer, for: binding),
            dueAtSeconds: RefreshTimes.next(
                everySeconds: every, expiresInSeconds: given.expiresInSeconds,
                nowSeconds: request.nowSeconds, random: Double(random(1).first ?? 0) / 255),
            refreshedAtSeconds: request.nowSeconds)
    }

    // MARK: Signing out

    /// The tokens of sign-ins that are about to end. A store that fails shows itself where the sessions are
    /// ended.
    public func refreshes(of sessionIDs: [String]) async -> [StoredRefresh] {
        (try? await store.refreshes(sessionIDs: sessionIDs)) ?? []
    }

    /// The tokens of all of a person's sign-ins, as far as they are given back.
    func refreshes(ofPerson session: StoredSession) async -> [StoredRefresh] {
        let scope = SessionQuery.person(issuer: session.issuer, subject: session.subject)
        let all = (try? await store.sessions(scope, limit: Self.givingBackSessionsMax)) ?? []
        return await refreshes(of: all.filter { $0.kind == .global }.map(\.id))
    }

    /// Gives the tokens of ended sessions back to their providers (RFC 7009). Nobody waits for it.
    public func giveBack(_ refreshes: [StoredRefresh], nowSeconds: Int64) {
        for refresh in refreshes where givingBack.count < Self.givingBackMax {
            guard let provider = configuration.provider(refresh.provider) else { continue }
            givenBackCount += 1
            let id = givenBackCount
            givingBack[id] = Task {
                await giveBack(refresh, provider, nowSeconds)
                givingBack[id] = nil
            }
        }
    }

    private func giveBack(
        _ refresh: StoredRefresh, _ provider: IdentityProviderRegistration, _ nowSeconds: Int64
    ) async {
        let binding = RefreshBinding(sessionID: refresh.sessionID, registration: provider)
        guard let kept = KeptRefresh(refresh.sealedToken, seals.sealer, for: binding) else { return }
        do throws(IdentityError) {
            let metadata = try await directory.metadata(of: provider, nowSeconds: nowSeconds)
            let exchange = TokenExchange(
                registration: provider, metadata: metadata, directory: directory, fetcher: fetcher,
                nowSeconds: nowSeconds)
            try await exchange.revoke(refreshToken: kept.token)
        } catch {
            told(.notRevoked(provider: provider.name, what: error.what))
        }
    }

    /// Returns when no token is on its way back.
    func settled() async {
        while let task = givingBack.values.first { await task.value }
    }
}

extension Sessions {
    /// A new application session as its global session is now: a refresh between the reading of that and the insert has
    /// changed the one and could not see the other.
    func caughtUp(_ session: StoredSession) async throws(StoreError) -> StoredSession {
        guard let id = session.globalID, let global = try await store.session(id: id) else { return session }
        return try await change(session.id) { own in
            own.email = global.email
            own.name = global.name
            own.groups = global.groups
            own.claims = global.claims
            own.claims[Self.linkedClaim] = nil
            own.claims[Self.subjectsClaim] = nil
            own.claims[StoredSession.browserClaim] = nil
            own.claims[StoredSession.usedClaim] = session.claims[StoredSession.usedClaim]
            own.authenticatedAtSeconds = global.authenticatedAtSeconds
        } ?? session
    }
}
