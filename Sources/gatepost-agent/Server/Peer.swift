/// Where a connection comes from, by the kernel's word.
struct Peer: Sendable, Hashable {
    /// The agent listens on both loopback addresses, so there is only one of IPv6.
    enum Address: Sendable, Hashable {
        /// In host byte order.
        case ipv4(UInt32)
        /// ::1.
        case ipv6Loopback
        /// Anything else of IPv6; nobody can come from there, and it is refused if somebody does.
        case ipv6Other
    }

    var address: Address
    var port: UInt16
    /// The agent's port that was called.
    var localPort: UInt16

    init(address: Address, port: UInt16, localPort: UInt16) {
        self.address = address
        self.port = port
        self.localPort = localPort
    }

    /// - Parameter address: IPv4 in host byte order.
    init(address: UInt32, port: UInt16, localPort: UInt16) {
        self.init(address: .ipv4(address), port: port, localPort: localPort)
    }

    var isLoopback: Bool {
        switch address {
        case .ipv4(let number): number >> 24 == 127
        case .ipv6Loopback: true
        case .ipv6Other: false
        }
    }
}
