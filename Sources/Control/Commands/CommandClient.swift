import Foundation
import Glibc
public import JSON

/// The other end of the administration socket.
public enum CommandClient {
    /// Bytes of an answer.
    static let answerBytesMax = 8 << 20

    /// Sends one command and waits for its answer.
    ///
    /// - Parameter seconds: at most so long.
    /// - Returns: nil when nothing answers at `socket`, or not in time.
    public static func ask(_ command: JSONValue, socket path: String, seconds: Int = 35) -> JSONValue? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let connection = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard connection >= 0 else { return nil }
        defer { close(connection) }
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { return nil }
        let line = command.serialized() + [0x0a]
        let sent = line.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard sent == line.count else { return nil }
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while answer.count <= answerBytesMax, answer.last != 0x0a {
            let count = read(connection, &chunk, chunk.count)
            guard count > 0 else { break }
            answer += chunk[..<count]
        }
        guard answer.last == 0x0a else { return nil }
        return try? JSONValue(
            parsing: Array(answer.dropLast()),
            limits: JSONLimits(bytesMax: answerBytesMax, depthMax: 32, membersMax: 500_000))
    }
}
