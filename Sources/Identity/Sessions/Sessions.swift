public import Access
public import Signatures
public import Store

/// Sessions of both tiers in the store.
public struct Sessions: Sendable {
    let store: any GatewayStore
    let ring: KeyRing
    let random: @Sendable (Int) -> [UInt8]

    /// How long the secret before a rotation is still taken: requests that were under way carry it.
    public static let previousSecretSeconds: Int64 = 30
    /// The most sessions ended or listed by one call.
    public static let listMax = 100_000

    /// Sessions over `store`, with cookies under the ring's cookie keys.
    public init(
        store: any GatewayStore, ring: KeyRing,
        random: @escaping @Sendable (Int) -> [UInt8] = { Random.bytes($0) }
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
            id: newID(), kind: .global, tokenDigest: cookie.tokenDigest, host: host,
            identityProvider: provider,
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
        session.binding = nil
        session.globalID = global.id
        session.application = application.name
        session.host = application.host
        session.idToken = nil
        session.claims[Self.linkedClaim] = nil
        session.claims[Self.subjectsClaim] = nil
        session.claims[StoredSession.browserClaim] = nil
        session.claims[StoredSession.usedClaim] = nil
        session.createdAtSeconds = nowSeconds
        session.expiresAtSeconds = min(global.expiresAtSeconds, nowSeconds + application.sessionSeconds)
        try await store.insert(session)
        return (try await caughtUp(session), cookie)
    }

    /// Sessions that one browser may have at one application: tabs that sign in side by side.
    static let perApplicationMax = 4

    /// Ends the oldest sessions of one browser at one application beyond four: without a bound, one person could fill
    /// the store. And every bound one but the newest: its key would bring its cookie, and with it perhaps another
    /// account, back in the place of the newest.
    ///
    /// - Parameter newest: what the browser has just been given the cookie of.
    /// - Returns: what was ended.
    func trim(
        _ application: IdentityApplication, under global: StoredSession, keeping newest: StoredSession
    ) async throws(StoreError) -> [StoredSession] {
        let browser = [global.id] + Self.linked(global)
        let here = try await store.sessions(.globals(ids: browser), limit: Self.listMax).filter {
            $0.kind == .application && ExactText.isEqual($0.application ?? "", application.name)
        }
        let own = here.filter { $0.globalID == global.id }
        let beyond = own.dropFirst(Self.perApplicationMax) + here.filter { $0.binding != nil }
        let ids = Set(beyond.map(\.id)).subtracting([newest.id])
        return ids.isEmpty ? [] : try await store.remove(sessionIDs: ids.sorted())
    }

    /// The session of a request's cookie, when it is of this kind and for this host.
    public func lookUp(
        cookieField: [String], kind: StoredSession.Kind, host: String, nowSeconds: Int64
    ) async throws(StoreError) -> StoredSession? {
        guard let cookie = SessionCookie.of(cookieField: cookieField, ring: ring) else { return nil }
        return try await lookUp(
            tokenDigest: cookie.tokenDigest, kind: kind, host: host, nowSeconds: nowSeconds)
    }

    /// The session with this token digest, when it is of this kind and for this host. A cookie carried from one host
    /// to another proves nothing there.
    public func lookUp(
        tokenDigest: [UInt8], kind: StoredSession.Kind, host: String, nowSeconds: Int64
    ) async throws(StoreError) -> StoredSession? {
        guard let session = try await store.session(tokenDigest: tokenDigest, nowSeconds: nowSeconds),
            session.kind == kind, ExactText.isEqual(session.host, host), nowSeconds < session.expiresAtSeconds
        else { return nil }
        return session
    }

    /// Whether a session made by this provider counts at an application: by configured name, so that two clients of
    /// one issuer stay two.
    public static func counts(_ session: StoredSession, at application: IdentityApplication) -> Bool {
        application.identityProviders.contains { ExactText.isEqual($0, session.identityProvider) }
    }

    /// A change that others overtake is tried this often.
    static let attemptsMax = 16

    /// Changes a session as it is now, whoever else changes it at the same moment.
    ///
    /// - Parameter known: as it was read just now; it is read again only when it is another one meanwhile.
    /// - Returns: the changed session; nil when it is gone.
    @discardableResult
    public func change(
        _ id: String, from known: StoredSession? = nil, _ edit: (inout StoredSession) -> Void
    ) async throws(StoreError) -> StoredSession? {
        if let known, known.id == id {
            var changed = known
            edit(&changed)
            // What is no change of what was known may be one of what is there now.
            if changed != known, try await store.replace(known, with: changed) { return changed }
        }
        for _ in 0..<Self.attemptsMax {
            guard let current = try await store.session(id: id) else { return nil }
            var changed = current
            edit(&changed)
            if changed == current { return current }
            if try await store.replace(current, with: changed) { return changed }
        }
        return nil
    }

    /// Changes a session and gives it a new secret in the same step; the one before is taken for 30 s more.
    ///
    /// A request that itself came with the secret before is one of several side by side: the browser has been given a
    /// newer one by another answer already. The change is made, the secret stays, and there is no cookie to set.
    ///
    /// - Parameters:
    ///   - known: as in `change`.
    ///   - presented: the token digest of the request's cookie.
    /// - Returns: nil when the session is gone, or no longer has either secret.
    public func rotate(
        _ id: String, from known: StoredSession? = nil, presented: [UInt8], nowSeconds: Int64,
        _ edit: (inout StoredSession) -> Void = { _ in }
    ) async throws(StoreError) -> (session: StoredSession, cookie: SessionCookie?)? {
        let cookie = SessionCookie.mint(ring: ring, random: random)
        var isKnown = false
        let changed = try await change(id, from: known) { session in
            isKnown = session.tokenDigest == presented || session.previousTokenDigest == presented
            guard isKnown else { return }
            edit(&session)
            guard session.tokenDigest == presented else { return }
            session.take(cookie.tokenDigest, nowSeconds: nowSeconds)
        }
        guard let changed, isKnown else { return nil }
        return (
            changed,
            changed.tokenDigest == cookie.tokenDigest ? cookie.kept(by: changed, nowSeconds: nowSeconds) : nil
        )
    }

    /// The token digest of a request's cookie; nil without one of ours.
    public func presentedDigest(cookieField: [String]) -> [UInt8]? {
        SessionCookie.of(cookieField: cookieField, ring: ring)?.tokenDigest
    }

    /// Under this claim name an application session remembers its last step-up: what was asked, and when.
    private static let stepUpClaim = "gatepost-step-up"
    /// So soon after a step-up the same one is not begun again by itself.
    static let stepUpPauseSeconds: Int64 = 30

    /// Whether this session has just come from the same step-up: then another one would be a loop.
    public static func cameFrom(
        _ stepUp: StepUp, _ session: StoredSession, atSeconds nowSeconds: Int64
    ) -> Bool {
        guard case .list(let texts)? = session.claims[stepUpClaim], texts.count == 2,
            let at = Int64(texts[1]), texts[0] == StepUpDemand.name(of: stepUp)
        else { return false }
        return (at..<at + stepUpPauseSeconds).contains(nowSeconds)
    }

    /// Gives an application session what its global session has learned of the person, and a new secret, in one step.
    /// How long it lasts stays: a stronger sign-in is not a longer one.
    func upgrade(
        _ id: String, presented: [UInt8], from global: StoredSession, name: String, nowSeconds: Int64
    ) async throws(StoreError) -> (session: StoredSession, cookie: SessionCookie?)? {
        try await rotate(id, presented: presented, nowSeconds: nowSeconds) { session in
            session.email = global.email
            session.name = global.name
            session.groups = global.groups
            session.claims = global.claims
            session.claims[Self.linkedClaim] = nil
            session.claims[Self.subjectsClaim] = nil
            session.claims[StoredSession.browserClaim] = nil
            session.claims[StoredSession.usedClaim] = .integer(nowSeconds)
            session.claims[Self.stepUpClaim] = .list([name, String(nowSeconds)])
            session.authenticatedAtSeconds = global.authenticatedAtSeconds
        }
    }

    /// Ends sessions; a global one with its application sessions and with the global sessions linked to it.
    ///
    /// - Returns: everything that was ended, for revocation on the data plane.
    @discardableResult
    public func end(ids: [String]) async throws(StoreError) -> [StoredSession] {
        var all: Set<String> = []
        var next = ids
        while let id = next.popLast() {
            guard all.insert(id).inserted, let session = try await store.session(id: id) else { continue }
            next += Self.linked(session)
        }
        return try await store.remove(sessionIDs: all.sorted())
    }

    /// Ends every session of a person, by whichever registration of the issuer they were made.
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
        try await end(matching: .all) { ExactText.isEqual($0.identityProvider, provider) }
    }

    /// Sessions, newest first.
    public func list(_ query: SessionQuery = .all, limit: Int = 1_000) async throws(StoreError)
        -> [StoredSession]
    {
        try await store.sessions(query, limit: min(max(limit, 1), Self.listMax))
    }

    /// Under this claim name a global session remembers the others of the same browser, made by other providers:
    /// signing out of one ends all of them. Claims of providers never begin with `gatepost`.
    static let linkedClaim = StoredSession.linkedClaim
    static let linkedMax = StoredSession.linkedMax

    /// The other global sessions of the browser that has this one.
    public static func linked(_ session: StoredSession) -> [String] {
        session.linkedIDs
    }

    /// What is left of a browser's sign-ins when the session of its cookie has ended: the global sessions that were
    /// linked to that one, and the one that an application's session was under.
    func leftBehind(cookieField: [String], host: String) async throws(StoreError) -> [StoredSession] {
        guard let digest = presentedDigest(cookieField: cookieField) else { return [] }
        let ids = try await store.leftBehind(tokenDigest: digest, host: host)
        return ids.isEmpty ? [] : try await store.sessions(.ids(ids), limit: Self.listMax)
    }

    /// Makes a global session and the others of its browser know of each other: those of `other`, and those that
    /// sign-ins in other tabs have become meanwhile. Beyond eight the oldest ends.
    ///
    /// - Returns: what was ended.
    func link(_ session: StoredSession, to other: StoredSession?) async throws(StoreError) -> [StoredSession]
    {
        try await store.linkBrowser(of: session.id, with: [other?.id].compactMap { $0 })
    }

    /// The same person signed in again at the same provider in the same browser: what the provider says now replaces
    /// what it said before, under a new secret.
    ///
    /// - Returns: nil when the session is gone meanwhile.
    func renew(
        _ session: StoredSession, presented: [UInt8], person: PersonFacts, idToken: String?,
        nowSeconds: Int64,
        lifetimeSeconds: Int64
    ) async throws(StoreError) -> (session: StoredSession, cookie: SessionCookie?)? {
        try await rotate(session.id, presented: presented, nowSeconds: nowSeconds) { renewed in
            let (linked, names) = (renewed.claims[Self.linkedClaim], renewed.browserNames)
            renewed.email = person.email
            renewed.name = person.name
            renewed.groups = person.groups
            renewed.claims = person.claims
            renewed.claims[Self.linkedClaim] = linked
            renewed.note(browserNames: names)
            renewed.claims[StoredSession.usedClaim] = .integer(nowSeconds)
            renewed.idToken = idToken
            renewed.authenticatedAtSeconds = person.authenticatedAtSeconds
            renewed.expiresAtSeconds = nowSeconds + lifetimeSeconds
        }
    }

    private func end(
        matching query: SessionQuery, where isWanted: (StoredSession) -> Bool
    ) async throws(StoreError) -> [StoredSession] {
        let ids = try await store.sessions(query, limit: Self.listMax).filter(isWanted).map(\.id)
        return ids.isEmpty ? [] : try await store.remove(sessionIDs: ids)
    }

    private func newID() -> String { Base64URL.encode(random(12)) }
}
