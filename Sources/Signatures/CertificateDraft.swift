import COpenSSL

/// A certificate while it is being written (RFC 5280 §4.1).
struct CertificateDraft {
    private let handle: CertificateHandle

    init(
        subject commonName: String, key: OpaquePointer, notBeforeSeconds: Int64, notAfterSeconds: Int64
    ) throws(SignatureError) {
        guard let raw = X509_new() else { throw SignatureError("out of memory") }
        handle = CertificateHandle(adopting: raw)
        try appendCommonName(commonName, to: X509_get_subject_name(raw))
        guard X509_set_version(raw, 2) == 1, X509_set_pubkey(raw, key) == 1,
            ASN1_TIME_set(X509_getm_notBefore(raw), Int(notBeforeSeconds)) != nil,
            ASN1_TIME_set(X509_getm_notAfter(raw), Int(notAfterSeconds)) != nil
        else { throw libraryError("certificate: key or times do not fit") }
        try setSerial()
    }

    /// 127 random bits: unguessable and positive (RFC 5280 §4.1.2.2 allows 20 bytes).
    private func setSerial() throws(SignatureError) {
        var bytes = Random.bytes(16)
        bytes[0] = bytes[0] & 0x7F | 0x40
        guard let number = BN_bin2bn(bytes, CInt(bytes.count), nil) else {
            throw SignatureError("out of memory")
        }
        defer { BN_free(number) }
        guard BN_to_ASN1_INTEGER(number, X509_get_serialNumber(handle.raw)) != nil else {
            throw libraryError("certificate: the serial number does not fit")
        }
    }

    /// Adds extensions in OpenSSL's text form (x509v3_config(5)) and signs.
    ///
    /// - Parameter extensions: the texts must not hold anything that a peer may choose freely: commas start a
    ///   new value in this form.
    /// - Parameter issuer: nil makes the certificate self-signed.
    func signed(
        by key: SigningKey, issuer: CertificateHandle?, extensions: [(identifier: CInt, text: String)]
    ) throws(SignatureError) -> [UInt8] {
        let signer = issuer ?? handle
        defer { withExtendedLifetime((signer, key)) {} }
        guard X509_set_issuer_name(handle.raw, X509_get_subject_name(signer.raw)) == 1 else {
            throw libraryError("certificate: the issuer's name does not fit")
        }
        for (identifier, text) in extensions {
            var context = X509V3_CTX()
            X509V3_set_ctx(&context, signer.raw, handle.raw, nil, nil, 0)
            guard let made = X509V3_EXT_conf_nid(nil, &context, identifier, text) else {
                throw libraryError("certificate: the extension \(text) cannot be made")
            }
            defer { X509_EXTENSION_free(made) }
            guard X509_add_ext(handle.raw, made, -1) == 1 else { throw SignatureError("out of memory") }
        }
        guard X509_sign(handle.raw, key.handle.raw, signingDigest(of: key)) > 0 else {
            throw libraryError("certificate: cannot be signed")
        }
        guard let der = encodedDER({ i2d_X509(handle.raw, $0) }) else {
            throw libraryError("certificate: no encoding")
        }
        return der
    }
}
