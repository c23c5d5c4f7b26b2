import Foundation
import Signatures

/// A revocation list with a signature that nobody made: who only follows files does not look at it.
struct UnsignedList {
    var issuer = "test"
    var thisUpdate: Int64
    /// nil: it has none.
    var nextUpdate: Int64?
    var number: UInt8?
    var entries = 0
    /// Further certificates, by their serial numbers in hexadecimal digits.
    var serials: [String] = []
    /// The name of its authority's key (authorityKeyIdentifier).
    var key: [UInt8]?
    /// The place of the certificates that it is about (issuingDistributionPoint).
    var place: String?
    /// Holds only what changed since another one.
    var isDelta = false

    var der: [UInt8] { whole([0x30, 0x06, 2, 1, 1, 2, 1, 1]) }

    /// As its authority makes it: for who looks at the signature.
    func signed(by key: SigningKey) -> [UInt8] {
        let raw = key.sign(list)
        return whole(Self.value(0x30, Self.number(raw[..<32]) + Self.number(raw[32...])))
    }

    private func whole(_ signature: [UInt8]) -> [UInt8] {
        Self.value(0x30, list + Self.algorithm + Self.value(0x03, [0] + signature))
    }

    /// ecdsa-with-SHA256
    private static let algorithm = value(0x30, [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02])

    /// What is signed.
    private var list: [UInt8] {
        let name = Self.value(
            0x30, [0x06, 0x03, 0x55, 0x04, 0x03] + Self.value(0x0C, Array(issuer.utf8)))
        var body: [UInt8] = [0x02, 0x01, 0x01] + Self.algorithm + Self.value(0x30, Self.value(0x31, name))
        body += Self.time(thisUpdate) + (nextUpdate.map(Self.time) ?? [])
        if entries > 0 || !serials.isEmpty {
            let time = Self.time(thisUpdate)
            var revoked: [UInt8] = []
            for entry in 0..<entries {
                let serial: [UInt8] = [0x40] + (0..<3).map { UInt8(truncatingIfNeeded: entry >> (8 * $0)) }
                revoked += Self.value(0x30, Self.value(0x02, serial) + time)
            }
            for serial in serials {
                revoked += Self.value(0x30, Self.number(Self.bytes(serial)[...]) + time)
            }
            body += Self.value(0x30, revoked)
        }
        var extensions: [UInt8] = []
        if let number { extensions += Self.extended(0x14, Self.value(0x02, [number])) }
        if let key { extensions += Self.extended(0x23, Self.value(0x30, Self.value(0x80, key))) }
        if let place {
            let names = Self.value(0xA0, Self.value(0xA0, Self.value(0x86, Array(place.utf8))))
            extensions += Self.extended(0x1C, Self.value(0x30, names), isCritical: true)
        }
        if isDelta { extensions += Self.extended(0x1B, Self.value(0x02, [1]), isCritical: true) }
        if !extensions.isEmpty { body += Self.value(0xA0, Self.value(0x30, extensions)) }
        return Self.value(0x30, body)
    }

    var pem: [UInt8] {
        Array("-----BEGIN X509 CRL-----\n\(Base64.encode(der))\n-----END X509 CRL-----\n".utf8)
    }

    /// Of id-ce (RFC 5280 §4.2).
    private static func extended(_ last: UInt8, _ content: [UInt8], isCritical: Bool = false) -> [UInt8] {
        let critical: [UInt8] = isCritical ? [0x01, 0x01, 0xFF] : []
        return value(0x30, [0x06, 0x03, 0x55, 0x1D, last] + critical + value(0x04, content))
    }

    /// A positive INTEGER of these octets.
    private static func number(_ octets: ArraySlice<UInt8>) -> [UInt8] {
        let rest = Array(octets.drop { $0 == 0 })
        return value(0x02, (rest.first.map { $0 < 0x80 } ?? false ? [] : [0]) + rest)
    }

    private static func bytes(_ digits: String) -> [UInt8] {
        let digits = Array(digits)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(digits[$0...$0 + 1]), radix: 16)
        }
    }

    private static func value(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        var count = content.count
        if count < 128 { return [tag, UInt8(count)] + content }
        var octets: [UInt8] = []
        while count > 0 {
            octets.insert(UInt8(count & 255), at: 0)
            count >>= 8
        }
        return [tag, 0x80 | UInt8(octets.count)] + octets + content
    }

    private static func time(_ seconds: Int64) -> [UInt8] {
        let text = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
        return value(0x17, Array((text.filter(\.isNumber).dropFirst(2) + "Z").utf8))
    }
}
