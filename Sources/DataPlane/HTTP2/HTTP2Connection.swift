import CNghttp2
import Glibc
import HTTP

/// What an HTTP/2 connection has beside its `Downstream` record: nghttp2's session and the streams. It stays where it
/// is and is reached by pointer, because nghttp2's callbacks come back to it.
struct HTTP2Connection {
    let reactor: Unmanaged<Reactor>
    let slot: Int32
    var session: OpaquePointer?
    var frames = HTTP2FrameMemory()
    /// The open streams, newest first.
    var firstStream: HTTP2StreamPointer?
    var streamCount = 0
    /// What windows of streams have grown beyond the first.
    var addedWindow = 0
    /// Places among the connections of the client's address, beside the connection's own.
    var morePlaces = 0
    /// `Transport.pendingHigh` of its streams.
    var room = Int32(Transport.pendingBytesHigh)
    /// Output may be waiting inside of nghttp2 or of a stream: the reactor's list names this connection.
    var isUnflushed = false
    /// GOAWAY was said; and when the last stream is named, should its client not answer.
    var leaving = HTTP2Leaving.no
    var tellAtMilliseconds: UInt64 = 0

    /// The field section that is being received: its stream (0: none), its lines, and what was wrong with it.
    var headStream: Int32 = 0
    var head = HTTP2RequestHead()
    var headLines = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    var headError: HTTP2HeadError?
    var isHeadTooLarge = false
    /// Bytes of all its lines, also of those that were not kept.
    var headListBytes = 0

    var abuse = HTTP2Abuse()
    /// Bytes that were put together in the workspace and not written yet.
    var gathered = 0
    /// Of a connection to an upstream: what only the asking side has. nil: a client's connection.
    var asking: HTTP2AskingSide?
}

typealias HTTP2ConnectionPointer = UnsafeMutablePointer<HTTP2Connection>

/// One stream: the transport of a `Downstream` record in place of a socket.
///
/// The record's stages read a request head and body and write a response in HTTP/1.1, as on any connection. Here the
/// frames become the one (`inbound`), and the other (`Transport.pending`) becomes frames when the turn's output is
/// flushed.
struct HTTP2Stream {
    /// Towards an upstream 0 until the request is handed over.
    var id: Int32
    let slot: Int32
    let connection: HTTP2ConnectionPointer
    var next: HTTP2StreamPointer?
    var previous: HTTP2StreamPointer?

    /// What the record has not read yet.
    var inbound = BlockQueue()
    /// Bytes of the client's flow-control window that were not given back: what came and still lies here.
    var owedWindow = 0
    /// What the client may send ahead, and what of it was taken since it last grew.
    var window = Reactor.firstWindowBytes
    var takenOfWindow = 0
    /// The client's side ended.
    var isRemoteEnded = false
    var isBodyChunked = false
    /// Extended CONNECT: data is a tunnel's.
    var isTunnel = false

    /// What of the response has become frames.
    var isHeadSubmitted = false
    var responseChunks = HTTP2Chunks()
    var isResponseChunked = false
    /// Decoded body bytes of a chunked response.
    var body = ByteBuffer()
    /// Trailer lines of a chunked response, complete with its end.
    var trailers = ByteBuffer()
    /// The record has written all that it will.
    var isEnded = false
    /// The DATA frame that is leaving is the last.
    var isLastRead = false
    /// END_STREAM, or the DATA in front of its trailers, is out.
    var isEndSent = false
    /// nghttp2 has nothing to send for it until `resume`.
    var isDeferred = false
    /// nghttp2 has forgotten it: ended on both sides, or reset.
    var isForgotten = false
    /// Something was written since the last flush.
    var isTouched = false
    /// Bytes left for the client since the last look.
    var hasProgress = false
    /// What RST_STREAM says when the record ends before its answer does.
    var resetCode = NGHTTP2_INTERNAL_ERROR
    /// Towards an upstream: the head of the final answer came, and how many in front of it.
    var isHeadReceived = false
    var interimHeads: UInt8 = 0
    /// Towards an upstream: bytes of the announced body that are still to come; beyond reach where none is announced.
    var bodyRest = Int64.max
    /// The upstream itself reset it.
    var isPeerReset = false
}

typealias HTTP2StreamPointer = UnsafeMutablePointer<HTTP2Stream>

extension UnsafeMutablePointer<Transport> {
    /// The HTTP/2 connection that this socket carries.
    var http2: HTTP2ConnectionPointer? {
        guard pointee.ssl != nil else { return nil }
        return pointee.multiplexed?.assumingMemoryBound(to: HTTP2Connection.self)
    }

    /// The HTTP/2 stream that stands in the place of a socket.
    var stream: HTTP2StreamPointer? {
        guard pointee.ssl == nil else { return nil }
        return pointee.multiplexed?.assumingMemoryBound(to: HTTP2Stream.self)
    }
}

extension UnsafeMutablePointer<HTTP2Connection> {
    /// The turn's end will send what waits.
    func touch() {
        guard !pointee.isUnflushed else { return }
        pointee.isUnflushed = true
        let slot = pointee.slot
        pointee.reactor._withUnsafeGuaranteedRef { $0.willFlush(slot) }
    }
}

extension UnsafeMutablePointer<HTTP2Stream> {
    /// As `recv`: bytes, 0 at the end, -1 for nothing now. What is taken makes room in the client's window.
    func receive(_ target: UnsafeMutablePointer<UInt8>, _ capacity: Int, _ transport: TransportPointer) -> Int
    {
        guard !pointee.inbound.isEmpty else {
            if pointee.isRemoteEnded { return 0 }
            transport.pointee.isReadable = false
            return -1
        }
        let count = pointee.inbound.read(into: target, capacity, transport.pointee.pool)
        note(received: count, transport)
        giveBackWindow(keeping: pointee.inbound.count)
        return count
    }

    /// The next of what came, in the block in which it lies; empty for nothing now. Its window is still the taker's to
    /// give back.
    func receiveBlock(_ transport: TransportPointer) -> ByteBuffer {
        let block = pointee.inbound.takeBlock()
        note(received: block.count, transport)
        return block
    }

    private func note(received count: Int, _ transport: TransportPointer) {
        transport.pointee.bytesReceived &+= UInt32(truncatingIfNeeded: count)
        if pointee.inbound.isEmpty, !pointee.isRemoteEnded { transport.pointee.isReadable = false }
    }

    /// The window covers what still waits, and nothing of what was taken.
    /// - Parameter waiting: bytes of the stream that lie here still, wherever.
    func giveBackWindow(keeping waiting: Int) {
        let taken = pointee.owedWindow - min(pointee.owedWindow, waiting)
        guard taken > 0 else { return }
        pointee.owedWindow -= taken
        let connection = pointee.connection
        guard let session = connection.pointee.session else { return }
        if pointee.isForgotten {
            _ = nghttp2_session_consume_connection(session, taken)
        } else {
            _ = nghttp2_session_consume(session, pointee.id, taken)
        }
        connection.pointee.reactor._withUnsafeGuaranteedRef { $0.growWindow(self, taken: taken) }
        connection.touch()
    }

    /// Keeps all of `bytes` until the flush.
    func send(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ transport: TransportPointer) {
        guard transport.pointee.pending.count + count <= Transport.pendingBytesHardMax else {
            transport.pointee.isFailed = true
            return
        }
        transport.pointee.pending.append(bytes, count, transport.pointee.pool)
        pointee.isTouched = true
        pointee.connection.touch()
    }
}
