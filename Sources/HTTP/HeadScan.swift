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
    @inline(__always)
    static func valueEnd(_ bytes: Span<UInt8>, from start: Int, to end: Int) throws(HeadStop) -> Int {
        let index = WordScan.valueRun(bytes, from: start, to: end)
        if index &+ 1 < end, bytes[unchecked: index] == 13, bytes[unchecked: index &+ 1] == 10 {
            return index
        }
        return try oddValueEnd(bytes, from: index, to: end)
    }

    /// The same for a value in which a run of ordinary bytes ends at `start`, but not with CRLF.
    @inline(never)
    private static func oddValueEnd(
        _ bytes: Span<UInt8>, from start: Int, to end: Int
    ) throws(HeadStop) -> Int {
        var index = start
        while true {
            guard index < end else { throw .needMore }
            let byte = bytes[index]
            if byte == 13 {
                try expectLineFeed(bytes, at: index + 1, to: end)
                return index
            }
            // A horizontal tab is the only control that a value may hold.
            guard byte == 9 else { throw .refused(byte == 10 ? .bareLineFeed : .invalidFieldValue) }
            index = WordScan.valueRun(bytes, from: index + 1, to: end)
        }
    }

    /// After a CR only LF may come.
    static func expectLineFeed(_ bytes: Span<UInt8>, at index: Int, to end: Int) throws(HeadStop) {
        guard index < end else { throw .needMore }
        guard bytes[index] == 10 else { throw .refused(.bareCarriageReturn) }
    }

    /// Field lines up to and including the empty line (RFC 9112 §5).
    ///
    /// - Returns: the offset after the empty line.
    /// - Precondition: `fields` holds `fieldsMax` lines.
    static func fieldLines(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, fieldsMax: Int, into fields: inout FieldTable
    ) throws(HeadStop) -> Int {
        let filling = FieldTable.Filling(fields, fieldsMax: fieldsMax)
        return try fieldLines(bytes, from: start, to: end, behind: filling, into: &fields)
    }

    /// The same with the lines that a memo knows taken over from it.
    static func fieldLines(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, fieldsMax: Int, into fields: inout FieldTable,
        memo: HeadMemo
    ) throws(HeadStop) -> Int {
        var filling = FieldTable.Filling(fields, fieldsMax: fieldsMax)
        let known =
            start < end ? memo.recall(bytes.extracting(first: end), from: start, into: &filling) : start
        return try fieldLines(bytes, from: known, to: end, behind: filling, into: &fields)
    }

    /// - Parameter lines: those in front of `start`.
    @inline(never)
    private static func fieldLines(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, behind lines: FieldTable.Filling,
        into fields: inout FieldTable
    ) throws(HeadStop) -> Int {
        // From here on the end of the bytes is the end of what may be looked at.
        let bytes = bytes.extracting(first: end)
        var index = start
        var filling = lines
        while index < bytes.count {
            if bytes[unchecked: index] == 13 {
                try expectLineFeed(bytes, at: index + 1, to: bytes.count)
                fields.fill(filling)
                return index + 2
            }
            guard !filling.isFull else { throw .refused(.tooManyFields) }
            let match = KnownField.beforeColon(bytes, at: index)
            let colon =
                match.nameBytes == 0
                ? try nameEnd(bytes, from: index, to: bytes.count) : index &+ match.nameBytes
            let lineEnd = try valueEnd(bytes, from: colon &+ 1, to: bytes.count)
            filling.append(line(bytes, index, colon, lineEnd, match.known))
            index = lineEnd &+ 2
        }
        throw .needMore
    }

    /// The line whose name starts at `start`; its value is without the blanks around it.
    ///
    /// - Precondition: the bytes at `colon` and `lineEnd` are in `bytes` and what they are called.
    @inline(__always)
    private static func line(
        _ bytes: Span<UInt8>, _ start: Int, _ colon: Int, _ lineEnd: Int, _ known: KnownField
    ) -> FieldLine {
        let name = ByteRange(from: start, to: colon)
        // The usual line: one space, then neither at the beginning nor at the end a blank. Of what has passed
        // the scan only blanks are below 0x21; an empty value ends up at the CR, which is below it too.
        if bytes[unchecked: colon &+ 1] == 32, bytes[unchecked: colon &+ 2] > 32,
            bytes[unchecked: lineEnd &- 1] > 32
        {
            var line = FieldLine(name: name, value: ByteRange(from: colon &+ 2, to: lineEnd), known: known)
            line.isTight = true
            return line
        }
        let value = ByteClass.trimmed(bytes, (colon &+ 1)..<lineEnd)
        return FieldLine(
            name: name, value: ByteRange(from: value.lowerBound, to: value.upperBound), known: known)
    }

    /// The offset of the colon after a field name (RFC 9110 §5.1, RFC 9112 §5.1 and §5.2).
    @inline(never)
    static func nameEnd(_ bytes: Span<UInt8>, from start: Int, to end: Int) throws(HeadStop) -> Int {
        let index = WordScan.tokenRun(bytes, from: start, to: end)
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
        guard bytes.count < limits.headBytesMax else { return false }
        // As long as the request line goes on, its length is what may be wrong.
        let bound = min(bytes.count, limits.targetBytesMax)
        guard bytes.count < limits.targetBytesMax || WordScan.find(10, bytes, from: 0, to: bound) < bound
        else { return false }
        return WordScan.find(10, bytes, from: alreadySeen, to: bytes.count) == bytes.count
    }
}
