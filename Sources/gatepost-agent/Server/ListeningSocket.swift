import Glibc

/// Bound sockets on 127.0.0.1 and, where the machine has it, ::1, both on one port; whoever runs a server
/// with them closes them.
struct ListeningSocket: Sendable {
    /// One for each address.
    let descriptors: [CInt]
    let port: UInt16

    /// - Parameter port: 0 takes a free one.
    init(port: UInt16) throws(AgentError) {
        let first = Self.bound(AF_INET, port)
        guard let descriptor = first.descriptor else {
            throw AgentError(
                "127.0.0.1:\(port) cannot be bound: \(String(cString: strerror(first.error)))",
                remedy: first.error == EADDRINUSE
                    ? "another program listens there (a Tanium client uses 17472); see: ss -tlnp"
                    : "a unit's SocketBindAllow may forbid it; choose another with --port")
        }
        self.port = first.port
        // Names like localhost may mean ::1 first. A machine without IPv6 is complete without it.
        let second = Self.bound(AF_INET6, first.port)
        descriptors = [descriptor] + (second.descriptor.map { [$0] } ?? [])
        isVersion6Taken = second.error == EADDRINUSE
    }

    /// Somebody else listens on ::1 with this port: whoever calls the agent by the name localhost may get
    /// them. They learn nothing (challenges are public) and prove nothing.
    let isVersion6Taken: Bool

    func close() { for descriptor in descriptors { _ = Glibc.close(descriptor) } }

    private static func bound(_ family: CInt, _ port: UInt16) -> (
        descriptor: CInt?, port: UInt16, error: CInt
    ) {
        let descriptor = socket(
            family, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return (nil, 0, errno) }
        var yes: CInt = 1
        let size = socklen_t(MemoryLayout<CInt>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, size)
        if family == AF_INET6 { setsockopt(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, &yes, size) }
        var storage = sockaddr_storage()
        var length = fill(&storage, family, port)
        let failure: CInt = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                guard bind(descriptor, pointer, length) == 0, listen(descriptor, 64) == 0,
                    getsockname(descriptor, pointer, &length) == 0
                else { return errno }
                return 0
            }
        }
        guard failure == 0 else {
            _ = Glibc.close(descriptor)
            return (nil, 0, failure)
        }
        return (descriptor, Self.port(storage), 0)
    }

    private static func fill(_ storage: inout sockaddr_storage, _ family: CInt, _ port: UInt16)
        -> socklen_t
    {
        withUnsafeMutableBytes(of: &storage) { bytes in
            if family == AF_INET6 {
                var address = sockaddr_in6()
                address.sin6_family = sa_family_t(AF_INET6)
                address.sin6_port = port.bigEndian
                address.sin6_addr = in6addr_loopback
                bytes.storeBytes(of: address, as: sockaddr_in6.self)
                return socklen_t(MemoryLayout<sockaddr_in6>.size)
            }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(127 << 24 | 1).bigEndian
            bytes.storeBytes(of: address, as: sockaddr_in.self)
            return socklen_t(MemoryLayout<sockaddr_in>.size)
        }
    }

    /// The same place in both families.
    private static func port(_ storage: sockaddr_storage) -> UInt16 {
        withUnsafeBytes(of: storage) { UInt16(bigEndian: $0.load(as: sockaddr_in.self).sin_port) }
    }

    /// Who called, from what `accept` filled in.
    static func peer(_ storage: sockaddr_storage, localPort: UInt16) -> Peer {
        withUnsafeBytes(of: storage) { bytes in
            guard storage.ss_family == sa_family_t(AF_INET6) else {
                let address = bytes.load(as: sockaddr_in.self)
                return Peer(
                    address: UInt32(bigEndian: address.sin_addr.s_addr),
                    port: UInt16(bigEndian: address.sin_port),
                    localPort: localPort)
            }
            let address = bytes.load(as: sockaddr_in6.self)
            let octets = withUnsafeBytes(of: address.sin6_addr) { Array($0) }
            let isLoopback = octets == [UInt8](repeating: 0, count: 15) + [1]
            return Peer(
                address: isLoopback ? .ipv6Loopback : .ipv6Other, port: UInt16(bigEndian: address.sin6_port),
                localPort: localPort)
        }
    }
}
