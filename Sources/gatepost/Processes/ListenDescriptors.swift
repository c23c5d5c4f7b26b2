import DataPlane
import Glibc

/// Sockets that systemd listens at for us (sd_listen_fds(3)): descriptors from 3 on, in the order of the socket unit.
enum ListenDescriptors {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// - Returns: the same sockets for every reactor, in the listeners' order; nil: systemd handed none over.
    /// - Throws: `Failure` when they are not those of the configuration: serving elsewhere than configured, or with a
    ///   listener's certificates at another's address, would be worse than not serving.
    private static let systemdVariable = "GATEPOST_SYSTEMD_SOCKETS"
    static var areOfSystemd: Bool { getenv(systemdVariable) != nil }

    static func inherited(_ listeners: [ListenerAddress], workers: Int) throws -> [[Int32]]? {
        defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) } }
        guard let pid = number("LISTEN_PID"), pid == getpid(), let count = number("LISTEN_FDS"), count > 0
        else {
            return nil
        }
        guard Int(count) == listeners.count else {
            throw Failure(
                description: "systemd hands over \(count) sockets for \(listeners.count) listeners; "
                    + "write one ListenStream= for each, in the order of gateway.listeners")
        }
        let handed = (0..<count).map { 3 + $0 }
        for (descriptor, listener) in zip(handed, listeners) {
            let port = DataPlaneEngine.port(of: descriptor)
            guard port != 0, port == listener.port || listener.port == 0 else {
                throw Failure(
                    description: "systemd's socket \(descriptor - 2) is at port \(port), the listener at "
                        + "\(listener.port); write ListenStream= in the order of gateway.listeners")
            }
        }
        // An upgrade's next program has no other way to know it.
        setenv(systemdVariable, "1", 1)
        // Low numbers are wanted for the children, and each reactor closes its own.
        let moved = handed.map { fcntl($0, F_DUPFD_CLOEXEC, 64) }
        for descriptor in handed { close(descriptor) }
        return (0..<workers).map { worker in
            moved.map { worker == 0 ? $0 : fcntl($0, F_DUPFD_CLOEXEC, 64) }
        }
    }

    private static func number(_ name: String) -> Int32? {
        getenv(name).flatMap { Int32(String(cString: $0)) }
    }
}
