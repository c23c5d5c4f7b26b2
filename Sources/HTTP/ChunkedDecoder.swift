/// Decoder of `Transfer-Encoding: chunked` (RFC 9112 §7.1): incremental, copies nothing, keeps 48 bytes of
/// state.
///
/// Stricter than the grammar where parsers are known to differ: no whitespace around the size, CRLF only,
/// extensions and trailers bounded over the whole body. Extensions are checked and dropped; trailers are
/// checked, and `TrailerSection` says which of them go on.
public struct ChunkedDecoder: Sendable, Hashable {
    /// What `next` found.
    public enum Event: Sendable, Hashable {
        /// These indices of the given span are body bytes; not empty.
        case data(Range<Int>)
        /// Everything given was consumed; the body is not over.
        case needMore
        /// The body is over; bytes from the offset on belong to the next message.
        case end
        /// Close the connection. Every later call says the same.
        case refused(ChunkError)
    }

    /// Most hexadecimal digits of a chunk size, leading zeros included.
    public static let sizeDigitsMax = 16
    /// Most bytes of all extensions of one body: many one-byte chunks with long extensions are an attack.
    public static let extensionBytesMax = 4_096
    /// Most bytes of the trailer section, line ends and the CR of its empty line included.
    public static let trailerBytesMax = 8_192
    /// Most trailer fields.
    public static let trailersMax = 32

    /// Legal successors stand at each case.
    private enum State: Sendable, Hashable {
        /// → size, extensionText, sizeLineFeed
        case size(digits: Int)
        /// → sizeLineFeed
        case extensionText
        /// → data, lineStart (after the last chunk)
        case sizeLineFeed
        /// → dataReturn
        case data
        /// → dataLineFeed
        case dataReturn
        /// → size
        case dataLineFeed
        /// → trailerName, endLineFeed
        case lineStart
        /// → trailerValue
        case trailerName
        /// → trailerLineFeed
        case trailerValue
        /// → lineStart
        case trailerLineFeed
        /// → done
        case endLineFeed
        case done
        case failed(ChunkError)
    }

    private var state = State.size(digits: 0)
    /// The size being read, then the data bytes still to come.
    private var remaining: Int64 = 0
    private var extensionBytes = 0
    private var trailerBytes = 0
    private var trailers = 0

    /// A decoder for one body.
    public init() {}

    /// Bytes of the trailer section so far, without the LF of its empty line: what of the bytes that were just read is
    /// trailers stands at their end.
    public var trailerSectionBytes: Int { trailerBytes }

    /// Whether the trailer section has a line.
    public var hasTrailers: Bool { trailers > 0 }

    /// Whether the whole body was seen.
    public var isDone: Bool { state == .done }

    /// Reads on in `bytes` from `offset`, which it moves behind everything consumed. Call until it says
    /// `.needMore`, `.end` or `.refused`; bytes before `offset` may be discarded after each call.
    ///
    /// - Precondition: `offset` is in `0...bytes.count`.
    public mutating func next(_ bytes: Span<UInt8>, from offset: inout Int) -> Event {
        precondition(offset >= 0 && offset <= bytes.count, "offset \(offset) of \(bytes.count)")
        while true {
            switch state {
            case .done: return .end
            case .failed(let error): return .refused(error)
            case .data:
                guard offset < bytes.count else { return .needMore }
                let count = min(remaining, Int64(bytes.count - offset))
                let range = offset..<(offset + Int(count))
                offset = range.upperBound
                remaining -= count
                if remaining == 0 { state = .dataReturn }
                return .data(range)
            case .size, .extensionText, .sizeLineFeed, .dataReturn, .dataLineFeed, .lineStart, .trailerName,
                .trailerValue, .trailerLineFeed, .endLineFeed:
                guard offset < bytes.count else { return .needMore }
                do throws(ChunkError) {
                    state = try successor(bytes[offset])
                    offset += 1
                } catch {
                    state = .failed(error)
                }
            }
        }
    }

    private mutating func successor(_ byte: UInt8) throws(ChunkError) -> State {
        switch state {
        case .size(let digits): return try afterSizeByte(byte, digits)
        case .extensionText: return try afterExtensionByte(byte)
        case .sizeLineFeed:
            guard byte == 10 else { throw .invalidLineEnd }
            return remaining == 0 ? .lineStart : .data
        case .dataReturn:
            guard byte == 13 else { throw .dataLongerThanSize }
            return .dataLineFeed
        case .dataLineFeed:
            guard byte == 10 else { throw .dataLongerThanSize }
            return .size(digits: 0)
        case .lineStart, .trailerName, .trailerValue, .trailerLineFeed: return try afterTrailerByte(byte)
        case .endLineFeed:
            guard byte == 10 else { throw .invalidLineEnd }
            return .done
        case .data, .done, .failed: return state  // Never asked: `next` answers these itself.
        }
    }

    private mutating func afterSizeByte(_ byte: UInt8, _ digits: Int) throws(ChunkError) -> State {
        guard let digit = ByteClass.hexValue(byte) else {
            guard digits > 0 else { throw .invalidSize }
            if byte == 13 { return .sizeLineFeed }
            guard byte == 59 else { throw .invalidSize }
            return try afterExtensionByte(byte)
        }
        guard digits < ChunkedDecoder.sizeDigitsMax else { throw .sizeTooLarge }
        if digits == 0 { remaining = 0 }
        guard remaining <= Int64.max >> 4 else { throw .sizeTooLarge }
        remaining = remaining << 4 | Int64(digit)
        return .size(digits: digits + 1)
    }

    private mutating func afterExtensionByte(_ byte: UInt8) throws(ChunkError) -> State {
        if byte == 13 { return .sizeLineFeed }
        guard ByteClass.isFieldValue(byte), byte < 0x80 else { throw .invalidExtension }
        extensionBytes += 1
        guard extensionBytes <= ChunkedDecoder.extensionBytesMax else { throw .extensionsTooLarge }
        return .extensionText
    }

    private mutating func afterTrailerByte(_ byte: UInt8) throws(ChunkError) -> State {
        trailerBytes += 1
        guard trailerBytes <= ChunkedDecoder.trailerBytesMax else { throw .trailersTooLarge }
        if state == .trailerLineFeed {
            guard byte == 10 else { throw .invalidLineEnd }
            return .lineStart
        }
        if state == .lineStart {
            if byte == 13 { return .endLineFeed }
            trailers += 1
            guard trailers <= ChunkedDecoder.trailersMax else { throw .trailersTooLarge }
            guard ByteClass.isToken(byte) else { throw .invalidTrailer }
            return .trailerName
        }
        if state == .trailerName {
            if byte == 58 { return .trailerValue }
            guard ByteClass.isToken(byte) else { throw .invalidTrailer }
            return .trailerName
        }
        if byte == 13 { return .trailerLineFeed }
        guard ByteClass.isFieldValue(byte) else { throw .invalidTrailer }
        return .trailerValue
    }
}

/// The rule of the chunked coding that was broken; all close the connection, 400 from downstream, 502 from
/// upstream.
public enum ChunkError: String, Error, Sendable, Hashable, CaseIterable {
    case invalidSize = "invalid-chunk-size"
    case sizeTooLarge = "chunk-size-too-large"
    case invalidExtension = "invalid-chunk-extension"
    case extensionsTooLarge = "chunk-extensions-too-large"
    case invalidLineEnd = "invalid-chunk-line-end"
    case dataLongerThanSize = "chunk-data-longer-than-size"
    case invalidTrailer = "invalid-trailer"
    case trailersTooLarge = "trailers-too-large"
}

/// Writes the chunked coding: `begin`, the data, `end`, again, and at the end `last`.
public enum ChunkEncoding {
    /// Room that `begin` needs at most.
    public static let beginBytesMax = 18

    /// The chunk-size line before `count` data bytes.
    ///
    /// - Precondition: `count` is positive: a size of 0 would end the body.
    public static func begin(_ count: Int, into output: inout HeadOutput) {
        precondition(count > 0, "chunk of \(count) bytes")
        let digits = (64 - count.leadingZeroBitCount + 3) / 4
        output.append(hexadecimal: UInt64(count), digits: digits)
        output.append("\r\n")
    }

    /// The CRLF after a chunk's data.
    public static func end(into output: inout HeadOutput) { output.append("\r\n") }

    /// The last chunk and the empty trailer section.
    public static func last(into output: inout HeadOutput) { output.append("0\r\n\r\n") }
}
