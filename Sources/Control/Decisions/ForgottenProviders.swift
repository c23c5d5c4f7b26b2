import Access
import Config
import Identity
import JSON
import Store

extension ControlPlane {
    /// Ends the sessions of identity providers that are no longer configured, or that another issuer has the name of:
    /// nobody could ask such a provider any more whether they should live, and no logout of it would be heard.
    ///
    /// It is what is in the store that counts, not what a reload changed: also what was taken out while the
    /// gateway was stopped, or when the store failed.
    ///
    /// - Parameters:
    ///   - isRunning: false at the start: no reactor has a record yet, and none is there to take a word.
    ///   - before: the providers until now. Also one without a session is ended: a sign-in that is under way goes on
    ///     with the configuration that it began with, and would leave a session of nobody's.
    func endSessionsOfForgottenProviders(
        isRunning: Bool, before: [IdentityProviderSettings] = []
    ) async throws(StoreError) {
        let configured = services.config.identityProviders
        let sessions = Sessions(store: store, ring: ring)
        let reactors = ended
        let told: @Sendable ([StoredSession]) -> Void = { if isRunning { reactors($0) } }
        var scopes: [EndingScope] = []
        let makers = before.map { SessionMaker(provider: $0.name, issuer: $0.issuer) }
        for maker in try await store.sessionMakers() + makers {
            let settings = configured.first { ExactText.isEqual($0.name, maker.provider) }
            if let settings, Self.admits(settings, maker.issuer) { continue }
            let scope: EndingScope =
                settings == nil
                ? .provider(maker.provider) : .issuer(provider: maker.provider, issuer: maker.issuer)
            guard !scopes.contains(scope) else { continue }
            scopes.append(scope)
            let removed = try await sessions.end(scope, nowSeconds: nowSeconds(), ended: told) ?? []
            guard !removed.isEmpty else { continue }
            await noteEnding(
                "provider-forgotten",
                [("provider", .string(maker.provider))]
                    + (settings == nil ? [] : [("issuer", .string(maker.issuer))]), removed)
        }
    }

    /// Whether a configured provider's tokens may still name this issuer.
    private static func admits(_ settings: IdentityProviderSettings, _ issuer: String) -> Bool {
        // With tenants a pattern, which no token names.
        if ExactText.isEqual(settings.issuer, issuer) { return true }
        return TenantIssuers(issuer: settings.issuer, tenants: settings.tenants)?.admits(issuer) ?? false
    }
}
