import COpenSSL

/// The host of a ClientHello before OpenSSL has read it (RFC 6066 section 3).
enum ClientHelloName {
    /// - Returns: in lower case; nil when there is none, or it is not one plain name.
    static func read(_ ssl: OpaquePointer?) -> String? {
        var start: UnsafePointer<UInt8>?
        var count = 0
        guard SSL_client_hello_get0_ext(ssl, UInt32(TLSEXT_TYPE_server_name), &start, &count) == 1 else {
            return nil
        }
        return parse(UnsafeBufferPointer(start: start, count: count))
    }

    /// The extension's value: a list of exactly one name, of type host_name.
    static func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> String? {
        guard bytes.count > 5, bytes[2] == 0 else { return nil }
        let listed = Int(bytes[0]) << 8 | Int(bytes[1])
        let length = Int(bytes[3]) << 8 | Int(bytes[4])
        guard listed == bytes.count - 2, length == bytes.count - 5, (1...255).contains(length) else {
            return nil
        }
        let name = UnsafeBufferPointer(rebasing: bytes[5...])
        guard name.allSatisfy({ (0x21...0x7e).contains($0) }) else { return nil }
        return String(decoding: name, as: UTF8.self).lowercased()
    }
}
