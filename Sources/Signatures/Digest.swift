import COpenSSL

/// SHA-256 and what is built from it.
public enum Digest {
    /// The 32 bytes of SHA-256 (FIPS 180-4).
    public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        var digest = [UInt8](repeating: 0, count: 32)
        let done = EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil)
        precondition(done == 1, "the crypto library has no SHA-256")
        return digest
    }

    /// The 64 bytes of SHA-512 (FIPS 180-4).
    public static func sha512(_ bytes: [UInt8]) -> [UInt8] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        var digest = [UInt8](repeating: 0, count: 64)
        let done = EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha512(), nil)
        precondition(done == 1, "the crypto library has no SHA-512")
        return digest
    }

    /// The 32 bytes of HMAC with SHA-256 (RFC 2104).
    public static func hmacSHA256(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        var code = [UInt8](repeating: 0, count: 32)
        let done = HMAC(EVP_sha256(), key, CInt(key.count), bytes, bytes.count, &code, nil)
        precondition(done != nil, "the crypto library has no HMAC with SHA-256")
        return code
    }
}

/// Random bytes from the crypto library's generator, seeded by the kernel.
public enum Random {
    /// `count` unpredictable bytes, fit for keys.
    public static func bytes(_ count: Int) -> [UInt8] {
        precondition((0...1 << 20).contains(count), "\(count) random bytes; 0 to 1 MiB are given at once")
        ERR_clear_error()
        defer { ERR_clear_error() }
        var bytes = [UInt8](repeating: 0, count: count)
        // Without randomness every secret is guessable: stopping is the only safe answer.
        precondition(RAND_priv_bytes(&bytes, CInt(count)) == 1, "the system gave no random bytes")
        return bytes
    }
}

/// Whether `a` equals `b`, in a time that depends on their lengths only.
public func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
}
