import Foundation
import Glibc

/// The wire of chromedriver and WebKitWebDriver (W3C WebDriver): one JSON request and one JSON answer on a connection
/// of its own.
struct WebDriver {
    let network: PrivateNetwork
    var name = "chromedriver"
    var port = Stack.driverPort

    /// - Returns: the member `value` of the answer.
    /// - Throws: what the driver says when the command failed.
    @discardableResult
    func send(_ method: String, _ path: String, _ body: [String: Any]? = nil) throws -> Any {
        let data = try body.map { try JSONSerialization.data(withJSONObject: $0) } ?? Data()
        let descriptor = try network.connect(port: port)
        defer { close(descriptor) }
        var request =
            "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
        request += "Content-Type: application/json; charset=utf-8\r\nContent-Length: \(data.count)\r\n\r\n"
        try write(Array(request.utf8) + Array(data), to: descriptor)
        let answer = try readAnswer(descriptor)
        guard let object = try JSONSerialization.jsonObject(with: answer) as? [String: Any],
            let value = object["value"]
        else { throw Failure(description: "\(name): \(method) \(path): no value in the answer") }
        if let problem = value as? [String: Any], let error = problem["error"] as? String {
            let message = (problem["message"] as? String ?? "").prefix(300)
            throw Failure(description: "\(name): \(method) \(path): \(error): \(message)")
        }
        return value
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(description: "\(name) closed the connection") }
            sent += count
        }
    }

    /// The body of the answer, by its Content-Length: the driver may keep the connection open in spite of us.
    private func readAnswer(_ descriptor: Int32) throws -> Data {
        var received = Data()
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        let empty = Data("\r\n\r\n".utf8)
        while true {
            if let end = received.range(of: empty) {
                let head = String(decoding: received[..<end.lowerBound], as: UTF8.self).lowercased()
                let length = head.split(whereSeparator: \.isNewline).first { $0.hasPrefix("content-length:") }
                    .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) }
                guard let length else { throw Failure(description: "\(name)'s answer has no length") }
                if received.count - end.upperBound >= length {
                    return received[end.upperBound..<end.upperBound + length]
                }
            }
            let count = recv(descriptor, &piece, piece.count, 0)
            guard count > 0 else { throw Failure(description: "\(name) did not answer within a minute") }
            received.append(contentsOf: piece[..<count])
        }
    }
}
