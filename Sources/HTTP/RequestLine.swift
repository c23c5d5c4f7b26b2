/// The request line and the status line (RFC 9112 §2.3, §3, §4).

struct RequestLine {
    var method: Method
    var methodRange: ByteRange
    var target: ByteRange
    var version: HTTPVersion
    /// Offset of the first field line.
    var end: Int

    /// One empty line before it is skipped (RFC 9112 §2.2), a second one is not.
    init(_ bytes: Span<UInt8>, to end: Int, targetBytesMax: Int) throws(HeadStop) {
        var index = 0
        if index < end, bytes[index] == 13 {
            try HeadScan.expectLineFeed(bytes, at: 1, to: end)
            index = 2
            if index < end, bytes[index] == 13 || bytes[index] == 10 { throw .refused(.leadingEmptyLines) }
        }
        var methodEnd = index
        method = .other
        if let token = WordScan.shortToken(bytes, at: index, to: end) {
            method = Method(word: token.word, count: token.count)
            methodEnd = index &+ token.count
        }
        if method == .other {
            methodEnd = try RequestLine.methodEnd(bytes, from: index, to: end)
            method = Method(bytes, index..<methodEnd)
            if Method.isRefused(bytes, index..<methodEnd) { throw .refused(.methodNotImplemented) }
        }
        methodRange = ByteRange(from: index, to: methodEnd)
        let targetStart = methodEnd &+ 1
        let targetEnd = try RequestLine.targetEnd(bytes, from: targetStart, to: end, bytesMax: targetBytesMax)
        target = ByteRange(from: targetStart, to: targetEnd)
        version = try HTTPVersion(bytes, at: targetEnd &+ 1, to: end)
        let lineEnd = targetEnd &+ 1 &+ HTTPVersion.byteCount
        self.end = lineEnd &+ 2
        if lineEnd &+ 1 < end, bytes[lineEnd] == 13, bytes[lineEnd &+ 1] == 10 { return }
        guard lineEnd < end else { throw .needMore }
        guard bytes[lineEnd] == 13 else {
            throw .refused(bytes[lineEnd] == 10 ? .bareLineFeed : .malformedVersion)
        }
        try HeadScan.expectLineFeed(bytes, at: lineEnd + 1, to: end)
    }

    private static func methodEnd(_ bytes: Span<UInt8>, from start: Int, to end: Int) throws(HeadStop) -> Int
    {
        var index = start
        while index < end, ByteClass.isLetter(bytes[index]) || ByteClass.isToken(bytes[index]) {
            index += 1
            if index - start > HeadLimits.methodBytesMax { throw .refused(.methodTooLong) }
        }
        guard index < end else { throw .needMore }
        if bytes[index] == 10 { throw .refused(.bareLineFeed) }
        guard bytes[index] == 32, index > start else { throw .refused(.malformedRequestLine) }
        return index
    }

    @inline(__always)
    private static func targetEnd(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, bytesMax: Int
    ) throws(HeadStop) -> Int {
        let most = end - start > bytesMax ? start + bytesMax + 1 : end
        let index = WordScan.targetRun(bytes, from: start, to: most)
        if index - start > bytesMax { throw .refused(.targetTooLong) }
        guard index < end else { throw .needMore }
        let byte = bytes[index]
        guard byte == 32, index > start else { throw .refused(targetError(byte)) }
        return index
    }

    private static func targetError(_ byte: UInt8) -> HeadError {
        switch byte {
        case 10: .bareLineFeed
        case 13, 32: .malformedRequestLine  // HTTP/0.9 ends its line here; two spaces leave an empty target.
        case 35: .fragmentInTarget
        default: .invalidTargetByte
        }
    }
}

struct StatusLine {
    var version: HTTPVersion
    var status: Int
    var reasonPhrase: ByteRange
    /// Offset of the first field line.
    var end: Int

    /// The space and the reason phrase may be missing together: servers do that, and nothing depends on them.
    init(_ bytes: Span<UInt8>, to end: Int) throws(HeadStop) {
        version = try HTTPVersion(bytes, at: 0, to: end)
        var index = HTTPVersion.byteCount
        guard index < end else { throw .needMore }
        guard bytes[index] == 32 else { throw .refused(.malformedStatusLine) }
        index += 1
        status = 0
        for position in 0..<3 {
            guard index < end else { throw .needMore }
            let digit = bytes[index] &- 48
            // 1xx to 5xx only: RFC 9110 §15 gives no meaning to others.
            guard digit < 10, position > 0 || (1...5).contains(digit) else {
                throw .refused(.malformedStatusLine)
            }
            status = status * 10 + Int(digit)
            index += 1
        }
        guard index < end else { throw .needMore }
        guard bytes[index] == 32 || bytes[index] == 13 else {
            throw .refused(bytes[index] == 10 ? .bareLineFeed : .malformedStatusLine)
        }
        if bytes[index] == 32 { index += 1 }
        let lineEnd = try HeadScan.valueEnd(bytes, from: index, to: end)
        reasonPhrase = ByteRange(start: index, count: lineEnd - index)
        self.end = lineEnd + 2
    }
}

extension HTTPVersion {
    static let byteCount = 8

    /// `HTTP/1.0` or `HTTP/1.1` at an offset (RFC 9112 §2.3).
    @inline(__always)
    init(_ bytes: Span<UInt8>, at start: Int, to end: Int) throws(HeadStop) {
        if end - start >= 8, WordScan.word(bytes, at: start, count: 8) == 0x312e_312f_5054_5448 {
            self = .http11  // "HTTP/1.1", the lowest byte first.
            return
        }
        self = try HTTPVersion(byBytes: bytes, at: start, to: end)
    }

    /// The same byte by byte: for 1.0, for refusals, and for what has not arrived in full.
    @inline(never)
    private init(byBytes bytes: Span<UInt8>, at start: Int, to end: Int) throws(HeadStop) {
        let name: StaticString = "HTTP/"
        for offset in 0..<HTTPVersion.byteCount {
            guard start + offset < end else { throw .needMore }
            let byte = bytes[start + offset]
            let isExpected =
                switch offset {
                case 0..<5: byte == name.utf8Start[offset]
                case 6: byte == 46
                default: ByteClass.isDigit(byte)
                }
            guard isExpected else { throw .refused(byte == 10 ? .bareLineFeed : .malformedVersion) }
        }
        guard bytes[start + 5] == 49, bytes[start + 7] &- 48 < 2 else { throw .refused(.unsupportedVersion) }
        self = bytes[start + 7] == 49 ? .http11 : .http10
    }
}
