import Config
import Identity
import Signatures

/// Configured issuers of bearer tokens → what reads and verifies their tokens.
enum TokenIssuers {
    static func make(_ config: ConfigSnapshot) throws(ControlFailure) -> [String: TokenIssuer] {
        var issuers: [String: TokenIssuer] = [:]
        for settings in config.tokenIssuers {
            do throws(SignatureError) {
                issuers[settings.name] = try issuer(settings)
            } catch {
                throw ControlFailure(what: "token-issuers.\(settings.name).jwks-file: \(error.what)")
            }
        }
        return issuers
    }

    /// What only whoever knows keys can say of a configuration.
    static func problems(_ config: ConfigSnapshot, path: String) -> [ConfigProblem] {
        config.tokenIssuers.compactMap { settings in
            do throws(SignatureError) {
                _ = try issuer(settings)
                return nil
            } catch {
                return ConfigProblem(
                    file: path, line: 0, key: "token-issuers.\(settings.name).jwks-file", problem: error.what,
                    remedy: "name a file with the issuer's key set, as its jwks_uri serves it")
            }
        }
    }

    private static func issuer(_ settings: TokenIssuerSettings) throws(SignatureError) -> TokenIssuer {
        let algorithms = Set(settings.algorithms.compactMap(SignatureAlgorithm.init(rawValue:)))
        return TokenIssuer(
            name: settings.name, issuer: settings.issuer, audiences: settings.audiences,
            algorithms: algorithms, subject: settings.subject, claims: settings.claims,
            lifetimeSecondsMax: settings.lifetimeSecondsMax, keys: try keys(settings, algorithms))
    }

    private static func keys(
        _ settings: TokenIssuerSettings, _ algorithms: Set<SignatureAlgorithm>
    ) throws(SignatureError) -> TokenIssuer.Keys {
        var source = KeySource.issuerMetadata
        switch settings.keys {
        case .file(let bytes):
            let set = try JWKSet(parsing: bytes)
            guard set.keys.contains(where: { algorithms.contains($0.algorithm) }) else {
                throw SignatureError(
                    (["it holds no key of an accepted algorithm"] + set.skipped).joined(separator: "; "))
            }
            return .fixed(set)
        case .url(let url): source = .url(url)
        case .discovered: break
        }
        // A registration without a client: of it only issuer, keys and transport are used.
        var registration = IdentityProviderRegistration(
            name: settings.name, issuer: settings.issuer, clientID: "", clientSecret: "",
            displayName: settings.name, scopes: [], authoritiesPEM: settings.authoritiesPEM,
            allowsPlainHTTP: settings.allowsPlainHTTP)
        registration.keySource = source
        return .fetched(registration)
    }
}
