import Foundation
import Glibc
import Signatures
import Testing

@testable import gatepost_agent

/// A listener and a client that is connected to it, both of this process.
final class ConnectedPair {
    let listener: ListeningSocket
    private(set) var client: CInt
    private let accepted: CInt
    let peer: Peer

    /// - Parameter family: of the client; `isMapped` lets an IPv6 client call 127.0.0.1.
    init(_ family: CInt, isMapped: Bool = false) throws {
        let listener = try ListeningSocket(port: 0)
        let client = socket(family, CInt(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        self.client = client
        var storage = sockaddr_storage()
        let length = withUnsafeMutableBytes(of: &storage) { bytes in
            if family == AF_INET6 {
                var address = sockaddr_in6()
                address.sin6_family = sa_family_t(AF_INET6)
                address.sin6_port = listener.port.bigEndian
                address.sin6_addr = in6addr_loopback
                bytes.storeBytes(of: address, as: sockaddr_in6.self)
                let mapped: [UInt8] = [UInt8](repeating: 0, count: 10) + [255, 255, 127, 0, 0, 1]
                if isMapped { bytes[8..<24].copyBytes(from: mapped) }
                return MemoryLayout<sockaddr_in6>.size
            }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = listener.port.bigEndian
            address.sin_addr.s_addr = UInt32(127 << 24 | 1).bigEndian
            bytes.storeBytes(of: address, as: sockaddr_in.self)
            return MemoryLayout<sockaddr_in>.size
        }
        let connected = withUnsafePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(client, $0, socklen_t(length)) }
        }
        try #require(connected == 0, "\(String(cString: strerror(errno)))")
        let version6 = family == AF_INET6 && !isMapped
        let index = version6 ? 1 : 0
        try #require(listener.descriptors.count > index)
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let source = listener.descriptors[index]
        var entry = pollfd(fd: source, events: CShort(POLLIN), revents: 0)
        poll(&entry, 1, 5_000)
        let accepted = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { accept(source, $0, &size) }
        }
        try #require(accepted >= 0)
        self.accepted = accepted
        peer = ListeningSocket.peer(storage, localPort: listener.port)
    }

    func closeClient() {
        close(client)
        client = -1
    }

    deinit {
        if client >= 0 { close(client) }
        close(accepted)
        listener.close()
    }
}

@Suite("Whose browser asks: the kernel's word about the other end of a connection")
struct PeerUserTests {
    static let families: [(CInt, Bool)] = [(AF_INET, false), (AF_INET6, true), (AF_INET6, false)]

    @Test("the owner is found by one question and by the table alike", arguments: families)
    func owner(_ family: CInt, _ isMapped: Bool) throws {
        let pair = try ConnectedPair(family, isMapped: isMapped)
        #expect(pair.peer.isLoopback)
        #expect(SocketDiagnosis.find(pair.peer) == .user(geteuid()))
        #expect(PeerUser.find(pair.peer, root: HostRoot()) == geteuid())
    }

    @Test("a socket that its owner has closed belongs to nobody, and not to root", arguments: families)
    func closed(_ family: CInt, _ isMapped: Bool) throws {
        let pair = try ConnectedPair(family, isMapped: isMapped)
        pair.closeClient()
        #expect(SocketDiagnosis.find(pair.peer) == .nobody)
        #expect(PeerUser.find(pair.peer, root: HostRoot()) == nil)
        #expect(PeerUser.find(pair.peer) == nil)
    }

    @Test("a connection that does not exist has no owner, also when somebody listens on that port")
    func nobody() throws {
        let pair = try ConnectedPair(AF_INET)
        var other = pair.peer
        // Turned round: the kernel finds the listener for this.
        other.port = pair.listener.port
        other.localPort = pair.peer.port == 1 ? 2 : 1
        #expect(SocketDiagnosis.find(other) == .nobody)
        #expect(PeerUser.find(other, root: HostRoot()) == nil)
    }

    @Test("an answer of the kernel is read only when it is about this connection, at every length")
    func answers() throws {
        let peer = Peer(address: 127 << 24 | 1, port: 40_000, localPort: 17_472)
        let request = SocketDiagnosis.request(peer)
        #expect(request.count == 72)
        func answer(_ change: (inout [UInt8]) -> Void = { _ in }) -> SocketDiagnosis.Finding {
            var bytes: [UInt8] = [88, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0]
            bytes += request[24..<72]
            bytes += [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe8, 3, 0, 0, 7, 0, 0, 0]
            change(&bytes)
            return SocketDiagnosis.read(bytes, peer)
        }
        #expect(answer() == .user(1000))
        #expect(answer { $0[17] = 10 } == .nobody, "a listener")
        #expect(answer { $0[20] ^= 1 } == .nobody, "another port")
        #expect(answer { $0[27] ^= 1 } == .nobody, "another address")
        #expect(answer { $0[84] = 0 } == .nobody, "no inode: closed")
        #expect(answer { $0[4] = 3 } == .unavailable, "another message")
        for count in 0..<88 {
            #expect(answer { $0 = Array($0.prefix(count)) } == .unavailable, "\(count) bytes")
        }
        let missing: [UInt8] = [36, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff]
        #expect(SocketDiagnosis.read(missing, peer) == .nobody, "-ENOENT")
        let denied: [UInt8] = [36, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]
        #expect(SocketDiagnosis.read(denied, peer) == .unavailable, "-EPERM")
    }

    @Test("a table line counts only with an owner who still holds the socket") func table() throws {
        let folder = try TemporaryFolder()
        let peer = Peer(address: 127 << 24 | 1, port: 40_000, localPort: 17_472)
        for (state, inode, expected) in [
            ("01", "7", UInt32?(1000)), ("05", "7", 1000), ("01", "0", nil), ("0A", "7", nil),
            ("06", "7", nil),
        ] {
            try folder.put(
                "/proc/net/tcp",
                "  sl  local_address\n"
                    + "   0: 0100007F:9C40 0100007F:4440 \(state) 00000000:00000000 00:00000000 00000000  1000"
                    + "        0 \(inode) 1 0\n")
            #expect(PeerUser.find(peer, root: HostRoot(folder.path)) == expected, "\(state) \(inode)")
        }
    }
}
