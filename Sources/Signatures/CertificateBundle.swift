import COpenSSL

extension Certificate {
    /// The most certificates of one file.
    public static let bundleMax = 8

    /// Every certificate of a PEM text of at most 64 KiB, in its order; at least one, at most `bundleMax`.
    ///
    /// - Throws: as `init(der:)`, and when a block is cut off: half a bundle is not the bundle that was meant.
    public static func all(pem: [UInt8]) throws(SignatureError) -> [Certificate] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let encodings = try withMemoryReader(pem) { (bio) throws(SignatureError) -> [[UInt8]] in
            var encodings: [[UInt8]] = []
            while let raw = gatepost_read_certificate(bio) {
                defer { X509_free(raw) }
                guard encodings.count < bundleMax else {
                    throw SignatureError("the PEM text holds more than \(bundleMax) certificates")
                }
                guard let der = encodedDER({ i2d_X509(raw, $0) }) else {
                    throw libraryError("certificate: no encoding")
                }
                encodings.append(der)
            }
            // "No start line" is how a PEM text ends; anything else is a broken block.
            guard ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE else {
                throw libraryError("the PEM text holds a broken certificate")
            }
            return encodings
        }
        guard !encodings.isEmpty else { throw SignatureError("the PEM text holds no certificate") }
        var certificates: [Certificate] = []
        for der in encodings { certificates.append(try Certificate(der: der)) }
        return certificates
    }
}

extension CertificateHandle {
    /// SHA-256 over name and key: what a certificate is issued by, whichever certificate of that issuer is shown.
    func identity() throws(SignatureError) -> [UInt8] {
        guard let name = X509_get_subject_name(raw), let key = X509_get_X509_PUBKEY(raw),
            let nameDER = encodedDER({ i2d_X509_NAME(name, $0) }),
            let keyDER = encodedDER({ i2d_X509_PUBKEY(key, $0) })
        else { throw libraryError("certificate: name or key cannot be read") }
        return Digest.sha256(nameDER + keyDER)
    }
}
