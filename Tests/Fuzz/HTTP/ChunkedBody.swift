// libFuzzer target `chunked-body`: whole = cut at every place = byte by byte, and what is encoded anew decodes to the same.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzChunkedBody(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let whole = Decoded(bytes, cutAt: [])
    precondition(Decoded(bytes, cutAt: Array(1..<max(1, bytes.count))) == whole, "byte by byte")
    for split in cuts(bytes.count) {
        precondition(Decoded(bytes, cutAt: [split]) == whole, "cut at \(split)")
    }
    guard case .end = whole.outcome else { return 0 }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: whole.body.count + 64, alignment: 1)
    defer { memory.deallocate() }
    var output = HeadOutput(memory)
    if !whole.body.isEmpty {
        ChunkEncoding.begin(whole.body.count, into: &output)
        output.append(whole.body.span)
        ChunkEncoding.end(into: &output)
    }
    ChunkEncoding.last(into: &output)
    precondition(!output.isOverflowed)
    let again = Decoded([UInt8](memory[0..<output.count]), cutAt: [])
    precondition(again.outcome == .end && again.body == whole.body && again.consumed == output.count)
    return 0
}

private struct Decoded: Equatable {
    var body: [UInt8] = []
    var consumed = 0
    var outcome = ChunkedDecoder.Event.needMore

    init(_ bytes: [UInt8], cutAt places: [Int]) {
        var decoder = ChunkedDecoder()
        for (from, to) in zip([0] + places, places + [bytes.count]) {
            let part = bytes.cut(from..<to)
            var offset = 0
            reading: while true {
                switch decoder.next(part.span, from: &offset) {
                case .data(let range): body += part[range]
                case .needMore:
                    precondition(offset == part.count, "bytes are left and more is wanted")
                    break reading
                case .end, .refused:
                    outcome = decoder.next(part.span, from: &offset)
                    consumed = from + offset
                    return
                }
            }
        }
        consumed = bytes.count
    }
}
