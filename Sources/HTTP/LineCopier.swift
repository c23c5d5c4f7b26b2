/// Copies field lines of a head to an output; lines that stand side by side leave in one copy.
struct LineCopier: ~Copyable {
    private var start = 0
    private var end = 0

    /// Takes the start line as it came, CRLF included. To be called first.
    @inline(__always)
    mutating func begin(_ startLine: Range<Int>, of head: Span<UInt8>) {
        precondition(startLine.lowerBound >= 0 && startLine.upperBound <= head.count, "line \(startLine)")
        start = startLine.lowerBound
        end = startLine.upperBound
    }

    /// Takes one line as it came when it is tight (`Name: value` CRLF, the space may be missing), otherwise
    /// rewrites its whitespace.
    @inline(__always)
    mutating func copy(_ line: FieldLine, _ head: Span<UInt8>, into output: inout HeadOutput) {
        guard line.isTight || Self.isTight(line, head) else { return rewrite(line, head, into: &output) }
        if Int(line.name.start) != end {
            flush(head, into: &output)
            start = Int(line.name.start)
        }
        end = line.value.end &+ 2
    }

    /// Takes lines from `index` on as long as each is tight, of one of the kinds in `wanted`, and right behind the one
    /// before: what nearly all lines of nearly all heads are.
    ///
    /// - Returns: the first line that was not taken, or the count.
    @inline(__always)
    mutating func copyRun(
        _ fields: borrowing FieldTable, from index: Int, kinds wanted: UInt64
    ) -> Int {
        let count = fields.count
        precondition(index >= 0 && index <= count, "line \(index) of \(count)")
        var index = index
        while index < count {
            let line = fields.lines + index
            guard wanted &>> UInt64(line.pointee.known.rawValue) & 1 != 0, line.pointee.isTight,
                Int(line.pointee.name.start) == end
            else { break }
            end = line.pointee.value.end &+ 2
            index &+= 1
        }
        return index
    }

    private static func isTight(_ line: FieldLine, _ head: Span<UInt8>) -> Bool {
        let nameEnd = line.name.end
        let valueStart = Int(line.value.start)
        let valueEnd = line.value.end
        precondition(nameEnd < valueStart && valueEnd < head.count, "line of another head")
        // One byte between the name and the value is the colon; a second one must be a space, not a tab.
        return head[unchecked: valueEnd] == 13
            && (valueStart &- nameEnd == 1
                || valueStart &- nameEnd == 2 && head[unchecked: nameEnd &+ 1] == 32)
    }

    private mutating func rewrite(_ line: FieldLine, _ head: Span<UInt8>, into output: inout HeadOutput) {
        flush(head, into: &output)
        output.append(head, line.name.indices)
        output.append(": ")
        output.append(head, line.value.indices)
        output.append("\r\n")
    }

    /// To be called before anything else is written, and at the end.
    @inline(__always)
    mutating func flush(_ head: Span<UInt8>, into output: inout HeadOutput) {
        if end > start { output.append(head, start..<end) }
        start = 0
        end = 0
    }
}
