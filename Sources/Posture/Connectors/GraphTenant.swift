import JSON
import Signatures

extension Graph {
    /// Where one tenant's Graph is and how it knows us.
    struct Tenant: Sendable {
        /// Directory id (GUID) or verified domain.
        var id: String
        var clientID: String
        var credential: Credential
        /// nil: the application reads in its own name.
        var delegation: Delegation?
        /// Without a slash at the end.
        var loginURL: String
        /// Without a slash at the end; of the same cloud.
        var graphURL: String
        var authoritiesPEM: [UInt8]?
        var allowsPlainHTTP: Bool
        var facts: TokenFacts

        var tokenURL: String { "\(loginURL)/\(id)/oauth2/v2.0/token" }
    }

    /// How the application proves at the token endpoint that it is itself (002.6).
    enum Credential: Sendable {
        /// Never logged.
        case secret(String)
        /// A public client, which only reads in somebody's name.
        case none
        case certificate(ClientCertificate)
    }

    /// A certificate that is registered with the application, and its key (providers.md 2.1).
    struct ClientCertificate: Sendable {
        /// Of an assertion; the vendor accepts ten minutes.
        static let lifeSeconds: Int64 = 300

        private let key: SigningKey
        private let thumbprint: String

        /// - Throws: `config_error` when the two are no RSA pair: the vendor takes no other.
        init(chainPEM: [UInt8], keyPEM: [UInt8]) throws(ConnectorFailure) {
            do throws(SignatureError) {
                let certificate = try Certificate(pem: chainPEM)
                key = try SigningKey(pem: keyPEM)
                thumbprint = Base64URL.encode(certificate.sha256)
                guard certificate.publicKey.thumbprint == key.publicKey.thumbprint else {
                    throw SignatureError("the key is not the certificate's")
                }
            } catch {
                throw ConnectorFailure(.configError, "client-certificate: \(error.what)")
            }
            guard key.publicKey.algorithm == .rs256 else {
                throw ConnectorFailure(.configError, "client-certificate: the key is not an RSA key")
            }
        }

        /// A client assertion (RFC 7523 §3) for one use.
        func assertion(clientID: String, audience: String, nowSeconds: Int64) -> String {
            JWS.sign(
                header: ["typ": "JWT", "x5t#S256": .string(thumbprint)],
                payload: [
                    "iss": .string(clientID), "sub": .string(clientID), "aud": .string(audience),
                    "jti": .string(Base64URL.encode(Random.bytes(24))),
                    // A little in the past: the vendor's clock may be behind ours.
                    "nbf": .integer(nowSeconds - 60), "iat": .integer(nowSeconds),
                    "exp": .integer(nowSeconds + Self.lifeSeconds),
                ], with: key)
        }
    }
}

extension Graph.Credential {
    /// The certificate or the secret of a configured provider.
    init(_ connection: ProviderConnection) throws(ConnectorFailure) {
        if let chain = connection.files["client-certificate.chain"] {
            let key = try connection.secret("client-certificate.key")
            self = .certificate(try Graph.ClientCertificate(chainPEM: chain, keyPEM: Array(key.utf8)))
        } else {
            self = .secret(try connection.secret("client-secret"))
        }
    }

    /// Who the application is, and its proof where it has one.
    func proof(clientID: String, tokenURL: String, nowSeconds: Int64) -> [(name: String, value: String)] {
        let name = (name: "client_id", value: clientID)
        switch self {
        case .none: return [name]
        case .secret(let secret): return [name, (name: "client_secret", value: secret)]
        case .certificate(let certificate):
            let assertion = certificate.assertion(
                clientID: clientID, audience: tokenURL, nowSeconds: nowSeconds)
            return [
                name,
                (
                    name: "client_assertion_type",
                    value: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                ), (name: "client_assertion", value: assertion),
            ]
        }
    }
}

extension Graph.Tenant {
    /// The tenant of a configured provider that is read through Graph.
    init(_ connection: ProviderConnection, vault: TokenVault = .none) throws(ConnectorFailure) {
        let (tenant, clientID) = (try connection.text("tenant"), try connection.text("client-id"))
        let loginURL = try connection.text("login-url")
        let seed = connection.secrets["refresh-token"]
        let isDelegated = seed != nil || connection.texts["permissions"] == "delegated"
        let delegation =
            isDelegated
            ? Graph.Delegation(
                integration: connection.integration, seed: seed, application: "\(tenant)/\(clientID)",
                vault: vault)
            : nil
        let isPublic =
            delegation != nil && connection.secrets["client-secret"] == nil
            && connection.files["client-certificate.chain"] == nil
        let credential = try isPublic ? Graph.Credential.none : Graph.Credential(connection)
        self.init(
            id: tenant, clientID: clientID, credential: credential, delegation: delegation,
            loginURL: loginURL, graphURL: try connection.text("graph-url"),
            authoritiesPEM: connection.authoritiesPEM, allowsPlainHTTP: connection.allowsPlainHTTP,
            facts: TokenFacts(tenant: tenant, loginURL: loginURL))
    }

    /// The form of the client-credentials grant, or of the next use of the refresh token.
    ///
    /// - Throws: `auth_failed` where nobody has connected yet.
    func form(nowSeconds: Int64) async throws(ConnectorFailure) -> [(name: String, value: String)] {
        guard let delegation else {
            return proof(nowSeconds: nowSeconds) + [
                (name: "grant_type", value: "client_credentials"), (name: "scope", value: ownScope),
            ]
        }
        guard let token = await delegation.token() else {
            throw ConnectorFailure(
                .authFailed,
                "nobody has connected it yet: gatepost integrations connect \(delegation.integration)")
        }
        return proof(nowSeconds: nowSeconds) + [
            (name: "grant_type", value: "refresh_token"), (name: "refresh_token", value: token),
            (name: "scope", value: "\(ownScope) openid profile offline_access"),
        ]
    }

    /// Everything that is granted to the application.
    var ownScope: String { graphURL + "/.default" }

    /// Who the application is, and its proof where it has one.
    func proof(nowSeconds: Int64) -> [(name: String, value: String)] {
        credential.proof(clientID: clientID, tokenURL: tokenURL, nowSeconds: nowSeconds)
    }
}
