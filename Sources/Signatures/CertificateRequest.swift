import COpenSSL

/// PKCS#10 requests for a certificate (RFC 2986).
public enum CertificateRequest {
    static let bytesMax = 8 << 10

    /// A request in DER for `key`, signed with it.
    ///
    /// - Parameter commonName: the subject; 1 to 64 characters.
    /// - Throws: `SignatureError` when the name does not fit.
    public static func make(key: SigningKey, commonName: String) throws(SignatureError) -> [UInt8] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let request = X509_REQ_new() else { throw SignatureError("out of memory") }
        defer { X509_REQ_free(request) }
        guard X509_REQ_set_version(request, 0) == 1, X509_REQ_set_pubkey(request, key.handle.raw) == 1 else {
            throw libraryError("certificate request: the key does not fit")
        }
        try appendCommonName(commonName, to: X509_REQ_get_subject_name(request))
        guard X509_REQ_sign(request, key.handle.raw, signingDigest(of: key)) > 0 else {
            throw libraryError("certificate request: cannot be signed")
        }
        guard let der = encodedDER({ i2d_X509_REQ(request, $0) }) else {
            throw libraryError("certificate request: no encoding")
        }
        return der
    }

    /// Like `make(key:commonName:)` for a key on P-256 that is elsewhere, in a security chip for example.
    ///
    /// - Parameter sign: makes r ‖ s over its argument with SHA-256, as `SigningKey.sign` does; nil when it
    ///   cannot.
    public static func make(
        publicKey: VerificationKey, commonName: String, signedBy sign: ([UInt8]) -> [UInt8]?
    ) throws(SignatureError) -> [UInt8] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard case .ec(.p256, _, _) = publicKey.material else {
            throw SignatureError("certificate request: the key is not on P-256")
        }
        guard let request = X509_REQ_new(), let algorithm = X509_ALGOR_new() else {
            throw SignatureError("out of memory")
        }
        defer {
            X509_REQ_free(request)
            X509_ALGOR_free(algorithm)
        }
        guard X509_REQ_set_version(request, 0) == 1,
            X509_REQ_set_pubkey(request, publicKey.handle.raw) == 1
        else { throw libraryError("certificate request: the key does not fit") }
        try appendCommonName(commonName, to: X509_REQ_get_subject_name(request))
        guard let signed = encodedDER({ i2d_re_X509_REQ_tbs(request, $0) }) else {
            throw libraryError("certificate request: no encoding")
        }
        guard let raw = sign(signed), let signature = RawSignature.der(raw, coordinateBytes: 32) else {
            throw SignatureError("certificate request: it was not signed")
        }
        // RFC 5758 §3.2: ecdsa-with-SHA256 has no parameters.
        guard
            X509_ALGOR_set0(algorithm, OBJ_nid2obj(NID_ecdsa_with_SHA256), V_ASN1_UNDEF, nil) == 1,
            X509_REQ_set1_signature_algo(request, algorithm) == 1,
            gatepost_set_request_signature(request, signature, CInt(signature.count)) == 1,
            let der = encodedDER({ i2d_X509_REQ(request, $0) })
        else { throw libraryError("certificate request: no encoding") }
        return der
    }

    /// The key of a request whose sender holds it.
    ///
    /// - Throws: as issuing a certificate for it would.
    package static func publicKey(of der: [UInt8]) throws(SignatureError) -> VerificationKey {
        ERR_clear_error()
        defer { ERR_clear_error() }
        return try withVerifiedKey(of: der) { (key) throws(SignatureError) in
            try VerificationKey(try KeyMaterial(of: key), algorithm: .es256, keyID: nil)
        }
    }

    /// Decodes a request, checks that its sender holds the key, and lends that key to `body`.
    static func withVerifiedKey<Result>(
        of der: [UInt8], _ body: (OpaquePointer) throws(SignatureError) -> Result
    ) throws(SignatureError) -> Result {
        guard der.count <= bytesMax else {
            throw SignatureError("certificate request: longer than \(bytesMax) bytes")
        }
        let (decoded, consumed) = der.withUnsafeBufferPointer { buffer in
            var next = buffer.baseAddress
            let decoded = d2i_X509_REQ(nil, &next, buffer.count)
            return (decoded, next.flatMap { next in buffer.baseAddress.map { next - $0 } } ?? 0)
        }
        guard let decoded else { throw libraryError("certificate request: not DER") }
        defer { X509_REQ_free(decoded) }
        guard consumed == der.count else { throw SignatureError("certificate request: bytes follow it") }
        guard let key = X509_REQ_get0_pubkey(decoded) else {
            throw libraryError("certificate request: the key cannot be read")
        }
        // The kind of key comes first: checking a signature of a 16384-bit RSA key is work for nothing.
        guard case .ec(.p256, _, _) = try KeyMaterial(of: key) else {
            throw SignatureError("certificate request: the key is not on P-256")
        }
        guard X509_REQ_verify(decoded, key) == 1 else {
            throw SignatureError("certificate request: its signature was not made with its key")
        }
        return try body(key)
    }
}

/// Appends CN to a name. OpenSSL bounds it to 64 characters (RFC 5280, ub-common-name).
func appendCommonName(_ text: String, to name: OpaquePointer?) throws(SignatureError) {
    let bytes = Array(text.utf8)
    guard !bytes.isEmpty, !bytes.contains(0),
        X509_NAME_add_entry_by_txt(name, "CN", gatepost_utf8_text_type(), bytes, CInt(bytes.count), -1, 0)
            == 1
    else { throw libraryError("certificate: a common name has 1 to 64 characters") }
}

/// The digest of X.509 signatures by `key`; nil where the algorithm brings its own.
func signingDigest(of key: SigningKey) -> OpaquePointer? {
    switch key.publicKey.algorithm {
    case .es256, .rs256, .ps256: EVP_sha256()
    case .es384, .rs384: EVP_sha384()
    case .rs512: EVP_sha512()
    case .eddsa: nil
    }
}
