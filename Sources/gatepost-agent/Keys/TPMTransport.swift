import Glibc
import Signatures

/// What went wrong between the agent and its security chip.
enum TPMError: Error, CustomStringConvertible {
    /// It cannot be opened, or stopped answering. The connection is worth nothing after that.
    case unreachable(String)
    /// It refused a command (Part 2, 6.6).
    case refused(command: UInt32, code: UInt32)
    /// Its answer is none.
    case malformed(String)

    var description: String {
        switch self {
        case .unreachable(let what): what
        case .refused(let command, let code):
            "the TPM refused command 0x\(String(command, radix: 16)) with 0x\(String(code, radix: 16))"
        case .malformed(let what): "the TPM's answer is malformed: \(what)"
        }
    }
}

/// A connection to a TPM 2.0: the kernel's resource manager (`/dev/tpmrm0`), or the Unix socket of an emulator.
///
/// A plain value around a descriptor; whoever opened it closes it.
struct TPMTransport: Sendable {
    static let defaultPath = "/dev/tpmrm0"
    /// The most that a TPM takes or gives at once (`TPM_PT_MAX_COMMAND_SIZE` of every known chip).
    static let bytesMax = 4096

    private let descriptor: CInt
    private let path: String

    init(path: String) throws(TPMError) {
        self.path = path
        var info = stat()
        guard stat(path, &info) == 0 else {
            throw .unreachable("\(path): there is no security chip (\(Self.reason()))")
        }
        if info.st_mode & S_IFMT == S_IFSOCK {
            descriptor = try Self.connect(path)
        } else {
            // Non-blocking: the write returns at once and the wait for the answer has an end. Kernels before 5.1
            // answer within the write instead, bounded by their own timeouts.
            descriptor = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
            guard descriptor >= 0 else {
                throw .unreachable("\(path): cannot be opened (\(Self.reason()))")
            }
        }
    }

    func close() { _ = Glibc.close(descriptor) }

    /// Sends one command and waits for its whole answer.
    func transmit(_ command: [UInt8], timeoutMilliseconds: Int64) throws(TPMError) -> [UInt8] {
        precondition((10...Self.bytesMax).contains(command.count), "a command of \(command.count) bytes")
        let end = Self.now() + timeoutMilliseconds
        var sent = 0
        while sent < command.count {
            let count = command[sent...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                sent += count
            } else if count < 0, errno == EINTR || errno == EAGAIN {
                try wait(CInt(POLLOUT), until: end)
            } else {
                throw .unreachable("\(path): a command cannot be sent (\(Self.reason()))")
            }
        }
        var answer: [UInt8] = []
        repeat {
            try wait(CInt(POLLIN), until: end)
            try receive(into: &answer)
        } while try !Self.isWhole(answer)
        return answer
    }

    private func receive(into answer: inout [UInt8]) throws(TPMError) {
        // The kernel gives an answer to one read of enough room.
        var room = [UInt8](repeating: 0, count: Self.bytesMax)
        let count = read(descriptor, &room, room.count)
        if count > 0 {
            answer += room.prefix(count)
        } else if count == 0 {
            throw .unreachable("\(path): the connection ended")
        } else if errno != EINTR, errno != EAGAIN {
            throw .unreachable("\(path): no answer (\(Self.reason()))")
        }
    }

    /// Whether the length in an answer's header has been reached; more than that is no answer.
    static func isWhole(_ answer: [UInt8]) throws(TPMError) -> Bool {
        guard answer.count >= 10 else { return false }
        let size = answer[2..<6].reduce(0) { $0 << 8 | Int($1) }
        guard (10...bytesMax).contains(size), answer.count <= size else {
            throw .malformed("\(answer.count) bytes of \(size)")
        }
        return answer.count == size
    }

    private func wait(_ events: CInt, until end: Int64) throws(TPMError) {
        while true {
            let left = end - Self.now()
            guard left > 0 else { throw .unreachable("\(path): no answer in time") }
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let count = poll(&entry, 1, CInt(clamping: left))
            if count > 0 { return }
            guard count == 0 || errno == EINTR else {
                throw .unreachable("\(path): cannot be waited for (\(Self.reason()))")
            }
        }
    }

    private static func connect(_ path: String) throws(TPMError) -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard descriptor >= 0, bytes.count < room else {
            if descriptor >= 0 { _ = Glibc.close(descriptor) }
            throw .unreachable("\(path): no socket, or its name is too long")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isConnected, fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else {
            let reason = reason()
            _ = Glibc.close(descriptor)
            throw .unreachable("\(path): nobody answers (\(reason))")
        }
        return descriptor
    }

    /// Monotonic, milliseconds.
    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
