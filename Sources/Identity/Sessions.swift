public import Access
public import Signatures
public import Store

/// Sessions of both tiers in the store.
public struct Sessions: Sendable {
    private let store: any GatewayStore
    private let ring: KeyRing
    private let random: @Sendable (Int) -> [UInt8]

    /// How long the secret before a rotation is still taken: requests that were under way carry it.
    public static let previousSecretSeconds: Int64 = 30
    /// The most sessions ended or listed by one call.
    public static let listMax = 100_000

    /// Sessions over `store`, with cookies under the ring's cookie keys.
    public init(
        store: any GatewayStore, ring: KeyRing, random: @escaping @Sendable (Int) -> [UInt8] = { Random.bytes($0) }
    ) {
        self.store = store
        self.ring = ring
        self.random = random
    }

    /// A new global session and its cookie. The secret is always a new one, whatever the browser sent.
    public func createGlobal(
        person: PersonFacts, provider: String, host: String, idToken: String?, nowSeconds: Int64,
        lifetimeSeconds: Int64
    ) async throws(StoreError) -> (session: StoredSession, cookie: SessionCookie) {
        let cookie = SessionCookie.mint(ring: ring, random: random)
        let session = StoredSession(
            id: newID(), kind: .global, tokenDigest: cookie.tokenDigest, host: host, identityProvider: provider,
            issuer: person.issuer, subject: person.subject, email: person.email, name: person.name,
            groups: person.groups, claims: person.claims, idToken: idToken,
            authenticatedAtSeconds: person.authenticatedAtSeconds, createdAtSeconds: nowSeconds,
            expiresAtSeconds: nowSeconds + lifetimeSeconds)
        try await store.insert(session)
        return (session, cookie)
    }

    /// A new application session that lives and dies with `global`.
    public func createApplication(
        _ application: IdentityApplication, under global: StoredSession, nowSeconds: Int64
    ) async throws(StoreError) -> (session: StoredSession, cookie: SessionCookie) {
        let cookie = SessionCookie.mint(ring: ring, random: random)
        var session = global
        session.id = newID()
        session.kind = .application
        session.tokenDigest = cookie.tokenDigest
        session.previousTokenDigest = nil
        session.previousUntilSeconds = nil
        session.globalID = global.id
        session.application = application.name
        session.host = application.host
        session.idToken = nil
        session.claims[Self.linkedClaim] = nil
        session.createdAtSeconds = nowSeconds
        session.expiresAtSeconds = min(global.expiresAtSeconds, nowSeconds + application.sessionSeconds)
        try await store.insert(session)
        return (session, cookie)
    }

    /// The session of a request's cookie, when it is of this kind and for this host.
    public func lookUp(
        cookieField: [String], kind: StoredSession.Kind, host: String, nowSeconds: Int64
    ) async throws(StoreError) -> StoredSession? {
        guard let cookie = SessionCookie.of(cookieField: cookieField, ring: ring) else { return nil }
        return try await lookUp(tokenDigest: cookie.tokenDigest, kind: kind, host: host, nowSeconds: nowSeconds)
    }

    /// The session with this token digest, when it is of this kind and for this host. A cookie carried from one host
    /// to another proves nothing there.
    public func lookUp(
        tokenDigest: [UInt8], kind: StoredSession.Kind, host: String, nowSeconds: Int64
    ) async throws(StoreError) -> StoredSession? {
        guard let session = try await store.session(tokenDigest: tokenDigest, nowSeconds: nowSeconds),
            session.kind == kind, same(session.host, host), nowSeconds < session.expiresAtSeconds
        else { return nil }
        return session
    }

    /// Whether a session made by this provider counts at an application: by configured name, so that two clients of
    /// one issuer stay two.
    public static func counts(_ session: StoredSession, at application: IdentityApplication) -> Bool {
        application.identityProviders.contains { same($0, session.identityProvider) }
    }

    /// Gives a session a new secret; the old one is taken for 30 s more.
    ///
    /// - Returns: nil when the session is gone meanwhile.
    public func rotate(
        _ session: StoredSession, nowSeconds: Int64
    ) async throws(StoreError) -> (session: StoredSession, cookie: SessionCookie)? {
        let cookie = SessionCookie.mint(ring: ring, random: random)
        var rotated = session
        rotated.previousTokenDigest = session.tokenDigest
        rotated.previousUntilSeconds = nowSeconds + Self.previousSecretSeconds
        rotated.tokenDigest = cookie.tokenDigest
        guard try await store.update(rotated) else { return nil }
        return (rotated, cookie)
    }

    /// Ends sessions; a global one with its application sessions and with the global sessions linked to it.
    ///
    /// - Returns: everything that was ended, for revocation on the data plane.
    @discardableResult
    public func end(ids: [String]) async throws(StoreError) -> [StoredSession] {
        var all = ids
        for id in ids {
            guard case .list(let linked)? = try await store.session(id: id)?.claims[Self.linkedClaim] else { continue }
            all += linked
        }
        return try await store.remove(sessionIDs: all)
    }

    /// Ends every session of a person.
    @discardableResult
    public func end(issuer: String, subject: String) async throws(StoreError) -> [StoredSession] {
        try await end(matching: .person(issuer: issuer, subject: subject)) { _ in true }
    }

    /// Ends every session that proved this device.
    @discardableResult
    public func end(deviceID: String) async throws(StoreError) -> [StoredSession] {
        try await end(matching: .device(id: deviceID)) { _ in true }
    }

    /// Ends every session that a configured provider made.
    @discardableResult
    public func end(provider: String) async throws(StoreError) -> [StoredSession] {
        try await end(matching: .all) { same($0.identityProvider, provider) }
    }

    /// Sessions, newest first.
    public func list(_ query: SessionQuery = .all, limit: Int = 1_000) async throws(StoreError) -> [StoredSession] {
        try await store.sessions(query, limit: min(max(limit, 1), Self.listMax))
    }

    /// Under this claim name a global session remembers the ones that this browser had by other providers, so that
    /// signing out ends all of them. Claims of providers never begin with `gatepost`.
    static let linkedClaim = "gatepost-linked-sessions"
    static let linkedMax = 8

    /// Remembers `other` (and what it is linked to) beside a new global session of the same browser.
    func link(_ session: StoredSession, to other: StoredSession) async throws(StoreError) {
        var linked = [other.id]
        if case .list(let more)? = other.claims[Self.linkedClaim] { linked += more }
        var session = session
        session.claims[Self.linkedClaim] = .list(Array(linked.prefix(Self.linkedMax)))
        try await store.update(session)
    }

    /// The same person signed in again at the same provider in the same browser: what the provider says now replaces
    /// what it said before, under a new secret.
    ///
    /// - Returns: nil when the session is gone meanwhile.
    func renew(
        _ session: StoredSession, person: PersonFacts, idToken: String?, nowSeconds: Int64, lifetimeSeconds: Int64
    ) async throws(StoreError) -> (session: StoredSession, cookie: SessionCookie)? {
        var renewed = session
        renewed.email = person.email
        renewed.name = person.name
        renewed.groups = person.groups
        renewed.claims = person.claims
        renewed.claims[Self.linkedClaim] = session.claims[Self.linkedClaim]
        renewed.idToken = idToken
        renewed.authenticatedAtSeconds = person.authenticatedAtSeconds
        renewed.expiresAtSeconds = nowSeconds + lifetimeSeconds
        return try await rotate(renewed, nowSeconds: nowSeconds)
    }

    private func end(
        matching query: SessionQuery, where isWanted: (StoredSession) -> Bool
    ) async throws(StoreError) -> [StoredSession] {
        let ids = try await store.sessions(query, limit: Self.listMax).filter(isWanted).map(\.id)
        return ids.isEmpty ? [] : try await store.remove(sessionIDs: ids)
    }

    private func newID() -> String { Base64URL.encode(random(12)) }
}
