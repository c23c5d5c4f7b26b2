import Foundation
import Glibc
import Synchronization

/// A receiver of posted lines on loopback that does to each connection what a test wants, and takes the rest.
final class LineReceiver: Sendable {
    enum Behaviour: Sendable, Equatable {
        /// Reads all of it and answers so.
        case answers(Int, fields: String = "")
        /// Reads all of it and says nothing.
        case silent
        /// Reads nothing.
        case deaf
        /// Reads a few bytes and closes.
        case closesMidway
        case closesAtOnce
        /// Answers with half a head and closes.
        case halfAnswer
        /// Answers without end.
        case endless
    }

    let port: UInt16
    private struct State {
        var behaviours: [Behaviour]
        var bodies: [String] = []
        var heads: [String] = []
        var connections = 0
        var held: [CInt] = []
        var isOver = false
    }
    private let state: Mutex<State>
    private let listener: CInt

    var url: String { "http://127.0.0.1:\(port)/lines" }
    /// Bodies that were answered with 200.
    var bodies: [String] { state.withLock { $0.bodies } }
    var heads: [String] { state.withLock { $0.heads } }
    var connections: Int { state.withLock { $0.connections } }
    var lines: [Substring] { bodies.flatMap { $0.split(separator: "\n") } }

    /// From now on every connection is treated well.
    func recover() {
        let held = state.withLock { state in
            state.behaviours = []
            defer { state.held = [] }
            return state.held
        }
        for connection in held { close(connection) }
    }

    init(_ behaviours: [Behaviour] = []) {
        state = Mutex(State(behaviours: behaviours))
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
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
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { break }
                guard let self, !self.state.withLock({ $0.isOver }) else {
                    close(connection)
                    break
                }
                Thread.detachNewThread { self.serve(connection) }
            }
            close(listener)
        }
    }

    func end() {
        let held = state.withLock { state in
            state.isOver = true
            defer { state.held = [] }
            return state.held
        }
        for connection in held { close(connection) }
        shutdown(listener, Int32(SHUT_RDWR))
    }

    deinit { end() }

    private func serve(_ connection: CInt) {
        let behaviour = state.withLock { state -> Behaviour in
            state.connections += 1
            let behaviour = state.behaviours.isEmpty ? .answers(200) : state.behaviours.removeFirst()
            // At once, so that whoever recovers finds it.
            if behaviour == .deaf { state.held.append(connection) }
            return behaviour
        }
        switch behaviour {
        case .closesAtOnce: close(connection)
        case .closesMidway:
            var bytes = [UInt8](repeating: 0, count: 16)
            _ = read(connection, &bytes, bytes.count)
            close(connection)
        case .deaf: break
        case .silent:
            _ = request(connection)
            hold(connection)
        case .halfAnswer:
            _ = request(connection)
            say("HTTP/1.1 200 O", connection)
            close(connection)
        case .endless:
            _ = request(connection)
            say("HTTP/1.1 200 OK\r\n\r\n", connection)
            while say(String(repeating: "x", count: 4_096), connection) {}
            close(connection)
        case .answers(let status, let fields):
            if let (head, body) = request(connection) {
                state.withLock { state in
                    state.heads.append(head)
                    if status == 200 { state.bodies.append(body) }
                }
                say(
                    "HTTP/1.1 \(status) Status\r\n\(fields)content-length: 0\r\nconnection: close\r\n\r\n",
                    connection)
            }
            close(connection)
        }
    }

    private func hold(_ connection: CInt) {
        let isOver = state.withLock { state in
            if !state.isOver { state.held.append(connection) }
            return state.isOver
        }
        if isOver { close(connection) }
    }

    @discardableResult
    private func say(_ text: String, _ connection: CInt) -> Bool {
        Array(text.utf8).withUnsafeBytes {
            send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        } > 0
    }

    /// nil: it broke off.
    private func request(_ connection: CInt) -> (head: String, body: String)? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < 16 << 20 {
            if let (head, body, length) = Self.parsed(bytes), body.utf8.count >= length {
                return (head, body)
            }
            let count = read(connection, &buffer, buffer.count)
            guard count > 0 else { return nil }
            bytes += buffer[0..<count]
            // Whoever sends more than a little asks first.
            if bytes.count < 4_096,
                String(decoding: bytes, as: UTF8.self).lowercased().contains("expect: 100")
            {
                say("HTTP/1.1 100 Continue\r\n\r\n", connection)
            }
        }
        return nil
    }

    private static func parsed(_ bytes: [UInt8]) -> (String, String, Int)? {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { return nil }
        let head = String(text[..<end.lowerBound])
        let length = head.lowercased().components(separatedBy: "content-length: ").dropFirst().first.flatMap {
            Int($0.prefix { $0.isNumber })
        }
        return length.map { (head, String(text[end.upperBound...]), $0) }
    }
}
