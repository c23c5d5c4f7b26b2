// libFuzzer target `request-head`: whole = at every split, with the memory of a connection = without, and what is written
// for the upstream is the request that was judged.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRequestHead(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    for options in [[], [.allowsEncodedSlash, .allowsEmptySegments]] as [PathOptions] {
        checkSplits(bytes, options)
        checkConnection(bytes, options)
        checkWriting(bytes, options)
    }
    return 0
}

private func checkSplits(_ bytes: [UInt8], _ options: PathOptions) {
    var bench = FuzzBench(options: options)
    let whole = bench.parse(bytes)
    var seen = 0
    for split in cuts(bytes.count) {
        let part = bytes.cut(0..<split)
        let early = bench.parse(part)
        if early != .needMore {
            // The first offending byte decides, whatever stands behind it.
            precondition(early == whole, "\(early) out of \(split) bytes, \(whole) out of all")
            if case .head(let request) = early { precondition(request.headBytes <= split) }
        }
        let dripped = bench.parse(part, alreadySeen: seen)
        precondition(dripped == early || dripped == .needMore, "\(dripped) with the hint \(seen)")
        if dripped == .needMore { seen = split }
    }
    if case .head(let request) = whole {
        precondition(request.headBytes <= bytes.count && request.headBytes <= FuzzBench.limits.headBytesMax)
        precondition(bench.parse(bytes, alreadySeen: seen) == whole, "the hint \(seen) changed the head")
    }
}

/// The heads of a connection one behind the other, each twice.
private func checkConnection(_ bytes: [UInt8], _ options: PathOptions) {
    let storage = UnsafeMutableRawPointer.allocate(byteCount: HeadMemo.storageBytes, alignment: 16)
    defer { storage.deallocate() }
    let memo = HeadMemo(storage)
    var remembering = FuzzBench(options: options)
    var fresh = FuzzBench(options: options)
    var rest = bytes
    for _ in 0..<8 {
        var headBytes = 0
        for _ in 0..<2 {
            let outcome = remembering.parse(rest, memo: memo)
            precondition(outcome == fresh.parse(rest), "\(outcome) with memory")
            guard case .head(let request) = outcome else { return }
            precondition(remembering.fields.count == fresh.fields.count)
            for index in 0..<fresh.fields.count {
                precondition(remembering.fields[index] == fresh.fields[index])
            }
            precondition(remembering.fields.sessionCookie == fresh.fields.sessionCookie)
            precondition(remembering.written(request, rest) == fresh.written(request, rest))
            headBytes = request.headBytes
        }
        rest.removeFirst(headBytes)
    }
}

private func checkWriting(_ bytes: [UInt8], _ options: PathOptions) {
    var bench = FuzzBench(options: options)
    guard case .head(let request) = bench.parse(bytes), let written = bench.written(request, bytes) else {
        return
    }
    let (path, host) = (bench.path(request, bytes), bench.host(request, bytes))
    let query = request.query.map { bytes.cut($0.indices) }
    let method = bytes.cut(request.methodRange.indices)
    var upstream = FuzzBench(limits: FuzzBench.wide, options: options)
    let outcome = upstream.parse(written)
    guard case .head(let second) = outcome else {
        preconditionFailure("what is written is no head: \(outcome)")
    }
    precondition(second.headBytes == written.count, "a second head inside of the written one")
    precondition(upstream.path(second, written) == path && upstream.host(second, written) == host)
    precondition(second.query.map { written.cut($0.indices) } == query)
    precondition(written.cut(second.methodRange.indices) == method && second.port == request.port)
    precondition(second.framing == request.framing && second.upgrade == request.upgrade)
    precondition(upstream.written(second, written) == written, "written again it is another head")
    precondition(upstream.fields.sessionCookie == .absent, "our cookie went upstream")
}
