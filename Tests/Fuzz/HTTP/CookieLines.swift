// libFuzzer target `cookies`: our cookie is found where a plain reading finds it, and never goes upstream.
//
// A line feed in the input begins another Cookie line.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCookies(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let lines = bytes.split(separator: 10, omittingEmptySubsequences: false).map { Array($0) }
    var head = Array("GET / HTTP/1.1\r\nHost: h\r\n".utf8)
    for line in lines { head += Array("Cookie: ".utf8) + line + [13, 10] }
    head += [13, 10]
    var bench = FuzzBench()
    guard case .head(let request) = bench.parse(head) else { return 0 }
    let found = bench.fields.findCookie(named: "__Host-gatepost", in: head.span)
    precondition(bench.fields.sessionCookie == found, "\(bench.fields.sessionCookie), not \(found)")
    var values: [[UInt8]] = []
    for pair in lines.flatMap(pairs) { if let value = ownValue(pair) { values.append(value) } }
    switch found {
    case .absent: precondition(values.isEmpty)
    case .ambiguous: precondition(values.count > 1)
    case .value(let range): precondition(values == [head.cut(range.indices)])
    }
    checkForwarded(request, head, lines, bench)
    return 0
}

/// Every pair of the others goes upstream, in order, and none of ours.
private func checkForwarded(
    _ request: CanonicalRequest, _ head: [UInt8], _ lines: [[UInt8]], _ bench: borrowing FuzzBench
) {
    guard let written = bench.written(request, head) else { return }
    var upstream = FuzzBench(limits: FuzzBench.wide)
    guard case .head = upstream.parse(written) else { preconditionFailure("what is written is no head") }
    var left: [[UInt8]] = []
    for index in 0..<upstream.fields.count where upstream.fields[index].known == .cookie {
        left += pairs(written.cut(upstream.fields[index].value.indices)).map(trimmed)
    }
    let expected = lines.flatMap(pairs).filter { !isOurs($0) }.map(trimmed).filter { !$0.isEmpty }
    precondition(left.filter { !$0.isEmpty } == expected, "the others' cookies changed")
    precondition(!left.contains(where: isOurs), "our cookie went upstream")
}

private func pairs(_ line: [UInt8]) -> [[UInt8]] {
    line.split(separator: 59, omittingEmptySubsequences: false).map { Array($0) }
}

private func trimmed(_ bytes: [UInt8]) -> [UInt8] {
    var slice = bytes[...]
    while let first = slice.first, first == 32 || first == 9 { slice.removeFirst() }
    while let last = slice.last, last == 32 || last == 9 { slice.removeLast() }
    return Array(slice)
}

private func ownValue(_ pair: [UInt8]) -> [UInt8]? {
    guard let equals = pair.firstIndex(of: 61) else { return nil }
    return trimmed(pair.cut(0..<equals)) == Array("__Host-gatepost".utf8)
        ? trimmed(pair.cut((equals + 1)..<pair.count)) : nil
}

private func isOurs(_ pair: [UInt8]) -> Bool {
    let name = pair.drop { $0 == 32 || $0 == 9 || $0 == 61 }
    let folded = name.map { (65...90).contains($0) ? $0 + 32 : $0 }
    return folded.starts(with: Array("__host-gatepost".utf8))
}
