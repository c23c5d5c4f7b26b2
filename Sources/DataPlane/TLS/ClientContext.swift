import Border
import CLinux
import COpenSSL
import Glibc

/// TLS towards one upstream: its certificate must carry the configured name and lead to a trusted authority.
final class ClientContext {
    private let context: OpaquePointer
    private let serverName: String
    private let isUnverified: Bool

    /// - Parameters:
    ///   - authoritiesPEM: the only authorities trusted; nil for the system's.
    ///   - client: shown when the upstream asks for a certificate.
    ///   - isUnverified: any certificate will do.
    ///   - offersHTTP2: and nothing else (RFC 9113 §3.2).
    init(
        serverName: String, authoritiesPEM: [UInt8]?, client: UpstreamIdentity? = nil,
        isUnverified: Bool = false, offersHTTP2: Bool = false
    ) throws {
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            throw TLSConfigurationError(what: "OpenSSL made no TLS context")
        }
        self.context = context
        self.serverName = serverName
        self.isUnverified = isUnverified
        if let client { try CertificateLoading.load(client.chainPEM, client.keyPEM, into: context) }
        if let authoritiesPEM {
            try CertificateLoading.trust(authoritiesPEM, in: context)
        } else if !isUnverified {
            SSL_CTX_set_default_verify_paths(context)
        }
        SSL_CTX_set_verify(context, isUnverified ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nil)
        _ = gatepost_SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION)
        _ = gatepost_SSL_CTX_set_mode(
            context,
            Int(SSL_MODE_RELEASE_BUFFERS) | Int(SSL_MODE_ENABLE_PARTIAL_WRITE)
                | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        gatepost_SSL_CTX_set_read_ahead(context, 1)
        let protocols: [UInt8] = [2, UInt8(ascii: "h"), UInt8(ascii: "2")]
        if offersHTTP2 { SSL_CTX_set_alpn_protos(context, protocols, UInt32(protocols.count)) }
    }

    /// As the address says; it must have a server name.
    convenience init(_ address: UpstreamAddress) throws {
        try self.init(
            serverName: address.serverName ?? address.address, authoritiesPEM: address.authoritiesPEM,
            client: address.client, isUnverified: address.isUnverified,
            offersHTTP2: address.speaksHTTP2 == true)
    }

    deinit { SSL_CTX_free(context) }

    func makeConnection(over transport: TransportPointer) -> OpaquePointer? {
        guard let ssl = SSL_new(context) else { return nil }
        guard let bio = DrainAwareBIO.make(over: transport), expectName(ssl) else {
            SSL_free(ssl)
            return nil
        }
        SSL_set_bio(ssl, bio, bio)
        // RFC 6066 §3: literal addresses are not permitted in a server name.
        if !isNumeric { _ = gatepost_SSL_set_servername(ssl, serverName) }
        SSL_set_connect_state(ssl)
        return ssl
    }

    /// X509_VERIFY_PARAM_set1_host(3) compares DNS names only; an address stands in a field of its own.
    private func expectName(_ ssl: OpaquePointer) -> Bool {
        guard isNumeric else { return SSL_set1_host(ssl, serverName) == 1 }
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), serverName) == 1
    }

    private var isNumeric: Bool {
        var address = in6_addr()
        return inet_pton(AF_INET, serverName, &address) == 1 || inet_pton(AF_INET6, serverName, &address) == 1
    }

    /// What a handshake failed of.
    static func fault(of ssl: OpaquePointer?) -> UpstreamFault {
        let code = ssl.map { SSL_get_verify_result($0) } ?? Int(X509_V_OK)
        return code == Int(X509_V_OK) ? .handshake : .certificate(code)
    }
}
