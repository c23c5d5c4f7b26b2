/// Reads big-endian structures of a TPM 2.0 (TPM 2.0 Library, Part 2), never past their end.
///
/// Everything that comes from a device or from its security chip goes through here: each read says how much it
/// needs, and what is not there is an error.
package struct TPMReader {
    private let bytes: [UInt8]
    private var offset = 0

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// How much has not been read yet.
    package var remaining: Int { bytes.count - offset }

    package mutating func take(_ count: Int) throws(SignatureError) -> [UInt8] {
        guard count >= 0, count <= remaining else {
            throw SignatureError("TPM structure: ends \(count - remaining) bytes too early")
        }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    package mutating func uint8() throws(SignatureError) -> UInt8 { try take(1)[0] }

    package mutating func uint16() throws(SignatureError) -> UInt16 {
        let bytes = try take(2)
        return UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    }

    package mutating func uint32() throws(SignatureError) -> UInt32 {
        try take(4).reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// A `TPM2B`: two bytes of length, then that many bytes.
    package mutating func sized(bytesMax: Int) throws(SignatureError) -> [UInt8] {
        let count = Int(try uint16())
        guard count <= bytesMax else {
            throw SignatureError("TPM structure: a part of \(count) bytes where \(bytesMax) are the most")
        }
        return try take(count)
    }

    /// What follows a structure was checked by nobody, so nothing may.
    package func end() throws(SignatureError) {
        guard remaining == 0 else { throw SignatureError("TPM structure: \(remaining) bytes follow it") }
    }
}

/// Writes what `TPMReader` reads.
package struct TPMWriter {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func append(_ value: UInt8) { bytes.append(value) }

    package mutating func append(_ value: UInt16) {
        bytes.append(UInt8(value >> 8))
        bytes.append(UInt8(value & 0xff))
    }

    package mutating func append(_ value: UInt32) {
        append(UInt16(value >> 16))
        append(UInt16(value & 0xffff))
    }

    package mutating func append(_ other: [UInt8]) { bytes += other }

    /// A `TPM2B` around `content`, which is shorter than 64 KiB.
    package mutating func appendSized(_ content: [UInt8]) {
        precondition(content.count <= Int(UInt16.max), "a TPM2B of \(content.count) bytes")
        append(UInt16(content.count))
        bytes += content
    }
}

/// Numbers of TPM 2.0 Library, Part 2, section 6.
package enum TPMAlgorithm {
    package static let rsa: UInt16 = 0x0001
    package static let aes: UInt16 = 0x0006
    package static let sha256: UInt16 = 0x000b
    package static let null: UInt16 = 0x0010
    package static let ecdsa: UInt16 = 0x0018
    package static let ecc: UInt16 = 0x0023
    package static let cfb: UInt16 = 0x0043
    package static let curveP256: UInt16 = 0x0003
}
