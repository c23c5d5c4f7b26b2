extension CanonicalRequest {
    /// The same request under another path: without the first `count` bytes of its own, behind `prefix`. From
    /// here on it is the only path there is, for policy and for the upstream.
    ///
    /// - Parameters:
    ///   - count: bytes up to the end of a segment.
    ///   - prefix: canonical; empty, or begins with "/" and does not end with one.
    /// - Returns: nil when the path becomes longer than any target may be.
    /// - Precondition: `head` and `scratch` are those of the parse that made this request.
    public func replacingPath(
        dropping count: Int, behind prefix: Span<UInt8>, head: Span<UInt8>,
        scratch: inout CanonicalScratch
    ) -> CanonicalRequest? {
        precondition(count >= 0 && count <= path.count, "\(count) bytes of \(path.count)")
        let rest = path.range.indices.dropFirst(count)
        let start = scratch.used
        let bytes = max(1, prefix.count + rest.count)
        guard start + bytes <= scratch.bytes.count else { return nil }
        for index in prefix.indices { scratch.append(prefix[index]) }
        for index in rest { scratch.append(path.isInScratch ? scratch.bytes[index] : head[index]) }
        if scratch.used == start { scratch.append(0x2f) }
        var request = self
        request.path = CanonicalText(
            range: ByteRange(start: start, count: scratch.used - start), isInScratch: true)
        return request
    }
}
