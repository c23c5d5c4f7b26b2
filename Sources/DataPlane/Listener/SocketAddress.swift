import Access
import CLinux
import Glibc

/// An address as people read it, without an allocation.
struct AddressText {
    private(set) var bytes = InlineArray<39, UInt8>(repeating: 0)
    /// How many of `bytes` are in use.
    private(set) var count = 0

    init(_ address: NetworkAddress) {
        count = withUnsafeMutableBytes(of: &bytes) { raw in
            raw.baseAddress.map {
                SocketAddress.write(address, to: $0.assumingMemoryBound(to: UInt8.self))
            } ?? 0
        }
    }
}

/// Numeric addresses to and from the kernel's form. Names are resolved by the control plane, never here.
enum SocketAddress {
    static func parse(
        _ text: String, _ port: UInt16, into storage: inout sockaddr_storage, _ length: inout socklen_t
    ) -> Bool {
        var v4 = sockaddr_in()
        if inet_pton(AF_INET, text, &v4.sin_addr) == 1 {
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = port.bigEndian
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: v4, as: sockaddr_in.self) }
            return true
        }
        var v6 = sockaddr_in6()
        guard inet_pton(AF_INET6, text, &v6.sin6_addr) == 1 else { return false }
        v6.sin6_family = sa_family_t(AF_INET6)
        v6.sin6_port = port.bigEndian
        length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: v6, as: sockaddr_in6.self) }
        return true
    }

    /// The address as 128 bits; IPv4 in its mapped form.
    static func networkAddress(_ storage: sockaddr_storage) -> NetworkAddress {
        withUnsafeBytes(of: storage) { raw in
            if Int32(storage.ss_family) == AF_INET {
                let v4 = raw.loadUnaligned(as: sockaddr_in.self)
                return NetworkAddress(v4: UInt32(bigEndian: v4.sin_addr.s_addr))
            }
            // sin6_addr begins after family, port and flow information.
            return NetworkAddress(
                high: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                low: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)))
        }
    }

    static func port(_ storage: sockaddr_storage) -> UInt16 {
        withUnsafeBytes(of: storage) {
            UInt16(bigEndian: $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        }
    }

    /// Small answers must leave at once; batching is done by corking.
    static func disableNagle(_ descriptor: Int32) {
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    /// The kernel takes so much that it cannot send yet, and no more: what a slow client has not read shows up here
    /// soon enough to see that it is reading, and its memory stays ours to bound (tcp(7), TCP_NOTSENT_LOWAT).
    private static let unsentBytesMax: Int32 = 128 << 10

    static func boundUnsent(_ descriptor: Int32) {
        var bytes = unsentBytesMax
        setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Writes the address as text (dotted, or eight groups in hex) and returns the number of bytes, at most
    /// 39.
    static func write(_ address: NetworkAddress, to target: UnsafeMutablePointer<UInt8>) -> Int {
        var count = 0
        guard address.high != 0 || address.low >> 32 != 0xffff else {
            for part in 0..<4 {
                if part > 0 { put(UInt8(ascii: "."), target, &count) }
                let byte = UInt8(truncatingIfNeeded: address.low >> (24 - UInt64(part) * 8))
                if byte >= 100 { put(48 + byte / 100, target, &count) }
                if byte >= 10 { put(48 + byte / 10 % 10, target, &count) }
                put(48 + byte % 10, target, &count)
            }
            return count
        }
        for part in 0..<8 {
            if part > 0 { put(UInt8(ascii: ":"), target, &count) }
            let half = part < 4 ? address.high : address.low
            let group = UInt16(truncatingIfNeeded: half >> (48 - UInt64(part % 4) * 16))
            var isLeading = true
            for digit in 0..<4 {
                let value = UInt8(truncatingIfNeeded: group >> (12 - UInt16(digit) * 4)) & 0xf
                if isLeading && value == 0 && digit < 3 { continue }
                isLeading = false
                put(value < 10 ? 48 + value : 87 + value, target, &count)
            }
        }
        return count
    }

    private static func put(_ byte: UInt8, _ target: UnsafeMutablePointer<UInt8>, _ count: inout Int) {
        target[count] = byte
        count += 1
    }
}
