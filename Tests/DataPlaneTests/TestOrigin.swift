import CLinux
import Foundation
import Synchronization

/// One connection at the origin, with the bytes that came beyond what was asked for.
final class OriginConnection: @unchecked Sendable {
    // Unchecked: used only by its own thread.
    let socket: TestSocket
    let number: Int
    private var buffer: [UInt8] = []
    init(_ socket: TestSocket, _ number: Int) {
        self.socket = socket
        self.number = number
    }

    /// nil when the gateway closed.
    func readHead() -> String? {
        while true {
            if let end = buffer.firstRange(of: Array("\r\n\r\n".utf8)) {
                let head = String(decoding: buffer[..<end.upperBound], as: UTF8.self)
                buffer.removeSubrange(..<end.upperBound)
                return head
            }
            guard let more = socket.read() else { return nil }
            buffer += more
        }
    }

    func read(_ count: Int) -> [UInt8]? {
        while buffer.count < count {
            guard let more = socket.read() else { return nil }
            buffer += more
        }
        defer { buffer.removeSubrange(..<count) }
        return Array(buffer[..<count])
    }

    func readUntil(_ text: String) -> String? {
        while true {
            if let end = buffer.firstRange(of: Array(text.utf8)) {
                defer { buffer.removeSubrange(..<end.upperBound) }
                return String(decoding: buffer[..<end.upperBound], as: UTF8.self)
            }
            guard let more = socket.read() else { return nil }
            buffer += more
        }
    }

    /// Whatever comes next, without keeping it.
    func readSome() -> Int? {
        if !buffer.isEmpty {
            defer { buffer = [] }
            return buffer.count
        }
        return socket.read()?.count
    }

    /// - Returns: false when the gateway closed in the middle of it.
    func skipBody(_ head: String) -> Bool {
        let lines = head.lowercased().split(separator: "\r\n")
        if let length = lines.first(where: { $0.hasPrefix("content-length:") }) {
            return Int(length.dropFirst(15).trimmingCharacters(in: .whitespaces)).flatMap(read) != nil
        }
        guard lines.contains("transfer-encoding: chunked") else { return true }
        while let line = readUntil("\r\n") {
            guard let size = Int(line.dropLast(), radix: 16) else { return false }
            if size == 0 { break }
            guard read(size + 2) != nil else { return false }
        }
        // Trailers, and the empty line behind them.
        while let line = readUntil("\r\n") { if line == "\r\n" { return true } }
        return false
    }

    func answer(_ body: String = "hello", status: String = "200 OK", fields: String = "") {
        socket.write("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)")
    }
}

/// A small upstream on loopback: a thread per connection, a script per test. It misbehaves when the script
/// does.
final class TestOrigin: Sendable {
    typealias Script = @Sendable (OriginConnection) -> Void
    let port: UInt16
    private let listener: TestSocket
    let heads = Mutex<[String]>([])
    private let connections = Atomic<Int>(0)

    init(_ script: @escaping Script) {
        (listener, port) = TestSocket.listening()
        let listener = listener
        Thread.detachNewThread { [weak self] in
            var number = 0
            while true {
                let descriptor = accept(listener.descriptor, nil, nil)
                guard descriptor >= 0 else { return }
                let connection = OriginConnection(TestSocket(descriptor: descriptor), number)
                number += 1
                self?.connections.add(1, ordering: .relaxed)
                Thread.detachNewThread {
                    script(connection)
                    connection.socket.close()
                }
            }
        }
    }

    deinit {
        shutdown(listener.descriptor, Int32(SHUT_RDWR))
        listener.close()
    }

    var connectionCount: Int { connections.load(ordering: .relaxed) }

    /// Answers every request with 200 and its own head as the body.
    static func echo() -> TestOrigin {
        TestOrigin { connection in
            while let head = connection.readHead() { connection.answer(head) }
        }
    }

    /// The same, but of a request whose body has come to its end: an answer in front of that would be the answer.
    static func patientEcho() -> TestOrigin {
        TestOrigin { connection in
            while let head = connection.readHead(), connection.skipBody(head) { connection.answer(head) }
        }
    }

    /// Nothing listens there.
    static func closedPort() -> UInt16 {
        let (socket, port) = TestSocket.listening()
        socket.close()
        return port
    }
}
