import CLinux
import Foundation

/// A blocking socket of a test with a deadline on every wait.
struct TestSocket: Sendable {
    static let patienceMilliseconds: Int32 = 10_000
    let descriptor: Int32

    static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    static func listening() -> (TestSocket, UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = address(0)
        withUnsafePointer(to: &address) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        sendAtOnce(descriptor)
        listen(descriptor, 256)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return (TestSocket(descriptor: descriptor), UInt16(bigEndian: address.sin_port))
    }

    static func connected(_ port: UInt16) -> TestSocket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = address(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        sendAtOnce(descriptor)
        precondition(result == 0, "connect to port \(port): errno \(errno)")
        return TestSocket(descriptor: descriptor)
    }

    /// What a test writes in two pieces arrives so: else the second one waits until the first was acknowledged (RFC
    /// 9293 §3.7.4), which takes 40 ms. Sockets that a listener accepts have what it has.
    private static func sendAtOnce(_ descriptor: Int32) {
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    func waitReadable(_ milliseconds: Int32 = patienceMilliseconds) -> Bool {
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&poller, 1, milliseconds) > 0
    }

    func waitWritable(_ milliseconds: Int32 = patienceMilliseconds) -> Bool {
        var poller = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&poller, 1, milliseconds) > 0
    }

    /// nil at the end, on a reset or when patience is over.
    func read(_ count: Int = 65_536) -> [UInt8]? {
        guard waitReadable() else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        let received = Glibc.read(descriptor, &bytes, count)
        return received > 0 ? Array(bytes[..<received]) : nil
    }

    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            guard waitWritable() else { return false }
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    @discardableResult
    func write(_ text: String) -> Bool { write(Array(text.utf8)) }

    func shutdownWrite() { shutdown(descriptor, Int32(SHUT_WR)) }
    func close() { _ = Glibc.close(descriptor) }
}
