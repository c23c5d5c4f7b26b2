import Config
import Identity
import Store

extension ConfigSnapshot {
    /// The shortest time that any session may be unused; nil: none has one.
    var shortestIdleSeconds: Int64? {
        (applications.map(\.signIn) + identityProviders.map(\.signIn)).compactMap(\.idleSeconds).min()
    }

    /// How long a session may be unused: the shorter of its application's and its provider's time; nil:
    /// neither has one.
    func idleSeconds(of session: StoredSession) -> Int64? {
        let provider = identityProviders.first { $0.name == session.identityProvider }
        let application = applications.first { $0.name == session.application }
        return [application?.signIn.idleSeconds, provider?.signIn.idleSeconds].compactMap { $0 }.min()
    }
}

extension ControlPlane {
    /// A session that a reactor asks about, when it was used lately; notes that it is used now. One that was
    /// not is ended here, and with it its global session when nothing else below that is used.
    ///
    /// A reactor asks for requests, and for what is open: an open stream uses its session.
    ///
    /// - Returns: the session with its note; nil when it has ended.
    func used(_ session: StoredSession, _ nowSeconds: Int64) async throws(StoreError) -> StoredSession? {
        let services = services
        // Also of applications without a time of their own: who uses them has not left.
        guard let shortest = services.records.shortestIdleSeconds else { return session }
        guard let idle = services.config.idleSeconds(of: session),
            Sessions.isIdle(session, idleSeconds: idle, atSeconds: nowSeconds)
        else {
            return try await Sessions(store: store, ring: ring).noteUse(
                of: session, idleSeconds: shortest, nowSeconds: nowSeconds)
        }
        var idleID = session.id
        if let globalID = session.globalID, let global = try await store.session(id: globalID) {
            // One that was only just made is a use that its sign-in has no note of.
            let all = try await store.sessions(.global(id: globalID), limit: Sessions.listMax) + [global]
            let areIdle = all.allSatisfy {
                Sessions.isIdle($0, idleSeconds: idle, atSeconds: nowSeconds)
            }
            if areIdle { idleID = globalID }
        }
        try await end([idleID])
        return nil
    }
}
