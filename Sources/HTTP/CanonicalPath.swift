/// The canonical path: one spelling per resource as far as a gateway can know, and a refusal for the
/// spellings that upstreams are known to read differently.
///
/// Unreserved characters are decoded once and the hexadecimal digits of other escapes become upper case (RFC
/// 3986 §6.2.2). Refused: dot segments, also behind `;` or encoded; `\`, `%5C`, `%2F` (unless opted in),
/// encoded controls, twice-encoded separators and dots, overlong UTF-8, and empty segments (`//`: many
/// servers merge them, then a rule for `/admin` would not see `//admin`). Sub-delimiters are not decoded: `!`
/// and `%21` stay different.

/// What an application may opt in to.
public struct PathOptions: OptionSet, Sendable, Hashable {
    /// The bits.
    public let rawValue: UInt8
    /// A set from its bits.
    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// `%2F` stays an opaque part of its segment, for policy and upstream alike, instead of being refused.
    public static var allowsEncodedSlash: PathOptions { PathOptions(rawValue: 1) }
    /// `//` is kept byte for byte, for policy and upstream alike, instead of being refused.
    public static var allowsEmptySegments: PathOptions { PathOptions(rawValue: 2) }
}

enum CanonicalPath {
    /// The usual path needs one pass and no copy.
    static func canonical(
        _ target: RequestTarget, _ bytes: Span<UInt8>, _ options: PathOptions,
        _ scratch: inout CanonicalScratch,
        needs: inout PathOptions
    ) throws(HeadError) -> CanonicalText {
        let path = target.path
        if path.isEmpty {
            scratch.append(target.form == .asterisk ? 42 : 47)
            return CanonicalText(range: ByteRange(start: scratch.used - 1, count: 1), isInScratch: true)
        }
        let asSent = CanonicalText(
            range: ByteRange(from: path.lowerBound, to: path.upperBound), isInScratch: false)
        if target.form == .asterisk { return asSent }
        let survey = try Survey(bytes, path, options, &needs)
        guard survey.needsRewriting else {
            if survey.needsChecking { try PathCheck.check(bytes, path, options, &needs) }
            return asSent
        }
        let start = scratch.used
        rewrite(bytes, path, into: &scratch)
        let range = ByteRange(start: start, count: scratch.used - start)
        try PathCheck.check(scratch.bytes.span, range.indices, options, &needs)
        return CanonicalText(range: range, isInScratch: true)
    }

    /// - Precondition: every "%" in `path` is followed by two hexadecimal digits.
    private static func rewrite(
        _ bytes: Span<UInt8>, _ path: Range<Int>, into scratch: inout CanonicalScratch
    ) {
        var index = path.lowerBound
        while index < path.upperBound {
            guard bytes[index] == 37 else {
                scratch.append(bytes[index])
                index += 1
                continue
            }
            let value = decoded(bytes, index)
            if ByteClass.isUnreserved(value) {
                scratch.append(value)
            } else {
                scratch.append(37)
                scratch.append(hexDigit(value >> 4))
                scratch.append(hexDigit(value & 15))
            }
            index += 3
        }
    }

    /// The byte that the escape at `index` stands for; the digits were checked before.
    static func decoded(_ bytes: Span<UInt8>, _ index: Int) -> UInt8 {
        let high = ByteClass.hexValue(bytes[index + 1]) ?? 0
        let low = ByteClass.hexValue(bytes[index + 2]) ?? 0
        return high << 4 | low
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? value + 48 : value + 55 }

    /// One pass over the path as it was sent.
    private struct Survey {
        var needsRewriting = false
        /// Whether there is anything in it that could be a refused spelling.
        var needsChecking = false

        init(
            _ bytes: Span<UInt8>, _ path: Range<Int>, _ options: PathOptions, _ needs: inout PathOptions
        ) throws(HeadError) {
            var previous: UInt8 = 0
            var index = path.lowerBound
            while index < path.upperBound {
                let byte = bytes[index]
                let before = previous
                previous = byte
                if ByteClass.isLetter(byte) || ByteClass.isPlainInPath(byte) {
                    // Behind a path comes "?" or a blank, which stop the run too, so it may read by words.
                    index = min(
                        WordScan.plainRun(bytes, from: index + 1, to: bytes.count), path.upperBound)
                    continue
                }
                switch byte {
                case 47:
                    if before == 47 {
                        guard options.contains(.allowsEmptySegments) else { throw .emptySegment }
                        needs.insert(.allowsEmptySegments)
                    }
                case 46: if before == 47 { needsChecking = true }
                case 59: needsChecking = true
                case 37:
                    try escape(bytes, index, path.upperBound)
                    index += 2
                case 92: throw .encodedSeparator
                default: throw .invalidPathByte
                }
                index += 1
            }
        }

        private mutating func escape(_ bytes: Span<UInt8>, _ index: Int, _ end: Int) throws(HeadError) {
            guard index + 2 < end, ByteClass.hexValue(bytes[index + 1]) != nil,
                ByteClass.hexValue(bytes[index + 2]) != nil
            else { throw .malformedPercentEncoding }
            needsChecking = true
            let hasLowerCase = bytes[index + 1] >= 97 || bytes[index + 2] >= 97
            if hasLowerCase || ByteClass.isUnreserved(CanonicalPath.decoded(bytes, index)) {
                needsRewriting = true
            }
        }
    }
}

extension CanonicalScratch {
    mutating func append(_ byte: UInt8) {
        bytes[used] = byte
        used += 1
    }
}
