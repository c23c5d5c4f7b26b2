/// Scanning of head lines in byte order: the first offending byte decides, so that the outcome is the same
/// however the bytes were split on their way here.

/// Why a scan stopped before the end of the head.
enum HeadStop: Error {
    /// Every byte so far is fine and the head is not over.
    case needMore
    case refused(HeadError)
}

enum HeadScan {
    /// The end of a field value or reason phrase: the offset of the CR of its CRLF (RFC 9112 §2.2, RFC 9110
    /// §5.5).
    static func valueEnd(_ bytes: Span<UInt8>, from start: Int, to end: Int) throws(HeadStop) -> Int {
        let raw = bytes.bytes
        var index = start
        while index < end {
            // Eight bytes at a time: the lowest set bit of `odd` marks the first byte below 0x20 or equal to
            // 0x7f (a borrow can only mark bytes above a true one). UInt64 is little-endian on every platform
            // we run on.
            while index + 8 <= end {
                let word = UInt64(
                    littleEndian: raw.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
                let below = (word &- 0x2020_2020_2020_2020) & ~word
                let delete = word ^ 0x7f7f_7f7f_7f7f_7f7f
                let odd = (below | ((delete &- 0x0101_0101_0101_0101) & ~delete)) & 0x8080_8080_8080_8080
                if odd != 0 {
                    index += odd.trailingZeroBitCount >> 3
                    break
                }
                index += 8
            }
            guard index < end else { break }
            let byte = bytes[index]
            if byte == 13 {
                try expectLineFeed(bytes, at: index + 1, to: end)
                return index
            }
            guard ByteClass.isFieldValue(byte) else {
                throw .refused(byte == 10 ? .bareLineFeed : .invalidFieldValue)
            }
            index += 1
        }
        throw .needMore
    }

    /// After a CR only LF may come.
    static func expectLineFeed(_ bytes: Span<UInt8>, at index: Int, to end: Int) throws(HeadStop) {
        guard index < end else { throw .needMore }
        guard bytes[index] == 10 else { throw .refused(.bareCarriageReturn) }
    }

    /// Field lines up to and including the empty line (RFC 9112 §5).
    ///
    /// - Returns: the offset after the empty line.
    static func fieldLines(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, fieldsMax: Int, into fields: inout FieldTable
    ) throws(HeadStop) -> Int {
        var index = start
        while index < end {
            if bytes[index] == 13 {
                try expectLineFeed(bytes, at: index + 1, to: end)
                return index + 2
            }
            guard fields.count < fieldsMax else { throw .refused(.tooManyFields) }
            let colon = try nameEnd(bytes, from: index, to: end)
            let lineEnd = try valueEnd(bytes, from: colon + 1, to: end)
            let value = ByteClass.trimmed(bytes, (colon + 1)..<lineEnd)
            let line = FieldLine(
                name: ByteRange(start: index, count: colon - index),
                value: ByteRange(start: value.lowerBound, count: value.count),
                known: KnownField(classifying: bytes, index..<colon))
            guard fields.append(line) else { throw .refused(.tooManyFields) }
            index = lineEnd + 2
        }
        throw .needMore
    }

    /// The offset of the colon after a field name (RFC 9110 §5.1, RFC 9112 §5.1 and §5.2).
    static func nameEnd(_ bytes: Span<UInt8>, from start: Int, to end: Int) throws(HeadStop) -> Int {
        var index = start
        while index < end, ByteClass.isLetter(bytes[index]) || ByteClass.isToken(bytes[index]) { index += 1 }
        guard index < end else { throw .needMore }
        let byte = bytes[index]
        if byte == 58 {
            guard index > start else { throw .refused(.emptyFieldName) }
            return index
        }
        if byte == 10 { throw .refused(.bareLineFeed) }
        guard ByteClass.isBlank(byte) else { throw .refused(.invalidFieldName) }
        // A blank at the start of a line is obs-fold; after a name it is the smuggler's "Content-Length : 5".
        throw .refused(index == start ? .foldedLine : .whitespaceBeforeColon)
    }

    /// Whether a later call can be answered `.needMore` without scanning again: no line has ended in the new
    /// bytes.
    static func isUnchanged(_ bytes: Span<UInt8>, alreadySeen: Int, limits: HeadLimits) -> Bool {
        guard alreadySeen > 0, alreadySeen <= bytes.count else { return false }
        guard bytes.count < limits.headBytesMax, bytes.count < limits.targetBytesMax else { return false }
        return ByteClass.find(10, bytes, alreadySeen..<bytes.count) == bytes.count
    }
}
