/// Takes the field lines of one HTTP/2 request as they are decoded and writes them as one HTTP/1.1 head, so that the
/// one parser judges every request and policy sees the same canonical request whatever the client speaks.
///
/// Everything that could mean something else in the head than it meant in the frame is refused here: line ends, blanks
/// in the request line, upper-case names, a second authority, fields that frame or steer a connection. All other rules
/// are the parser's.
public struct HTTP2RequestHead: Sendable {
    /// What a line came to.
    public enum Outcome: Sendable, Hashable {
        /// It is kept.
        case taken
        /// The request breaks this rule.
        case malformed(HTTP2HeadError)
        /// The lines no longer fit: answer 431.
        case tooLarge
    }

    /// What kind of stream the head opens.
    public enum Kind: Sendable, Hashable {
        /// A message with or without a body.
        case message
        /// Extended CONNECT for WebSocket (RFC 8441 §5): written as an upgrade, its data is a tunnel.
        case webSocket
        /// CONNECT of any other kind: the parser answers 501.
        case connect
    }

    /// Longest value of a pseudo-field but `:path`.
    private static var shortValueMax: Int { 1_024 }

    private(set) var lineBytes = 0
    private(set) var cookieBytes = 0
    private(set) var method: Range<Int>?
    private(set) var scheme: Range<Int>?
    private(set) var path: Range<Int>?
    private(set) var authority: Range<Int>?
    private(set) var protocolName: Range<Int>?
    /// Offset of the first ordinary line; nil while pseudo-fields come.
    private(set) var firstLine: Int?
    private(set) var host: Range<Int>?
    /// What the last Content-Length line says, in bytes; beyond reach where it is no length, which the parser
    /// refuses. nil without such a line: then the body needs a coding.
    public private(set) var contentLength: Int64?
    private(set) var isSchemePlain = false
    /// A trailer section, which has no pseudo-fields.
    public let isTrailer: Bool

    /// - Parameter isTrailer: a trailer section, which has no pseudo-fields.
    public init(isTrailer: Bool = false) { self.isTrailer = isTrailer }

    /// Bytes of storage for heads of at most `headBytesMax`: one half takes lines, the other one cookies.
    public static func storageBytes(headBytesMax: Int) -> Int { 2 * (headBytesMax + shortValueMax) }

    /// Takes one line.
    ///
    /// - Parameter storage: the same for all lines of a head; the caller's.
    public mutating func add(
        name: Span<UInt8>, value: Span<UInt8>, into storage: UnsafeMutableRawBufferPointer
    ) -> Outcome {
        guard !name.isEmpty else { return .malformed(.emptyName) }
        guard Self.isValue(value) else { return .malformed(.invalidValue) }
        if name[0] == 58 { return addPseudo(name, value, storage) }
        for index in name.indices where !ByteClass.isToken(name[index]) || name[index] &- 65 < 26 {
            return .malformed(.invalidName)
        }
        if firstLine == nil { firstLine = lineBytes }
        return addLine(name, value, storage)
    }

    /// RFC 9113 §8.2.1: no NUL, CR or LF, and no blank at either end.
    private static func isValue(_ value: Span<UInt8>) -> Bool {
        for index in value.indices where value[index] == 0 || value[index] == 10 || value[index] == 13 {
            return false
        }
        guard let last = value.indices.last else { return true }
        return !ByteClass.isBlank(value[0]) && !ByteClass.isBlank(value[last])
    }

    private mutating func addLine(
        _ name: Span<UInt8>, _ value: Span<UInt8>, _ storage: UnsafeMutableRawBufferPointer
    ) -> Outcome {
        let all = name.indices
        if ByteClass.equalFolded(name, all, "connection") || ByteClass.equalFolded(name, all, "keep-alive")
            || ByteClass.equalFolded(name, all, "proxy-connection")
            || ByteClass.equalFolded(name, all, "transfer-encoding")
            || ByteClass.equalFolded(name, all, "upgrade")
        {
            return .malformed(.connectionField)
        }
        if ByteClass.equalFolded(name, all, "te") {
            // RFC 9113 §8.2.2.
            guard ByteClass.equalFolded(value, value.indices, "trailers") else {
                return .malformed(.connectionField)
            }
            if isTrailer { return .taken }
        }
        if !isTrailer {
            if ByteClass.equalFolded(name, all, "cookie") { return addCookie(value, storage) }
            if ByteClass.equalFolded(name, all, "host") { return addHost(value, storage) }
            // RFC 8441 §5: they are the upgrade's, which this is not.
            if protocolName != nil, ByteClass.startsFolded(name, all, "sec-websocket-key") { return .taken }
        }
        if ByteClass.equalFolded(name, all, "content-length") {
            contentLength = BodyFraming.length(value, value.indices) ?? .max
        }
        let half = storage.count / 2
        guard lineBytes + name.count + value.count + 4 <= half else { return .tooLarge }
        append(name, storage)
        append(58, storage)
        append(32, storage)
        append(value, storage)
        append(13, storage)
        append(10, storage)
        return .taken
    }

    /// RFC 9113 §8.2.3: the crumbs of a cookie become one line again.
    private mutating func addCookie(
        _ value: Span<UInt8>, _ storage: UnsafeMutableRawBufferPointer
    ) -> Outcome {
        let half = storage.count / 2
        guard cookieBytes + value.count + 2 <= half else { return .tooLarge }
        if cookieBytes > 0 {
            storage[half + cookieBytes] = 59
            storage[half + cookieBytes + 1] = 32
            cookieBytes += 2
        }
        for index in value.indices {
            storage[half + cookieBytes] = value[index]
            cookieBytes += 1
        }
        return .taken
    }

    /// Host says what `:authority` says, or stands in its place (RFC 9113 §8.3.1).
    private mutating func addHost(_ value: Span<UInt8>, _ storage: UnsafeMutableRawBufferPointer) -> Outcome {
        guard host == nil else { return .malformed(.authorityMismatch) }
        for index in value.indices where !Self.isInLine(value[index]) { return .malformed(.invalidValue) }
        guard let authority else {
            guard let kept = keep(value, Self.shortValueMax, storage) else { return .tooLarge }
            host = kept
            // It stands among the lines: the ones behind it begin anew.
            return moveLinesBehindHost(kept, storage)
        }
        guard authority.count == value.count else { return .malformed(.authorityMismatch) }
        for index in value.indices where storage[authority.lowerBound + index] != value[index] {
            return .malformed(.authorityMismatch)
        }
        host = authority
        return .taken
    }

    /// The value was kept behind the lines that came before it; it changes places with them.
    private mutating func moveLinesBehindHost(
        _ kept: Range<Int>, _ storage: UnsafeMutableRawBufferPointer
    ) -> Outcome {
        guard let first = firstLine, first < kept.lowerBound else {
            firstLine = kept.upperBound
            return .taken
        }
        // Rotation by three reversals: rare, and it needs no further room.
        Self.reverse(storage, first..<kept.lowerBound)
        Self.reverse(storage, kept)
        Self.reverse(storage, first..<kept.upperBound)
        host = first..<(first + kept.count)
        firstLine = first + kept.count
        return .taken
    }

    private static func reverse(_ storage: UnsafeMutableRawBufferPointer, _ range: Range<Int>) {
        var low = range.lowerBound
        var high = range.upperBound - 1
        while low < high {
            let byte = storage[low]
            storage[low] = storage[high]
            storage[high] = byte
            low += 1
            high -= 1
        }
    }

    // MARK: Pseudo-fields (RFC 9113 §8.3)

    private mutating func addPseudo(
        _ name: Span<UInt8>, _ value: Span<UInt8>, _ storage: UnsafeMutableRawBufferPointer
    ) -> Outcome {
        guard !isTrailer else { return .malformed(.forbiddenPseudoField) }
        guard firstLine == nil, cookieBytes == 0 else { return .malformed(.latePseudoField) }
        let all = name.indices
        if ByteClass.equal(name, all, ":method") {
            return take(value, \.method, storage, isAllowed: ByteClass.isToken)
        }
        if ByteClass.equal(name, all, ":scheme") {
            guard scheme == nil else { return .malformed(.repeatedPseudoField) }
            isSchemePlain = !ByteClass.equalFolded(value, value.indices, "https")
            return take(value, \.scheme, storage, isAllowed: ByteClass.isAlphanumeric)
        }
        if ByteClass.equal(name, all, ":path") {
            return take(value, \.path, storage, isAllowed: Self.isInLine)
        }
        if ByteClass.equal(name, all, ":authority") {
            return take(value, \.authority, storage, isAllowed: Self.isInLine)
        }
        if ByteClass.equal(name, all, ":protocol") {
            return take(value, \.protocolName, storage, isAllowed: Self.isInLine)
        }
        return .malformed(.unknownPseudoField)
    }

    /// What can stand in a request line without ending a part of it.
    private static func isInLine(_ byte: UInt8) -> Bool { byte > 32 && byte != 127 }

    private mutating func take(
        _ value: Span<UInt8>, _ part: WritableKeyPath<HTTP2RequestHead, Range<Int>?>,
        _ storage: UnsafeMutableRawBufferPointer, isAllowed: (UInt8) -> Bool
    ) -> Outcome {
        guard self[keyPath: part] == nil else { return .malformed(.repeatedPseudoField) }
        guard !value.isEmpty else { return .malformed(.invalidPseudoField) }
        for index in value.indices where !isAllowed(value[index]) { return .malformed(.invalidPseudoField) }
        guard let range = keep(value, storage.count, storage) else { return .tooLarge }
        self[keyPath: part] = range
        return .taken
    }

    private mutating func keep(
        _ value: Span<UInt8>, _ most: Int, _ storage: UnsafeMutableRawBufferPointer
    ) -> Range<Int>? {
        guard value.count <= most, lineBytes + value.count <= storage.count / 2 else { return nil }
        let start = lineBytes
        append(value, storage)
        return start..<lineBytes
    }

    private mutating func append(_ bytes: Span<UInt8>, _ storage: UnsafeMutableRawBufferPointer) {
        bytes.withUnsafeBytes { source in
            UnsafeMutableRawBufferPointer(rebasing: storage[lineBytes..<(lineBytes + source.count)])
                .copyMemory(from: source)
        }
        lineBytes += bytes.count
    }

    private mutating func append(_ byte: UInt8, _ storage: UnsafeMutableRawBufferPointer) {
        storage[lineBytes] = byte
        lineBytes += 1
    }
}
