/// Keys for every algorithm that tokens are signed with in the field.

import COpenSSL
import JSON
import Signatures
import Synchronization

extension SigningKey {
    /// A new key that signs with this algorithm; RSA keys have 2048 bits.
    static func generate(for algorithm: SignatureAlgorithm) -> SigningKey {
        if algorithm == .es256 { return generateP256() }
        guard let key = try? SigningKey(pem: newPEM(for: algorithm)).using(algorithm) else {
            preconditionFailure("the crypto library made no key for \(algorithm.rawValue)")
        }
        return key
    }

    /// As PKCS#8. Empty when the library makes none: a key of that is refused above.
    private static func newPEM(for algorithm: SignatureAlgorithm) -> [UInt8] {
        let kind =
            switch algorithm {
            case .es256, .es384: "EC"
            case .rs256, .rs384, .rs512, .ps256: "RSA"
            case .eddsa: "ED25519"
            }
        guard let context = EVP_PKEY_CTX_new_from_name(nil, kind, nil) else { return [] }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_keygen_init(context) == 1 else { return [] }
        let isSet =
            switch kind {
            case "EC": EVP_PKEY_CTX_set_group_name(context, "P-384")
            case "RSA": EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2_048)
            case _: CInt(1)
            }
        var made: OpaquePointer?
        guard isSet == 1, EVP_PKEY_generate(context, &made) == 1, let made,
            let bio = BIO_new(BIO_s_mem())
        else { return [] }
        defer {
            BIO_free(bio)
            EVP_PKEY_free(made)
        }
        guard PEM_write_bio_PKCS8PrivateKey(bio, made, nil, nil, 0, nil, nil) == 1 else { return [] }
        var bytes = [UInt8](repeating: 0, count: 8_192)
        let count = BIO_read(bio, &bytes, CInt(bytes.count))
        return Array(bytes.prefix(Int(max(0, count))))
    }
}

extension OpenIDProvider {
    /// `POST /lab/algorithm {"alg": "RS256"}`: from now on id and logout tokens are signed so, by a key of its own.
    func setAlgorithm(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST",
            let name = (try? JSONValue(parsing: try exchange.readBody()))?["alg"]?.string,
            let algorithm = SignatureAlgorithm(rawValue: name)
        else {
            let known = SignatureAlgorithm.allCases.map { JSONValue.string($0.rawValue) }
            return .json(["error": "POST {\"alg\": …}", "known": .array(known)], status: 400)
        }
        state.withLock { $0.sign(with: algorithm) }
        return .json(["alg": .string(algorithm.rawValue)])
    }

    /// A key of nobody's that signs as the provider's own does.
    func strangersKey() -> SigningKey { .generate(for: state.withLock { $0.algorithm }) }

    /// The key before the last rotation; where there was none, one that was never published.
    var withdrawnKey: SigningKey { state.withLock { $0.withdrawn } ?? strangersKey() }
}
