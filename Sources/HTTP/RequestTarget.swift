/// Host and request target (RFC 9112 §3.2, RFC 3986 §3.2).

/// A host with an optional port, from the Host field or an absolute-form target.
struct Authority {
    var name: Range<Int>
    var port: UInt16?
    var hasUpperCase = false
    /// The whole of it when it is what is written upstream: lower case, and no zero before the port.
    var asSent: ByteRange?

    /// nil when it is not exactly a host name or address in brackets, and an optional decimal port. No user
    /// information, no escapes, no empty label or trailing dot: each would be a second spelling of one host.
    init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        guard !range.isEmpty, range.count <= HeadLimits.hostBytesMax else { return nil }
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "host at \(range)")
        let nameEnd =
            bytes[unchecked: range.lowerBound] == 91
            ? Authority.bracketsEnd(bytes, range) : Authority.nameEnd(bytes, range)
        guard let nameEnd, nameEnd > range.lowerBound else { return nil }
        name = Range(uncheckedBounds: (range.lowerBound, nameEnd))
        hasUpperCase = WordScan.hasUpperCase(bytes, from: range.lowerBound, to: nameEnd)
        if !hasUpperCase, nameEnd &+ 1 >= range.upperBound || bytes[unchecked: nameEnd &+ 1] != 48 {
            asSent = ByteRange(from: range.lowerBound, to: range.upperBound)
        }
        guard nameEnd < range.upperBound else { return }
        guard bytes[unchecked: nameEnd] == 58,
            let port = Authority.port(bytes, Range(uncheckedBounds: (nameEnd &+ 1, range.upperBound)))
        else { return nil }
        self.port = port
    }

    /// - Precondition: `range` lies in `bytes`; so in the two below.
    @inline(__always)
    private static func nameEnd(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
        var index = range.lowerBound
        var labelStart = index
        while true {
            // What stands behind a host ends the run too, so it may read by words beyond it.
            index = min(WordScan.plainRun(bytes, from: index, to: bytes.count), range.upperBound)
            guard index < range.upperBound else { break }
            let byte = bytes[unchecked: index]
            if byte == 46 {
                guard (1...63).contains(index &- labelStart) else { return nil }
                labelStart = index &+ 1
            } else if !ByteClass.isHostName(byte) {
                break
            }
            index &+= 1
        }
        return (1...63).contains(index &- labelStart) && index &- range.lowerBound <= 253 ? index : nil
    }

    private static func bracketsEnd(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
        var index = range.lowerBound + 1
        while index < range.upperBound, ByteClass.isInBrackets(bytes[index]) { index += 1 }
        guard index < range.upperBound, bytes[index] == 93 else { return nil }
        let count = index - range.lowerBound - 1
        return (2...45).contains(count) ? index + 1 : nil
    }

    @inline(__always)
    private static func port(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt16? {
        guard (1...5).contains(range.count) else { return nil }
        var port = 0
        var index = range.lowerBound
        while index < range.upperBound {
            let digit = bytes[unchecked: index] &- 48
            guard digit < 10 else { return nil }
            port = port &* 10 &+ Int(digit)  // Below 100,000.
            index &+= 1
        }
        return port > 0 ? UInt16(exactly: port) : nil
    }

    /// Lower-cased into the scratch when needed.
    func canonicalName(_ bytes: Span<UInt8>, _ scratch: inout CanonicalScratch) -> CanonicalText {
        guard hasUpperCase else {
            return CanonicalText(
                range: ByteRange(from: name.lowerBound, to: name.upperBound), isInScratch: false)
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
        let question = WordScan.find(63, bytes, from: pathStart, to: target.upperBound)
        path = pathStart..<question
        if question < target.upperBound {
            query = ByteRange(from: question &+ 1, to: target.upperBound)
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
