import Border
import CLinux
import Glibc

/// One configured upstream address as one reactor sees it: where to connect, how, and who is idle.
///
/// Idle connections are kept per endpoint, and an endpoint includes the TLS identity that was verified, so a
/// connection made for one identity is never used for another.
final class Endpoint {
    let address: UpstreamAddress
    let tls: ClientContext?
    private(set) var socketAddress = sockaddr_storage()
    private(set) var socketAddressLength: socklen_t = 0
    var firstIdle: Int32 = -1
    /// Connects are tried elsewhere first until then (nanoseconds).
    var failedUntilNanoseconds: UInt64 = 0

    init(_ address: UpstreamAddress) throws {
        self.address = address
        if let name = address.serverName {
            tls = try ClientContext(serverName: name, authoritiesPEM: address.authoritiesPEM)
        } else {
            tls = nil
        }
        guard SocketAddress.parse(address.address, address.port, into: &socketAddress, &socketAddressLength)
        else {
            throw TLSConfigurationError(what: "\(address.address) is no numeric IPv4 or IPv6 address")
        }
    }

    /// - Returns: a non-blocking socket whose connect has begun, or nil when that failed at once.
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
        _ = Glibc.close(descriptor)
        return nil
    }
}
