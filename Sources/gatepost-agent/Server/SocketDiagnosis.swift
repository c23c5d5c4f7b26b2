import Glibc

/// One question to the kernel's socket table (sock_diag(7)): who made the socket at the other end of a
/// connection. A look-up by both addresses, where reading /proc/net/tcp prints every connection there is.
enum SocketDiagnosis {
    /// What the kernel says about one socket.
    enum Finding: Equatable {
        /// Its owner.
        case user(UInt32)
        /// There is no such socket, or nobody holds it any more.
        case nobody
        /// The kernel cannot be asked: the module is missing, or the address family is forbidden here.
        case unavailable
    }

    private static let requestBytes = 72
    /// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h.
    private static let messageType: UInt16 = 20
    private static let netlinkSockDiag: CInt = 4
    private static let familyNetlink: CInt = 16

    /// Looks for the client's socket of a connection to this agent.
    static func find(_ peer: Peer) -> Finding {
        let descriptor = socket(
            familyNetlink, CInt(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), netlinkSockDiag)
        guard descriptor >= 0 else { return .unavailable }
        defer { close(descriptor) }
        // The kernel answers within the call; a second is for a machine that is being stopped.
        var patience = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let question = request(peer)
        guard send(descriptor, question, question.count, 0) == question.count else { return .unavailable }
        var answer = [UInt8](repeating: 0, count: 8192)
        let count = recv(descriptor, &answer, answer.count, 0)
        guard count > 0 else { return .unavailable }
        return read(Array(answer.prefix(count)), peer)
    }

    /// `struct nlmsghdr` and `struct inet_diag_req_v2` of linux/inet_diag.h: numbers in the machine's order,
    /// ports and addresses in the network's.
    static func request(_ peer: Peer) -> [UInt8] {
        var bytes = native(UInt32(requestBytes)) + native(messageType)
        bytes += native(UInt16(1))  // NLM_F_REQUEST
        bytes += native(UInt32(1)) + native(UInt32(0))
        let isVersion6 = peer.address == .ipv6Loopback
        bytes += [UInt8(isVersion6 ? AF_INET6 : AF_INET), UInt8(IPPROTO_TCP), 0, 0]
        bytes += native(UInt32.max)  // every state: the answer says which
        bytes += identity(peer, isVersion6 ? version6Loopback : version4(peer))
        return bytes
    }

    /// - Parameter bytes: one answer of the kernel; `struct inet_diag_msg` behind the header, or an error.
    static func read(_ bytes: [UInt8], _ peer: Peer) -> Finding {
        guard bytes.count >= 20 else { return .unavailable }
        let type = UInt16(bytes[4]) | UInt16(bytes[5]) << 8
        if type == 2 {  // NLMSG_ERROR
            let code = number(bytes, 16)
            return Int32(bitPattern: code) == -ENOENT ? .nobody : .unavailable
        }
        guard type == messageType, bytes.count >= 16 + 72 else { return .unavailable }
        // The kernel falls back to a listener of the same port when the connection is gone: compared, not
        // believed. Established, or the client has only finished sending.
        let states: Set<UInt8> = [1, 4, 5]
        let expected: [[UInt8]] =
            switch peer.address {
            case .ipv4: [identity(peer, version4(peer)), identity(peer, mapped(peer))]
            case .ipv6Loopback: [identity(peer, version6Loopback)]
            case .ipv6Other: []
            }
        // Ports and both addresses; interface and cookie behind them are the kernel's.
        let found = Array(bytes[20..<56])
        guard states.contains(bytes[17]), expected.contains(where: { Array($0.prefix(36)) == found }) else {
            return .nobody
        }
        // Without an inode no process holds the socket, and its owner reads as root.
        guard number(bytes, 84) != 0 else { return .nobody }
        return .user(number(bytes, 80))
    }

    private typealias Addresses = (source: [UInt8], destination: [UInt8])

    /// `struct inet_diag_sockid`, seen from the client.
    private static func identity(_ peer: Peer, _ addresses: Addresses) -> [UInt8] {
        let ports = [UInt8(peer.port >> 8), UInt8(peer.port & 255)]
        let local = [UInt8(peer.localPort >> 8), UInt8(peer.localPort & 255)]
        return ports + local + addresses.source + addresses.destination
            + native(UInt32(0)) + native(UInt32.max) + native(UInt32.max)
    }

    private static func version4(_ peer: Peer) -> Addresses {
        let rest = [UInt8](repeating: 0, count: 12)
        return (octets(peer) + rest, [127, 0, 0, 1] + rest)
    }

    /// A client with an IPv6 socket that reaches 127.0.0.1.
    private static func mapped(_ peer: Peer) -> Addresses {
        let prefix = [UInt8](repeating: 0, count: 10) + [255, 255]
        return (prefix + octets(peer), prefix + [127, 0, 0, 1])
    }

    private static var version6Loopback: Addresses {
        let address = [UInt8](repeating: 0, count: 15) + [1]
        return (address, address)
    }

    private static func octets(_ peer: Peer) -> [UInt8] {
        guard case .ipv4(let number) = peer.address else { return [0, 0, 0, 0] }
        return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> UInt32($0)) }
    }

    private static func native<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number) { Array($0) }
    }

    /// Little-endian, as on every machine that we run on.
    private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }
}
