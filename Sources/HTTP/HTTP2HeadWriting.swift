/// What was taken becomes one HTTP/1.1 head, or the lines of a trailer section.
extension HTTP2RequestHead {
    /// Which stream the request opens; what is missing or too much is found here.
    public func kind(in storage: UnsafeMutableRawBufferPointer) throws(HTTP2HeadError) -> Kind {
        guard let method else { throw .missingPseudoField }
        let bytes = UnsafeRawBufferPointer(storage).bindMemory(to: UInt8.self).span
        let isConnect = ByteClass.equal(bytes, method, "CONNECT")
        guard protocolName != nil || !isConnect else {
            // RFC 9113 §8.5.
            guard authority != nil else { throw .missingPseudoField }
            guard scheme == nil, path == nil else { throw .forbiddenPseudoField }
            return .connect
        }
        guard scheme != nil, path != nil else { throw .missingPseudoField }
        guard authority != nil || host != nil else { throw .missingPseudoField }
        guard let protocolName else { return .message }
        guard isConnect else { throw .forbiddenPseudoField }
        guard authority != nil else { throw .missingPseudoField }
        return ByteClass.equalFolded(bytes, protocolName, "websocket") ? .webSocket : .connect
    }

    /// Writes the whole head.
    ///
    /// - Parameters:
    ///   - hasBody: data will follow; without a Content-Length it will be in chunks.
    ///   - webSocketKey: the gateway's own, for `.webSocket`.
    public func write(
        _ kind: Kind, hasBody: Bool, webSocketKey: Span<UInt8>, from storage: UnsafeMutableRawBufferPointer,
        into output: inout HeadOutput
    ) {
        let bytes = UnsafeRawBufferPointer(storage).bindMemory(to: UInt8.self).span
        switch kind {
        case .message: if let method { output.append(bytes, method) }
        case .webSocket: output.append("GET")
        case .connect: output.append("CONNECT")
        }
        output.append(32)
        if isSchemePlain, kind != .connect { writePlainOrigin(bytes, into: &output) }
        if kind == .connect { output.append(47) } else if let path { output.append(bytes, path) }
        output.append(" HTTP/1.1\r\nhost: ")
        if let authority = authority ?? host { output.append(bytes, authority) }
        output.append("\r\n")
        if let firstLine { output.append(bytes, firstLine..<lineBytes) }
        if cookieBytes > 0 {
            output.append("cookie: ")
            let half = storage.count / 2
            output.append(bytes, half..<(half + cookieBytes))
            output.append("\r\n")
        }
        switch kind {
        case .message: if hasBody, contentLength == nil { output.append("transfer-encoding: chunked\r\n") }
        case .webSocket:
            output.append("connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ")
            output.append(webSocketKey)
            output.append("\r\n")
        case .connect: break
        }
        output.append("\r\n")
    }

    /// Another scheme than the connection's is written as an absolute target, which the parser refuses.
    private func writePlainOrigin(_ bytes: Span<UInt8>, into output: inout HeadOutput) {
        if let scheme { output.append(bytes, scheme) }
        output.append("://")
        if let authority = authority ?? host { output.append(bytes, authority) }
    }

    /// Writes the lines of a trailer section, without an empty line.
    public func writeTrailers(from storage: UnsafeMutableRawBufferPointer, into output: inout HeadOutput) {
        let bytes = UnsafeRawBufferPointer(storage).bindMemory(to: UInt8.self).span
        if let firstLine { output.append(bytes, firstLine..<lineBytes) }
    }
}

extension ByteClass {
    /// Whether `bytes[range]` is exactly `word`.
    static func equal(_ bytes: Span<UInt8>, _ range: Range<Int>, _ word: StaticString) -> Bool {
        range.count == word.utf8CodeUnitCount && starts(bytes, range, word)
    }
}
