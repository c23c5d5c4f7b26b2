/// A WebSocket (RFC 6455) that sends back every message it gets.

import Signatures

struct WebSocketEcho {
    static let frameBytesMax = 1 << 20

    let exchange: Exchange

    func run() throws {
        let head = exchange.head
        guard head.method == "GET", head.lists("upgrade", in: "connection"),
            head.lists("websocket", in: "upgrade"),
            head.field("sec-websocket-version") == "13", let key = head.field("sec-websocket-key"),
            Base64.decode(key)?.count == 16
        else {
            var response = Response.text("This path speaks WebSocket.\n", status: 426)
            response.fields += [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
            return try exchange.send(response)
        }
        let stream = try exchange.upgrade([
            ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", Self.accept(key)),
        ])
        stream.limitReads(seconds: 3600)
        try talk(stream)
    }

    static func accept(_ key: String) -> String {
        Base64.encode(SHA1.digest(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }

    private func talk(_ stream: ByteStream) throws {
        while true {
            guard let frame = try readFrame(stream) else {
                return try stream.write(Self.frame(0x88, [0x03, 0xea]))  // 1002, protocol error
            }
            switch frame.first & 0x0f {
            // Fragments go back as fragments: the message is the same.
            case 0x0, 0x1, 0x2: try stream.write(Self.frame(frame.first, frame.payload))
            case 0x9: try stream.write(Self.frame(0x8a, frame.payload))
            case 0xa: continue
            default: return try stream.write(Self.frame(0x88, Array(frame.payload.prefix(2))))
            }
        }
    }

    /// nil for what RFC 6455 forbids: reserved bits, unmasked or oversized frames, fragmented control frames.
    private func readFrame(_ stream: ByteStream) throws -> (first: UInt8, payload: [UInt8])? {
        let start = try stream.readExactly(2)
        let first = start[0]
        guard first & 0x70 == 0, start[1] & 0x80 != 0, [0, 1, 2, 8, 9, 10].contains(first & 0x0f) else {
            return nil
        }
        var length = Int(start[1] & 0x7f)
        if first & 0x08 != 0, length > 125 || first & 0x80 == 0 { return nil }
        if length == 126 { length = try stream.readExactly(2).reduce(0) { $0 << 8 | Int($1) } }
        if length == 127 {
            let bytes = try stream.readExactly(8)
            guard bytes[0..<4].allSatisfy({ $0 == 0 }) else { return nil }
            length = bytes.reduce(0) { $0 << 8 | Int($1) }
        }
        guard length <= Self.frameBytesMax else { return nil }
        let mask = try stream.readExactly(4)
        var payload = try stream.readExactly(length)
        for index in payload.indices { payload[index] ^= mask[index & 3] }
        return (first, payload)
    }

    static func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var head = [first]
        switch payload.count {
        case ..<126: head.append(UInt8(payload.count))
        case ..<65536: head += [126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default:
            head.append(127)
            for shift in stride(from: 56, through: 0, by: -8) {
                head.append(UInt8(truncatingIfNeeded: payload.count >> shift))
            }
        }
        return head + payload
    }
}
