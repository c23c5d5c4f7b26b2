import Foundation
import Glibc
import Synchronization

/// A server of one canned behaviour on 127.0.0.1, which keeps what it was sent.
final class LoopbackServer: Sendable {
    enum Behaviour: Sendable {
        /// These bytes, whatever was asked, then the connection is closed.
        case answer(String)
        /// The request is read and never answered, until the server ends.
        case silence
        /// A head, and then nothing until the other side hangs up.
        case headOnly
        /// A head without length, then content until the other side hangs up.
        case endless
        /// Closed before a byte is answered.
        case hangUp
        /// The first request of a connection is answered, the second is read, and the connection closed.
        case answerOnce
    }

    let port: UInt16
    private let listener: CInt
    private let seen = Mutex<[String]>([])
    private let connections = Mutex<[CInt]>([])

    var requests: [String] { seen.withLock { $0 } }
    var url: String { "http://127.0.0.1:\(port)/" }

    init(_ behaviour: Behaviour) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                precondition(bind(listener, generic, length) == 0 && listen(listener, 64) == 0)
                precondition(getsockname(listener, generic, &length) == 0)
            }
        }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        let thread = Thread { [weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else {
                    close(listener)
                    return
                }
                guard let self else { close(connection); return }
                self.connections.withLock { $0.append(connection) }
                Thread { self.serve(connection, behaviour) }.start()
            }
        }
        thread.start()
    }

    deinit { end() }

    func end() {
        shutdown(listener, Int32(SHUT_RDWR))
        connections.withLock { all in
            for connection in all { shutdown(connection, Int32(SHUT_RDWR)) }
            all = []
        }
    }

    private func serve(_ connection: CInt, _ behaviour: Behaviour) {
        let request = Self.read(connection)
        seen.withLock { $0.append(request) }
        switch behaviour {
        case .answer(let text):
            _ = Self.write(connection, text)
        case .silence:
            var byte: UInt8 = 0
            while recv(connection, &byte, 1, 0) > 0 {}
        case .headOnly:
            _ = Self.write(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            var byte: UInt8 = 0
            while recv(connection, &byte, 1, 0) > 0 {}
        case .endless:
            _ = Self.write(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while Self.write(connection, String(repeating: "x", count: 4096)) {}
        case .hangUp:
            break
        case .answerOnce:
            _ = Self.write(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            let next = Self.read(connection)
            if !next.isEmpty { seen.withLock { $0.append(next) } }
        }
        shutdown(connection, Int32(SHUT_RDWR))
    }

    /// Head and as much content as its length says.
    private static func read(_ connection: CInt) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let text = String(decoding: bytes, as: UTF8.self)
            if let end = text.range(of: "\r\n\r\n") {
                let head = text[..<end.lowerBound].lowercased()
                let lengthLine = head.split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
                let wanted = Int(lengthLine?.split(separator: " ").last ?? "0") ?? 0
                if text[end.upperBound...].utf8.count >= wanted { return text }
            }
            let count = recv(connection, &chunk, chunk.count, 0)
            guard count > 0 else { return text }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    private static func write(_ connection: CInt, _ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// A port that nobody listens on at this moment.
    static func freePort() -> UInt16 {
        let server = LoopbackServer(.hangUp)
        defer { server.end() }
        return server.port
    }

    static func accepts(_ port: UInt16) -> Bool {
        let attempt = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(attempt) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(attempt, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
