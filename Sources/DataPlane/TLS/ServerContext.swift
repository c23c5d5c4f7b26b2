import Border
import COpenSSL
import Glibc

/// What is wrong with TLS material, in words for the administrator.
public struct TLSConfigurationError: Error, Sendable, CustomStringConvertible {
    public let what: String
    public var description: String { what }
}

/// The TLS server side of one configuration on one reactor: a context per certificate, chosen by server name.
final class ServerContext {
    private var contexts: [OpaquePointer] = []
    /// Lower-case names per certificate: exact, or `*.` and a parent.
    private let names: [[String]]
    private let exact: [String: Int]
    private let wildcard: [String: Int]
    /// What each listener asks of clients.
    private let clients: [ClientAuthorities?]
    /// Hosts whose clients are asked at all: nobody else's browser may show a dialog.
    private let askedHosts: Set<String>

    /// The listener of a connection, plus one.
    private static let listenerIndex = CRYPTO_get_ex_new_index(
        CRYPTO_EX_INDEX_SSL, 0, nil, nil, nil, nil)

    /// Ticket keys hang on the contexts, because a connection may outlive the configuration that made it.
    private static let ticketKeysIndex = CRYPTO_get_ex_new_index(
        CRYPTO_EX_INDEX_SSL_CTX, 0, nil, nil, nil, releaseTicketKeys)

    /// - Parameters:
    ///   - clients: what each listener asks of clients, in the listeners' order.
    ///   - askedHosts: lower-case hosts whose clients are asked.
    init(
        certificates: [(names: [String], chainPEM: [UInt8], keyPEM: [UInt8])], ticketKeys: [[UInt8]],
        clients: [ClientCertificates?] = [], askedHosts: Set<String> = []
    ) throws {
        guard !certificates.isEmpty else {
            throw TLSConfigurationError(what: "no certificate; give at least one listener a chain and a key")
        }
        names = certificates.map(\.names)
        var exact: [String: Int] = [:]
        var wildcard: [String: Int] = [:]
        for (index, certificate) in certificates.enumerated() {
            for name in certificate.names {
                if name.hasPrefix("*.") {
                    wildcard[String(name.dropFirst(2))] = wildcard[String(name.dropFirst(2))] ?? index
                } else {
                    exact[name] = exact[name] ?? index
                }
            }
        }
        self.exact = exact
        self.wildcard = wildcard
        self.clients = try clients.map { try $0.map(ClientAuthorities.init) }
        self.askedHosts = askedHosts
        let keys = TicketKeys(ticketKeys)
        for certificate in certificates {
            contexts.append(try Self.makeContext(certificate.chainPEM, certificate.keyPEM, keys))
        }
        for context in contexts {
            _ = gatepost_SSL_CTX_set_servername_callback(context, chooseCertificate)
            _ = gatepost_SSL_CTX_set_servername_argument(context, Unmanaged.passUnretained(self).toOpaque())
            SSL_CTX_set_client_hello_cb(
                context, prepareQuestion, Unmanaged.passUnretained(self).toOpaque())
        }
    }

    deinit {
        // Connections in the middle of a handshake keep their context alive: without a server-name callback
        // they use the certificate they began with.
        for context in contexts {
            _ = gatepost_SSL_CTX_set_servername_callback(context, nil)
            SSL_CTX_set_client_hello_cb(context, nil, nil)
            SSL_CTX_free(context)
        }
    }

    /// Marks the listener's number of connections that may choose HTTP/2.
    fileprivate static var http2Flag: Int { 1 << 16 }

    /// - Parameter offersHTTP2: the client may choose it in the handshake.
    /// - Returns: the server side of a new connection over `transport`, or nil when memory is out.
    func makeConnection(
        over transport: TransportPointer, listener: Int = 0, offersHTTP2: Bool = false
    ) -> OpaquePointer? {
        guard let ssl = SSL_new(contexts[0]) else { return nil }
        SSL_set_ex_data(
            ssl, Self.listenerIndex,
            UnsafeMutableRawPointer(bitPattern: (listener + 1) | (offersHTTP2 ? Self.http2Flag : 0)))
        guard let bio = DrainAwareBIO.make(over: transport) else {
            SSL_free(ssl)
            return nil
        }
        SSL_set_bio(ssl, bio, bio)
        SSL_set_accept_state(ssl)
        return ssl
    }

    /// The certificate for a name; nil when only the default one is left.
    func certificate(for host: String) -> Int? {
        if let index = exact[host] { return index }
        guard let dot = host.firstIndex(of: ".") else { return nil }
        return wildcard[String(host[host.index(after: dot)...])]
    }

    func context(for host: String) -> OpaquePointer { contexts[certificate(for: host) ?? 0] }

    /// Whether certificate `index` is good for `host`.
    func covers(_ index: Int, _ host: String) -> Bool {
        guard names.indices.contains(index) else { return false }
        let parent = host.firstIndex(of: ".").map { "*" + host[$0...] }
        return names[index].contains { $0 == host || $0 == parent }
    }

    /// What a client is asked that wants `host`; nil: nothing.
    func authorities(for host: String?, listener: Int) -> ClientAuthorities? {
        guard let host, clients.indices.contains(listener), askedHosts.contains(host) else { return nil }
        return clients[listener]
    }

    func authorities(for host: String?, of ssl: OpaquePointer?) -> ClientAuthorities? {
        authorities(for: host, listener: Self.listener(of: ssl))
    }

    /// Whether the connection's listener asks those who want such a host.
    func asks(_ ssl: OpaquePointer?) -> Bool {
        let listener = Self.listener(of: ssl)
        return clients.indices.contains(listener) && clients[listener] != nil
    }

    /// Whether what was proven against these authorities would be proven against today's of the connection's listener.
    func trusts(_ authorities: Token, of ssl: OpaquePointer?) -> Bool {
        let listener = Self.listener(of: ssl)
        return clients.indices.contains(listener) && clients[listener]?.digest == authorities
    }

    /// The listener that a connection came to, in their order.
    static func listener(of ssl: OpaquePointer?) -> Int {
        guard let ssl else { return -1 }
        return Int(bitPattern: SSL_get_ex_data(ssl, listenerIndex)) & (http2Flag - 1) - 1
    }

    fileprivate static func offersHTTP2(_ ssl: OpaquePointer?) -> Bool {
        guard let ssl else { return false }
        return Int(bitPattern: SSL_get_ex_data(ssl, listenerIndex)) & http2Flag != 0
    }

    /// The name that the client asked for in its ClientHello, lower-cased; nil when it named none.
    static func serverName(of ssl: OpaquePointer?) -> String? {
        guard let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else { return nil }
        return String(cString: name).lowercased()
    }

    static func ticketKeys(of ssl: OpaquePointer?) -> TicketKeys? {
        guard let ssl, let context = SSL_get_SSL_CTX(ssl),
            let raw = SSL_CTX_get_ex_data(context, ticketKeysIndex)
        else { return nil }
        return Unmanaged<TicketKeys>.fromOpaque(raw).takeUnretainedValue()
    }

    private static func makeContext(
        _ chainPEM: [UInt8], _ keyPEM: [UInt8], _ keys: TicketKeys
    ) throws -> OpaquePointer {
        guard let context = SSL_CTX_new(TLS_server_method()) else {
            throw TLSConfigurationError(what: "OpenSSL made no TLS context")
        }
        do {
            try CertificateLoading.load(chainPEM, keyPEM, into: context)
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        _ = gatepost_SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION)
        _ = gatepost_SSL_CTX_set_mode(
            context,
            Int(SSL_MODE_ENABLE_PARTIAL_WRITE) | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        gatepost_SSL_CTX_set_read_ahead(context, 1)
        _ = gatepost_SSL_CTX_set_cipher_preference(context)
        _ = gatepost_SSL_CTX_set_session_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
        // One TLS 1.3 ticket: without any, the server sends nothing after the client's Finished, and a client
        // with Nagle's algorithm waits 40 ms for the delayed ACK before its first request leaves.
        SSL_CTX_set_num_tickets(context, 1)
        var identity = Array("gatepost".utf8)
        SSL_CTX_set_session_id_context(context, &identity, UInt32(identity.count))
        SSL_CTX_set_ex_data(context, ticketKeysIndex, Unmanaged.passRetained(keys).toOpaque())
        if keys.count > 0 { SSL_CTX_set_tlsext_ticket_key_evp_cb(context, sealOrOpenTicket) }
        SSL_CTX_set_alpn_select_cb(context, chooseProtocol, nil)
        return context
    }
}

private func releaseTicketKeys(
    _ parent: UnsafeMutableRawPointer?, _ keys: UnsafeMutableRawPointer?,
    _ data: UnsafeMutablePointer<CRYPTO_EX_DATA>?, _ index: Int32, _ number: Int,
    _ argument: UnsafeMutableRawPointer?
) {
    guard let keys else { return }
    Unmanaged<TicketKeys>.fromOpaque(keys).release()
}

private func chooseCertificate(
    _ ssl: OpaquePointer?, _ alert: UnsafeMutablePointer<Int32>?, _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    guard let argument, let name = ServerContext.serverName(of: ssl) else { return SSL_TLSEXT_ERR_OK }
    // Unretained is right: the context clears this callback before its owner goes away, and both live on the
    // reactor's thread.
    let server = Unmanaged<ServerContext>.fromOpaque(argument).takeUnretainedValue()
    _ = SSL_set_SSL_CTX(ssl, server.context(for: name))
    guard SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER != 0 else { return SSL_TLSEXT_ERR_OK }
    // Asked, but against what? Two readings of one name: nobody is let through between them.
    guard let authorities = server.authorities(for: name, of: ssl), authorities.trust(ssl) else {
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
    return SSL_TLSEXT_ERR_OK
}

/// Who is asked for a certificate must be known before OpenSSL looks for a session to resume, so the name is read here
/// and not where the certificate is chosen. Also for the second ClientHello of a handshake that began anew.
private func prepareQuestion(
    _ ssl: OpaquePointer?, _ alert: UnsafeMutablePointer<Int32>?, _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    guard let argument else { return SSL_CLIENT_HELLO_SUCCESS }
    let server = Unmanaged<ServerContext>.fromOpaque(argument).takeUnretainedValue()
    guard let authorities = server.authorities(for: ClientHelloName.read(ssl), of: ssl) else {
        if SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER != 0 {
            alert?.pointee = SSL_AD_ILLEGAL_PARAMETER
            return SSL_CLIENT_HELLO_ERROR
        }
        return SSL_CLIENT_HELLO_SUCCESS
    }
    authorities.ask(ssl)
    return SSL_CLIENT_HELLO_SUCCESS
}

/// HTTP/2 where the client and the listener offer it, whatever the client's order, because it is what browsers want who
/// offer both; otherwise http/1.1. A client that speaks ALPN but neither is refused in the handshake (RFC 7301 section
/// 3.2).
private func chooseProtocol(
    _ ssl: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ chosenLength: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ offeredLength: UInt32,
    _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    guard let chosen, let chosenLength, let offered else { return SSL_TLSEXT_ERR_NOACK }
    let list = UnsafeBufferPointer(start: offered, count: Int(offeredLength))
    let http2 = ServerContext.offersHTTP2(ssl) ? find("h2", in: list) : nil
    guard let at = http2 ?? find("http/1.1", in: list) else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    chosen.pointee = offered + at + 1
    chosenLength.pointee = offered[at]
    return SSL_TLSEXT_ERR_OK
}

/// - Returns: where the length byte of the name stands in an ALPN list.
private func find(_ name: StaticString, in list: UnsafeBufferPointer<UInt8>) -> Int? {
    var offset = 0
    while offset < list.count {
        let length = Int(list[offset])
        guard offset + 1 + length <= list.count, let start = list.baseAddress else { return nil }
        if length == name.utf8CodeUnitCount, memcmp(start + offset + 1, name.utf8Start, length) == 0 {
            return offset
        }
        offset += 1 + length
    }
    return nil
}
