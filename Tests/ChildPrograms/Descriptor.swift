import CLinux
import Foundation
import Glibc

/// Closed when nobody holds it any more, and never inherited by its number.
final class Descriptor: Sendable {
    let raw: Int32

    private init(adopting raw: Int32) { self.raw = raw }

    deinit { close(raw) }

    static func pipe() throws(Refusal) -> (reading: Descriptor, writing: Descriptor) {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw Refusal("pipe2: \(reason)") }
        return (Descriptor(adopting: ends[0]), Descriptor(adopting: ends[1]))
    }

    /// Not a pipe: whoever writes to one that nobody reads gets a signal.
    static func socketPair() throws(Refusal) -> (ours: Descriptor, theirs: Descriptor) {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw Refusal("socketpair: \(reason)") }
        return (Descriptor(adopting: ends[0]), Descriptor(adopting: ends[1]))
    }

    /// A file that nobody else sees, read from its start: it takes any number of bytes before anybody reads.
    static func file(of bytes: [UInt8]) throws(Refusal) -> Descriptor {
        var template = Array("\(NSTemporaryDirectory())input-XXXXXX".utf8CString)
        let raw = mkstemp(&template)
        guard raw >= 0 else { throw Refusal("mkstemp: \(reason)") }
        let file = Descriptor(adopting: raw)
        unlink(template)
        _ = fcntl(raw, F_SETFD, FD_CLOEXEC)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(raw, $0.baseAddress, $0.count) }
            guard count > 0 || errno == EINTR else { throw Refusal("write: \(reason)") }
            rest = rest.dropFirst(max(0, count))
        }
        lseek(raw, 0, SEEK_SET)
        return withExtendedLifetime(file) { file }
    }

    /// - Returns: what is there, as soon as something is; nil at the end, and at the deadline.
    func read(until deadline: ContinuousClock.Instant) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let left = deadline - .now
            guard left > .zero else { return nil }
            var watched = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
            let ready = poll(&watched, 1, Int32(clamping: left.components.seconds * 1_000 + 1_000))
            if ready == 0 || ready < 0 && errno == EINTR { continue }
            guard ready > 0 else { return nil }
            let count = Glibc.read(raw, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            return count > 0 ? Array(buffer.prefix(count)) : nil
        }
    }

    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 || errno == EINTR else { return }
            rest = rest.dropFirst(max(0, count))
        }
    }

    private static var reason: String { String(cString: strerror(errno)) }
}
