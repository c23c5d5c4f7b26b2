import Foundation
import Glibc
import JSON

/// The administration socket: one JSON line in, one JSON line out, for processes of the same user or of root.
///
/// It is served by its own threads and needs neither reactors nor listeners, so it also answers while the data plane
/// is in trouble.
final class CommandSocket: Sendable {
    /// Bytes of one command line.
    static let lineBytesMax = 65_536
    /// Seconds that a command may take.
    static let secondsMax = 30

    struct Failure: Error {
        var what: String
    }

    private let listening: Int32
    private let path: String
    private let answer: @Sendable (JSONValue, UInt32) async -> JSONValue

    /// - Parameter answer: gets the command and the user id of the process that asks.
    init(
        path: String, answer: @escaping @Sendable (JSONValue, UInt32) async -> JSONValue
    ) throws(Failure) {
        self.path = path
        self.answer = answer
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard bytes.count < room else {
            throw Failure(
                what: "gateway.admin-socket: \(path) is longer than \(room - 1) bytes; choose a shorter path")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        listening = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard listening >= 0 else {
            throw Failure(what: "administration socket: \(String(cString: strerror(errno)))")
        }
        // A socket file of a dead process would make bind fail; a living one answers and is not taken over.
        if Self.answers(address) {
            close(listening)
            throw Failure(what: "another gateway already answers at \(path); stop it first")
        }
        unlink(path)
        let old = umask(0o177)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listening, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        umask(old)
        guard bound == 0, listen(listening, 16) == 0 else {
            let what = String(cString: strerror(errno))
            close(listening)
            throw Failure(what: "administration socket \(path): \(what); check that its folder exists")
        }
    }

    private static func answers(_ address: sockaddr_un) -> Bool {
        var address = address
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { return false }
        defer { close(probe) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        } == 0
    }

    func start() {
        Thread.detachNewThread { [self] in
            while true {
                let connection = accept(listening, nil, nil)
                guard connection >= 0 else {
                    if errno == EINTR || errno == ECONNABORTED { continue }
                    return
                }
                Thread.detachNewThread { self.serve(connection) }
            }
        }
    }

    func stop() {
        shutdown(listening, Int32(SHUT_RDWR))
        close(listening)
        unlink(path)
    }

    private func serve(_ connection: Int32) {
        guard let uid = Self.trustedUser(connection) else {
            close(connection)
            return
        }
        var limit = timeval(tv_sec: Self.secondsMax, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard let line = Self.readLine(connection), let command = try? JSONValue(parsing: line) else {
            Self.write(connection, ["error": "the command is not one line of JSON"])
            close(connection)
            return
        }
        let arrived = monotonicNanoseconds()
        Task { [answer] in
            let reply = await Arrival.$nanoseconds.withValue(arrived) { await answer(command, uid) }
            Self.write(connection, reply)
            close(connection)
        }
    }

    /// SO_PEERCRED: the kernel's word for who is at the other end (unix(7)).
    ///
    /// - Returns: nil for anybody but root and our own user.
    private static func trustedUser(_ connection: Int32) -> UInt32? {
        // struct ucred is pid, uid, gid; the Glibc module leaves it out.
        var peer: [UInt32] = [0, 0, 0]
        var size = socklen_t(peer.count * MemoryLayout<UInt32>.size)
        guard getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0, size == 12 else {
            return nil
        }
        return peer[1] == 0 || peer[1] == geteuid() ? peer[1] : nil
    }

    private static func readLine(_ connection: Int32) -> [UInt8]? {
        var line: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while line.count <= lineBytesMax {
            let count = read(connection, &chunk, chunk.count)
            guard count > 0 else { return nil }
            line += chunk[..<count]
            if line.last == 0x0a {
                line.removeLast()
                return line
            }
        }
        return nil
    }

    private static func write(_ connection: Int32, _ value: JSONValue) {
        let bytes = value.serialized() + [0x0a]
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }
}
