import Glibc

/// This machine's own IPv4 addresses outside loopback, from which nobody may reach an agent.
enum LocalAddresses {
    /// In host byte order, each once.
    static func outward() -> [UInt32] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [UInt32] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET)
            else { continue }
            let number = UnsafeRawPointer(address).load(as: sockaddr_in.self).sin_addr.s_addr
            let host = UInt32(bigEndian: number)
            if host >> 24 != 127, !found.contains(host) { found.append(host) }
        }
        return found
    }

    static func text(_ address: UInt32) -> String {
        [24, 16, 8, 0].map { String(address >> UInt32($0) & 0xff) }.joined(separator: ".")
    }
}
