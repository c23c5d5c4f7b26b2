import Border
import COpenSSL

/// Whose client certificates one listener trusts, prepared once per configuration and reactor.
final class ClientAuthorities {
    /// Authorities between a certificate and its root.
    static let intermediatesMax: Int32 = 2
    static let authoritiesMax = 100

    let isRequired: Bool
    /// Names the authorities and their revocations: what was proven under others is not proven here.
    let digest: Token
    private let store: OpaquePointer
    /// Told to clients, so that they choose the right certificate.
    private let authorities: [OpaquePointer]

    init(_ settings: ClientCertificates) throws {
        guard let store = X509_STORE_new() else {
            throw TLSConfigurationError(what: "OpenSSL made no certificate store")
        }
        self.store = store
        isRequired = settings.isRequired
        digest = Self.digest(settings)
        authorities = Self.authorities(settings.authoritiesPEM)
        let lists = Self.lists(settings.revocationsPEM ?? [])
        defer { for list in lists { X509_CRL_free(list) } }
        for anchor in RevokedAuthorities.standing(authorities, lists) { X509_STORE_add_cert(store, anchor) }
        // Without this flag only self-signed certificates are anchors: whoever trusts one issuing authority would have
        // to trust its root, and with it every other authority below.
        X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN))
        if settings.revocationsPEM != nil {
            for list in lists { X509_STORE_add_crl(store, list) }
            // Of every authority of the path: a revoked intermediate one vouches for nobody. A list that is
            // missing or out of date refuses whoever it would have to clear. (`isAnchorsOwn` is the exception.)
            X509_STORE_set_flags(store, UInt(X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL))
        }
        ERR_clear_error()
        guard (1...Self.authoritiesMax).contains(authorities.count) else {
            throw TLSConfigurationError(
                what: "client-certificates: authorities holds \(authorities.count) PEM certificates; "
                    + "give 1 to \(Self.authoritiesMax)")
        }
        guard settings.revocationsPEM == nil || !lists.isEmpty else {
            throw TLSConfigurationError(what: "client-certificates: crl holds no PEM revocation list")
        }
    }

    deinit {
        for authority in authorities { X509_free(authority) }
        X509_STORE_free(store)
    }

    /// Before OpenSSL looks for a session to resume: with other authorities' or nobody's tickets nothing is resumed,
    /// and none is given out. So whoever is asked proves the certificate in every handshake, against the
    /// authorities, the clock and the revocations of that moment.
    func ask(_ ssl: OpaquePointer?) {
        gatepost_SSL_forbid_tickets(ssl)
        withUnsafeBytes(of: digest) { raw in
            _ = SSL_set_session_id_context(
                ssl, raw.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt32(raw.count))
        }
        let mode = SSL_VERIFY_PEER | (isRequired ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0)
        SSL_set_verify(ssl, mode, judgePath)
        SSL_set_verify_depth(ssl, Self.intermediatesMax)
    }

    /// After the context was chosen, which replaces a connection's certificate settings whole.
    func trust(_ ssl: OpaquePointer?) -> Bool {
        guard gatepost_SSL_set1_verify_cert_store(ssl, store) == 1 else { return false }
        return authorities.allSatisfy { SSL_add_client_CA(ssl, $0) == 1 }
    }

    private static func authorities(_ pem: [UInt8]) -> [OpaquePointer] {
        var found: [OpaquePointer] = []
        CertificateLoading.withMemory(pem) { memory in
            while let authority = PEM_read_bio_X509(memory, nil, refusePassword, nil) {
                found.append(authority)
            }
        }
        return found
    }

    private static func lists(_ pem: [UInt8]) -> [OpaquePointer] {
        var found: [OpaquePointer] = []
        CertificateLoading.withMemory(pem) { memory in
            while let list = PEM_read_bio_X509_CRL(memory, nil, refusePassword, nil) { found.append(list) }
        }
        return found
    }

    private static func digest(_ settings: ClientCertificates) -> Token {
        let revocations = settings.revocationsPEM ?? []
        let bytes =
            Array("client certificates \(settings.authoritiesPEM.count) \(revocations.count)\n".utf8)
            + settings.authoritiesPEM + revocations
        var digest = [UInt8](repeating: 0, count: 32)
        _ = SHA256(bytes, bytes.count, &digest)
        return Token(digest) ?? Token(0, 0, 0, 0)
    }
}

/// OpenSSL has checked signatures, validity, purpose and revocation. What it lets pass and we do not is a certificate
/// that does not say what it is for: authorities that issue certificates for servers would vouch for clients too.
private func judgePath(_ isFine: Int32, _ path: OpaquePointer?) -> Int32 {
    guard isFine == 1 || isAnchorsOwn(path) else { return refuse(path) }
    guard X509_STORE_CTX_get_error_depth(path) == 0 else { return 1 }
    guard let certificate = X509_STORE_CTX_get_current_cert(path),
        gatepost_may_identify_client(certificate) == 1
    else {
        X509_STORE_CTX_set_error(path, X509_V_ERR_INVALID_PURPOSE)
        return refuse(path)
    }
    // What is named among the authorities vouches for others, not for itself.
    guard X509_STORE_CTX_get_num_untrusted(path) > 0 || X509_self_signed(certificate, 0) == 1
    else {
        X509_STORE_CTX_set_error(path, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY)
        return refuse(path)
    }
    return 1
}

/// A configured authority that is no root stands at the path's end: its issuer is not in the path, so no list of it is
/// asked whether the authority itself counts. That it does is the configuration's word, and what lists of other
/// authorities that are named say was heard before (`RevokedAuthorities`); below it nothing is forgiven.
private func isAnchorsOwn(_ path: OpaquePointer?) -> Bool {
    let depth = X509_STORE_CTX_get_error_depth(path)
    guard depth > 0, depth == gatepost_certificates_count(X509_STORE_CTX_get0_chain(path)) - 1,
        let anchor = X509_STORE_CTX_get_current_cert(path), X509_self_signed(anchor, 0) == 0,
        CertificateRefusal(X509_STORE_CTX_get_error(path)).isOfList
    else { return false }
    X509_STORE_CTX_set_error(path, X509_V_OK)
    return true
}

private func refuse(_ path: OpaquePointer?) -> Int32 {
    RefusedCertificate.note(path)
    return 0
}
