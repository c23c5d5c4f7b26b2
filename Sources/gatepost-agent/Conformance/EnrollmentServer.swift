import COpenSSL
import Foundation
import Glibc
import Signatures
import Synchronization

/// Serves `enroll` and `renew` of a `ConformanceGateway` over TLS on 127.0.0.1.
///
/// For one agent at a time and for minutes only, so each connection blocks a thread of its own.
final class EnrollmentServer: @unchecked Sendable {
    // `context` is made once, never changed, and counted by OpenSSL atomically.
    private let context: OpaquePointer
    private let listener: ListeningSocket
    private let isStopping = Mutex(false)
    private let open = Mutex(0)
    /// PEM of the certificate: what the agent under test must trust.
    let certificatePEM: [UInt8]

    var port: UInt16 { listener.port }

    init(port: UInt16, nowSeconds: Int64) throws(AgentError) {
        let broken = AgentError(
            "no TLS server could be made", remedy: "check the installation of OpenSSL 3")
        guard let pair = try? ServerCertificate.loopback(nowSeconds: nowSeconds),
            let made = SSL_CTX_new(TLS_server_method())
        else { throw broken }
        context = made
        certificatePEM = pair.certificatePEM
        listener = try ListeningSocket(port: port)
        guard Self.use(pair.certificatePEM, pair.keyPEM, in: made),
            gatepost_SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION) == 1
        else { throw broken }
    }

    deinit { SSL_CTX_free(context) }

    private static func use(_ certificate: [UInt8], _ key: [UInt8], in context: OpaquePointer) -> Bool {
        guard let certificateText = BIO_new_mem_buf(certificate, CInt(certificate.count)),
            let keyText = BIO_new_mem_buf(key, CInt(key.count))
        else { return false }
        defer {
            BIO_free(certificateText)
            BIO_free(keyText)
        }
        guard let leaf = gatepost_read_certificate(certificateText),
            let secret = gatepost_read_private_key(keyText)
        else { return false }
        defer {
            X509_free(leaf)
            EVP_PKEY_free(secret)
        }
        return SSL_CTX_use_certificate(context, leaf) == 1 && SSL_CTX_use_PrivateKey(context, secret) == 1
    }

    /// Begins to accept, on a thread of its own.
    func start(_ gateway: ConformanceGateway) {
        Thread.detachNewThread { [self] in
            while !isStopping.withLock({ $0 }) {
                var entry = pollfd(fd: listener.descriptors[0], events: CShort(POLLIN), revents: 0)
                guard poll(&entry, 1, 200) > 0 else { continue }
                let accepted = accept(listener.descriptors[0], nil, nil)
                guard accepted >= 0 else { continue }
                guard admits() else {
                    close(accepted)
                    continue
                }
                Thread.detachNewThread { [self] in
                    serve(accepted, gateway)
                    open.withLock { $0 -= 1 }
                }
            }
            listener.close()
        }
    }

    /// Ends accepting within a fifth of a second.
    func stop() { isStopping.withLock { $0 = true } }

    /// At most 16 connections at once.
    private func admits() -> Bool {
        open.withLock { open in
            guard open < 16 else { return false }
            open += 1
            return true
        }
    }

    private func serve(_ descriptor: CInt, _ gateway: ConformanceGateway) {
        defer { close(descriptor) }
        var patience = timeval(tv_sec: 60, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(
                descriptor, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        ERR_clear_error()
        guard let ssl = SSL_new(context) else { return }
        defer { SSL_free(ssl) }
        guard SSL_set_fd(ssl, descriptor) == 1, SSL_accept(ssl) == 1 else { return }
        guard let (path, body) = request(ssl) else { return }
        let answer = gateway.answer(path: path, body: body)
        let head =
            "HTTP/1.1 \(answer.status) \(answer.status == 200 ? "OK" : "Refused")\r\n"
            + "Content-Type: application/json\r\nCache-Control: no-store\r\n"
            + "Content-Length: \(answer.body.count)\r\nConnection: close\r\n\r\n"
        let bytes = Array(head.utf8) + answer.body
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes { SSL_write(ssl, $0.baseAddress, CInt($0.count)) }
            guard count > 0 else { return }
            offset += Int(count)
        }
        SSL_shutdown(ssl)
    }

    /// Path and body of one POST with a length of at most 64 KiB.
    private func request(_ ssl: OpaquePointer) -> (path: String, body: [UInt8])? {
        var bytes: [UInt8] = []
        var reader = HeadReader()
        while bytes.count <= HeadReader.headBytesMax {
            guard receive(ssl, &bytes) else { return nil }
            switch reader.read(bytes) {
            case .refused: return nil
            case .needMore: continue
            case .head(let request, let headBytes):
                guard request.method == "POST", let length = request.bodyLength, length <= 64 << 10 else {
                    return nil
                }
                while bytes.count < headBytes + Int(length) {
                    guard receive(ssl, &bytes) else { return nil }
                }
                return (request.path, Array(bytes[headBytes..<(headBytes + Int(length))]))
            }
        }
        return nil
    }

    private func receive(_ ssl: OpaquePointer, _ bytes: inout [UInt8]) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 8192)
        let count = SSL_read(ssl, &chunk, CInt(chunk.count))
        guard count > 0 else { return false }
        bytes.append(contentsOf: chunk.prefix(Int(count)))
        return true
    }
}
