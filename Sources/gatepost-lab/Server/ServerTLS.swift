/// TLS for a site, with certificates that a client must refuse when a test asks for them.

import COpenSSL
import Glibc

/// What is wrong with the certificate that a connection is shown (providers.md 1.2).
enum CertificateFault: CaseIterable, Sendable {
    /// Signed by nobody whom the client trusts.
    case untrusted
    case expired
    /// Good, but for another host.
    case wrongHost
}

/// Contexts for connections to 127.0.0.1.
///
/// `@unchecked Sendable`: contexts are made once and only read; OpenSSL counts their references atomically.
final class ServerTLS: @unchecked Sendable {
    /// PEM of what a client trusts: the good certificate, and those that are bad for another reason than who signed
    /// them.
    let authoritiesPEM: [UInt8]
    private let good: OpaquePointer
    private let bad: [CertificateFault: OpaquePointer]
    private let fault: @Sendable () -> CertificateFault?

    /// - Parameters:
    ///   - asksClients: a client that has a certificate is asked for it, whoever issued it: only what is registered
    ///     says whose it is (RFC 8705 §2.2).
    ///   - fault: asked for every connection; nil: the good certificate.
    init(asksClients: Bool = false, fault: @escaping @Sendable () -> CertificateFault?) {
        let now = Int64(time(nil))
        var trusted: [UInt8] = []
        func context(_ host: String, from: Int64, isTrusted: Bool = true) -> OpaquePointer {
            let (context, pem) = Self.context(host, notBefore: from, notAfter: from + 86_400)
            if isTrusted { trusted += pem }
            if asksClients { Self.askClients(context) }
            return context
        }
        good = context("127.0.0.1", from: now - 3_600)
        bad = [
            .untrusted: context("127.0.0.1", from: now - 3_600, isTrusted: false),
            .expired: context("127.0.0.1", from: now - 2 * 86_400),
            .wrongHost: context("127.0.0.2", from: now - 3_600),
        ]
        authoritiesPEM = trusted
        self.fault = fault
    }

    deinit {
        for context in [good] + bad.values { SSL_CTX_free(context) }
    }

    /// The server's side of the handshake; nil when the client did not like it.
    func accept(_ descriptor: Int32) -> OpaquePointer? {
        // OpenSSL writes without MSG_NOSIGNAL; a signal that is blocked in this thread, whose it is, ends nobody.
        var pipe = sigset_t()
        sigemptyset(&pipe)
        sigaddset(&pipe, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &pipe, nil)
        guard let ssl = SSL_new(fault().flatMap { bad[$0] } ?? good) else { return nil }
        guard SSL_set_fd(ssl, descriptor) == 1, SSL_accept(ssl) == 1 else {
            SSL_free(ssl)
            return nil
        }
        return ssl
    }

    private static func askClients(_ context: OpaquePointer) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER) { _, _ in 1 }
        // A resumed connection would show the certificate of the one before.
        SSL_CTX_set_num_tickets(context, 0)
        _ = gatepost_SSL_CTX_set_session_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
        let name = Array("lab".utf8)
        SSL_CTX_set_session_id_context(context, name, UInt32(name.count))
    }

    private static func context(
        _ host: String, notBefore: Int64, notAfter: Int64
    ) -> (context: OpaquePointer, pem: [UInt8]) {
        guard let key = gatepost_generate_p256(), let certificate = X509_new(),
            let context = SSL_CTX_new(TLS_server_method())
        else { preconditionFailure("the crypto library makes no key, certificate or context") }
        defer {
            EVP_PKEY_free(key)
            X509_free(certificate)
        }
        let name = X509_get_subject_name(certificate)
        // Every certificate has a name of its own: by it a client finds the one that it trusts.
        let text = "lab \(host) \(notBefore) \(UInt32.random(in: 0...UInt32.max))"
        let isMade =
            X509_set_version(certificate, 2) == 1
            && ASN1_INTEGER_set(X509_get_serialNumber(certificate), Int.random(in: 1...Int(Int32.max))) == 1
            && X509_NAME_add_entry_by_txt(name, "CN", gatepost_utf8_text_type(), text, -1, -1, 0) == 1
            && X509_set_issuer_name(certificate, name) == 1
            && ASN1_TIME_set(X509_getm_notBefore(certificate), Int(notBefore)) != nil
            && ASN1_TIME_set(X509_getm_notAfter(certificate), Int(notAfter)) != nil
            && X509_set_pubkey(certificate, key) == 1
            && add("IP:\(host)", NID_subject_alt_name, to: certificate)
            && X509_sign(certificate, key, EVP_sha256()) > 0
            && SSL_CTX_use_certificate(context, certificate) == 1
            && SSL_CTX_use_PrivateKey(context, key) == 1
        precondition(isMade, "no certificate for \(host)")
        return (context, pem(certificate))
    }

    private static func add(_ value: String, _ kind: Int32, to certificate: OpaquePointer) -> Bool {
        guard let made = X509V3_EXT_conf_nid(nil, nil, kind, value) else { return false }
        defer { X509_EXTENSION_free(made) }
        return X509_add_ext(certificate, made, -1) == 1
    }

    private static func pem(_ certificate: OpaquePointer) -> [UInt8] {
        guard let memory = BIO_new(BIO_s_mem()) else { return [] }
        defer { BIO_free(memory) }
        guard PEM_write_bio_X509(memory, certificate) == 1 else { return [] }
        var bytes: UnsafeMutablePointer<CChar>?
        let count = gatepost_memory_contents(memory, &bytes)
        return UnsafeRawBufferPointer(start: bytes, count: count).map { $0 }
    }
}
