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

extension Graph.Tenant {
    /// The tenant of a configured provider that is read through Graph.
    init(_ connection: ProviderConnection, vault: TokenVault = .none) throws(ConnectorFailure) {
        let credential: Graph.Credential
        let delegation = connection.secrets["refresh-token"].map {
            Graph.Delegation(integration: connection.integration, seed: $0, vault: vault)
        }
        if let chain = connection.files["client-certificate.chain"] {
            let key = try connection.secret("client-certificate.key")
            credential = .certificate(
                try Graph.ClientCertificate(chainPEM: chain, keyPEM: Array(key.utf8)))
        } else if delegation != nil, connection.secrets["client-secret"] == nil {
            credential = .none
        } else {
            credential = .secret(try connection.secret("client-secret"))
        }
        self.init(
            id: try connection.text("tenant"), clientID: try connection.text("client-id"),
            credential: credential, delegation: delegation,
            loginURL: try connection.text("login-url"), graphURL: try connection.text("graph-url"),
            authoritiesPEM: connection.authoritiesPEM, allowsPlainHTTP: connection.allowsPlainHTTP)
    }

    /// The form of the client-credentials grant, or of the next use of the refresh token.
    func form(nowSeconds: Int64) async -> [(name: String, value: String)] {
        var form = [(name: "client_id", value: clientID)]
        if let delegation {
            form += [
                (name: "grant_type", value: "refresh_token"),
                (name: "refresh_token", value: await delegation.token()),
                (name: "scope", value: "\(graphURL)/.default openid profile offline_access"),
            ]
        } else {
            form += [
                (name: "grant_type", value: "client_credentials"),
                (name: "scope", value: graphURL + "/.default"),
            ]
        }
        switch credential {
        case .none: break
        case .secret(let secret): form.append((name: "client_secret", value: secret))
        case .certificate(let certificate):
            let assertion = certificate.assertion(
                clientID: clientID, audience: tokenURL, nowSeconds: nowSeconds)
            form += [
                (
                    name: "client_assertion_type",
                    value: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                ), (name: "client_assertion", value: assertion),
            ]
        }
        return form
    }
}
