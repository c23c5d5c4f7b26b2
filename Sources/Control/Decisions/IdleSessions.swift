import Identity
import Store

extension ControlPlane {
    /// Whether a session that a reactor asks about was used lately; notes that it is used now. One that was not is ended
    /// here, and with it its global session when nothing else below that is used.
    ///
    /// A reactor asks for requests, and for what is open: an open stream uses its session.
    func isInUse(_ session: StoredSession, _ nowSeconds: Int64) async throws(StoreError) -> Bool {
        guard let idle = services.idleSeconds(of: session) else { return true }
        let sessions = Sessions(store: store, ring: ring)
        guard Sessions.isIdle(session, idleSeconds: idle, atSeconds: nowSeconds) else {
            try await sessions.noteUse(of: session, idleSeconds: idle, nowSeconds: nowSeconds)
            return true
        }
        var idleID = session.id
        if let globalID = session.globalID, let global = try await store.session(id: globalID),
            Sessions.isIdle(global, idleSeconds: idle, atSeconds: nowSeconds)
        {
            idleID = globalID
        }
        try await end([idleID])
        return false
    }
}
