import COpenSSL

/// Why a client certificate ended its handshake.
enum CertificateRefusal: CaseIterable {
    case untrusted, expired, notYetValid, revoked
    /// The revocation list that would have to clear it.
    case listMissing, listEnded, listInvalid
    case purpose, path, weak, other

    /// - Parameter code: `X509_V_ERR_…` (openssl-verification-options(1), "Diagnostics").
    init(_ code: Int32) {
        switch code {
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_CERT_SIGNATURE_FAILURE,
            X509_V_ERR_CERT_UNTRUSTED:
            self = .untrusted
        case X509_V_ERR_CERT_HAS_EXPIRED: self = .expired
        case X509_V_ERR_CERT_NOT_YET_VALID: self = .notYetValid
        case X509_V_ERR_CERT_REVOKED: self = .revoked
        case X509_V_ERR_UNABLE_TO_GET_CRL, X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER: self = .listMissing
        case X509_V_ERR_CRL_HAS_EXPIRED: self = .listEnded
        case X509_V_ERR_CRL_NOT_YET_VALID, X509_V_ERR_CRL_SIGNATURE_FAILURE,
            X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE, X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD,
            X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD, X509_V_ERR_KEYUSAGE_NO_CRL_SIGN,
            X509_V_ERR_DIFFERENT_CRL_SCOPE, X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION,
            X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
            self = .listInvalid
        case X509_V_ERR_INVALID_PURPOSE: self = .purpose
        case X509_V_ERR_CERT_CHAIN_TOO_LONG, X509_V_ERR_INVALID_CA, X509_V_ERR_PATH_LENGTH_EXCEEDED,
            X509_V_ERR_KEYUSAGE_NO_CERTSIGN, X509_V_ERR_PERMITTED_VIOLATION, X509_V_ERR_EXCLUDED_VIOLATION:
            self = .path
        case X509_V_ERR_EE_KEY_TOO_SMALL, X509_V_ERR_CA_KEY_TOO_SMALL, X509_V_ERR_CA_MD_TOO_WEAK:
            self = .weak
        case _: self = .other
        }
    }

    /// In the event `client-certificate-refused`.
    var word: String {
        switch self {
        case .untrusted: "untrusted"
        case .expired: "expired"
        case .notYetValid: "not-yet-valid"
        case .revoked: "revoked"
        case .listMissing: "list-missing"
        case .listEnded: "list-ended"
        case .listInvalid: "list-invalid"
        case .purpose: "purpose"
        case .path: "path"
        case .weak: "weak"
        case .other: "other"
        }
    }

    var counter: Counter {
        switch self {
        case .untrusted: .certificatesRefusedUntrusted
        case .expired, .notYetValid: .certificatesRefusedExpired
        case .revoked: .certificatesRefusedRevoked
        case .listMissing, .listEnded, .listInvalid: .certificatesRefusedList
        case .purpose, .path, .weak, .other: .certificatesRefusedOther
        }
    }

    /// The list is at fault, and says nothing of the certificate.
    var isOfList: Bool { self == .listMissing || self == .listEnded || self == .listInvalid }
}

/// What a handshake that failed knows of the certificate: OpenSSL keeps nothing of one that it refused.
final class RefusedCertificate {
    let refusal: CertificateRefusal
    /// Hexadecimal.
    let serial: String
    /// SHA-256 of the issuing certificate, hexadecimal; nil: nobody knows it.
    let issuerDigest: String?

    /// Kept with its connection, which frees it.
    private static let index = CRYPTO_get_ex_new_index(
        CRYPTO_EX_INDEX_SSL, 0, nil, nil, nil, releaseRefused)

    private init(_ path: OpaquePointer, _ leaf: OpaquePointer) {
        refusal = CertificateRefusal(X509_STORE_CTX_get_error(path))
        serial = ClientProof.serial(of: leaf)
        let chain = X509_STORE_CTX_get0_chain(path)
        var digest = [UInt8](repeating: 0, count: 32)
        let isKnown =
            gatepost_certificates_count(chain) > 1
            && X509_digest(gatepost_certificate_at(chain, 1), EVP_sha256(), &digest, nil) == 1
        issuerDigest = isKnown ? Hex.text(digest[...]) : nil
    }

    /// While a path is being judged: it is refused.
    static func note(_ path: OpaquePointer?) {
        guard let path, let leaf = X509_STORE_CTX_get0_cert(path),
            let raw = X509_STORE_CTX_get_ex_data(path, SSL_get_ex_data_X509_STORE_CTX_idx())
        else { return }
        let ssl = OpaquePointer(raw)
        releaseRefused(nil, SSL_get_ex_data(ssl, index), nil, 0, 0, nil)
        let refused = RefusedCertificate(path, leaf)
        SSL_set_ex_data(ssl, index, Unmanaged.passRetained(refused).toOpaque())
    }

    /// nil: it failed for another reason.
    static func of(_ ssl: OpaquePointer?) -> RefusedCertificate? {
        guard let ssl, let raw = SSL_get_ex_data(ssl, index) else { return nil }
        return Unmanaged<RefusedCertificate>.fromOpaque(raw).takeUnretainedValue()
    }
}

private func releaseRefused(
    _ parent: UnsafeMutableRawPointer?, _ refused: UnsafeMutableRawPointer?,
    _ data: UnsafeMutablePointer<CRYPTO_EX_DATA>?, _ index: Int32, _ number: Int,
    _ argument: UnsafeMutableRawPointer?
) {
    guard let refused else { return }
    Unmanaged<RefusedCertificate>.fromOpaque(refused).release()
}
