// Fuzz entry for heads, paths and chunks (libFuzzer). Not a SwiftPM target: SwiftPM cannot link libFuzzer's
// main. Build: swiftc -O -sanitize=fuzzer,address -parse-as-library Sources/HTTP/*.swift
// Tests/Fuzz/HTTPHead.swift Run with SWIFT_BACKTRACE=enable=no: Swift's crash handler trips the sanitizer
// inside itself and hides the cause.
#if canImport(HTTP)
    import HTTP
#endif

/// Traps when a law of the module does not hold for these bytes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTPHead(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    fuzzRequest(bytes)
    fuzzResponse(bytes)
    fuzzChunks(bytes)
    return 0
}

private func fuzzRequest(_ bytes: [UInt8]) {
    let limits = HeadLimits(headBytesMax: 4_096, targetBytesMax: 1_024, fieldsMax: 32)
    let parser = RequestHeadParser(limits: limits)
    var fields = FieldTable(capacity: limits.fieldsMax)
    var scratch = CanonicalScratch(limits: limits)
    let options: PathOptions = (bytes.first ?? 0) & 1 == 0 ? [] : [.allowsEncodedSlash, .allowsEmptySegments]
    let whole = parser.parse(bytes.span, options: options, into: &fields, scratch: &scratch)
    guard case .head(let request) = whole else { return }
    precondition(request.headBytes <= bytes.count)
    let path = request.path.copied(head: bytes.span, scratch: scratch)
    checkPath(path)
    _ = fields.findCookie(named: "__Host-gatepost", in: bytes.span)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 1)
    defer { memory.deallocate() }
    var output = HeadOutput(memory)
    do throws(HeadError) {
        try RequestWriter().begin(request, head: bytes.span, fields: fields, scratch: scratch, into: &output)
    } catch {
        return
    }
    RequestWriter.end(into: &output)
    precondition(!output.isOverflowed)
    // The upstream's view is the judged view: parse what was written.
    let written = [UInt8](memory[0..<output.count])
    var again = FieldTable(capacity: limits.fieldsMax + 4)
    let lenient = HeadLimits(headBytesMax: 16_384, targetBytesMax: 1_024, fieldsMax: limits.fieldsMax + 4)
    let outcome = RequestHeadParser(limits: lenient).parse(
        written.span, options: options, into: &again, scratch: &scratch)
    guard case .head(let second) = outcome else {
        preconditionFailure("written head does not parse: \(outcome)")
    }
    precondition(second.path.copied(head: written.span, scratch: scratch) == path)
    precondition(second.framing == request.framing && second.upgrade == request.upgrade)
    precondition(second.headBytes == written.count, "a second head inside the written one")
}

private func checkPath(_ path: [UInt8]) {
    precondition(path.first == 47 || path == [42])
    for segment in path.split(separator: 47) { precondition(Array(segment) != [46, 46]) }
    for byte in path { precondition(byte > 0x20 && byte < 0x7f && byte != 92 && byte != 35 && byte != 63) }
}

private func fuzzResponse(_ bytes: [UInt8]) {
    var fields = FieldTable()
    for method in [Method.get, .head] {
        let outcome = ResponseHeadParser().parse(bytes.span, answering: method, into: &fields)
        guard case .head(let head) = outcome else { continue }
        precondition(head.headBytes <= bytes.count && (100...599).contains(head.status))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count + 1_024, alignment: 1)
        defer { memory.deallocate() }
        var output = HeadOutput(memory)
        ResponseWriter().begin(
            head, head: bytes.span, fields: fields, framing: head.framing, keepsAlive: false, into: &output)
        ResponseWriter.end(into: &output)
    }
}

/// The body is the same whole and byte by byte.
private func fuzzChunks(_ bytes: [UInt8]) {
    func body(_ step: Int) -> ([UInt8], Bool) {
        var decoder = ChunkedDecoder()
        var body: [UInt8] = []
        var start = 0
        while start < bytes.count {
            let part = Array(bytes[start..<min(start + step, bytes.count)])
            start += part.count
            var offset = 0
            reading: while true {
                switch decoder.next(part.span, from: &offset) {
                case .data(let range): body += part[range]
                case .needMore: break reading
                case .end: return (body, true)
                case .refused: return (body, false)
                }
            }
        }
        return (body, false)
    }
    precondition(body(max(bytes.count, 1)) == body(1))
}
