import COpenSSL

/// Makes, in software, secrets that only one TPM can open, and only for one key (`TPM2_MakeCredential`, TPM 2.0
/// Library, Part 1, 24, and Part 3, 12.6).
package enum TPMCredential {
    /// The most that fits the digest of a key named by SHA-256.
    package static let secretBytesMax = 32

    /// What goes to the device: both are contents of the `TPM2B` of that name.
    package struct Sealed: Sendable {
        /// `TPM2B_ID_OBJECT`.
        package var credential: [UInt8]
        /// `TPM2B_ENCRYPTED_SECRET`.
        package var seed: [UInt8]

        package init(credential: [UInt8], seed: [UInt8]) {
            self.credential = credential
            self.seed = seed
        }
    }

    /// - Parameters:
    ///   - endorsement: whose private half opens it.
    ///   - name: of the key that must lie in the same TPM.
    ///   - secret: 1 to 32 bytes.
    package static func make(
        for endorsement: TPMPublicArea, name: [UInt8], secret: [UInt8]
    ) throws(SignatureError) -> Sealed {
        precondition((1...secretBytesMax).contains(secret.count), "a credential of \(secret.count) bytes")
        ERR_clear_error()
        defer { ERR_clear_error() }
        let (seed, encrypted) = try makeSeed(for: endorsement)
        let storageKey = TPMKeyDerivation.kdfa(key: seed, label: "STORAGE", contextU: name, bits: 128)
        var inner = TPMWriter()
        inner.appendSized(secret)
        let identity = try TPMKeyDerivation.encryptCFB(key: storageKey, inner.bytes)
        let integrityKey = TPMKeyDerivation.kdfa(key: seed, label: "INTEGRITY", contextU: [], bits: 256)
        var credential = TPMWriter()
        credential.appendSized(Digest.hmacSHA256(key: integrityKey, identity + name))
        credential.append(identity)
        return Sealed(credential: credential.bytes, seed: encrypted)
    }

    /// The seed, and how the TPM gets it: by OAEP (Part 1, B.10.4) or by a key agreement (C.6.4).
    private static func makeSeed(
        for endorsement: TPMPublicArea
    ) throws(SignatureError) -> (seed: [UInt8], encrypted: [UInt8]) {
        let handle = try endorsement.material.handle()
        switch endorsement.key {
        case .rsa2048:
            let seed = Random.bytes(32)
            return (seed, try encryptOAEP(seed, to: handle))
        case .p256(let x, _):
            let own = SigningKey.generateP256()
            guard case .ec(_, let ownX, let ownY) = own.publicKey.material else {
                throw SignatureError("TPM credential: no key on P-256 was made")
            }
            let shared = try agree(own.handle, with: handle)
            let seed = TPMKeyDerivation.kdfe(shared, label: "IDENTITY", partyU: ownX, partyV: x)
            var point = TPMWriter()
            point.appendSized(ownX)
            point.appendSized(ownY)
            return (seed, point.bytes)
        }
    }

    private static func encryptOAEP(
        _ seed: [UInt8], to handle: KeyHandle
    ) throws(SignatureError) -> [UInt8] {
        defer { withExtendedLifetime(handle) {} }
        guard let context = EVP_PKEY_CTX_new(handle.raw, nil) else { throw SignatureError("out of memory") }
        defer { EVP_PKEY_CTX_free(context) }
        // The label's zero byte counts (Part 1, B.4).
        let label = Array("IDENTITY".utf8) + [0]
        var encrypted = [UInt8](repeating: 0, count: 256)
        var count = encrypted.count
        guard EVP_PKEY_encrypt_init(context) == 1,
            EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1,
            EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) == 1,
            EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1,
            gatepost_set_oaep_label(context, label, CInt(label.count)) == 1,
            EVP_PKEY_encrypt(context, &encrypted, &count, seed, seed.count) == 1, count == 256
        else { throw libraryError("TPM credential: the seed cannot be encrypted") }
        return encrypted
    }

    private static func agree(
        _ own: KeyHandle, with other: KeyHandle
    ) throws(SignatureError) -> [UInt8] {
        defer { withExtendedLifetime((own, other)) {} }
        guard let context = EVP_PKEY_CTX_new(own.raw, nil) else { throw SignatureError("out of memory") }
        defer { EVP_PKEY_CTX_free(context) }
        var shared = [UInt8](repeating: 0, count: 32)
        var count = shared.count
        guard EVP_PKEY_derive_init(context) == 1, EVP_PKEY_derive_set_peer(context, other.raw) == 1,
            EVP_PKEY_derive(context, &shared, &count) == 1, count == 32
        else { throw libraryError("TPM credential: no key was agreed on") }
        return shared
    }
}

/// How a TPM makes keys out of secrets (TPM 2.0 Library, Part 1, 11.4.10), with SHA-256.
enum TPMKeyDerivation {
    /// KDFa: SP 800-108 in counter mode, HMAC; one block, because nobody here needs more than 256 bits.
    static func kdfa(key: [UInt8], label: String, contextU: [UInt8], bits: UInt32) -> [UInt8] {
        precondition(bits % 8 == 0 && bits <= 256, "a derived key of \(bits) bits")
        var input = TPMWriter()
        input.append(UInt32(1))
        input.append(Array(label.utf8) + [0])
        input.append(contextU)
        input.append(bits)
        return Array(Digest.hmacSHA256(key: key, input.bytes).prefix(Int(bits / 8)))
    }

    /// KDFe: SP 800-56A, one step, 256 bits.
    static func kdfe(_ shared: [UInt8], label: String, partyU: [UInt8], partyV: [UInt8]) -> [UInt8] {
        var input = TPMWriter()
        input.append(UInt32(1))
        input.append(shared)
        input.append(Array(label.utf8) + [0])
        input.append(partyU)
        input.append(partyV)
        return Digest.sha256(input.bytes)
    }

    /// AES-128-CFB with a zero vector: every key is used once.
    static func encryptCFB(key: [UInt8], _ plain: [UInt8]) throws(SignatureError) -> [UInt8] {
        guard let context = EVP_CIPHER_CTX_new() else { throw SignatureError("out of memory") }
        defer { EVP_CIPHER_CTX_free(context) }
        let vector = [UInt8](repeating: 0, count: 16)
        var encrypted = [UInt8](repeating: 0, count: plain.count + 16)
        var count: CInt = 0
        guard EVP_EncryptInit_ex(context, EVP_aes_128_cfb128(), nil, key, vector) == 1,
            EVP_EncryptUpdate(context, &encrypted, &count, plain, CInt(plain.count)) == 1,
            Int(count) == plain.count
        else { throw libraryError("TPM credential: AES-128-CFB is not there") }
        return Array(encrypted.prefix(Int(count)))
    }
}
