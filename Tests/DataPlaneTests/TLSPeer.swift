import Border
import CLinux
import Foundation

@testable import DataPlane

/// The TLS side of an origin: several records leave by one send, so that they lie in the gateway's OpenSSL together.
final class TLSPeer {
    private let socket: TestSocket
    private let transport: TransportPointer
    private let pool: UnsafeMutablePointer<BufferPool>
    private let context: ServerContext
    private var buffer: [UInt8] = []

    /// nil when the handshake failed. The socket stays the caller's.
    ///
    /// - Parameters:
    ///   - certificate: what it proves itself with; nil: the shared one.
    ///   - clients: whose certificates it demands; nil: it asks nobody.
    init?(
        _ socket: TestSocket, certificate: CertificateWorkshop.Made? = nil, clients: ClientCertificates? = nil
    ) throws {
        self.socket = socket
        let shared = TestCertificates.shared
        context = try ServerContext(
            certificates: [
                (["wiki.test"], certificate?.pem ?? shared.chainPEM, certificate?.keyPEM ?? shared.keyPEM)
            ], ticketKeys: [], clients: [clients], askedHosts: ["wiki.test"])
        pool = .allocate(capacity: 1)
        pool.initialize(to: BufferPool())
        transport = .allocate(capacity: 1)
        _ = fcntl(socket.descriptor, F_SETFL, O_NONBLOCK)
        transport.initialize(to: Transport(descriptor: socket.descriptor, pool: pool))
        transport.pointee.isWritable = true
        transport.pointee.ssl = context.makeConnection(over: transport)
        while true {
            transport.pointee.isReadable = true
            switch transport.handshake() {
            case .done: return
            case .failed: return nil
            case .wait: guard socket.waitReadable() else { return nil }
            }
        }
    }

    deinit {
        transport.pointee.descriptor = -1
        transport.close()
        transport.deallocate()
        pool.pointee.destroy()
        pool.deallocate()
    }

    /// nil when the gateway closed.
    func readHead() -> String? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            if let end = buffer.firstRange(of: Array("\r\n\r\n".utf8)) {
                defer { buffer.removeSubrange(..<end.upperBound) }
                return String(decoding: buffer[..<end.upperBound], as: UTF8.self)
            }
            transport.pointee.isReadable = true
            switch transport.read(&bytes, bytes.count) {
            case .bytes(let count): buffer += bytes[..<count]
            case .end, .failed: return nil
            case .wait: guard socket.waitReadable() else { return nil }
            }
        }
    }

    /// Each element becomes a TLS record of its own; all leave together.
    func send(records: [String]) {
        transport.pointee.isCorked = true
        for record in records {
            let bytes = Array(record.utf8)
            bytes.withUnsafeBufferPointer {
                if let start = $0.baseAddress { transport.write(start, $0.count) }
            }
        }
        transport.pointee.isWritable = true
        transport.uncork()
    }
}
