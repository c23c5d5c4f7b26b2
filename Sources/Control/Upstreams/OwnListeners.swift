import Config
import Glibc

/// Which addresses are this gateway's own: an upstream that leads there would be a loop, and a way around policies.
struct OwnListeners: Sendable {
    private struct Number: Hashable {
        var bytes: [UInt8]
    }
    private let listeners: [(address: Number, port: UInt16)]
    private let hosts: Set<Number>

    /// - Parameter hosts: the addresses of this machine's interfaces.
    init(_ listeners: [ListenerSettings], hosts: [String] = OwnListeners.interfaces()) {
        self.listeners = listeners.compactMap { listener in
            Self.number(listener.address).map { ($0, listener.port) }
        }
        self.hosts = Set(hosts.compactMap(Self.number))
    }

    func include(_ address: String, port: UInt16) -> Bool {
        guard let wanted = Self.number(address) else { return false }
        return listeners.contains { listener in
            guard listener.port == port else { return false }
            if Self.isEvery(listener.address) {
                return Self.isLoopback(wanted) || Self.isEvery(wanted) || hosts.contains(wanted)
            }
            // To connect to "every address" is to connect to the loopback.
            if Self.isEvery(wanted) { return Self.isLoopback(listener.address) }
            return wanted == listener.address
        }
    }

    /// IPv4 in its mapped form, so that both spellings are one.
    private static func number(_ text: String) -> Number? {
        var v4 = in_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            return Number(
                bytes: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
                    + withUnsafeBytes(of: &v4) { Array($0) })
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        return Number(bytes: withUnsafeBytes(of: &v6) { Array($0) })
    }

    private static func isMapped(_ number: Number) -> Bool {
        number.bytes[..<10].allSatisfy { $0 == 0 } && number.bytes[10] == 0xFF && number.bytes[11] == 0xFF
    }

    private static func isEvery(_ number: Number) -> Bool {
        isMapped(number) ? number.bytes[12...].allSatisfy { $0 == 0 } : number.bytes.allSatisfy { $0 == 0 }
    }

    private static func isLoopback(_ number: Number) -> Bool {
        isMapped(number)
            ? number.bytes[12] == 127 : number.bytes[..<15].allSatisfy { $0 == 0 } && number.bytes[15] == 1
    }

    /// getifaddrs(3).
    static func interfaces() -> [String] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [String] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr else { continue }
            let family = Int32(address.pointee.sa_family)
            guard family == AF_INET || family == AF_INET6 else { continue }
            let length = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            guard
                getnameinfo(
                    address, socklen_t(length), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
            else { continue }
            let name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            found.append(String(name.prefix { $0 != "%" }))
        }
        return found
    }
}
