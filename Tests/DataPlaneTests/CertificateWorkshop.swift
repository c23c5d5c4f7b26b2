import COpenSSL
import Foundation

@testable import DataPlane

/// Makes authorities, client certificates and revocation lists in memory, with any dates and extensions.
struct CertificateWorkshop {
    /// A certificate with its key, and what a client sends behind it.
    struct Made: Sendable {
        let pem: [UInt8]
        let keyPEM: [UInt8]
        var path: [[UInt8]] = []
        fileprivate let raw: Handle

        /// Hexadecimal, as administrators read it: with zeros in front.
        var serial: String {
            guard let number = X509_get0_serialNumber(raw.certificate) else { return "" }
            return "00"
                + (0..<Int(ASN1_STRING_length(number))).map { index in
                    let byte = ASN1_STRING_get0_data(number)[index]
                    return String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
                }.joined()
        }

        /// What a client presents.
        var identity: TestIdentity { TestIdentity(chain: [pem] + path, keyPEM: keyPEM) }
    }

    // Unchecked: OpenSSL only reads what was made, and counts references atomically.
    fileprivate final class Handle: @unchecked Sendable {
        let certificate: OpaquePointer
        let key: OpaquePointer
        init(_ certificate: OpaquePointer, _ key: OpaquePointer) {
            self.certificate = certificate
            self.key = key
        }
        deinit {
            X509_free(certificate)
            EVP_PKEY_free(key)
        }
    }

    static let dayAgo = Int64(-86_400)
    private static var now: Int64 { Int64(time(nil)) }

    /// - Parameter namesKeys: as RFC 5280 §4.2.1.1 and §4.2.1.2 want it of authorities, of what they issue and of their
    ///   lists.
    static func authority(_ name: String, under issuer: Made? = nil, namesKeys: Bool = true) -> Made {
        var made = make(
            name, under: issuer, from: dayAgo, until: 86_400,
            extensions: [
                (NID_basic_constraints, "critical,CA:TRUE"), (NID_key_usage, "critical,keyCertSign,cRLSign"),
            ] + (namesKeys ? [(NID_subject_key_identifier, "hash")] : []))
        if let issuer { made.path = issuer.path + [issuer.pem] }
        return made
    }

    /// - Parameters:
    ///   - from, until: seconds from now.
    ///   - usage: nil: the certificate does not say what it is for.
    static func client(
        _ name: String, under issuer: Made?, names: String? = nil, usage: String? = "clientAuth",
        from: Int64 = dayAgo, until: Int64 = 86_400
    ) -> Made {
        var extensions: [(Int32, String)] = []
        if let usage { extensions.append((NID_ext_key_usage, usage)) }
        if let names { extensions.append((NID_subject_alt_name, names)) }
        var made = make(name, under: issuer, from: from, until: until, extensions: extensions)
        // Nearest first, without the root.
        if let issuer, !issuer.path.isEmpty { made.path = [issuer.pem] + issuer.path.dropFirst().reversed() }
        return made
    }

    private static func make(
        _ name: String, under issuer: Made?, from: Int64, until: Int64, extensions: [(Int32, String)]
    ) -> Made {
        guard let certificate = X509_new(), let key = gatepost_generate_p256() else { fatalError("memory") }
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), Int.random(in: 1...(1 << 40)))
        ASN1_TIME_set(X509_getm_notBefore(certificate), Int(now + from))
        ASN1_TIME_set(X509_getm_notAfter(certificate), Int(now + until))
        let subject = X509_get_subject_name(certificate)
        X509_NAME_add_entry_by_txt(subject, "CN", gatepost_utf8_text_type(), name, -1, -1, 0)
        let signer = issuer?.raw ?? Handle(certificate, key)
        if issuer == nil {
            X509_up_ref(certificate)
            EVP_PKEY_up_ref(key)
        }
        X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate))
        X509_set_pubkey(certificate, key)
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, signer.certificate, certificate, nil, nil, 0)
        // Asked of itself, it would remember for good that it has no extensions yet.
        let named = issuer.map { namedKey(of: $0.raw.certificate) } ?? []
        for (kind, value) in extensions + named {
            guard let made = X509V3_EXT_conf_nid(nil, &context, kind, value) else { fatalError(value) }
            X509_add_ext(certificate, made, -1)
            X509_EXTENSION_free(made)
        }
        precondition(X509_sign(certificate, signer.key, EVP_sha256()) > 0, "signing \(name)")
        return Made(
            pem: pem { PEM_write_bio_X509($0, certificate) },
            keyPEM: pem { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) },
            raw: Handle(certificate, key))
    }

    /// Which of an issuer's keys signed, where the issuer gives its key a name.
    private static func namedKey(of issuer: OpaquePointer) -> [(Int32, String)] {
        X509_get0_subject_key_id(issuer) == nil ? [] : [(NID_authority_key_identifier, "keyid:always")]
    }

    /// A revocation list of `issuer`.
    static func list(of issuer: Made, revoking: [Made], nextUpdate: Int64 = 86_400) -> [UInt8] {
        guard let list = X509_CRL_new() else { fatalError("memory") }
        defer { X509_CRL_free(list) }
        X509_CRL_set_version(list, 1)
        X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer.raw.certificate))
        let (from, until) = (
            ASN1_TIME_set(nil, Int(now + 2 * dayAgo)), ASN1_TIME_set(nil, Int(now + nextUpdate))
        )
        X509_CRL_set1_lastUpdate(list, from)
        X509_CRL_set1_nextUpdate(list, until)
        for made in revoking {
            guard let entry = X509_REVOKED_new() else { fatalError("memory") }
            X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(made.raw.certificate))
            X509_REVOKED_set_revocationDate(entry, from)
            X509_CRL_add0_revoked(list, entry)
        }
        ASN1_TIME_free(from)
        ASN1_TIME_free(until)
        X509_CRL_sort(list)
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer.raw.certificate, nil, nil, list, 0)
        for (kind, value) in namedKey(of: issuer.raw.certificate) {
            guard let made = X509V3_EXT_conf_nid(nil, &context, kind, value) else { fatalError(value) }
            X509_CRL_add_ext(list, made, -1)
            X509_EXTENSION_free(made)
        }
        precondition(X509_CRL_sign(list, issuer.raw.key, EVP_sha256()) > 0, "signing a list")
        return pem { PEM_write_bio_X509_CRL($0, list) }
    }

    private static func pem(_ write: (OpaquePointer) -> Int32) -> [UInt8] {
        guard let memory = BIO_new(BIO_s_mem()) else { fatalError("memory") }
        defer { BIO_free(memory) }
        precondition(write(memory) == 1, "PEM")
        var start: UnsafeMutablePointer<CChar>?
        let count = gatepost_memory_contents(memory, &start)
        return UnsafeRawBufferPointer(start: start, count: count).map { $0 }
    }
}

/// What a client presents when it is asked for a certificate.
struct TestIdentity: Sendable {
    /// PEM, the client's own first.
    let chain: [[UInt8]]
    let keyPEM: [UInt8]

    func use(in ssl: OpaquePointer?) {
        for (index, pem) in chain.enumerated() {
            CertificateLoading.withMemory(pem) { memory in
                guard let certificate = PEM_read_bio_X509(memory, nil, nil, nil) else { fatalError("PEM") }
                defer { X509_free(certificate) }
                if index == 0 {
                    precondition(SSL_use_certificate(ssl, certificate) == 1, "certificate")
                } else {
                    SSL_ctrl(ssl, SSL_CTRL_CHAIN_CERT, 1, UnsafeMutableRawPointer(certificate))
                }
            }
        }
        CertificateLoading.withMemory(keyPEM) { memory in
            guard let key = PEM_read_bio_PrivateKey(memory, nil, nil, nil) else { fatalError("PEM") }
            defer { EVP_PKEY_free(key) }
            precondition(SSL_use_PrivateKey(ssl, key) == 1, "key")
        }
    }
}
