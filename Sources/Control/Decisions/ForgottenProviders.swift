import Config
import Identity
import JSON
import Store

extension ControlPlane {
    /// Ends the sessions of identity providers that are no longer configured: nobody could ask such a
    /// provider any more whether they should live, and no logout of it would be heard.
    ///
    /// It is what is in the store that counts, not what a reload changed: also what was taken out while the
    /// gateway was stopped, or when the store failed.
    ///
    /// - Parameters:
    ///   - isRunning: false at the start: no reactor has a record yet, and none is there to take a word.
    ///   - before: the providers until now. Also one without a session is ended: a sign-in that is under way goes on
    ///     with the configuration that it began with, and would leave a session of nobody's.
    func endSessionsOfForgottenProviders(
        isRunning: Bool, before: [String] = []
    ) async throws(StoreError) {
        let configured = services.config.identityProviders.map(\.name)
        let sessions = Sessions(store: store, ring: ring)
        let reactors = ended
        let told: @Sendable ([StoredSession]) -> Void = { if isRunning { reactors($0) } }
        let known = try await store.sessionProviders()
        for name in known + before.filter({ one in !known.contains { $0.utf8.elementsEqual(one.utf8) } })
        where !configured.contains(where: { $0.utf8.elementsEqual(name.utf8) }) {
            let removed = try await sessions.end(
                .provider(name), nowSeconds: nowSeconds(), ended: told)
            guard removed?.isEmpty == false else { continue }
            await noteEnding("provider-forgotten", [("provider", .string(name))], removed ?? [])
        }
    }
}
