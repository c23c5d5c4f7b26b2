import COpenSSL

/// One step of a verified path: a certificate by its serial number, and who issued it.
public struct CertificateLink: Sendable, Hashable {
    /// The certificate below, as `Certificate.serialHex`.
    public var serialHex: String
    /// The issuer's name and key (SHA-256 over both).
    public var issuer: [UInt8]
}

/// A device's certificate that led up to the authority.
public struct VerifiedPath: Sendable {
    /// The device's own certificate.
    public var leaf: Certificate
    /// The id in its `urn:device:` name.
    public var deviceID: String
    /// Every certificate below a configured one, the device's own first.
    public var links: [CertificateLink]
}

// Verifying what a device shows (RFC 5280 §6).
extension EnrollmentAuthority {
    /// The most certificates that a device may send, and their bytes together.
    public static let chainCertificatesMax = 4
    /// The most bytes of all certificates together.
    public static let chainBytesMax = 8 << 10
    /// The longest path, from the device to this authority, both included.
    public static let pathCertificatesMax = 3

    /// Verifies a device's chain, the device's own certificate first, up to this authority and no other.
    ///
    /// - Parameter chainDER: 1 to 4 certificates, at most 8 KiB together; the order after the first is free.
    /// - Parameter nowSeconds: since 1970. At `notAfterSeconds` itself a certificate has expired.
    /// - Returns: the device's certificate and the id in its `urn:device:` name.
    /// - Throws: `SignatureError` saying which condition failed. Nothing of the chain may be used then.
    public func verify(
        chainDER: [[UInt8]], nowSeconds: Int64
    ) throws(SignatureError) -> (leaf: Certificate, deviceID: String) {
        let path = try verifiedPath(chainDER: chainDER, nowSeconds: nowSeconds)
        return (path.leaf, path.deviceID)
    }

    /// The same with every step of the path, for whoever asks about revocation: this does not, and a path that was
    /// verified before is only asked for its dates.
    public func verifiedPath(
        chainDER: [[UInt8]], nowSeconds: Int64
    ) throws(SignatureError) -> VerifiedPath {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let first = chainDER.first, chainDER.count <= Self.chainCertificatesMax else {
            throw SignatureError("device chain: 1 to \(Self.chainCertificatesMax) certificates are expected")
        }
        guard chainDER.reduce(0, { $0 + $1.count }) <= Self.chainBytesMax else {
            throw SignatureError("device chain: longer than \(Self.chainBytesMax) bytes")
        }
        let name = VerifiedPaths.name(of: chainDER)
        if let known = verified.path(name, nowSeconds: nowSeconds) { return known }
        let handle = try CertificateHandle(der: first)
        defer { withExtendedLifetime(handle) {} }
        let leaf = try Certificate(handle, der: first)
        let (links, validSeconds) = try links(
            from: handle, through: chainDER.dropFirst(), nowSeconds: nowSeconds)
        try checkPurpose(of: handle)
        let path = VerifiedPath(leaf: leaf, deviceID: try Self.deviceID(of: leaf), links: links)
        verified.keep(VerifiedPaths.Entry(path: path, validSeconds: validSeconds), as: name)
        return path
    }

    private func links(
        from leaf: CertificateHandle, through others: ArraySlice<[UInt8]>, nowSeconds: Int64
    ) throws(SignatureError) -> ([CertificateLink], Range<Int64>) {
        var intermediates: [CertificateHandle] = []
        // The authority's own certificate is known already; what a device sends of it adds nothing.
        for der in others where !trusted.contains(der) {
            intermediates.append(try CertificateHandle(der: der))
        }
        guard let untrusted = gatepost_certificates_new() else { throw SignatureError("out of memory") }
        // The list only borrows; the handles above own the certificates and outlive it.
        defer { withExtendedLifetime(intermediates) { gatepost_certificates_free(untrusted) } }
        for handle in intermediates {
            guard gatepost_certificates_push(untrusted, handle.raw) > 0 else {
                throw SignatureError("out of memory")
            }
        }
        guard let context = X509_STORE_CTX_new() else { throw SignatureError("out of memory") }
        defer { X509_STORE_CTX_free(context) }
        guard X509_STORE_CTX_init(context, trusted.store, leaf.raw, untrusted) == 1,
            let parameters = X509_STORE_CTX_get0_param(context)
        else { throw libraryError("device chain: cannot be verified") }
        // Without this flag only self-signed certificates are anchors; the configured authority is one,
        // whoever signed it, and nothing above it is asked.
        X509_VERIFY_PARAM_set_flags(parameters, UInt(X509_V_FLAG_PARTIAL_CHAIN))
        X509_VERIFY_PARAM_set_time(parameters, Int(nowSeconds))
        // OpenSSL counts only what stands between the two ends.
        X509_VERIFY_PARAM_set_depth(parameters, CInt(Self.pathCertificatesMax - 2))
        // Level 2 is 112 bits: no SHA-1 signature and no RSA below 2048 anywhere on the path.
        X509_VERIFY_PARAM_set_auth_level(parameters, 2)
        guard X509_verify_cert(context) == 1 else {
            let code = X509_STORE_CTX_get_error(context)
            let reason = X509_verify_cert_error_string(Int(code)).map { String(cString: $0) } ?? "unknown"
            throw SignatureError("device chain: \(reason)")
        }
        let path = X509_STORE_CTX_get0_chain(context)
        return (try links(of: path), try Self.validSeconds(of: path))
    }

    /// The seconds at which no certificate of a path has ended or is still to begin.
    private static func validSeconds(of path: OpaquePointer?) throws(SignatureError) -> Range<Int64> {
        var (first, end) = (Int64.min, Int64.max)
        for index in 0..<gatepost_certificates_count(path) {
            guard let certificate = gatepost_certificate(path, index) else {
                throw SignatureError("device chain: the path ends early")
            }
            first = max(first, try CertificateHandle.seconds(X509_get0_notBefore(certificate)))
            end = min(end, try CertificateHandle.seconds(X509_get0_notAfter(certificate)))
        }
        return first..<max(first, end)
    }

    /// The verified path's steps up to the first certificate that is configured: nothing above it is asked.
    private func links(of path: OpaquePointer?) throws(SignatureError) -> [CertificateLink] {
        let count = gatepost_certificates_count(path)
        guard (2...Self.pathCertificatesMax).contains(Int(count)) else {
            throw SignatureError("device chain: the path has \(count) certificates")
        }
        var links: [CertificateLink] = []
        for index in 0..<count - 1 {
            guard let below = gatepost_certificate(path, index),
                let above = gatepost_certificate(path, index + 1),
                X509_up_ref(below) == 1, X509_up_ref(above) == 1
            else { throw SignatureError("out of memory") }
            let (certificate, issuer) = (
                CertificateHandle(adopting: below), CertificateHandle(adopting: above)
            )
            if index > 0, let der = encodedDER({ i2d_X509(below, $0) }),
                trusted.contains(der)
            {
                break
            }
            links.append(
                CertificateLink(serialHex: try certificate.serialHex(), issuer: try issuer.identity()))
        }
        return links
    }

    /// Own checks instead of OpenSSL's purposes: these accept certificates without any usage at all.
    private func checkPurpose(of leaf: CertificateHandle) throws(SignatureError) {
        let flags = X509_get_extension_flags(leaf.raw)
        guard flags & UInt32(EXFLAG_INVALID) == 0, X509_get_version(leaf.raw) == 2 else {
            throw SignatureError("device certificate: not a valid certificate of version 3")
        }
        guard flags & UInt32(EXFLAG_CA) == 0 else {
            throw SignatureError("device certificate: it is an authority's (CA:TRUE)")
        }
        guard flags & UInt32(EXFLAG_KUSAGE) != 0,
            X509_get_key_usage(leaf.raw) & UInt32(KU_DIGITAL_SIGNATURE) != 0,
            X509_get_key_usage(leaf.raw) & UInt32(KU_KEY_CERT_SIGN) == 0
        else {
            throw SignatureError("device certificate: its key usage is not for signatures (digitalSignature)")
        }
        guard try Self.extendedUsages(of: leaf).contains(Self.deviceUsage) else {
            throw SignatureError("device certificate: the extended key usage \(Self.deviceUsage) is missing")
        }
    }

    /// The extended key usages in dotted form; `anyExtendedKeyUsage` stands only for itself.
    static func extendedUsages(of leaf: CertificateHandle) throws(SignatureError) -> [String] {
        guard let decoded = try leaf.decodedExtension(NID_ext_key_usage) else { return [] }
        let list = OpaquePointer(decoded)
        defer { EXTENDED_KEY_USAGE_free(list) }
        var usages: [String] = []
        for index in 0..<gatepost_object_count(list) {
            var text = [CChar](repeating: 0, count: 128)
            let count = OBJ_obj2txt(&text, CInt(text.count), gatepost_object(list, index), 1)
            guard count > 0, Int(count) < text.count else { continue }
            usages.append(
                String(decoding: text.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        return usages
    }

    private static func deviceID(of leaf: Certificate) throws(SignatureError) -> String {
        let names = leaf.uriNames.filter { $0.hasPrefix(deviceNamePrefix) }
        guard names.count == 1, let id = names.first?.dropFirst(deviceNamePrefix.count), isDeviceID(id) else {
            throw SignatureError("device certificate: exactly one name \(deviceNamePrefix)<id> is expected")
        }
        return String(id)
    }
}
