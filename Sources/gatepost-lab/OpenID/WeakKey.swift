/// An RSA key of 1024 bits, which no code of the product would make or take.

import COpenSSL
import JSON
import Signatures

/// `@unchecked Sendable`: the key is made once and only ever read; OpenSSL counts references atomically.
final class WeakKey: @unchecked Sendable {
    static let shared = WeakKey()

    /// The public half, with `kid` "weak" and `alg` RS256.
    let jwk: JSONObject
    private let key: OpaquePointer

    private init() {
        guard let context = EVP_PKEY_CTX_new_from_name(nil, "RSA", nil) else {
            preconditionFailure("the crypto library has no RSA")
        }
        defer { EVP_PKEY_CTX_free(context) }
        var made: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_rsa_keygen_bits(context, 1024) == 1,
            EVP_PKEY_generate(context, &made) == 1, let made
        else { preconditionFailure("the crypto library made no RSA key of 1024 bits") }
        key = made
        var number: OpaquePointer?
        guard EVP_PKEY_get_bn_param(made, "n", &number) == 1, let number else {
            preconditionFailure("an RSA key without a modulus")
        }
        defer { BN_free(number) }
        var modulus = [UInt8](repeating: 0, count: 128)
        BN_bn2binpad(number, &modulus, 128)
        jwk = [
            "kty": "RSA", "kid": "weak", "alg": "RS256", "use": "sig", "e": "AQAB",
            "n": .string(Base64URL.encode(modulus)),
        ]
    }

    deinit { EVP_PKEY_free(key) }

    /// A token with a signature that really fits.
    func token(_ payload: JSONObject) -> String {
        let header: JSONObject = ["alg": "RS256", "kid": "weak"]
        let input = Base64URL.encode(header.serialized()) + "." + Base64URL.encode(payload.serialized())
        let bytes = Array(input.utf8)
        guard let context = EVP_MD_CTX_new() else { return "" }
        defer { EVP_MD_CTX_free(context) }
        var signature = [UInt8](repeating: 0, count: 128)
        var count = signature.count
        guard EVP_DigestSignInit_ex(context, nil, "SHA256", nil, nil, key, nil) == 1,
            EVP_DigestSign(context, &signature, &count, bytes, bytes.count) == 1
        else { return "" }
        return input + "." + Base64URL.encode(Array(signature.prefix(count)))
    }
}
