import Config
import Identity
import Signatures

extension Services {
    /// What signing in needs of a configured identity provider.
    ///
    /// - Throws: `ControlFailure` for keys and certificates that cannot be used, or do not belong together.
    static func registration(
        of settings: IdentityProviderSettings
    ) throws(ControlFailure) -> IdentityProviderRegistration {
        var registration = IdentityProviderRegistration(
            name: settings.name, issuer: settings.issuer, clientID: settings.clientID,
            clientSecret: settings.authentication.secret.text, displayName: settings.displayName,
            scopes: settings.scopes, authoritiesPEM: settings.authoritiesPEM,
            allowsPlainHTTP: settings.allowsPlainHTTP)
        registration.ask = ask(settings.signIn)
        registration.contextStyle = settings.asksForACRS ? .acrs : .acr
        registration.refreshSeconds = settings.refreshSeconds
        if !settings.tenants.isEmpty {
            registration.tenants = TenantIssuers(issuer: settings.issuer, tenants: settings.tenants)
        }
        registration.refreshGraceSeconds = settings.refreshGraceSeconds
        registration.emailDomains = settings.emailDomains
        registration.proof = try proof(settings)
        registration.pushedAuthorization =
            PushedAuthorization(rawValue: settings.authentication.pushedAuthorization) ?? .automatic
        registration.graphURL = settings.further.graphURL
        if let audience = settings.further.accessTokenAudience {
            registration.accessTokenClaims = AccessTokenClaims(
                audience: audience, names: settings.further.accessTokenNames)
        }
        return registration
    }

    private static func proof(_ settings: IdentityProviderSettings) throws(ControlFailure) -> ClientProof {
        let own = settings.authentication
        let (key, chain) = (own.keyPEM?.bytes ?? [], own.chainPEM)
        do throws(SignatureError) {
            switch own.method {
            case .announced: return .announced
            case .secretBasic: return .secretInField
            case .secretPost: return .secretInBody
            case .privateKeyJWT:
                return .assertion(
                    try AssertionKey(
                        keyPEM: key, certificatePEM: chain, keyID: own.keyID,
                        audience: own.isForTokenEndpoint ? .tokenEndpoint : .issuer))
            case .tlsClient:
                return .certificate(try ClientCertificate(chainPEM: chain ?? [], keyPEM: key))
            }
        } catch {
            let name = chain == nil ? "client-key" : "client-certificate"
            throw ControlFailure(what: "identity-providers.\(settings.name).\(name): \(error.what)")
        }
    }
}
