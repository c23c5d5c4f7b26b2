/// The X-Forwarded-* lines, and `Forwarded`, that we write ourselves after removing the client's.
///
/// Those that name the client are the same in every request of a connection, so they are put together once.
public struct ForwardedFields: Sendable {
    // 30 bytes and twice the longest address.
    private var block = InlineArray<108, UInt8>(repeating: 0)
    private var count: UInt8 = 0
    private let isSecure: Bool

    /// - Parameters:
    ///   - client: the client's address as text, made by the gateway from a typed value.
    ///   - isSecure: whether the client spoke TLS with us.
    /// - Precondition: `client` is at most 39 hexadecimal digits, "." and ":".
    public init(client: Span<UInt8>, isSecure: Bool) {
        for index in client.indices {
            precondition(ByteClass.isInBrackets(client[index]), "client address byte \(client[index])")
        }
        self.isSecure = isSecure
        count = withUnsafeMutableBytes(of: &block) { target in
            var output = HeadOutput(target)
            output.append("X-Forwarded-For: ")
            output.append(client)
            output.append("\r\nX-Real-IP: ")
            output.append(client)
            precondition(!output.isOverflowed, "client address of \(client.count) bytes")
            return UInt8(output.count)
        }
    }

    /// Appends X-Forwarded-For, X-Real-IP, X-Forwarded-Proto and X-Forwarded-Host lines.
    public func write(
        _ request: CanonicalRequest, head: Span<UInt8>, scratch: borrowing CanonicalScratch,
        into output: inout HeadOutput
    ) {
        output.append(block.span, 0..<Int(count))
        if isSecure {
            output.append("\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: ")
        } else {
            output.append("\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ")
        }
        request.writeAuthority(head, scratch, into: &output)
        output.append("\r\n")
    }

    /// Appends one `Forwarded` line (RFC 7239 §4) with one element: the same client, host and protocol.
    public func writeStandard(
        _ request: CanonicalRequest, head: Span<UInt8>, scratch: borrowing CanonicalScratch,
        into output: inout HeadOutput
    ) {
        let client = block.span.extracting(
            ForwardedFields.clientStart..<(ForwardedFields.clientStart + clientBytes))
        output.append("Forwarded: for=")
        // RFC 7239 §6: an IPv6 address stands in brackets, and what is no token in quotes.
        let isV6 = ByteClass.find(58, client, client.indices) < client.count
        if isV6 { output.append("\"[") }
        output.append(client)
        if isV6 { output.append("]\"") }
        output.append(";host=\"")
        request.writeAuthority(head, scratch, into: &output)
        output.append(isSecure ? "\";proto=https\r\n" : "\";proto=http\r\n")
    }

    /// Behind "X-Forwarded-For: ".
    private static var clientStart: Int { 17 }
    /// It stands there twice, with 30 bytes around it.
    private var clientBytes: Int { (Int(count) - 30) / 2 }
}

/// Checks of field lines that other parts of the gateway made.
public enum FieldBlock {
    /// Whether `bytes` are zero or more complete, valid field lines, each ended by CRLF, and nothing else: no
    /// empty line that would end the head early. To be asked once when a block is loaded, not per request.
    public static func isWellFormed(_ bytes: Span<UInt8>) -> Bool {
        var index = 0
        do throws(HeadStop) {
            while index < bytes.count {
                let colon = try HeadScan.nameEnd(bytes, from: index, to: bytes.count)
                index = try HeadScan.valueEnd(bytes, from: colon + 1, to: bytes.count) + 2
            }
            return true
        } catch {
            return false
        }
    }
}
