import CLinux
import COpenSSL
import Glibc

/// One non-blocking TCP connection, with or without TLS on it: both sides of the gateway are one of these.
///
/// Writing always takes everything: what the socket does not take waits in `pending`. The callers keep that
/// bounded by not producing while `pending` is above their high-water mark.
struct Transport {
    var descriptor: Int32
    /// No more is produced for the peer while this much waits for its socket.
    var pendingHigh = Int32(Transport.pendingBytesHigh)
    var ssl: OpaquePointer?
    let pool: UnsafeMutablePointer<BufferPool>
    /// With TLS: the `HTTP2Connection` that it carries. Without: the `HTTP2Stream` in the place of a socket.
    var multiplexed: UnsafeMutableRawPointer?
    /// Bytes (ciphertext when there is TLS) that the socket did not take yet.
    var pending = ByteBuffer()
    /// The socket may have bytes: set by an epoll edge, cleared by a short read. Asking only then saves the
    /// read that would end in EAGAIN.
    var isReadable = false
    var isWritable = false
    /// While set, writes collect in `pending` and leave by one send at `uncork`.
    var isCorked = false
    /// The peer sent FIN (or will send nothing more); reads go on until they return 0.
    var sawHangup = false
    var isFailed = false
    /// FIN was sent.
    var isWriteEnded = false
    /// It has TLS buffers of its own until it rests, and whether it was visited since the last look.
    var holdsBuffers = false
    var isBusy = false
    /// Taken from the peer and by it so far, modulo 2^32: for whoever looks at its pace.
    var bytesReceived: UInt32 = 0
    var bytesSent: UInt32 = 0

    /// More waiting than this is a peer that makes us answer without reading (KeyUpdate floods): the end.
    static let pendingBytesHardMax = 4 << 20
    /// `pendingHigh` of whoever has the connection for itself.
    static let pendingBytesHigh = 96 << 10
}

enum TransportRead {
    case bytes(Int)
    /// Nothing now: an epoll edge will come.
    case wait
    /// The peer ended its direction in order (with TLS: close_notify).
    case end
    /// Reset, TLS error or an end without close_notify.
    case failed
}

enum TransportHandshake { case done, wait, failed }

typealias TransportPointer = UnsafeMutablePointer<Transport>

// Methods of the pointer, not of the struct: OpenSSL calls back into the same transport while we are inside
// of it, so no access may span a call.
extension UnsafeMutablePointer<Transport> {
    /// Reads plain bytes, at most `capacity`.
    func read(_ target: UnsafeMutablePointer<UInt8>, _ capacity: Int) -> TransportRead {
        guard !pointee.isFailed else { return .failed }
        guard let ssl = pointee.ssl else {
            let count =
                stream.map { $0.receive(target, capacity, self) } ?? receive(target, capacity)
            return count > 0 ? .bytes(count) : count == 0 ? .end : pointee.isFailed ? .failed : .wait
        }
        var count = 0
        if SSL_read_ex(ssl, target, capacity, &count) == 1 { return .bytes(count) }
        switch SSL_get_error(ssl, 0) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wait
        case SSL_ERROR_ZERO_RETURN: return .end
        default:
            fail()
            return .failed
        }
    }

    /// Whether bytes wait inside of OpenSSL: no epoll edge will announce them.
    var hasBufferedInput: Bool {
        guard let ssl = pointee.ssl else { return false }
        return SSL_has_pending(ssl) == 1
    }

    /// Whether a read can bring anything without a new epoll edge.
    var mayRead: Bool { pointee.isReadable || hasBufferedInput }

    /// Takes all of `bytes`. Failures show up as `isFailed`.
    func write(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        guard count > 0, !pointee.isFailed else { return }
        guard let ssl = pointee.ssl else {
            if let stream { stream.send(bytes, count, self) } else { send(bytes, count) }
            return
        }
        var offset = 0
        while offset < count {
            var written = 0
            guard SSL_write_ex(ssl, bytes + offset, count - offset, &written) == 1 else { return fail() }
            offset += written
        }
    }

    func handshake() -> TransportHandshake {
        guard let ssl = pointee.ssl else { return .done }
        pointee.isCorked = true
        let result = SSL_do_handshake(ssl)
        let error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, result)
        // Also on failure: the alert that says why lies in `pending`.
        uncork()
        switch error {
        case SSL_ERROR_NONE:
            // A ticket that could not be opened, for one, is no failure but leaves its entry.
            ERR_clear_error()
            return .done
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wait
        default:
            fail()
            return .failed
        }
    }

    /// OpenSSL's error queue belongs to the thread, and an entry left by one connection would be read as the next
    /// one's. Clearing it takes 800 instructions, so whoever failed clears it, and not everybody before each call.
    private func fail() {
        pointee.isFailed = true
        ERR_clear_error()
    }

    func uncork() {
        pointee.isCorked = false
        flush()
    }

    /// Sends what waits, as far as the socket takes it.
    func flush() {
        while pointee.isWritable, !pointee.pending.isEmpty {
            let waiting = pointee.pending.bytes
            guard let start = waiting.baseAddress else { return }
            let sent = sendNow(start, waiting.count)
            guard sent > 0 else { return }
            pointee.pending.consume(sent, pointee.pool)
        }
    }

    /// Says orderly goodbye (close_notify, FIN) after what is still waiting to be sent.
    func shutdownWrite() {
        if let ssl = pointee.ssl, !pointee.isFailed, SSL_is_init_finished(ssl) == 1 {
            if SSL_shutdown(ssl) < 0 { ERR_clear_error() }
        }
        endWriting()
    }

    /// FIN, once all is sent. Only once: each call wakes whoever polls the socket.
    func endWriting() {
        guard pointee.pending.isEmpty, !pointee.isWriteEnded else { return }
        pointee.isWriteEnded = true
        _ = Glibc.shutdown(pointee.descriptor, Int32(SHUT_WR))
    }

    /// Frees everything. The descriptor leaves epoll by being closed.
    func close() {
        if let ssl = pointee.ssl { SSL_free(ssl) }
        pointee.ssl = nil
        pointee.pending.release(pointee.pool)
        if pointee.descriptor >= 0 { _ = Glibc.close(pointee.descriptor) }
        pointee.descriptor = -1
    }

    // MARK: The socket itself (also used by the BIO)

    /// - Returns: bytes read, 0 at the end, -1 when there is nothing now or the connection failed.
    func receive(_ target: UnsafeMutablePointer<UInt8>, _ capacity: Int) -> Int {
        guard pointee.isReadable, capacity > 0 else { return -1 }
        while true {
            let count = gatepost_socket_receive(pointee.descriptor, target, capacity)
            if count > 0 {
                pointee.bytesReceived &+= UInt32(truncatingIfNeeded: count)
                // A short read empties the socket; the next bytes bring a new edge. After a hangup none may
                // come.
                if count < capacity, !pointee.sawHangup { pointee.isReadable = false }
                return count
            }
            if count == 0 {
                pointee.sawHangup = true
                return 0
            }
            if errno == EINTR { continue }
            pointee.isReadable = false
            if errno != EAGAIN { pointee.isFailed = true }
            return -1
        }
    }

    /// Sends or keeps all of `bytes`; false when the connection is beyond help.
    @discardableResult
    func send(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        guard !pointee.isFailed else { return false }
        var sent = 0
        if pointee.isWritable, !pointee.isCorked, pointee.pending.isEmpty {
            sent = max(0, sendNow(bytes, count))
        }
        guard !pointee.isFailed else { return false }
        guard sent < count else { return true }
        guard pointee.pending.count + count - sent <= Transport.pendingBytesHardMax else {
            pointee.isFailed = true
            return false
        }
        pointee.pending.append(bytes + sent, count - sent, pointee.pool)
        return true
    }

    private func sendNow(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
        while true {
            let sent = gatepost_socket_send(pointee.descriptor, bytes, count, Int32(MSG_NOSIGNAL))
            if sent >= 0 {
                pointee.bytesSent &+= UInt32(truncatingIfNeeded: sent)
                if sent < count { pointee.isWritable = false }
                return sent
            }
            if errno == EINTR { continue }
            pointee.isWritable = false
            if errno != EAGAIN { pointee.isFailed = true }
            return -1
        }
    }
}
