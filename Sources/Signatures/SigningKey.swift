import COpenSSL

/// A private key: P-256, P-384, Ed25519 or RSA (2048 to 8192 bits).
public final class SigningKey: Sendable {
    /// The public half.
    public let publicKey: VerificationKey
    let handle: KeyHandle

    /// A new key on P-256, for ES256.
    public static func generateP256() -> SigningKey {
        ERR_clear_error()
        defer { ERR_clear_error() }
        // Generation fails only without memory or randomness; there is no key to go on with.
        guard let raw = gatepost_generate_p256(), let key = try? SigningKey(adopting: raw, keyID: nil) else {
            preconditionFailure("the crypto library made no key on P-256")
        }
        return key
    }

    /// The key of an unencrypted PEM block (`PRIVATE KEY`, PKCS#8, or the older forms), at most 64 KiB.
    ///
    /// - Throws: `SignatureError`, also for an encrypted key: nobody could be asked for its password.
    public convenience init(pem: [UInt8]) throws(SignatureError) {
        try self.init(pem: pem, keyID: nil)
    }

    /// Like `init(pem:)`; `keyID` becomes the `kid` of the public half and of every token signed.
    public convenience init(pem: [UInt8], keyID: String?) throws(SignatureError) {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let raw = try withMemoryReader(pem) { (bio) throws(SignatureError) -> OpaquePointer in
            guard let raw = gatepost_read_private_key(bio) else {
                throw libraryError("the PEM text holds no unencrypted private key")
            }
            return raw
        }
        try self.init(adopting: raw, keyID: keyID)
    }

    private init(adopting raw: OpaquePointer, keyID: String?) throws(SignatureError) {
        handle = KeyHandle(adopting: raw)
        let material = try KeyMaterial(of: raw)
        publicKey = try VerificationKey(material, algorithm: material.defaultAlgorithm, keyID: keyID)
    }

    private init(
        _ other: SigningKey, algorithm: SignatureAlgorithm? = nil, keyID: String?
    ) throws(SignatureError) {
        handle = other.handle
        publicKey = try VerificationKey(
            other.publicKey.material, algorithm: algorithm ?? other.publicKey.algorithm, keyID: keyID)
    }

    /// The same key for another algorithm of its kind: an RSA key signs with RS256 unless it is asked otherwise.
    ///
    /// - Throws: `SignatureError` when the key is of another kind than the algorithm needs.
    public func using(_ algorithm: SignatureAlgorithm) throws(SignatureError) -> SigningKey {
        try SigningKey(self, algorithm: algorithm, keyID: publicKey.keyID)
    }

    /// The same key whose `kid` is its thumbprint (RFC 7638).
    func namedByThumbprint() throws(SignatureError) -> SigningKey {
        try SigningKey(self, keyID: publicKey.thumbprint)
    }

    /// The private key as PKCS#8 in PEM (RFC 5958), unencrypted: for files of mode 0600 only.
    public var pem: [UInt8] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard
            let bytes = memoryWritten({ PEM_write_bio_PKCS8PrivateKey($0, handle.raw, nil, nil, 0, nil, nil) }
            )
        else { preconditionFailure("the crypto library cannot encode a private key") }
        return bytes
    }

    /// The signature over `bytes`; on curves r ‖ s in fixed width (RFC 7518 §3.4).
    public func sign(_ bytes: [UInt8]) -> [UInt8] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let signature = librarySignature(over: bytes) else {
            preconditionFailure("the crypto library cannot sign with \(publicKey.algorithm.rawValue)")
        }
        guard case .ec(let curve, _, _) = publicKey.material else { return signature }
        guard let raw = RawSignature.raw(signature, coordinateBytes: curve.coordinateBytes) else {
            preconditionFailure("the crypto library made a signature that is not one")
        }
        return raw
    }

    private func librarySignature(over bytes: [UInt8]) -> [UInt8]? {
        defer { withExtendedLifetime(handle) {} }
        guard let context = EVP_MD_CTX_new() else { return nil }
        defer { EVP_MD_CTX_free(context) }
        let algorithm = publicKey.algorithm
        var parameters: OpaquePointer?
        guard
            EVP_DigestSignInit_ex(context, &parameters, algorithm.digestName, nil, nil, handle.raw, nil) == 1,
            SigningContext.configure(parameters, for: algorithm)
        else { return nil }
        var count = 0
        guard EVP_DigestSign(context, nil, &count, bytes, bytes.count) == 1 else { return nil }
        var signature = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSign(context, &signature, &count, bytes, bytes.count) == 1 else { return nil }
        return Array(signature.prefix(count))
    }
}
