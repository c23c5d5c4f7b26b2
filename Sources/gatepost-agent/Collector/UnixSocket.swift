import Glibc

/// What both sides of the collector's socket need (unix(7)): bounded in bytes and in time.
enum UnixSocket {
    /// A listening socket at a path; a socket of an earlier run is replaced, anything else there is an error.
    static func listening(at path: String) throws(AgentError) -> CInt {
        let descriptor = try made(path)
        var info = stat()
        if lstat(path, &info) == 0 {
            guard info.st_mode & S_IFMT == S_IFSOCK, info.st_uid == geteuid() else {
                close(descriptor)
                throw AgentError("\(path): is no socket of this user", remedy: "choose another with --socket")
            }
            unlink(path)
        }
        // Only the owner and the group: the unit runs the collector with the agent's group. SO_PEERCRED
        // decides, this keeps the others from filling the queue.
        let mask = umask(0o117)
        let isBound = withAddress(path) { bind(descriptor, $0, $1) == 0 } && listen(descriptor, 16) == 0
        umask(mask)
        guard isBound else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw AgentError("\(path): \(reason)", remedy: "check that its folder exists and can be written")
        }
        return descriptor
    }

    /// A connection to a path; nil when nobody listens there.
    static func connected(to path: String) -> CInt? {
        guard let descriptor = try? made(path) else { return nil }
        guard withAddress(path, { connect(descriptor, $0, $1) == 0 }) else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    private static func made(_ path: String) throws(AgentError) -> CInt {
        guard (1..<108).contains(path.utf8.count), !path.utf8.contains(0) else {
            throw AgentError("\(path): is no path of a socket", remedy: "use at most 107 characters")
        }
        let descriptor = socket(
            AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw AgentError("no socket", remedy: "check the limit of open files")
        }
        return descriptor
    }

    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Bool)
        -> Bool
    {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// Who holds the other end (SO_PEERCRED): the credentials of the moment of connect or listen.
    static func peerUser(_ descriptor: CInt) -> UInt32? {
        // pid, uid, gid: `struct ucred`, which needs _GNU_SOURCE.
        var credentials: (Int32, UInt32, UInt32) = (0, .max, .max)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0,
            length == 12
        else { return nil }
        return credentials.1
    }

    /// Reads until the end, until `isEnough`, or until there is more than `bytesMax`.
    ///
    /// - Returns: nil when the deadline passed or more came.
    static func read(
        _ descriptor: CInt, bytesMax: Int, until deadline: Int64, _ clock: AgentClock,
        isEnough: ([UInt8]) -> Bool = { _ in false }
    ) -> [UInt8]? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while !isEnough(bytes) {
            guard wait(descriptor, CShort(POLLIN), until: deadline, clock) else { return nil }
            let count = recv(descriptor, &chunk, min(chunk.count, bytesMax - bytes.count + 1), 0)
            if count == 0 { return bytes }
            guard count > 0 else { return nil }
            bytes += chunk.prefix(count)
            guard bytes.count <= bytesMax else { return nil }
        }
        return bytes
    }

    /// Writes all, or gives up at the deadline.
    @discardableResult
    static func write(_ descriptor: CInt, _ bytes: [UInt8], until deadline: Int64, _ clock: AgentClock)
        -> Bool
    {
        var offset = 0
        while offset < bytes.count {
            guard wait(descriptor, CShort(POLLOUT), until: deadline, clock) else { return false }
            let count = bytes[offset...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
            }
            if count < 0, errno == EAGAIN || errno == EINTR { continue }
            guard count > 0 else { return false }
            offset += count
        }
        return true
    }

    private static func wait(
        _ descriptor: CInt, _ events: CShort, until deadline: Int64, _ clock: AgentClock
    ) -> Bool {
        while true {
            let left = deadline - clock.nowMilliseconds()
            guard left > 0 else { return false }
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            let count = poll(&entry, 1, CInt(min(left, 60_000)))
            if count > 0 { return true }
            if count < 0, errno != EINTR { return false }
        }
    }
}
