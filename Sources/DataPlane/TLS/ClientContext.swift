import COpenSSL

/// TLS towards one upstream: its certificate must carry the configured name and lead to a trusted authority.
final class ClientContext {
    private let context: OpaquePointer
    private let serverName: String

    /// - Parameter authoritiesPEM: the only authorities trusted; nil for the system's.
    init(serverName: String, authoritiesPEM: [UInt8]?) throws {
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            throw TLSConfigurationError(what: "OpenSSL made no TLS context")
        }
        self.context = context
        self.serverName = serverName
        if let authoritiesPEM {
            try CertificateLoading.trust(authoritiesPEM, in: context)
        } else {
            SSL_CTX_set_default_verify_paths(context)
        }
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        _ = gatepost_SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION)
        _ = gatepost_SSL_CTX_set_mode(
            context,
            Int(SSL_MODE_RELEASE_BUFFERS) | Int(SSL_MODE_ENABLE_PARTIAL_WRITE)
                | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        gatepost_SSL_CTX_set_read_ahead(context, 1)
    }

    deinit { SSL_CTX_free(context) }

    func makeConnection(over transport: TransportPointer) -> OpaquePointer? {
        guard let ssl = SSL_new(context) else { return nil }
        guard let bio = DrainAwareBIO.make(over: transport), SSL_set1_host(ssl, serverName) == 1 else {
            SSL_free(ssl)
            return nil
        }
        SSL_set_bio(ssl, bio, bio)
        _ = gatepost_SSL_set_servername(ssl, serverName)
        SSL_set_connect_state(ssl)
        return ssl
    }
}
