import HTTP

/// Reads the chunked coding that this gateway has just written itself, to send what is in it as DATA.
struct HTTP2Chunks {
    /// What comes next.
    private enum State { case size, data(Int), dataEnd, trailers, ended }

    private var state = State.size
    /// All of the body was read, with its trailers.
    var isEnded: Bool { if case .ended = state { true } else { false } }

    /// What the front of `bytes` is. The caller drops `consumed` and asks again.
    enum Piece {
        /// Body bytes.
        case data(Range<Int>, consumed: Int)
        /// Nothing to keep.
        case framing(consumed: Int)
        /// One trailer line, without its end.
        case trailer(Range<Int>, consumed: Int)
        case needMore
        /// Not what `ChunkEncoding` writes.
        case broken
    }

    mutating func next(_ bytes: UnsafeBufferPointer<UInt8>) -> Piece {
        switch state {
        case .size:
            guard let end = Self.lineEnd(bytes) else { return bytes.count > 18 ? .broken : .needMore }
            var size = 0
            for index in 0..<end {
                guard let digit = Self.digit(bytes[index]), size < 1 << 48 else { return .broken }
                size = size << 4 | digit
            }
            guard end > 0 else { return .broken }
            state = size > 0 ? .data(size) : .trailers
            return .framing(consumed: end + 2)
        case .data(let left):
            guard !bytes.isEmpty else { return .needMore }
            let count = min(left, bytes.count)
            state = count == left ? .dataEnd : .data(left - count)
            return .data(0..<count, consumed: count)
        case .dataEnd:
            guard bytes.count >= 2 else { return .needMore }
            guard bytes[0] == 13, bytes[1] == 10 else { return .broken }
            state = .size
            return .framing(consumed: 2)
        case .trailers:
            guard let end = Self.lineEnd(bytes) else { return .needMore }
            if end == 0 { state = .ended }
            return end == 0 ? .framing(consumed: 2) : .trailer(0..<end, consumed: end + 2)
        case .ended: return bytes.isEmpty ? .needMore : .broken
        }
    }

    private static func lineEnd(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        var index = 0
        while index + 1 < bytes.count {
            if bytes[index] == 13, bytes[index + 1] == 10 { return index }
            index += 1
        }
        return nil
    }

    private static func digit(_ byte: UInt8) -> Int? {
        if byte &- 48 < 10 { return Int(byte &- 48) }
        let letter = byte | 0x20
        return letter &- 97 < 6 ? Int(letter &- 87) : nil
    }
}
