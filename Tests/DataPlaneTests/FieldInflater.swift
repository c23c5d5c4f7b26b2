import CNghttp2

/// Reads the field blocks of one direction of a connection (RFC 7541).
final class FieldInflater {
    private var inflater: OpaquePointer?

    init() { nghttp2_hd_inflate_new(&inflater) }

    deinit { nghttp2_hd_inflate_del(inflater) }

    func inflate(_ block: [UInt8]) -> [(String, String)] {
        var fields: [(String, String)] = []
        var offset = 0
        while true {
            var line = nghttp2_nv()
            var flags: Int32 = 0
            let taken = block.withUnsafeBufferPointer {
                nghttp2_hd_inflate_hd2(
                    inflater, &line, &flags, $0.baseAddress.map { $0 + offset }, $0.count - offset, 1)
            }
            guard taken >= 0 else { return [("broken", "")] }
            offset += taken
            if UInt32(flags) & UInt32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
                fields.append((Self.text(line.name, line.namelen), Self.text(line.value, line.valuelen)))
            }
            if UInt32(flags) & UInt32(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 {
                nghttp2_hd_inflate_end_headers(inflater)
                return fields
            }
        }
    }

    private static func text(_ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int) -> String {
        String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }
}
