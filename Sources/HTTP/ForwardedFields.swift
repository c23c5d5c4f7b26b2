/// The X-Forwarded-* lines that we write ourselves after removing the client's.
public enum ForwardedFields {
    /// Appends X-Forwarded-For, X-Real-IP, X-Forwarded-Proto and X-Forwarded-Host lines.
    ///
    /// - Parameters:
    ///   - client: the client's address as text, made by the gateway from a typed value.
    ///   - isSecure: whether the client spoke TLS with us.
    /// - Precondition: `client` holds only hexadecimal digits, "." and ":".
    public static func write(
        client: Span<UInt8>, isSecure: Bool, request: CanonicalRequest, head: Span<UInt8>,
        scratch: borrowing CanonicalScratch, into output: inout HeadOutput
    ) {
        for index in client.indices {
            precondition(ByteClass.isInBrackets(client[index]), "client address byte \(client[index])")
        }
        output.append("X-Forwarded-For: ")
        output.append(client)
        output.append("\r\nX-Real-IP: ")
        output.append(client)
        if isSecure {
            output.append("\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: ")
        } else {
            output.append("\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ")
        }
        request.writeAuthority(head, scratch, into: &output)
        output.append("\r\n")
    }
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
