import COpenSSL

/// Owns one reference to an `EVP_PKEY`.
final class KeyHandle: @unchecked Sendable {
    // Unchecked because of the C pointer: the key is complete before it is adopted and nothing changes it
    // after that. OpenSSL guards the reference count and the providers' caches inside of an EVP_PKEY by its
    // own locks.
    let raw: OpaquePointer

    init(adopting raw: OpaquePointer) { self.raw = raw }
    deinit { EVP_PKEY_free(raw) }
}

/// What the crypto library answered last, for the operator; call before the error queue is cleared.
func libraryError(_ what: String) -> SignatureError {
    let code = ERR_peek_last_error()
    guard code != 0, let reason = ERR_reason_error_string(code) else { return SignatureError(what) }
    return SignatureError("\(what) (\(String(cString: reason)))")
}

/// Lends `bytes` to C as a source of PEM text, at most 64 KiB where nothing else is said.
func withMemoryReader<Result>(
    _ bytes: [UInt8], bytesMax: Int = 64 << 10, _ body: (OpaquePointer) throws(SignatureError) -> Result
) throws(SignatureError) -> Result {
    guard bytes.count <= bytesMax else { throw SignatureError("PEM text is longer than \(bytesMax) bytes") }
    // A copy inside of the BIO: the array's own storage may be moved once the call that passes it returns.
    guard let bio = BIO_new(BIO_s_mem()) else { throw SignatureError("out of memory") }
    defer { BIO_free(bio) }
    guard bytes.isEmpty || BIO_write(bio, bytes, CInt(bytes.count)) == CInt(bytes.count) else {
        throw SignatureError("out of memory")
    }
    return try body(bio)
}

/// What `body` writes into a memory BIO; nil when it answers anything but 1.
func memoryWritten(_ body: (OpaquePointer) -> CInt) -> [UInt8]? {
    guard let bio = BIO_new(BIO_s_mem()) else { return nil }
    defer { BIO_free(bio) }
    guard body(bio) == 1 else { return nil }
    var start: UnsafeMutablePointer<CChar>?
    let count = gatepost_memory_contents(bio, &start)
    guard count >= 0, let start else { return nil }
    return start.withMemoryRebound(to: UInt8.self, capacity: count) { first in
        Array(UnsafeBufferPointer(start: first, count: count))
    }
}

/// What an `i2d` function writes; nil when it fails.
func encodedDER(_ body: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> CInt) -> [UInt8]? {
    let count = body(nil)
    guard count > 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: Int(count))
    let written = bytes.withUnsafeMutableBufferPointer { buffer in
        var next = buffer.baseAddress
        return body(&next)
    }
    return written == count ? bytes : nil
}
