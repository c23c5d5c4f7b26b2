import COpenSSL

/// An X.509 certificate (RFC 5280) whose encoding and names were read strictly; nothing is said about trust.
public struct Certificate: Sendable, Hashable {
    /// The whole certificate, exactly as it was signed.
    public let der: [UInt8]
    /// The common name of the subject; nil unless there is exactly one.
    public let subjectCommonName: String?
    /// `uniformResourceIdentifier` entries of the subject's alternative names, ASCII.
    public let uriNames: [String]
    /// `dNSName` entries of the subject's alternative names, ASCII.
    public let dnsNames: [String]
    /// The serial number in lower-case hexadecimal, two digits per byte, without leading zero bytes.
    public let serialHex: String
    /// The first second of validity, since 1970.
    public let notBeforeSeconds: Int64
    /// The end of validity, since 1970. At this very second the certificate is no longer accepted.
    public let notAfterSeconds: Int64
    /// The subject's key.
    public let publicKey: VerificationKey
    /// SHA-256 over `der`, as `x5t#S256` carries it.
    public let sha256: [UInt8]

    static let bytesMax = 16 << 10

    /// The first certificate of a PEM text of at most 64 KiB.
    ///
    /// - Throws: as `init(der:)`.
    public init(pem: [UInt8]) throws(SignatureError) {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let der = try withMemoryReader(pem) { (bio) throws(SignatureError) -> [UInt8] in
            guard let raw = gatepost_read_certificate(bio) else {
                throw libraryError("the PEM text holds no certificate")
            }
            defer { X509_free(raw) }
            guard let der = encodedDER({ i2d_X509(raw, $0) }) else {
                throw libraryError("certificate: no encoding")
            }
            return der
        }
        try self.init(der: der)
    }

    /// The certificate in `der`, at most 16 KiB.
    ///
    /// - Throws: `SignatureError` for bytes after the certificate, names that are not what they claim to be
    ///   (zero bytes, beyond ASCII), doubled or broken extensions, and keys that `VerificationKey` does not
    ///   take.
    public init(der: [UInt8]) throws(SignatureError) {
        ERR_clear_error()
        defer { ERR_clear_error() }
        try self.init(CertificateHandle(der: der), der: der)
    }

    /// The certificate that was decoded from `der`.
    init(_ handle: CertificateHandle, der: [UInt8]) throws(SignatureError) {
        // Here and below: C borrows the certificate through a bare pointer, which keeps nothing alive by
        // itself.
        defer { withExtendedLifetime(handle) {} }
        self.der = der
        sha256 = Digest.sha256(der)
        subjectCommonName = try handle.subjectCommonName()
        (uriNames, dnsNames) = try handle.alternativeNames()
        serialHex = try handle.serialHex()
        notBeforeSeconds = try CertificateHandle.seconds(X509_get0_notBefore(handle.raw))
        notAfterSeconds = try CertificateHandle.seconds(X509_get0_notAfter(handle.raw))
        guard let key = X509_get0_pubkey(handle.raw) else {
            throw libraryError("certificate: the key cannot be read")
        }
        let material = try KeyMaterial(of: key)
        publicKey = try VerificationKey(material, algorithm: material.defaultAlgorithm, keyID: nil)
    }

    /// The certificate as PEM text in lines of 64 characters (RFC 7468).
    public var pem: [UInt8] { Self.pem(der, "CERTIFICATE") }

    static func pem(_ der: [UInt8], _ kind: String) -> [UInt8] {
        let text = Array(Base64.encode(der).utf8)
        var pem = Array("-----BEGIN \(kind)-----\n".utf8)
        for start in stride(from: 0, to: text.count, by: 64) {
            pem.append(contentsOf: text[start..<min(start + 64, text.count)])
            pem.append(0x0A)
        }
        pem.append(contentsOf: "-----END \(kind)-----\n".utf8)
        return pem
    }

    public static func == (left: Certificate, right: Certificate) -> Bool { left.der == right.der }
    public func hash(into hasher: inout Hasher) { hasher.combine(sha256) }
}

/// Owns one `X509` for as long as a function looks at it.
final class CertificateHandle {
    let raw: OpaquePointer

    init(adopting raw: OpaquePointer) { self.raw = raw }

    /// Decodes exactly one certificate that takes all of `der`.
    convenience init(der: [UInt8]) throws(SignatureError) {
        guard der.count <= Certificate.bytesMax else {
            throw SignatureError("certificate: longer than \(Certificate.bytesMax) bytes")
        }
        let (decoded, consumed) = der.withUnsafeBufferPointer { buffer in
            var next = buffer.baseAddress
            let decoded = d2i_X509(nil, &next, buffer.count)
            return (decoded, next.flatMap { next in buffer.baseAddress.map { next - $0 } } ?? 0)
        }
        guard let decoded else { throw libraryError("certificate: not DER") }
        self.init(adopting: decoded)
        guard consumed == der.count else { throw SignatureError("certificate: bytes follow it") }
        // OpenSSL reads BER too; re-encoding shows whether these bytes are the one encoding that was signed.
        guard encodedDER({ i2d_X509(decoded, $0) }) == der else {
            throw SignatureError("certificate: not DER")
        }
    }

    deinit { X509_free(raw) }

    func subjectCommonName() throws(SignatureError) -> String? {
        let name = X509_get_subject_name(raw)
        let first = X509_NAME_get_index_by_NID(name, NID_commonName, -1)
        guard first >= 0, X509_NAME_get_index_by_NID(name, NID_commonName, first) < 0 else { return nil }
        guard let data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, first)) else { return nil }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&bytes, data)
        guard count >= 0, let bytes else { throw libraryError("certificate: the common name cannot be read") }
        defer { CRYPTO_free(bytes, nil, 0) }
        let text = String(validating: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
        // A zero byte ends a name for whoever reads it as C text and not for us.
        guard let text, !text.utf8.contains(0) else {
            throw SignatureError("certificate: the common name is no text")
        }
        return text
    }

    func alternativeNames() throws(SignatureError) -> (uris: [String], dns: [String]) {
        guard let names = try decodedExtension(NID_subject_alt_name) else { return ([], []) }
        let list = OpaquePointer(names)
        defer { GENERAL_NAMES_free(list) }
        var uris: [String] = []
        var dns: [String] = []
        for index in 0..<gatepost_general_name_count(list) {
            var type: CInt = 0
            guard let value = GENERAL_NAME_get0_value(gatepost_general_name(list, index), &type) else {
                continue
            }
            switch type {
            case GEN_URI: uris.append(try Self.asciiText(value))
            case GEN_DNS: dns.append(try Self.asciiText(value))
            default: break  // Other kinds (addresses, directory names) name nothing that is asked for here.
            }
        }
        return (uris, dns)
    }

    /// The decoded extension, for the caller to free; nil when it is absent.
    ///
    /// - Throws: `SignatureError` when it is there twice or broken: OpenSSL answers nil for these as well.
    func decodedExtension(_ identifier: CInt) throws(SignatureError) -> UnsafeMutableRawPointer? {
        var presence: CInt = -1
        if let decoded = X509_get_ext_d2i(raw, identifier, &presence, nil) { return decoded }
        guard presence == -1 else { throw SignatureError("certificate: an extension is broken or doubled") }
        return nil
    }

    func serialHex() throws(SignatureError) -> String { try Self.serialHex(X509_get0_serialNumber(raw)) }

    static func serialHex(_ serial: UnsafePointer<ASN1_INTEGER>?) throws(SignatureError) -> String {
        guard let number = ASN1_INTEGER_to_BN(serial, nil) else {
            throw libraryError("certificate: the serial number cannot be read")
        }
        defer { BN_free(number) }
        guard BN_is_negative(number) == 0 else {
            throw SignatureError("certificate: the serial number is negative")
        }
        var bytes = [UInt8](repeating: 0, count: max(1, Int(BN_num_bits(number) + 7) / 8))
        guard BN_bn2binpad(number, &bytes, CInt(bytes.count)) == CInt(bytes.count) else {
            throw SignatureError("certificate: the serial number cannot be read")
        }
        return hexadecimal(bytes)
    }

    static func seconds(_ time: UnsafePointer<ASN1_TIME>?) throws(SignatureError) -> Int64 {
        guard let time, let epoch = ASN1_TIME_set(nil, 0) else {
            throw SignatureError("certificate: a time is missing")
        }
        defer { ASN1_TIME_free(epoch) }
        var days: CInt = 0
        var seconds: CInt = 0
        guard ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else {
            throw SignatureError("certificate: a time cannot be read")
        }
        return Int64(days) * 86_400 + Int64(seconds)
    }

    private static func asciiText(_ value: UnsafeMutableRawPointer) throws(SignatureError) -> String {
        let string = value.assumingMemoryBound(to: ASN1_STRING.self)
        let bytes = UnsafeBufferPointer(
            start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string)))
        guard bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw SignatureError("certificate: an alternative name is not printable ASCII")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Lower-case hexadecimal, two digits per byte.
func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
