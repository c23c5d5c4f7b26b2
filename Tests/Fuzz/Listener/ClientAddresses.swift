// libFuzzer target `client-address`: what load balancers and proxies say about the client. Built by scripts/fuzz
// together with the two parsers of Sources/DataPlane/Listener.
import Access
import Border

/// Traps when a law of the PROXY protocol's header, or of the forwarded fields, does not hold for these bytes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzClientAddress(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let rest = [UInt8](UnsafeBufferPointer(start: start + 1, count: count - 1))
    switch start[0] % 4 {
    case 0: checkHeader(rest)
    // Behind a right signature: what is behind it is far to guess.
    case 1: checkHeader(Array("\r\n\r\n\0\r\nQUIT\n".utf8) + rest)
    case 2: checkField(rest, .xForwardedFor)
    default: checkField(rest, .forwarded)
    }
    return 0
}

private func header(_ bytes: [UInt8]) -> ProxyHeader.Outcome { ProxyHeader.parse(bytes.span) }

/// How many bytes a header that is not whole wants more; nil for one that is, or that is refused.
private func wanted(_ outcome: ProxyHeader.Outcome) -> Int? {
    guard case .needMore(let more) = outcome else { return nil }
    return more
}

/// Whole = at every split, the first wrong byte refuses, and nothing behind the header is asked for: that is TLS.
private func checkHeader(_ bytes: [UInt8]) {
    let whole = header(bytes)
    if let more = wanted(whole) {
        precondition(
            more > 0 && bytes.count + more <= ProxyHeader.bytesMax, "\(more) bytes more are asked for")
    }
    var isRead = false
    if case .local = whole { isRead = true }
    if case .client = whole { isRead = true }
    var end = bytes.count
    for split in 0..<bytes.count {
        let early = header(Array(bytes[..<split]))
        if let more = wanted(early) {
            precondition(
                more > 0 && (!isRead || split + more <= bytes.count), "\(more) bytes more at \(split)")
        } else {
            precondition(early == whole, "\(early) of \(split) bytes, \(whole) of all")
            end = min(end, split)
        }
    }
    checkAddress(whole, bytes, end)
}

/// By a second reading.
private func checkAddress(_ outcome: ProxyHeader.Outcome, _ bytes: [UInt8], _ end: Int) {
    guard case .client(let address) = outcome else { return }
    precondition(end >= 28 && bytes[13] == 0x11 || end >= 52 && bytes[13] == 0x21)
    let octets = bytes[16..<(bytes[13] == 0x11 ? 20 : 32)]
    precondition(address == second(octets), "\(address) is not \(octets)")
}

private func second(_ octets: ArraySlice<UInt8>) -> NetworkAddress {
    func number(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
    return octets.count == 4
        ? NetworkAddress(v4: UInt32(number(octets)))
        : NetworkAddress(high: number(octets.prefix(8)), low: number(octets.suffix(8)))
}

private let trusted = ["10.0.0.0/8", "fd00::/8"].compactMap { NetworkRange(parsing: $0) }

/// Who is trusted with the rightmost place cannot be overruled by what stands to its left.
private func checkField(_ bytes: [UInt8], _ field: ClientAddressTrust.Field) {
    var chain = ForwardedChain(trusted: trusted)
    guard chain.read(bytes.span, field) else { return }
    let last = field == .forwarded ? "for=198.51.100.7" : "198.51.100.7"
    let text = bytes + Array(((bytes.isEmpty ? "" : ", ") + last).utf8)
    var longer = ForwardedChain(trusted: trusted)
    guard longer.read(text.span, field) else { return }
    precondition(
        longer.found == .client(NetworkAddress(v4: 0xC633_6407)),
        "\(longer.found) stands left of the last proxy")
}
