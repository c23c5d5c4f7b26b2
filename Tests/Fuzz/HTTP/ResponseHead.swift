// libFuzzer target `response-head`: whole = at every split, and what is written for the client has one framing only.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzResponseHead(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    for method in [Method.get, .head] {
        let parser = ResponseHeadParser(limits: FuzzBench.limits)
        var fields = FieldTable(capacity: FuzzBench.limits.fieldsMax)
        let whole = parser.parse(bytes.span, answering: method, into: &fields)
        var seen = 0
        for split in cuts(bytes.count) {
            let part = bytes.cut(0..<split)
            let early = parser.parse(part.span, answering: method, into: &fields)
            precondition(early == .needMore || early == whole, "\(early) out of \(split) bytes")
            let dripped = parser.parse(part.span, alreadySeen: seen, answering: method, into: &fields)
            precondition(dripped == early || dripped == .needMore)
            if dripped == .needMore { seen = split }
        }
        guard case .head(let head) = parser.parse(bytes.span, answering: method, into: &fields) else {
            continue
        }
        precondition(head.headBytes <= bytes.count && (100...599).contains(head.status))
        checkWriting(head, bytes, method, fields)
    }
    return 0
}

private func checkWriting(
    _ head: ResponseHead, _ bytes: [UInt8], _ method: Method, _ fields: borrowing FieldTable
) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 1)
    defer { memory.deallocate() }
    var framings = [head.framing]
    // As the relay does: what has no length is chunked for HTTP/1.1.
    if head.framing == .untilClose { framings.append(.chunked) }
    for framing in framings where !head.isInterim && head.status != 101 {
        var output = HeadOutput(memory)
        ResponseWriter().begin(
            head, head: bytes.span, fields: fields, framing: framing, keepsAlive: framing != .untilClose,
            into: &output)
        ResponseWriter.end(into: &output)
        precondition(!output.isOverflowed)
        let written = [UInt8](memory[0..<output.count])
        var again = FieldTable(capacity: FuzzBench.wide.fieldsMax)
        let outcome = ResponseHeadParser(limits: FuzzBench.wide)
            .parse(written.span, answering: method, into: &again)
        guard case .head(let second) = outcome else {
            preconditionFailure("what is written is no head: \(outcome)")
        }
        precondition(second.headBytes == written.count, "a second head inside of the written one")
        precondition(
            second.status == head.status && second.framing == framing, "\(second.framing), not \(framing)")
    }
}
