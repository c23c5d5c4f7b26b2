import CNghttp2

/// Lines of a head or of a trailer section as the stages write them → fields for nghttp2. The text is the gateway's
/// own, whole lines with CRLF, and is dropped once it was handed over: names are folded where they stand (RFC 9113
/// §8.2.1), and every field points into it.
struct HTTP2FieldLines {
    private let text: UnsafeMutablePointer<UInt8>
    private let end: Int
    private var index: Int

    /// - Parameter start: where the first line begins, in bytes.
    init(_ text: UnsafeMutablePointer<UInt8>, from start: Int, to end: Int) {
        self.text = text
        self.end = end
        index = start
    }

    /// - Returns: nil at the empty line that ends a head, and at the end of the text.
    mutating func next() -> nghttp2_nv? {
        guard index < end, text[index] != 13 else { return nil }
        let name = text + index
        var length = 0
        while index < end, text[index] != UInt8(ascii: ":") {
            if text[index] &- 65 < 26 { text[index] |= 0x20 }
            index += 1
            length += 1
        }
        index += 1
        while index < end, text[index] == 32 { index += 1 }
        let value = text + min(index, end)
        var bytes = 0
        while index < end, text[index] != 13 {
            index += 1
            bytes += 1
        }
        index += 2
        return nghttp2_nv(name: name, value: value, namelen: length, valuelen: bytes, flags: 0)
    }
}
