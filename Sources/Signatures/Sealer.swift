import COpenSSL

/// Seals values that leave the gateway and come back, or rest in its store: AES-256-GCM with the ring's
/// sealing key.
///
/// The sealed text is base64url of version (1 byte, 0x01) ‖ key id (1) ‖ nonce (12) ‖ ciphertext ‖ tag (16).
public struct Sealer: Sendable {
    private static let version: UInt8 = 1
    private static let nonceBytes = 12
    private static let tagBytes = 16
    private static let headBytes = 2

    /// The most bytes that are sealed at once.
    public static let plaintextBytesMax = 1 << 20
    private static let sealedCharactersMax = (plaintextBytesMax + 64) * 4 / 3

    private let ring: KeyRing

    /// A sealer that always uses the current generations of `ring`.
    public init(ring: KeyRing) { self.ring = ring }

    /// Seals `plaintext` for one use: it opens only with the same `context` ("login-state",
    /// "id-token/<session>").
    ///
    /// - Precondition: at most `plaintextBytesMax` bytes; everything that peers send is bounded far below.
    public func seal(_ plaintext: [UInt8], context: String) -> String {
        precondition(
            plaintext.count <= Self.plaintextBytesMax, "\(plaintext.count) bytes are too many to seal")
        let (id, secret) = ring.secrets(.sealing)[0]
        let head = [Self.version, id]
        let nonce = Random.bytes(Self.nonceBytes)
        let bound = Self.bound(head, context)
        guard let sealed = Self.encrypted(plaintext, secret: secret, nonce: nonce, bound: bound) else {
            preconditionFailure("the crypto library cannot encrypt with AES-256-GCM")
        }
        return Base64URL.encode(head + nonce + sealed)
    }

    /// What was sealed; nil when any bit was changed, the context is another one or the key is no longer
    /// known.
    public func open(_ sealed: String, context: String) -> [UInt8]? {
        let least = Self.headBytes + Self.nonceBytes + Self.tagBytes
        guard sealed.utf8.count <= Self.sealedCharactersMax, let bytes = Base64URL.decode(sealed),
            bytes.count >= least, bytes[0] == Self.version,
            let key = ring.secrets(.sealing).first(where: { $0.id == bytes[1] })
        else { return nil }
        let head = Array(bytes[..<Self.headBytes])
        let nonceEnd = Self.headBytes + Self.nonceBytes
        let tagStart = bytes.count - Self.tagBytes
        return Self.decrypted(
            Array(bytes[nonceEnd..<tagStart]), tag: Array(bytes[tagStart...]), secret: key.secret,
            nonce: Array(bytes[Self.headBytes..<nonceEnd]), bound: Self.bound(head, context))
    }

    /// Version and key id are authenticated too: what they mean may change one day.
    private static func bound(_ head: [UInt8], _ context: String) -> [UInt8] { head + Array(context.utf8) }

    /// The ciphertext with the tag behind it; nil when the library fails.
    private static func encrypted(_ plaintext: [UInt8], secret: [UInt8], nonce: [UInt8], bound: [UInt8])
        -> [UInt8]?
    {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let context = EVP_CIPHER_CTX_new() else { return nil }
        defer { EVP_CIPHER_CTX_free(context) }
        // One byte more than needed: the storage of an empty array has no address that C could take.
        var sealed = [UInt8](repeating: 0, count: plaintext.count + 1)
        var tag = [UInt8](repeating: 0, count: tagBytes)
        var count: CInt = 0
        guard EVP_EncryptInit_ex2(context, EVP_aes_256_gcm(), secret, nonce, nil) == 1,
            EVP_EncryptUpdate(context, nil, &count, bound, CInt(bound.count)) == 1,
            EVP_EncryptUpdate(context, &sealed, &count, plaintext, CInt(plaintext.count)) == 1,
            Int(count) == plaintext.count,
            EVP_EncryptFinal_ex(context, &tag, &count) == 1, count == 0,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CInt(tagBytes), &tag) == 1
        else { return nil }
        return sealed.prefix(plaintext.count) + tag
    }

    private static func decrypted(
        _ sealed: [UInt8], tag: [UInt8], secret: [UInt8], nonce: [UInt8], bound: [UInt8]
    ) -> [UInt8]? {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let context = EVP_CIPHER_CTX_new() else { return nil }
        defer { EVP_CIPHER_CTX_free(context) }
        var tag = tag
        var rest = [UInt8](repeating: 0, count: tagBytes)
        var plaintext = [UInt8](repeating: 0, count: sealed.count + 1)
        var count: CInt = 0
        // The plaintext is handed out only after Final has compared the tag.
        guard EVP_DecryptInit_ex2(context, EVP_aes_256_gcm(), secret, nonce, nil) == 1,
            EVP_DecryptUpdate(context, nil, &count, bound, CInt(bound.count)) == 1,
            EVP_DecryptUpdate(context, &plaintext, &count, sealed, CInt(sealed.count)) == 1,
            Int(count) == sealed.count,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, CInt(tagBytes), &tag) == 1,
            EVP_DecryptFinal_ex(context, &rest, &count) == 1, count == 0
        else { return nil }
        return Array(plaintext.prefix(sealed.count))
    }
}
