/// Refusals on a path whose escapes are canonical already: what is checked is what goes upstream.
enum PathCheck {
    /// - Parameter needs: gains the opt-ins without which the path would have been refused.
    static func check(
        _ bytes: Span<UInt8>, _ path: Range<Int>, _ options: PathOptions, _ needs: inout PathOptions
    ) throws(HeadError) {
        var segmentStart = path.lowerBound + 1
        var index = segmentStart
        while index < path.upperBound {
            if bytes[index] == 47 {
                try checkSegment(bytes, segmentStart..<index, isLast: false, options, &needs)
                segmentStart = index + 1
            } else if bytes[index] == 37 {
                try checkEscape(bytes, index, path.upperBound, options)
                if CanonicalPath.decoded(bytes, index) == 47 {
                    // Opaque, but an upstream that decodes it must not find a dot segment behind it either.
                    try checkDots(bytes, segmentStart..<index)
                    needs.insert(.allowsEncodedSlash)
                    segmentStart = index + 3
                }
                index += 2
            }
            index += 1
        }
        try checkSegment(bytes, segmentStart..<path.upperBound, isLast: true, options, &needs)
    }

    private static func checkSegment(
        _ bytes: Span<UInt8>, _ segment: Range<Int>, isLast: Bool, _ options: PathOptions,
        _ needs: inout PathOptions
    ) throws(HeadError) {
        try checkDots(bytes, segment)
        // "/;x/": servers that strip parameters see an empty segment.
        guard !isLast, !segment.isEmpty, parametersStart(bytes, segment) == segment.lowerBound else { return }
        guard options.contains(.allowsEmptySegments) else { throw .emptySegment }
        needs.insert(.allowsEmptySegments)
    }

    /// "." and ".." alone or in front of path parameters: `/..;x/` is `/../` to servers that strip them.
    private static func checkDots(_ bytes: Span<UInt8>, _ segment: Range<Int>) throws(HeadError) {
        guard !segment.isEmpty, bytes[segment.lowerBound] == 46 else { return }
        let name = segment.lowerBound..<parametersStart(bytes, segment)
        if name.count == 1 || name.count == 2 && bytes[name.lowerBound + 1] == 46 { throw .dotSegment }
    }

    /// The offset of the first ";" or "%3B", or the segment's end.
    private static func parametersStart(_ bytes: Span<UInt8>, _ segment: Range<Int>) -> Int {
        var index = segment.lowerBound
        while index < segment.upperBound {
            if bytes[index] == 59 { return index }
            if bytes[index] == 37, CanonicalPath.decoded(bytes, index) == 59 { return index }
            index += 1
        }
        return index
    }

    private static func checkEscape(
        _ bytes: Span<UInt8>, _ index: Int, _ end: Int, _ options: PathOptions
    ) throws(HeadError) {
        let value = CanonicalPath.decoded(bytes, index)
        switch value {
        case 0..<0x20, 0x7f: throw .encodedControl
        case 92: throw .encodedSeparator
        case 47: guard options.contains(.allowsEncodedSlash) else { throw .encodedSeparator }
        case 37: if isTwiceEncoded(bytes, index + 3, end) { throw .twiceEncoded }
        case 0xc0, 0xc1:
            // Never valid UTF-8 before a continuation byte: lax decoders read %C0%AE as "." and %C0%AF as
            // "/".
            if let next = following(bytes, index, end), next & 0xc0 == 0x80 { throw .overlongEncoding }
        case 0xe0:
            if let next = following(bytes, index, end), (0x80..<0xa0).contains(next) {
                throw .overlongEncoding
            }
        case 0xf0:
            if let next = following(bytes, index, end), (0x80..<0x90).contains(next) {
                throw .overlongEncoding
            }
        default: break
        }
    }

    /// Whether the two bytes after "%25" make it an escape of something that must not appear after a second
    /// decoding.
    private static func isTwiceEncoded(_ bytes: Span<UInt8>, _ index: Int, _ end: Int) -> Bool {
        guard index + 1 < end, let high = ByteClass.hexValue(bytes[index]),
            let low = ByteClass.hexValue(bytes[index + 1])
        else { return false }
        switch high << 4 | low {
        case 0..<0x20, 0x25, 0x2e, 0x2f, 0x3b, 0x5c, 0x7f: return true
        default: return false
        }
    }

    /// The byte of the escape that directly follows the one at `index`.
    private static func following(_ bytes: Span<UInt8>, _ index: Int, _ end: Int) -> UInt8? {
        guard index + 5 < end, bytes[index + 3] == 37 else { return nil }
        return CanonicalPath.decoded(bytes, index + 3)
    }
}
