import CLinux
import Glibc

/// An address and port that the gateway listens on.
public struct ListenerAddress: Sendable, Hashable {
    /// Numeric IPv4 or IPv6 address.
    public var address: String
    /// 0: any free port; `DataPlaneEngine.boundPorts` says which one it became.
    public var port: UInt16

    /// - Parameters: as the properties of the same names.
    public init(address: String, port: UInt16) {
        self.address = address
        self.port = port
    }
}

/// A listening socket could not be made.
public struct ListenError: Error, Sendable, CustomStringConvertible {
    public let what: String
    public var description: String { what }
}

/// One reactor's own listening socket: the kernel spreads connections over all that share address and port.
struct ListenSocket: ~Copyable {
    let descriptor: Int32
    let port: UInt16
    /// Somebody else has it, too, and goes on with it when we are gone.
    let isShared: Bool

    /// Takes over a socket that listens already.
    init(adopting descriptor: Int32) {
        self.descriptor = descriptor
        isShared = true
        port = Self.port(of: descriptor)
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags | 0o4000)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    init(_ listener: ListenerAddress) throws {
        var storage = sockaddr_storage()
        var length: socklen_t = 0
        guard SocketAddress.parse(listener.address, listener.port, into: &storage, &length) else {
            throw ListenError(what: "\(listener.address) is no numeric address")
        }
        let descriptor = socket(Int32(storage.ss_family), Int32(SOCK_STREAM.rawValue) | Self.flags, 0)
        guard descriptor >= 0 else { throw Self.failure("socket", listener) }
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, size)
        let bound = withUnsafePointer(to: storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(descriptor, $0, length) }
        }
        guard bound == 0, listen(descriptor, 1_024) == 0 else {
            let error = Self.failure("bind", listener)
            _ = Glibc.close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        isShared = false
        port = Self.port(of: descriptor)
    }

    static func port(of descriptor: Int32) -> UInt16 {
        var actual = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutablePointer(to: &actual) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
        }
        return SocketAddress.port(actual)
    }

    /// Gives the socket to the caller, who closes it.
    consuming func release() -> Int32 {
        let descriptor = self.descriptor
        discard self
        return descriptor
    }

    deinit { _ = close(descriptor) }

    /// SOCK_NONBLOCK and SOCK_CLOEXEC, which the Glibc module has as an enum of another type.
    static var flags: Int32 { 0o4000 | 0o2000000 }

    private static func failure(_ call: String, _ listener: ListenerAddress) -> ListenError {
        ListenError(
            what: "\(call) of \(listener.address):\(listener.port): \(String(cString: strerror(errno)))")
    }
}

/// The listening sockets of one reactor, in the order of the configuration.
struct BoundListeners: ~Copyable {
    private let sockets: UnsafeMutablePointer<ListenSocket>
    private(set) var count = 0

    private init(capacity: Int) { sockets = .allocate(capacity: max(1, capacity)) }

    /// Binds all of them, or throws and leaves none behind.
    static func bind(_ listeners: [ListenerAddress]) throws -> BoundListeners {
        var bound = BoundListeners(capacity: listeners.count)
        for listener in listeners {
            (bound.sockets + bound.count).initialize(to: try ListenSocket(listener))
            bound.count += 1
        }
        return bound
    }

    /// Takes over sockets that listen already.
    static func adopt(_ descriptors: [Int32]) -> BoundListeners {
        var bound = BoundListeners(capacity: descriptors.count)
        for descriptor in descriptors {
            (bound.sockets + bound.count).initialize(to: ListenSocket(adopting: descriptor))
            bound.count += 1
        }
        return bound
    }

    deinit {
        sockets.deinitialize(count: count)
        sockets.deallocate()
    }

    func port(_ index: Int) -> UInt16 { sockets[index].port }

    /// Gives the memory and the sockets to the caller.
    consuming func release() -> UnsafeMutablePointer<ListenSocket> {
        let sockets = self.sockets
        discard self
        return sockets
    }
}
