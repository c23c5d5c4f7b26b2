import COpenSSL

/// What a WebSocket server computes, beside the product's own computation of it.
enum FuzzDigest {
    static func accept(_ key: String) -> String {
        let text = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
        var digest = [UInt8](repeating: 0, count: 20)
        _ = SHA1(text, text.count, &digest)
        var coded = [UInt8](repeating: 0, count: 29)
        let count = EVP_EncodeBlock(&coded, digest, 20)
        return String(decoding: coded[..<Int(count)], as: UTF8.self)
    }
}
