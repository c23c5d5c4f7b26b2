import Identity
import Store

extension ControlPlane {
    /// Whether a session that a reactor asks about was used lately; notes that it is used now. One that was
    /// not is ended here, and with it its global session when nothing else below that is used.
    ///
    /// A reactor asks for requests, and for what is open: an open stream uses its session.
    func isInUse(_ session: StoredSession, _ nowSeconds: Int64) async throws(StoreError) -> Bool {
        let services = services
        // Also of applications without a time of their own: who uses them has not left.
        guard let shortest = services.shortestIdleSeconds else { return true }
        guard let idle = services.idleSeconds(of: session),
            Sessions.isIdle(session, idleSeconds: idle, atSeconds: nowSeconds)
        else {
            try await Sessions(store: store, ring: ring).noteUse(
                of: session, idleSeconds: shortest, nowSeconds: nowSeconds)
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
