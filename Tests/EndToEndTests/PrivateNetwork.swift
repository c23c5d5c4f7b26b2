import Foundation
import Glibc
import Synchronization

/// Why the suite cannot go on, with what to do about it.
struct Failure: Error, CustomStringConvertible {
    var description: String
}

/// A network of the suite's own, in which the gateway stands on a public address.
///
/// With the gateway on loopback Chromium lets every page reach the local agent, so such a test would prove
/// nothing: only a page of a *public* address needs the permission. In here 203.0.113.10 is the gateway and
/// 203.0.113.20 the identity provider, both on this network's own loopback interface; nothing leaves the
/// machine and no port collides. Names come from an /etc/hosts that only this network sees.
///
/// A namespace belongs to a thread, not to a process: one thread enters it and does everything that must
/// happen inside. Children and sockets made there stay there, and all is gone when the test process ends.
final class PrivateNetwork: Sendable {
    static let gatewayAddress = "203.0.113.10"
    static let providerAddress = "203.0.113.20"
    static let authHost = "auth.corp.test"
    static let providerHost = "idp.corp.test"
    static let applicationHosts =
        [
            "wiki", "handbook", "people", "desk", "vault", "intranet", "ledger", "portal", "safe", "clinic",
            "calls", "lobby", "strongroom", "archive", "robots", "brief", "bureau",
        ].map { "\($0).corp.test" } + [hostileHost]
    /// Of another site: nothing of its cookies or windows is shared with the others.
    static let hostileHost = "www.evil.test"

    private static let displays = "/tmp/.X11-unix"

    private static let entered = Result { try PrivateNetwork() }

    /// The one network of this process; entered at the first use.
    static func shared() throws -> PrivateNetwork { try entered.get() }

    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let arrivals = DispatchSemaphore(value: 0)

    private init() throws {
        let thread = Thread { [self] in
            while true {
                arrivals.wait()
                jobs.withLock { $0.isEmpty ? nil : $0.removeFirst() }?()
            }
        }
        thread.name = "private-network"
        thread.start()
        try inside { try Self.enter() }
        try arrange()
    }

    /// Does something on the thread that is inside, and waits for it.
    func inside<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        let slot = Slot<Value>()
        jobs.withLock { jobs in
            jobs.append {
                let result = Result { try body() }
                slot.result.withLock { $0 = result }
                slot.done.signal()
            }
        }
        arrivals.signal()
        slot.done.wait()
        guard let result = slot.result.withLock({ $0 }) else {
            throw Failure(description: "no answer from inside the private network")
        }
        return try result.get()
    }

    /// A connection to a port of this network's loopback; reads and writes end after a minute.
    func connect(port: Int) throws -> Int32 {
        try inside {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(UInt16(port)).bigEndian
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            let isConnected = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
            guard isConnected else {
                close(descriptor)
                throw Failure(description: "nothing listens on 127.0.0.1:\(port) of the private network")
            }
            var limit = timeval(tv_sec: 60, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            return descriptor
        }
    }

    /// Gives the browsers that start during `body` a managed policy; the machine's own stay untouched.
    func withChromiumPolicy(_ json: String, in folder: URL, _ body: () throws -> Void) throws {
        let settings = folder.appending(path: "chromium-settings")
        let managed = settings.appending(path: "policies/managed")
        try FileManager.default.createDirectory(at: managed, withIntermediateDirectories: true)
        try json.write(to: managed.appending(path: "gatepost.json"), atomically: true, encoding: .utf8)
        _ = try Child.output(of: "/bin/mount", ["--bind", settings.path, "/etc/chromium"], in: self)
        defer { _ = try? Child.output(of: "/bin/umount", ["/etc/chromium"], in: self) }
        try body()
    }

    /// unshare(2) is not part of Swift's Glibc module, so it is looked up by name.
    private static func enter() throws {
        typealias Unshare = @convention(c) (Int32) -> Int32
        guard let symbol = dlsym(nil, "unshare") else {
            throw Failure(description: "this libc has no unshare")
        }
        let newNetwork: Int32 = 0x4000_0000
        let newMounts: Int32 = 0x0002_0000
        guard unsafeBitCast(symbol, to: Unshare.self)(newNetwork | newMounts) == 0 else {
            throw Failure(
                description: """
                    the end-to-end suite needs a network namespace of its own, and the kernel refused one \
                    (\(String(cString: strerror(errno)))). Run it as root (in a container with \
                    --cap-add SYS_ADMIN), or as scripts/test does for everybody else: \
                    unshare --map-root-user swift test --filter EndToEndTests
                    """)
        }
    }

    private func arrange() throws {
        let folder = NSTemporaryDirectory() + "gatepost-e2e-hosts-\(getpid())"
        let hosts =
            "127.0.0.1 localhost\n"
            + "\(Self.gatewayAddress) \(([Self.authHost] + Self.applicationHosts).joined(separator: " "))\n"
            + "\(Self.providerAddress) \(Self.providerHost)\n"
        try hosts.write(toFile: folder, atomically: true, encoding: .utf8)
        defer { unlink(folder) }
        let steps: [[String]] = [
            ["/sbin/ip", "link", "set", "lo", "up"],
            ["/sbin/ip", "address", "add", "\(Self.gatewayAddress)/32", "dev", "lo"],
            ["/sbin/ip", "address", "add", "\(Self.providerAddress)/32", "dev", "lo"],
            // Without this the mount below would be seen by the whole machine.
            ["/bin/mount", "--make-rprivate", "/"],
            ["/bin/mount", "--bind", folder, "/etc/hosts"],
            // A display is found by a socket in there, and each suite beside this one takes number 0.
            ["/bin/mkdir", "--parents", Self.displays],
            ["/bin/mount", "-t", "tmpfs", "-o", "mode=1777", "displays", Self.displays],
        ]
        for step in steps {
            let (status, output) = try Child.output(of: step[0], Array(step.dropFirst()), in: self)
            guard status == 0 else { throw Failure(description: "\(step.joined(separator: " ")): \(output)") }
        }
    }
}

/// Where the thread inside leaves its answer.
private final class Slot<Value: Sendable>: Sendable {
    let result = Mutex<Result<Value, any Error>?>(nil)
    let done = DispatchSemaphore(value: 0)
}
