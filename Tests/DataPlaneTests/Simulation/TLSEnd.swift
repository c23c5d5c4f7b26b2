import COpenSSL
import CSimulatedKernel

/// One end of a TLS connection over memory: what the peer reads and writes, and the bytes that travel.
final class TLSEnd {
    /// What clients and upstreams of all simulations have in common. OpenSSL counts references by itself.
    struct Contexts: @unchecked Sendable {
        // Unchecked because OpenSSL types are not Sendable; contexts are complete before anyone can read them.
        let clients: [OpaquePointer]
        let upstream: OpaquePointer

        static let shared = Contexts()

        private init() {
            simulated_random_install()
            clients = [TLS1_2_VERSION, TLS1_3_VERSION].map { version in
                let context = SSL_CTX_new(TLS_client_method())!
                _ = SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(version), nil)
                return context
            }
            upstream = SSL_CTX_new(TLS_server_method())!
            let certificates = TestCertificates.shared
            let chain = BIO_new_mem_buf(certificates.chainPEM, Int32(certificates.chainPEM.count))
            let key = BIO_new_mem_buf(certificates.keyPEM, Int32(certificates.keyPEM.count))
            precondition(SSL_CTX_use_certificate(upstream, gatepost_read_certificate(chain)) == 1)
            precondition(SSL_CTX_use_PrivateKey(upstream, gatepost_read_private_key(key)) == 1)
            BIO_free(chain)
            BIO_free(key)
        }
    }

    private let ssl: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer
    private(set) var hasFailed = false
    /// close_notify came.
    private(set) var hasEnded = false

    /// - Parameter serverName: nil for the side that is connected to.
    init(_ context: OpaquePointer, serverName: String?) {
        ssl = SSL_new(context)!
        input = BIO_new(BIO_s_mem())!
        output = BIO_new(BIO_s_mem())!
        // BIO_set_mem_eof_return, a macro: an empty memory is no end but a "later".
        for bio in [input, output] { BIO_ctrl(bio, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, nil) }
        SSL_set_bio(ssl, input, output)
        if let serverName {
            _ = gatepost_SSL_set_servername(ssl, serverName)
            SSL_set_connect_state(ssl)
        } else {
            SSL_set_accept_state(ssl)
        }
    }

    deinit { SSL_free(ssl) }

    var isEstablished: Bool { SSL_is_init_finished(ssl) == 1 }

    /// Goes on with the handshake.
    func handshake() {
        guard !isEstablished, !hasFailed else { return }
        let result = SSL_do_handshake(ssl)
        if result != 1 { note(SSL_get_error(ssl, result)) }
    }

    /// Takes bytes off the wire.
    /// - Returns: what they say, as far as it is whole.
    func receive(_ bytes: [UInt8]) -> [UInt8] {
        guard !bytes.isEmpty else { return [] }
        BIO_write(input, bytes, Int32(bytes.count))
        handshake()
        guard isEstablished, !hasFailed else { return [] }
        var plain: [UInt8] = []
        withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 1) { buffer in
            while true {
                var count = 0
                let result = SSL_read_ex(ssl, buffer.baseAddress, buffer.count, &count)
                guard result == 1 else { return note(SSL_get_error(ssl, result)) }
                plain += UnsafeRawBufferPointer(start: buffer.baseAddress, count: count)
            }
        }
        return plain
    }

    /// Makes records of `bytes`; `take` has them.
    func write(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, !hasFailed else { return }
        var count = 0
        if SSL_write_ex(ssl, bytes, bytes.count, &count) != 1 { note(SSL_get_error(ssl, 0)) }
    }

    /// close_notify.
    func end() {
        guard isEstablished, !hasFailed else { return }
        if SSL_shutdown(ssl) < 0 { ERR_clear_error() }
    }

    /// What is to travel.
    func take() -> [UInt8] {
        let count = BIO_ctrl_pending(output)
        guard count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            used = Int(BIO_read(output, buffer.baseAddress, Int32(count)))
        }
    }

    private func note(_ error: Int32) {
        switch error {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
        case SSL_ERROR_ZERO_RETURN: hasEnded = true
        default:
            hasFailed = true
            ERR_clear_error()
        }
    }
}
