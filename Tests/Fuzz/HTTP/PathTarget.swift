// libFuzzer target `path`: the canonical path is canonical, has none of the refused spellings, and permissions only permit.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPath(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let path = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let strict = canonical(path, [])
    for options in [.allowsEncodedSlash, .allowsEmptySegments, [.allowsEncodedSlash, .allowsEmptySegments]]
        as [PathOptions]
    {
        let permitted = canonical(path, options)
        if let strict { precondition(permitted == strict, "a permission changed a path that needs none") }
        if let permitted { check(permitted, options) }
    }
    if let strict { check(strict, []) }
    return 0
}

/// nil when it is refused, or is more than a path.
private func canonical(_ path: [UInt8], _ options: PathOptions) -> [UInt8]? {
    var bench = FuzzBench(options: options)
    let head = Array("GET /".utf8) + path + Array(" HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
    guard case .head(let request) = bench.parse(head), request.form == .origin else { return nil }
    return bench.path(request, head)
}

private func check(_ path: [UInt8], _ options: PathOptions) {
    precondition(path.first == 47)
    precondition(canonical(Array(path.dropFirst()), options) == path, "the canonical path is not canonical")
    for segment in path.split(separator: 47, omittingEmptySubsequences: false).dropFirst() {
        let name = Array(segment.prefix { $0 != 59 })
        precondition(name != [46] && name != [46, 46], "a dot segment")
    }
    for byte in path { precondition(byte > 0x20 && byte < 0x7f && byte != 92 && byte != 35 && byte != 63) }
    let text = String(decoding: path, as: UTF8.self)
    for refused in ["%5C", "%00", "%2E", "%41", "%61", "%7E", "%252E", "%252F", "%255C", "%5c", "%2e"] {
        precondition(!contains(path, Array(refused.utf8)), "\(refused) in \(text)")
    }
    precondition(options.contains(.allowsEmptySegments) || !contains(path, [47, 47]), "// in \(text)")
    precondition(
        options.contains(.allowsEncodedSlash) || !contains(path, Array("%2F".utf8)), "%2F in \(text)")
}

private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
    guard bytes.count >= part.count else { return false }
    return (0...(bytes.count - part.count)).contains { bytes[$0..<($0 + part.count)].elementsEqual(part) }
}
