import Border
import CLinux
import Glibc

/// One upstream address of an application as one reactor sees it: where to connect, how, who is idle, how it fares.
///
/// Idle connections are kept per endpoint, and an endpoint includes the TLS identity that was verified and the one that
/// was shown, so a connection made for one identity is never used for another.
final class Endpoint {
    struct State {
        var firstIdle: Int32 = -1
        /// HTTP/2 connections that may get further streams, newest first, and how many they are.
        var firstConnection: Int32 = -1
        var connections = 0
        /// Requests and tunnels that are open.
        var open: Int32 = 0
        var weight: Int
        /// Of the weighted round robin.
        var credit = 0
        /// No longer configured, or no longer where its name leads: what is open ends, nothing new begins.
        var isGone = false
        var health = EndpointHealth()
        /// A health check is under way.
        var isBeingProbed = false
        var probeAtMilliseconds: UInt64 = 0
        /// What the control plane was told last.
        var told = UpstreamNews.Standing.healthy
    }

    /// Without the weight: that may change while connections stay.
    let address: UpstreamAddress
    let tls: ClientContext?
    /// HTTP/2: agreed in the handshake, or known beforehand where there is none.
    let speaksHTTP2: Bool
    /// `address:port`.
    let name: String
    /// Of `name`: the same wherever it stands in the list.
    let hash: UInt64
    let state: UnsafeMutablePointer<State>
    private let socketAddress: sockaddr_storage
    private let socketAddressLength: socklen_t

    /// - Parameter tls: verifies as the address says; nil where the address is plain HTTP.
    init(_ address: UpstreamAddress, tls: ClientContext?) throws {
        var storage = sockaddr_storage()
        var length = socklen_t(0)
        guard SocketAddress.parse(address.address, address.port, into: &storage, &length) else {
            throw TLSConfigurationError(what: "\(address.address) is no numeric IPv4 or IPv6 address")
        }
        self.address = address.connection
        self.tls = tls
        speaksHTTP2 = address.speaksHTTP2 == true
        name =
            Int32(storage.ss_family) == AF_INET6
            ? "[\(address.address)]:\(address.port)" : "\(address.address):\(address.port)"
        hash = Mixing.hash(name.utf8.span)
        socketAddress = storage
        socketAddressLength = length
        state = .allocate(capacity: 1)
        state.initialize(to: State(weight: max(1, address.weight)))
    }

    deinit { state.deallocate() }

    /// - Returns: a non-blocking socket whose connect has begun, or nil when that failed at once (`errno`).
    func connect() -> Int32? {
        let descriptor = socket(
            Int32(socketAddress.ss_family), Int32(SOCK_STREAM.rawValue) | ListenSocket.flags, 0)
        guard descriptor >= 0 else { return nil }
        SocketAddress.disableNagle(descriptor)
        let result = withUnsafePointer(to: socketAddress) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socketAddressLength)
            }
        }
        if result == 0 || errno == EINPROGRESS { return descriptor }
        let code = errno
        _ = Glibc.close(descriptor)
        errno = code
        return nil
    }
}

extension UpstreamAddress {
    /// What tells one connection from another.
    var connection: UpstreamAddress {
        var connection = self
        connection.weight = 1
        return connection
    }
}
