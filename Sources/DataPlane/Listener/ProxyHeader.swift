import Access

/// The header that a load balancer sends before everything else (PROXY protocol version 2, HAProxy's
/// `doc/proxy-protocol.txt` §2.2). Version 1, which is text, is refused by its first byte.
enum ProxyHeader {
    enum Outcome: Equatable {
        /// So many bytes at least are missing, and no more may be read: what follows is TLS.
        case needMore(Int)
        /// The balancer speaks for itself (a health check): its own address is the client's.
        case local
        case client(NetworkAddress)
        case refused(Refusal)
    }

    enum Refusal: String, CaseIterable {
        case signature, version, command, family, tooShort, tooLong, malformedTLV
    }

    /// Addresses, and type-length-value records of certificates and network ids; a balancer sends some hundred bytes.
    static let bytesMax = 4_096
    private static let fixedBytes = 16
    private static let signature: StaticString = "\r\n\r\n\0\r\nQUIT\n"

    /// Reads the header from the start of `bytes`. Every outcome but `.needMore` is final, and the first wrong byte
    /// refuses, whatever is missing behind it.
    static func parse(_ bytes: Span<UInt8>) -> Outcome {
        for index in 0..<min(bytes.count, 12) where bytes[index] != signature.utf8Start[index] {
            return .refused(.signature)
        }
        if bytes.count > 12 {
            guard bytes[12] >> 4 == 2 else { return .refused(.version) }
            guard bytes[12] & 15 <= 1 else { return .refused(.command) }
        }
        guard bytes.count >= fixedBytes else { return .needMore(fixedBytes - bytes.count) }
        let isLocal = bytes[12] & 15 == 0
        // TCP over IPv4 or IPv6. Nobody speaks TLS over datagrams or the balancer's own sockets, and a header
        // that names no address names no client.
        let addressBytes = bytes[13] == 0x11 ? 12 : bytes[13] == 0x21 ? 36 : 0
        guard isLocal || addressBytes > 0 else { return .refused(.family) }
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        guard fixedBytes + length <= bytesMax else { return .refused(.tooLong) }
        guard isLocal || length >= addressBytes else { return .refused(.tooShort) }
        guard bytes.count >= fixedBytes + length else { return .needMore(fixedBytes + length - bytes.count) }
        // What else a local header says is nobody's business (§2.2: "must skip").
        if isLocal { return .local }
        guard areRecords(bytes, from: fixedBytes + addressBytes, to: fixedBytes + length) else {
            return .refused(.malformedTLV)
        }
        return .client(address(bytes, isV4: addressBytes == 12))
    }

    /// Type, two bytes of length, value, until the end exactly. None of them is read.
    private static func areRecords(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Bool {
        var at = start
        while at < end {
            guard end - at >= 3 else { return false }
            at += 3 + (Int(bytes[at + 1]) << 8 | Int(bytes[at + 2]))
        }
        return at == end
    }

    /// The source address stands first.
    private static func address(_ bytes: Span<UInt8>, isV4: Bool) -> NetworkAddress {
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in 0..<(isV4 ? 4 : 16) {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(bytes[fixedBytes + index])
        }
        return isV4
            ? NetworkAddress(v4: UInt32(truncatingIfNeeded: low)) : NetworkAddress(high: high, low: low)
    }
}
