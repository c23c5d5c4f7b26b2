/// Host and request target (RFC 9112 §3.2, RFC 3986 §3.2).

/// A host with an optional port, from the Host field or an absolute-form target.
struct Authority {
    var name: Range<Int>
    var port: UInt16?
    var hasUpperCase = false

    /// nil when it is not exactly a host name or address in brackets, and an optional decimal port. No user
    /// information, no escapes, no empty label or trailing dot: each would be a second spelling of one host.
    init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        guard !range.isEmpty, range.count <= HeadLimits.hostBytesMax else { return nil }
        let nameEnd =
            bytes[range.lowerBound] == 91
            ? Authority.bracketsEnd(bytes, range) : Authority.nameEnd(bytes, range)
        guard let nameEnd, nameEnd > range.lowerBound else { return nil }
        name = range.lowerBound..<nameEnd
        for index in name where bytes[index] &- 65 < 26 { hasUpperCase = true }
        guard nameEnd < range.upperBound else { return }
        guard bytes[nameEnd] == 58, let port = Authority.port(bytes, (nameEnd + 1)..<range.upperBound) else {
            return nil
        }
        self.port = port
    }

    private static func nameEnd(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
        var index = range.lowerBound
        var labelStart = index
        while index < range.upperBound {
            let byte = bytes[index]
            if byte == 46 {
                guard (1...63).contains(index - labelStart) else { return nil }
                labelStart = index + 1
            } else if !ByteClass.isLetter(byte), !ByteClass.isHostName(byte) {
                break
            }
            index += 1
        }
        return (1...63).contains(index - labelStart) && index - range.lowerBound <= 253 ? index : nil
    }

    private static func bracketsEnd(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
        var index = range.lowerBound + 1
        while index < range.upperBound, ByteClass.isInBrackets(bytes[index]) { index += 1 }
        guard index < range.upperBound, bytes[index] == 93 else { return nil }
        let count = index - range.lowerBound - 1
        return (2...45).contains(count) ? index + 1 : nil
    }

    private static func port(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt16? {
        guard (1...5).contains(range.count) else { return nil }
        var port = 0
        for index in range {
            guard ByteClass.isDigit(bytes[index]) else { return nil }
            port = port * 10 + Int(bytes[index] &- 48)
        }
        return port > 0 ? UInt16(exactly: port) : nil
    }

    /// Lower-cased into the scratch when needed.
    func canonicalName(_ bytes: Span<UInt8>, _ scratch: inout CanonicalScratch) -> CanonicalText {
        guard hasUpperCase else {
            return CanonicalText(
                range: ByteRange(start: name.lowerBound, count: name.count), isInScratch: false)
        }
        let start = scratch.used
        for index in name { scratch.append(ByteClass.lowered(bytes[index])) }
        return CanonicalText(range: ByteRange(start: start, count: name.count), isInScratch: true)
    }
}

/// The target split into path and query; nothing is decoded yet.
struct RequestTarget {
    var form: CanonicalRequest.TargetForm
    /// Empty when an absolute-form target has no path.
    var path: Range<Int>
    var query: ByteRange?

    init(
        _ bytes: Span<UInt8>, _ target: Range<Int>, method: Method, host: Authority,
        scheme: RequestHeadParser.Scheme
    ) throws(HeadError) {
        let first = bytes[target.lowerBound]
        var pathStart = target.lowerBound
        if first == 47 {
            form = .origin
        } else if first == 42, target.count == 1 {
            guard method == .options else { throw .asteriskWithoutOptions }
            form = .asterisk
            path = target
            return
        } else {
            form = .absolute
            pathStart = try RequestTarget.authorityEnd(bytes, target, host: host, scheme: scheme)
        }
        let question = ByteClass.find(63, bytes, pathStart..<target.upperBound)
        path = pathStart..<question
        if question < target.upperBound {
            query = ByteRange(start: question + 1, count: target.upperBound - question - 1)
        }
        // RFC 9112 §3.2.4: OPTIONS with neither path nor query is about the whole server.
        if path.isEmpty, query == nil, method == .options { form = .asterisk }
    }

    /// RFC 9112 §3.2.2 says the absolute form overrides Host; two different hosts in one request are refused
    /// instead.
    private static func authorityEnd(
        _ bytes: Span<UInt8>, _ target: Range<Int>, host: Authority, scheme: RequestHeadParser.Scheme
    ) throws(HeadError) -> Int {
        let isPlain = ByteClass.startsFolded(bytes, target, "http://")
        let isSecure = ByteClass.startsFolded(bytes, target, "https://")
        guard isPlain || isSecure else { throw .malformedTarget }
        guard isSecure == (scheme == .https) else { throw .schemeMismatch }
        let start = target.lowerBound + (isSecure ? 8 : 7)
        var end = start
        while end < target.upperBound, bytes[end] != 47, bytes[end] != 63 { end += 1 }
        guard let named = Authority(bytes, start..<end) else { throw .malformedTarget }
        guard named.port == host.port, ByteClass.equalFolded(bytes, named.name, host.name) else {
            throw .authorityMismatch
        }
        return end
    }
}
