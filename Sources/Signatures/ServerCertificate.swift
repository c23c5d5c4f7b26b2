import COpenSSL

/// A certificate for a TLS server on this machine, its own authority: for programs that other programs on the
/// same machine talk to for a while, such as the conformance runner.
public enum ServerCertificate {
    /// A new key on P-256 and its certificate for `127.0.0.1` and `localhost`.
    ///
    /// - Returns: both as PEM; the certificate is also the one to trust.
    /// - Throws: `SignatureError` when the library makes none.
    public static func loopback(
        validSeconds: Int64 = 86_400, nowSeconds: Int64
    ) throws(SignatureError) -> (certificatePEM: [UInt8], keyPEM: [UInt8]) {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let key = SigningKey.generateP256()
        let draft = try CertificateDraft(
            subject: "127.0.0.1", key: key.handle.raw, notBeforeSeconds: nowSeconds - 60,
            notAfterSeconds: nowSeconds + validSeconds)
        let der = try draft.signed(
            by: key, issuer: nil,
            extensions: [
                // Some libraries take no end-entity certificate as an authority, hence both roles.
                (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"),
                (NID_key_usage, "critical,digitalSignature,keyCertSign"),
                (NID_ext_key_usage, "serverAuth"),
                (NID_subject_key_identifier, "hash"),
                (NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost"),
            ])
        return (try Certificate(der: der).pem, key.pem)
    }
}
