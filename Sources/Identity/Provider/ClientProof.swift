import Access
import JSON
public import Signatures

/// How we prove to a provider which client we are (OpenID Connect Core 1.0 §9). What is configured is what is
/// sent: nothing falls back to a weaker way.
public enum ClientProof: Sendable, Hashable {
    /// The secret, in the way that the discovery document asks for; without a secret a public client.
    case announced
    /// client_secret_basic (RFC 6749 §2.3.1).
    case secretInField
    /// client_secret_post (RFC 6749 §2.3.1).
    case secretInBody
    /// private_key_jwt (RFC 7523 §2.2).
    case assertion(AssertionKey)
    /// tls_client_auth, with a certificate of an authority or a self-signed one (RFC 8705 §2).
    case certificate(ClientCertificate)
}

/// A certificate that a provider knows us by, and its key.
public struct ClientCertificate: Sendable, Hashable {
    /// PEM, the leaf first.
    public let chainPEM: [UInt8]
    /// PEM of the leaf's private key.
    public let keyPEM: [UInt8]

    /// - Throws: `SignatureError` when one of the two cannot be read, or the key is not the certificate's.
    public init(chainPEM: [UInt8], keyPEM: [UInt8]) throws(SignatureError) {
        let certificate = try Certificate(pem: chainPEM)
        guard certificate.publicKey.thumbprint == (try SigningKey(pem: keyPEM)).publicKey.thumbprint else {
            throw SignatureError("the key is not the certificate's")
        }
        self.chainPEM = chainPEM
        self.keyPEM = keyPEM
    }
}

/// The key that signs client assertions, and how a provider finds its public half.
public struct AssertionKey: Sendable, Hashable {
    /// Who an assertion says it is for.
    public enum Audience: String, Sendable, Hashable {
        /// The issuer: nobody but this provider takes such an assertion.
        case issuer
        /// The token endpoint (Core §9; Microsoft Entra takes nothing else).
        case tokenEndpoint = "token-endpoint"
    }

    private enum Name: Hashable {
        case keyID(String)
        /// `x5t#S256`: SHA-256 of the registered certificate.
        case certificate(String)
    }

    /// Two clocks may be apart by the skew; RFC 7523 leaves the length open, providers take five minutes at most.
    static let lifeSeconds: Int64 = IDTokenValidator.skewSeconds

    private let key: SigningKey
    private let name: Name
    let audience: Audience

    /// - Parameters:
    ///   - certificatePEM: the certificate that is registered with the provider; assertions then carry its
    ///     thumbprint as `x5t#S256` (Microsoft Entra: "certificate credentials").
    ///   - keyID: `kid` without a certificate; nil: the key's thumbprint (RFC 7638).
    /// - Throws: `SignatureError` when the key is neither RSA nor on P-256, or not the certificate's.
    public init(
        keyPEM: [UInt8], certificatePEM: [UInt8]? = nil, keyID: String? = nil, audience: Audience = .issuer
    ) throws(SignatureError) {
        key = try SigningKey(pem: keyPEM)
        guard [.rs256, .es256].contains(key.publicKey.algorithm) else {
            throw SignatureError("the key is neither RSA nor on P-256; make one of these kinds")
        }
        if let certificatePEM {
            let certificate = try Certificate(pem: certificatePEM)
            guard certificate.publicKey.thumbprint == key.publicKey.thumbprint else {
                throw SignatureError("the key is not the certificate's")
            }
            name = .certificate(Base64URL.encode(certificate.sha256))
        } else {
            name = .keyID(keyID ?? key.publicKey.thumbprint)
        }
        self.audience = audience
    }

    public static func == (left: AssertionKey, right: AssertionKey) -> Bool {
        left.key.publicKey.thumbprint == right.key.publicKey.thumbprint && left.name == right.name
            && left.audience == right.audience
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(audience)
    }

    /// A client assertion (RFC 7523 §3) for one request.
    ///
    /// - Parameter announced: `token_endpoint_auth_signing_alg_values_supported`; nil: the provider does not say.
    /// - Throws: `.providerMalformed` when the provider takes nothing that this key can sign.
    func assertion(
        clientID: String, audience: String, announced: [String]?, nowSeconds: Int64
    ) throws(IdentityError) -> String {
        let own: [SignatureAlgorithm] = key.publicKey.algorithm == .rs256 ? [.rs256, .ps256] : [.es256]
        let taken = announced.map { list in own.filter { list.contains($0.rawValue) } } ?? own
        guard let algorithm = taken.first, let signer = try? key.using(algorithm) else {
            throw IdentityError(.providerMalformed, "the provider takes no assertion of this kind of key")
        }
        var header: JSONObject = ["typ": "JWT"]
        switch name {
        case .keyID(let id): header["kid"] = .string(id)
        case .certificate(let thumbprint): header["x5t#S256"] = .string(thumbprint)
        }
        return JWS.sign(
            header: header,
            payload: [
                "iss": .string(clientID), "sub": .string(clientID), "aud": .string(audience),
                "jti": .string(Base64URL.encode(Random.bytes(24))), "iat": .integer(nowSeconds),
                "exp": .integer(nowSeconds + Self.lifeSeconds),
            ], with: signer)
    }
}
