/// One accepted connection: blocking reads and writes that give up after their time limit.
///
/// The lab answers a handful of connections on loopback, so a thread for each keeps its code in reading
/// order. It also has its own small parser on purpose: a second opinion of what the gateway forwarded, not
/// the gateway's own.

import COpenSSL
import Glibc

/// Why a connection ended before its answer was complete. Only written to the log.
struct StreamError: Error {
    var what: String
}

/// Bytes of one connection, in order. Owned by exactly one thread.
final class ByteStream {
    static let chunkBytes = 64 << 10

    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var start = 0
    /// nil: plain.
    private let tls: OpaquePointer?

    /// - Parameter tls: of a finished handshake on `descriptor`; this stream frees it.
    init(descriptor: Int32, tls: OpaquePointer? = nil) {
        self.descriptor = descriptor
        self.tls = tls
        limitReads(seconds: 30)
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// SHA-256 of the certificate whose key the client proved in the handshake; nil: it showed none.
    var clientCertificate: [UInt8]? {
        guard let tls, let certificate = SSL_get1_peer_certificate(tls) else { return nil }
        defer { X509_free(certificate) }
        var digest = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        guard X509_digest(certificate, EVP_sha256(), &digest, &count) == 1, count == 32 else { return nil }
        return digest
    }

    func limitReads(seconds: Int) {
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    func close() {
        if let tls {
            SSL_shutdown(tls)
            SSL_free(tls)
        }
        shutdown(descriptor, Int32(SHUT_RDWR))
        _ = Glibc.close(descriptor)
    }

    private var unread: ArraySlice<UInt8> { buffer[start...] }

    /// Reads more bytes behind the unread ones; false at the end of the stream.
    private func fill() throws -> Bool {
        if start > 0 {
            buffer.removeFirst(start)
            start = 0
        }
        var failure: Int32 = 0
        let piece = [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { space, count in
            var got = receive(space.baseAddress)
            while got < 0 && errno == EINTR { got = receive(space.baseAddress) }
            if got < 0 { failure = errno }
            count = max(got, 0)
        }
        guard failure == 0 else { throw StreamError(what: "read failed or timed out (errno \(failure))") }
        buffer += piece
        return !piece.isEmpty
    }

    private func receive(_ space: UnsafeMutablePointer<UInt8>?) -> Int {
        guard let tls else { return recv(descriptor, space, Self.chunkBytes, 0) }
        // Both an orderly end and a broken connection are the end here.
        return max(0, Int(SSL_read(tls, space, Int32(Self.chunkBytes))))
    }

    private func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard let tls else {
            return Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
        }
        return Int(SSL_write(tls, bytes.baseAddress, Int32(min(bytes.count, 1 << 20))))
    }

    /// Everything up to and including the empty line; nil when the peer closed before its first byte.
    func readHead(bytesMax: Int) throws -> [UInt8]? {
        var searched = 0
        while true {
            if let end = Self.headEnd(in: unread, from: searched) {
                guard end <= bytesMax else { throw StreamError(what: "head longer than \(bytesMax) bytes") }
                return take(end)
            }
            guard unread.count <= bytesMax else {
                throw StreamError(what: "head longer than \(bytesMax) bytes")
            }
            searched = max(0, unread.count - 3)
            if try !fill() {
                if unread.isEmpty { return nil }
                throw StreamError(what: "connection closed inside a head")
            }
        }
    }

    private static func headEnd(in bytes: ArraySlice<UInt8>, from offset: Int) -> Int? {
        var index = bytes.startIndex + offset
        while index + 3 < bytes.endIndex {
            if bytes[index] == 13, bytes[index + 1] == 10, bytes[index + 2] == 13, bytes[index + 3] == 10 {
                return index + 4 - bytes.startIndex
            }
            index += 1
        }
        return nil
    }

    /// One line without its CR LF; a bare LF is not a line end.
    func readLine(bytesMax: Int) throws -> [UInt8] {
        while true {
            if let end = unread.firstIndex(of: 10) {
                guard end > unread.startIndex, unread[end - 1] == 13 else {
                    throw StreamError(what: "bare LF")
                }
                let line = take(end - unread.startIndex + 1)
                guard line.count - 2 <= bytesMax else {
                    throw StreamError(what: "line longer than \(bytesMax)")
                }
                return Array(line.dropLast(2))
            }
            guard unread.count <= bytesMax + 2 else {
                throw StreamError(what: "line longer than \(bytesMax)")
            }
            guard try fill() else { throw StreamError(what: "connection closed inside a line") }
        }
    }

    /// At least one and at most `count` bytes; throws at the end of the stream.
    func readSome(upTo count: Int) throws -> [UInt8] {
        if unread.isEmpty, try !fill() { throw StreamError(what: "connection closed inside a body") }
        return take(min(count, unread.count))
    }

    func readExactly(_ count: Int) throws -> [UInt8] {
        var result: [UInt8] = []
        while result.count < count { result += try readSome(upTo: count - result.count) }
        return result
    }

    private func take(_ count: Int) -> [UInt8] {
        let piece = Array(buffer[start..<start + count])
        start += count
        return piece
    }

    func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                send(UnsafeRawBufferPointer(rebasing: raw[sent...]))
            }
            if tls == nil, count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw StreamError(what: "write failed or timed out (errno \(errno))") }
            sent += count
        }
    }
}
