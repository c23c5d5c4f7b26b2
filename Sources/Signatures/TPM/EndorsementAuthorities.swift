import COpenSSL

/// The makers of security chips that an administrator trusts: certificates of roots, or of the authorities below
/// them that sign endorsement keys (TCG EK Credential Profile, 3).
public struct EndorsementAuthorities: Sendable, Hashable {
    /// The most certificates that a file may hold.
    public static let countMax = 256

    /// tcg-kp-EKCertificate (TCG EK Credential Profile, 3.2.16).
    static let endorsementUsage = "2.23.133.8.1"

    private let anchors: [[UInt8]]

    /// - Parameter pem: certificates one after the other, each of an authority.
    /// - Throws: `SignatureError` for anything else between the markers, and for no certificate at all.
    public init(pem: [UInt8]) throws(SignatureError) {
        let end = "-----END CERTIFICATE-----"
        var anchors: [[UInt8]] = []
        let text = String(decoding: pem, as: UTF8.self)
        let pieces = text.split(separator: end, omittingEmptySubsequences: false)
        for piece in pieces.dropLast() {
            guard anchors.count < Self.countMax else {
                throw SignatureError("TPM authorities: more than \(Self.countMax) certificates")
            }
            let certificate = try CertificateHandle(der: try Self.der(String(piece) + end + "\n"))
            guard X509_check_ca(certificate.raw) == 1 else {
                throw SignatureError(
                    "TPM authorities: certificate \(anchors.count + 1) is not one of an authority (CA:TRUE)")
            }
            anchors.append(try Self.der(String(piece) + end + "\n"))
        }
        guard !anchors.isEmpty else { throw SignatureError("TPM authorities: no certificate") }
        self.anchors = anchors
    }

    private static func der(_ pem: String) throws(SignatureError) -> [UInt8] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        return try withMemoryReader(Array(pem.utf8)) { (bio) throws(SignatureError) -> [UInt8] in
            guard let raw = gatepost_read_certificate(bio) else {
                throw libraryError("TPM authorities: a block is no certificate")
            }
            defer { X509_free(raw) }
            guard let der = encodedDER({ i2d_X509(raw, $0) }) else {
                throw libraryError("TPM authorities: no encoding")
            }
            return der
        }
    }

    /// Refuses an endorsement key whose certificate does not come from here, or is about another key.
    package func verify(
        certificate der: [UInt8], of endorsement: TPMPublicArea, nowSeconds: Int64
    ) throws(SignatureError) {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let leaf = try CertificateHandle(der: der)
        defer { withExtendedLifetime(leaf) {} }
        guard X509_check_ca(leaf.raw) == 0, let key = X509_get0_pubkey(leaf.raw) else {
            throw SignatureError("endorsement certificate: an authority's, or its key cannot be read")
        }
        guard try KeyMaterial(of: key) == endorsement.material else {
            throw SignatureError("endorsement certificate: about another key")
        }
        // Makers certify other keys too, also ones in software. Old certificates name no purpose at all.
        let usages = try EnrollmentAuthority.extendedUsages(of: leaf)
        guard usages.isEmpty || usages.contains(Self.endorsementUsage) else {
            throw SignatureError("endorsement certificate: made for another purpose")
        }
        guard let store = X509_STORE_new() else { throw SignatureError("out of memory") }
        defer { X509_STORE_free(store) }
        for anchor in anchors {
            let handle = try CertificateHandle(der: anchor)
            // The store counts its own reference.
            guard X509_STORE_add_cert(store, handle.raw) == 1 else { throw SignatureError("out of memory") }
        }
        guard let context = X509_STORE_CTX_new() else { throw SignatureError("out of memory") }
        defer { X509_STORE_CTX_free(context) }
        guard X509_STORE_CTX_init(context, store, leaf.raw, nil) == 1,
            let parameters = X509_STORE_CTX_get0_param(context)
        else { throw libraryError("endorsement certificate: cannot be verified") }
        // An authority below a root may be trusted by itself; the administrator names whom.
        X509_VERIFY_PARAM_set_flags(parameters, UInt(X509_V_FLAG_PARTIAL_CHAIN))
        X509_VERIFY_PARAM_set_time(parameters, Int(nowSeconds))
        X509_VERIFY_PARAM_set_depth(parameters, 4)
        X509_VERIFY_PARAM_set_auth_level(parameters, 2)
        guard X509_verify_cert(context) == 1 else {
            let code = X509_STORE_CTX_get_error(context)
            let reason = X509_verify_cert_error_string(Int(code)).map { String(cString: $0) } ?? "unknown"
            throw SignatureError("endorsement certificate: \(reason)")
        }
    }
}
