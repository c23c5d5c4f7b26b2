import Testing

@testable import HTTP

@Suite("WebSocket frames (RFC 6455 §5.2)")
struct WebSocketFramesTests {
    private static func frame(_ payload: Int, masked: Bool = false) -> [UInt8] {
        let mask: UInt8 = masked ? 0x80 : 0
        var bytes: [UInt8] = [0x82]
        switch payload {
        case ..<126: bytes.append(mask | UInt8(payload))
        case ..<65_536: bytes += [mask | 126, UInt8(payload >> 8), UInt8(payload & 0xff)]
        case _:
            bytes.append(mask | 127)
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: payload >> shift))
            }
        }
        return bytes + (masked ? [1, 2, 3, 4] : []) + [UInt8](repeating: 0x81, count: payload)
    }

    @Test("between frames exactly at their ends, at every split", arguments: [false, true])
    func everySplit(_ masked: Bool) {
        var ends: Set<Int> = [0]
        var bytes: [UInt8] = []
        for payload in [0, 1, 125, 126, 127, 300, 0, 65_535, 65_536, 2] {
            bytes += Self.frame(payload, masked: masked)
            ends.insert(bytes.count)
        }
        var single = WebSocketFrames()
        for (index, byte) in bytes.enumerated() {
            #expect(single.isBetweenFrames == ends.contains(index))
            [byte].withUnsafeBufferPointer { single.feed($0) }
        }
        #expect(single.isBetweenFrames)
        for split in [1, 2, 3, 5, 7, 13, 127, 4_096, 70_000] {
            var frames = WebSocketFrames()
            for start in stride(from: 0, to: bytes.count, by: split) {
                let end = min(start + split, bytes.count)
                bytes[start..<end].withUnsafeBufferPointer { frames.feed($0) }
                #expect(frames.isBetweenFrames == ends.contains(end), "split \(split) at \(end)")
            }
        }
    }

    @Test func `the largest length is passed over without overflow`() {
        var frames = WebSocketFrames()
        let head: [UInt8] = [0x82, 127] + [UInt8](repeating: 0xff, count: 8)
        head.withUnsafeBufferPointer { frames.feed($0) }
        #expect(!frames.isBetweenFrames)
        [UInt8](repeating: 0, count: 1 << 16).withUnsafeBufferPointer { frames.feed($0) }
        #expect(!frames.isBetweenFrames)
    }

    @Test func `a Close frame has status and reason`() {
        #expect(
            WebSocketFrames.close(status: 1008, reason: "bye") == [0x88, 5, 0x03, 0xf0, 0x62, 0x79, 0x65])
        var frames = WebSocketFrames()
        WebSocketFrames.close(status: 1008, reason: "session-ended").withUnsafeBufferPointer {
            frames.feed($0)
        }
        #expect(frames.isBetweenFrames)
    }
}
