import Access
import Border

/// Who the client is by the word of proxies that are trusted: each appends the address that it saw, so the
/// client is the rightmost address that is none of theirs. What stands further left is whatever the client
/// wrote itself.
struct ForwardedChain {
    enum Found: Equatable {
        /// Nothing was named.
        case none
        case client(NetworkAddress)
        /// The place where the client's address stands holds something else (`unknown`, a name, nonsense).
        case unclear
    }

    static let elementsMax = 32

    private(set) var found = Found.none
    private var elements = 0
    private let trusted: [NetworkRange]

    /// - Parameter trusted: the proxies.
    init(trusted: [NetworkRange]) { self.trusted = trusted }

    /// Reads one line's value; lines are read in the order in which they stand.
    ///
    /// - Returns: false when it is no list, or there are more than `elementsMax` elements.
    mutating func read(_ value: Span<UInt8>, _ field: ClientAddressTrust.Field) -> Bool {
        switch field {
        case .xForwardedFor: readAddresses(value)
        case .forwarded: readForwarded(value)
        }
    }

    /// If all are trusted the leftmost one is it: nobody else was there.
    private mutating func take(_ address: NetworkAddress?) -> Bool {
        elements += 1
        guard let address else {
            found = .unclear
            return elements <= Self.elementsMax
        }
        let isTrusted = trusted.contains { $0.contains(address) }
        if !isTrusted || found == .none { found = .client(address) }
        return elements <= Self.elementsMax
    }

    // MARK: X-Forwarded-For

    private mutating func readAddresses(_ value: Span<UInt8>) -> Bool {
        var start = 0
        while start <= value.count {
            var end = start
            while end < value.count, value[end] != UInt8(ascii: ",") { end += 1 }
            guard take(Self.address(Self.trimmed(value, start..<end))) else { return false }
            start = end + 1
        }
        return true
    }

    private static func trimmed(_ value: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in range { bytes.append(value[index]) }
        while let last = bytes.last, last == 32 || last == 9 { bytes.removeLast() }
        return Array(bytes.drop { $0 == 32 || $0 == 9 })
    }

    // MARK: Forwarded (RFC 7239 §4)

    private mutating func readForwarded(_ value: Span<UInt8>) -> Bool {
        var at = 0
        while true {
            var node: [UInt8]?
            while true {
                Self.skipBlanks(value, &at)
                if at < value.count, value[at] != UInt8(ascii: ";"), value[at] != UInt8(ascii: ",") {
                    guard let pair = Self.pair(value, &at) else { return false }
                    if pair.name == Array("for".utf8) {
                        // RFC 7239 §4: each parameter once.
                        guard node == nil else { return false }
                        node = pair.value
                    }
                }
                Self.skipBlanks(value, &at)
                guard at < value.count, value[at] == UInt8(ascii: ";") else { break }
                at += 1
            }
            guard take(node.flatMap(Self.address)) else { return false }
            guard at < value.count else { return true }
            guard value[at] == UInt8(ascii: ",") else { return false }
            at += 1
        }
    }

    /// `name=value`, the name in lower case.
    private static func pair(_ value: Span<UInt8>, _ at: inout Int) -> (name: [UInt8], value: [UInt8])? {
        let name = token(value, &at).map { (65...90).contains($0) ? $0 | 0x20 : $0 }
        guard !name.isEmpty, at < value.count, value[at] == UInt8(ascii: "=") else { return nil }
        at += 1
        guard at < value.count, value[at] == UInt8(ascii: "\"") else {
            let text = token(value, &at)
            return text.isEmpty ? nil : (name, text)
        }
        at += 1
        var text: [UInt8] = []
        while at < value.count, value[at] != UInt8(ascii: "\"") {
            if value[at] == UInt8(ascii: "\\") {
                at += 1
                guard at < value.count else { return nil }
            }
            text.append(value[at])
            at += 1
        }
        guard at < value.count else { return nil }
        at += 1
        return (name, text)
    }

    private static func token(_ value: Span<UInt8>, _ at: inout Int) -> [UInt8] {
        var text: [UInt8] = []
        while at < value.count {
            let byte = value[at]
            let isDelimiter = "\"(),/:;<=>?@[\\]{}".utf8.contains(byte)
            guard byte > 32, byte < 127, !isDelimiter else { break }
            text.append(byte)
            at += 1
        }
        return text
    }

    private static func skipBlanks(_ value: Span<UInt8>, _ at: inout Int) {
        while at < value.count, value[at] == 32 || value[at] == 9 { at += 1 }
    }

    // MARK: Addresses

    /// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; ports are looked at and left.
    static func address(_ bytes: [UInt8]) -> NetworkAddress? {
        guard bytes.count <= 64 else { return nil }
        var host = bytes[...]
        var port: ArraySlice<UInt8>?
        if bytes.first == UInt8(ascii: "[") {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            host = bytes[1..<end]
            let rest = bytes[(end + 1)...]
            guard host.contains(UInt8(ascii: ":")), rest.isEmpty || rest.first == UInt8(ascii: ":") else {
                return nil
            }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if bytes.count(where: { $0 == UInt8(ascii: ":") }) == 1,
            let colon = bytes.firstIndex(of: UInt8(ascii: ":"))
        {
            host = bytes[..<colon]
            port = bytes[(colon + 1)...]
        }
        if let port {
            guard (1...5).contains(port.count), port.allSatisfy({ (48...57).contains($0) }) else {
                return nil
            }
        }
        return NetworkAddress(parsing: String(decoding: host, as: UTF8.self))
    }
}
