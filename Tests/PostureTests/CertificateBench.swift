import Foundation
import JSON

@testable import Signatures

/// Certificates with whatever a test wants to be wrong with them.
struct CertificateBench {
    /// Extensions of a good device certificate, in OpenSSL's text form.
    struct Extensions {
        var constraints: String? = "critical,CA:FALSE"
        var usage: String? = "critical,digitalSignature"
        var extendedUsage: String? = EnrollmentAuthority.deviceUsage
        var names: String? = "URI:urn:device:d1"

        /// Numbers of OpenSSL's object table (obj_mac.h).
        var list: [(identifier: CInt, text: String)] {
            [(87, constraints), (83, usage), (126, extendedUsage), (85, names)].compactMap { id, text in
                text.map { (id, $0) }
            }
        }
    }

    struct Issuer {
        var key: SigningKey
        /// nil: self-signed.
        var der: [UInt8]?
    }

    static func certificate(
        for key: SigningKey, named name: String = "d1", by issuer: Issuer, from: Int64, until: Int64,
        _ extensions: Extensions = Extensions()
    ) throws -> [UInt8] {
        let draft = try CertificateDraft(
            subject: name, key: key.handle.raw, notBeforeSeconds: from, notAfterSeconds: until)
        return try draft.signed(
            by: issuer.key, issuer: try issuer.der.map { try CertificateHandle(der: $0) },
            extensions: extensions.list)
    }

    static func authority(
        for key: SigningKey, named name: String, by issuer: Issuer, from: Int64, until: Int64,
        constraints: String = "critical,CA:TRUE", usage: String = "critical,keyCertSign,cRLSign"
    ) throws -> [UInt8] {
        try certificate(
            for: key, named: name, by: issuer, from: from, until: until,
            Extensions(constraints: constraints, usage: usage, extendedUsage: nil, names: nil))
    }
}

/// Lists of revoked certificates (RFC 5280 §5.1), byte by byte.
struct RevocationListBench {
    var issuerName: String
    var key: SigningKey
    var thisUpdate: Int64
    var nextUpdate: Int64?
    var serials: [String] = []
    var hasCriticalExtension = false
    /// cRLNumber; nil: none.
    var number: Int?

    var der: [UInt8] {
        // ecdsa-with-SHA256
        let algorithm = Self.value(0x30, [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02])
        let commonName = Self.value(
            0x30, [0x06, 0x03, 0x55, 0x04, 0x03] + Self.value(0x0C, Array(issuerName.utf8)))
        let name = Self.value(0x30, Self.value(0x31, commonName))
        var body: [UInt8] = [0x02, 0x01, 0x01] + algorithm + name + Self.time(thisUpdate)
        if let nextUpdate { body += Self.time(nextUpdate) }
        if !serials.isEmpty {
            let entries = serials.flatMap { serial in
                Self.value(0x30, Self.value(0x02, Self.number(serial)) + Self.time(thisUpdate))
            }
            body += Self.value(0x30, entries)
        }
        if hasCriticalExtension {
            // issuingDistributionPoint, as indirect and partial lists carry it
            let one = Self.value(
                0x30, [0x06, 0x03, 0x55, 0x1D, 0x1C, 0x01, 0x01, 0xFF] + Self.value(0x04, [0x30, 0x00]))
            body += Self.value(0xA0, Self.value(0x30, one))
        }
        if let number {
            let octets = Self.unsigned([UInt8(number >> 8 & 255), UInt8(number & 255)])
            let one = Self.value(
                0x30, [0x06, 0x03, 0x55, 0x1D, 0x14] + Self.value(0x04, Self.value(0x02, octets)))
            body += Self.value(0xA0, Self.value(0x30, one))
        }
        let list = Self.value(0x30, body)
        let raw = key.sign(list)
        let signature = Self.value(
            0x30, Self.value(0x02, Self.unsigned(raw[..<32])) + Self.value(0x02, Self.unsigned(raw[32...])))
        return Self.value(0x30, list + algorithm + Self.value(0x03, [0x00] + signature))
    }

    private static func value(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        let count = content.count
        if count < 128 { return [tag, UInt8(count)] + content }
        if count < 256 { return [tag, 0x81, UInt8(count)] + content }
        return [tag, 0x82, UInt8(count >> 8), UInt8(count & 255)] + content
    }

    private static func time(_ seconds: Int64) -> [UInt8] {
        let text = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
        let digits = text.filter(\.isNumber).dropFirst(2) + "Z"
        return value(0x17, Array(String(digits).utf8))
    }

    private static func number(_ hex: String) -> [UInt8] {
        let digits = Array(hex)
        let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(digits[$0...$0 + 1]), radix: 16)
        }
        return unsigned(bytes[...])
    }

    private static func unsigned(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        let rest = Array(bytes.drop { $0 == 0 })
        guard let first = rest.first else { return [0] }
        return first < 0x80 ? rest : [0] + rest
    }
}
