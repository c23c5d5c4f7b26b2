/// One frame as it stood on the wire (RFC 9113 §4.1).
struct HTTP2Frame {
    enum Kind: UInt8 {
        case data = 0
        case headers, priority, reset, settings, pushPromise, ping, goaway, windowUpdate, continuation
    }

    static let endStream: UInt8 = 1
    static let acknowledge: UInt8 = 1
    static let endHeaders: UInt8 = 4

    var kind: UInt8
    var flags: UInt8
    var stream: UInt32
    var payload: [UInt8]

    /// The first four bytes of the payload, or those at an offset, as a number.
    func number(at offset: Int = 0) -> UInt32 {
        payload.dropFirst(offset).prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// What a SETTINGS frame says.
    var settings: [UInt16: UInt32] {
        var said: [UInt16: UInt32] = [:]
        for start in stride(from: 0, to: payload.count, by: 6) {
            said[UInt16(payload[start]) << 8 | UInt16(payload[start + 1])] = number(at: start + 2)
        }
        return said
    }

    static func bytes(_ kind: Kind, _ flags: UInt8 = 0, _ stream: UInt32 = 0, _ payload: [UInt8] = [])
        -> [UInt8]
    {
        bytes(raw: kind.rawValue, flags, stream, payload)
    }

    static func bytes(raw kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), kind, flags]
            + big(stream) + payload
    }

    static func big(_ number: UInt32) -> [UInt8] {
        [UInt8(number >> 24), UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255)]
    }

    /// Literal lines, never indexed and without Huffman coding: every byte as the test says (RFC 7541 §6.2.3).
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { [0x10] + text($0.0) + text($0.1) }
    }

    private static func text(_ text: String) -> [UInt8] {
        let bytes = Array(text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
        guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
        var left = bytes.count - 127
        var prefix: [UInt8] = [127]
        while left >= 128 {
            prefix.append(UInt8(left % 128 + 128))
            left /= 128
        }
        return prefix + [UInt8(left)] + bytes
    }
}

/// Cuts what arrives into frames.
struct HTTP2FrameReader {
    private var buffer: [UInt8] = []

    /// - Parameter more: the next bytes; nil when there are none.
    /// - Returns: nil when the connection is over or patience is.
    mutating func next(_ more: () -> [UInt8]?) -> HTTP2Frame? {
        while true {
            if buffer.count >= 9 {
                let count = Int(buffer[0]) << 16 | Int(buffer[1]) << 8 | Int(buffer[2])
                if buffer.count >= 9 + count {
                    let stream = buffer[5..<9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                    let frame = HTTP2Frame(
                        kind: buffer[3], flags: buffer[4], stream: stream,
                        payload: Array(buffer[9..<(9 + count)]))
                    buffer.removeFirst(9 + count)
                    return frame
                }
            }
            guard let more = more() else { return nil }
            buffer += more
        }
    }
}
