/// Where the frames of one direction of a WebSocket begin and end (RFC 6455 §5.2), for whoever has to say something in
/// between. The payload is passed over, not looked at.
public struct WebSocketFrames: Sendable, Hashable {
    /// Of the payload, once the header is over; while it comes, the length as far as it is known.
    private var payloadLeft: UInt64 = 0
    /// Bytes of the frame's header so far; the longest has 14.
    private var headerCount: UInt8 = 0
    private var lengthBytesLeft: UInt8 = 0
    private var maskBytesLeft: UInt8 = 0

    /// A direction that has not begun: nothing is open.
    public init() {}

    /// Whether the next byte begins a frame.
    public var isBetweenFrames: Bool { headerCount == 0 && payloadLeft == 0 }

    /// Follows the bytes as they are sent.
    public mutating func feed(_ bytes: UnsafeBufferPointer<UInt8>) {
        var at = 0
        while at < bytes.count {
            if headerCount == 0, payloadLeft > 0 {
                let step = min(UInt64(bytes.count - at), payloadLeft)
                payloadLeft -= step
                at += Int(step)
            } else {
                feedHeader(bytes[at])
                at += 1
            }
        }
    }

    private mutating func feedHeader(_ byte: UInt8) {
        headerCount += 1
        if headerCount == 1 { return }
        if headerCount == 2 {
            maskBytesLeft = byte & 0x80 != 0 ? 4 : 0
            payloadLeft = UInt64(byte & 0x7f)
            lengthBytesLeft = payloadLeft == 126 ? 2 : payloadLeft == 127 ? 8 : 0
            if lengthBytesLeft > 0 { payloadLeft = 0 }
        } else if lengthBytesLeft > 0 {
            payloadLeft = payloadLeft << 8 | UInt64(byte)
            lengthBytesLeft -= 1
        } else {
            maskBytesLeft -= 1
        }
        guard lengthBytesLeft == 0, maskBytesLeft == 0 else { return }
        headerCount = 0
    }

    /// A Close frame of a server (RFC 6455 §5.5.1): status and reason, unmasked.
    ///
    /// - Precondition: `reason` has at most 123 bytes.
    public static func close(status: UInt16, reason: String) -> [UInt8] {
        let text = Array(reason.utf8)
        precondition(text.count <= 123, "a Close frame's reason has at most 123 bytes")
        return [0x88, UInt8(2 + text.count), UInt8(status >> 8), UInt8(status & 0xff)] + text
    }
}
