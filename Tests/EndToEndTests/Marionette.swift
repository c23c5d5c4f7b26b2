import Foundation
import Glibc
import Synchronization

/// The wire of Firefox: `length:[0,id,command,parameters]` and `length:[1,id,error,result]` over one connection.
final class Marionette: Sendable {
    /// One large picture, and nothing that could fill the memory.
    private static let answerBytesMax = 64 << 20

    private let descriptor: Int32
    private let lastID = Mutex(0)

    /// Connects and reads the greeting.
    init(network: PrivateNetwork, port: Int) throws {
        descriptor = try network.connect(port: port)
        do {
            let greeting = try JSONSerialization.jsonObject(with: try read()) as? [String: Any]
            guard greeting?["marionetteProtocol"] as? Int == 3 else {
                throw Failure(description: "Firefox speaks another Marionette: \(greeting ?? [:])")
            }
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    /// - Returns: the result, taken out of its member `value` where it has one.
    @discardableResult
    func send(_ command: String, _ parameters: [String: Any] = [:]) throws -> Any {
        try lastID.withLock { lastID in
            lastID += 1
            let message = try JSONSerialization.data(withJSONObject: [0, lastID, command, parameters])
            try write(Array("\(message.count):".utf8) + Array(message))
            guard let answer = try JSONSerialization.jsonObject(with: try read()) as? [Any],
                answer.count == 4,
                answer[1] as? Int == lastID
            else { throw Failure(description: "Firefox: \(command): an answer to something else") }
            if let problem = answer[2] as? [String: Any] {
                let message = (problem["message"] as? String ?? "").prefix(300)
                throw Failure(description: "Firefox: \(command): \(problem["error"] ?? ""): \(message)")
            }
            return (answer[3] as? [String: Any])?["value"] ?? answer[3]
        }
    }

    private func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(description: "Firefox closed the connection") }
            sent += count
        }
    }

    private func read() throws -> Data {
        var length = 0
        while true {
            let byte = try receive(1)[0]
            if byte == UInt8(ascii: ":") { break }
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), length < Self.answerBytesMax else {
                throw Failure(description: "Firefox's answer has no length")
            }
            length = length * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return Data(try receive(length))
    }

    private func receive(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var received = 0
        while received < count {
            let more = bytes[received...].withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress, $0.count, 0)
            }
            guard more > 0 else { throw Failure(description: "Firefox did not answer within a minute") }
            received += more
        }
        return bytes
    }
}
