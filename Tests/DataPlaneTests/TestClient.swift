import CLinux
import COpenSSL
import Foundation

@testable import DataPlane

struct TestResponse {
    var status: Int
    var head: String
    var body: [UInt8]
    /// Whether the body ended as its framing says.
    var isComplete: Bool
    var text: String { String(decoding: body, as: UTF8.self) }
    func field(_ name: String) -> String? {
        for line in head.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == name.lowercased() {
                return parts[1].trimmingCharacters(in: .whitespaces)
            }
        }
        return nil
    }
}

/// A TLS client that can do what browsers do not: two records in one segment, half heads, early ends.
final class TestClient {
    private let socket: TestSocket
    private let transport: TransportPointer
    private let pool: UnsafeMutablePointer<BufferPool>
    private var buffer: [UInt8] = []
    private(set) var hasEnded = false

    init?(
        port: UInt16, serverName: String = "wiki.test", receiveBuffer: Int32 = 0,
        identity: TestIdentity? = nil, protocols: String? = nil, preamble: [[UInt8]] = [],
        over connected: TestSocket? = nil
    ) throws {
        socket = connected ?? TestSocket.connected(port)
        for part in preamble { socket.write(part) }
        if receiveBuffer > 0 {
            var size = receiveBuffer
            setsockopt(socket.descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
        }
        pool = .allocate(capacity: 1)
        pool.initialize(to: BufferPool())
        transport = .allocate(capacity: 1)
        _ = fcntl(socket.descriptor, F_SETFL, O_NONBLOCK)
        transport.initialize(to: Transport(descriptor: socket.descriptor, pool: pool))
        transport.pointee.isWritable = true
        let context = try ClientContext(
            serverName: serverName, authoritiesPEM: TestCertificates.shared.authorityPEM)
        transport.pointee.ssl = context.makeConnection(over: transport)
        identity?.use(in: transport.pointee.ssl)
        if let protocols {
            let list = [UInt8(protocols.utf8.count)] + Array(protocols.utf8)
            SSL_set_alpn_protos(transport.pointee.ssl, list, UInt32(list.count))
        }
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
        transport.close()
        transport.deallocate()
        pool.pointee.destroy()
        pool.deallocate()
    }

    var descriptor: Int32 { socket.descriptor }

    /// Each element becomes a TLS record of its own; all leave together by one send.
    func send(records: [String]) {
        transport.pointee.isCorked = true
        for record in records { write(Array(record.utf8)) }
        transport.uncork()
        flush()
    }

    /// One TLS record that arrives in two parts, with `between` in the middle.
    func sendRecord(_ text: String, cutAt cut: Int, between: () -> Void) {
        transport.pointee.isCorked = true
        write(Array(text.utf8))
        let record = Array(transport.pointee.pending.bytes)
        transport.pointee.pending.consume(record.count, pool)
        transport.pointee.isCorked = false
        socket.write(Array(record[..<cut]))
        between()
        socket.write(Array(record[cut...]))
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    /// - Returns: false when the gateway no longer takes bytes.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        write(bytes)
        return flush()
    }

    private func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBufferPointer { if let start = $0.baseAddress { transport.write(start, $0.count) } }
    }

    @discardableResult
    private func flush() -> Bool {
        while !transport.pointee.pending.isEmpty, !transport.pointee.isFailed {
            guard socket.waitWritable() else { return false }
            transport.pointee.isWritable = true
            transport.flush()
        }
        return !transport.pointee.isFailed
    }

    /// Reads more; nil at the end.
    func readSome() -> [UInt8]? {
        if !buffer.isEmpty {
            defer { buffer = [] }
            return buffer
        }
        return readRecord()
    }

    private func readRecord() -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            transport.pointee.isReadable = true
            switch transport.read(&bytes, bytes.count) {
            case .bytes(let count): return Array(bytes[..<count])
            case .end, .failed:
                hasEnded = true
                return nil
            case .wait: guard socket.waitReadable() else { return nil }
            }
        }
    }

    /// Bytes that are there now without waiting longer than this.
    func hasMore(withinMilliseconds milliseconds: Int32) -> Bool { socket.waitReadable(milliseconds) }

    /// The next response, nil when the connection ended before a whole head.
    func receive(isHead: Bool = false) -> TestResponse? {
        guard let head = readHead() else { return nil }
        let status = Int(head.split(separator: " ")[1]) ?? 0
        var response = TestResponse(status: status, head: head, body: [], isComplete: false)
        if isHead || status == 204 || status == 304 || status < 200 {
            response.isComplete = true
        } else if let length = response.field("content-length").flatMap(Int.init) {
            while buffer.count < length, let more = readRecord() { buffer += more }
            response.isComplete = buffer.count >= length
            response.body = Array(buffer.prefix(length))
            buffer.removeFirst(min(length, buffer.count))
        } else if response.field("transfer-encoding") == "chunked" {
            readChunks(into: &response)
        } else {
            while let more = readSome() { response.body += more }
            response.isComplete = !transport.pointee.isFailed
        }
        return response
    }

    private func readChunks(into response: inout TestResponse) {
        while let line = readLine(), let size = Int(line, radix: 16) {
            while buffer.count < size + 2, let more = readRecord() { buffer += more }
            guard buffer.count >= size + 2 else { return }
            response.body += buffer.prefix(size)
            buffer.removeFirst(size + 2)
            if size == 0 {
                response.isComplete = true
                return
            }
        }
    }

    private func readLine() -> String? {
        while true {
            if let end = buffer.firstRange(of: [13, 10]) {
                defer { buffer.removeSubrange(..<end.upperBound) }
                return String(decoding: buffer[..<end.lowerBound], as: UTF8.self)
            }
            guard let more = readRecord() else { return nil }
            buffer += more
        }
    }

    private func readHead() -> String? {
        while true {
            if let end = buffer.firstRange(of: [13, 10, 13, 10]) {
                defer { buffer.removeSubrange(..<end.upperBound) }
                return String(decoding: buffer[..<end.upperBound], as: UTF8.self)
            }
            guard let more = readRecord() else { return nil }
            buffer += more
        }
    }

    func get(_ path: String = "/", host: String = "wiki.test", fields: String = "") -> TestResponse? {
        send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n")
        return receive()
    }
}
