import COpenSSL

/// PEM bytes into an OpenSSL context. Nothing is ever read from a path here: files belong to the control
/// plane.
enum CertificateLoading {
    static func load(_ chainPEM: [UInt8], _ keyPEM: [UInt8], into context: OpaquePointer) throws {
        ERR_clear_error()
        try withMemory(chainPEM) { memory in
            guard let leaf = PEM_read_bio_X509(memory, nil, refusePassword, nil) else {
                throw TLSConfigurationError(what: "the certificate chain holds no PEM certificate")
            }
            defer { X509_free(leaf) }
            guard SSL_CTX_use_certificate(context, leaf) == 1 else {
                throw TLSConfigurationError(what: "OpenSSL refuses the first certificate of the chain")
            }
            while let issuer = PEM_read_bio_X509(memory, nil, refusePassword, nil) {
                // The context owns the certificate from here on.
                _ = gatepost_SSL_CTX_add_extra_chain_certificate(context, issuer)
            }
            ERR_clear_error()
        }
        try withMemory(keyPEM) { memory in
            guard let key = PEM_read_bio_PrivateKey(memory, nil, refusePassword, nil) else {
                throw TLSConfigurationError(what: "the key is no PEM private key without a password")
            }
            defer { EVP_PKEY_free(key) }
            guard SSL_CTX_use_PrivateKey(context, key) == 1, SSL_CTX_check_private_key(context) == 1 else {
                ERR_clear_error()
                throw TLSConfigurationError(
                    what: "the key does not belong to the first certificate of the chain")
            }
        }
    }

    /// Trusts exactly the PEM certificates given.
    static func trust(_ authoritiesPEM: [UInt8], in context: OpaquePointer) throws {
        guard let store = SSL_CTX_get_cert_store(context) else {
            throw TLSConfigurationError(what: "OpenSSL made no certificate store")
        }
        var count = 0
        withMemory(authoritiesPEM) { memory in
            while let authority = PEM_read_bio_X509(memory, nil, refusePassword, nil) {
                X509_STORE_add_cert(store, authority)
                X509_free(authority)
                count += 1
            }
        }
        ERR_clear_error()
        guard count > 0 else {
            throw TLSConfigurationError(what: "the upstream authorities hold no PEM certificate")
        }
    }

    static func withMemory(_ bytes: [UInt8], _ body: (OpaquePointer?) throws -> Void) rethrows {
        try bytes.withUnsafeBytes { raw in
            let memory = BIO_new_mem_buf(raw.baseAddress, Int32(truncatingIfNeeded: raw.count))
            defer { BIO_free(memory) }
            try body(memory)
        }
    }
}

/// Without this OpenSSL asks for a password on the terminal.
func refusePassword(
    _ target: UnsafeMutablePointer<CChar>?, _ size: Int32, _ isWriting: Int32,
    _ argument: UnsafeMutableRawPointer?
) -> Int32 { -1 }
