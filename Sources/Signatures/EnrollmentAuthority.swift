import COpenSSL

/// The authority that enrolled devices hold certificates of: issues them when it has its key, and verifies
/// them.
public struct EnrollmentAuthority: Sendable {
    /// The purpose without which no certificate is a device's (extended key usage, a private identifier): a
    /// certificate that the same authority issued for anything else must not pass for a device.
    public static let deviceUsage = "1.3.6.1.4.1.58270.1.1"
    /// A device's name is this and its id, as the one URI of that kind among the alternative names.
    public static let deviceNamePrefix = "urn:device:"

    /// The authority's own certificate: the one that issues.
    public let certificate: Certificate
    /// Every certificate that a device's path may end at, `certificate` first. Several while one replaces another.
    public let anchors: [Certificate]
    let key: SigningKey?
    /// What this authority verified lately; with every other copy of this value.
    let verified = VerifiedPaths()
    let trusted: TrustedCertificates

    /// Whether the private key is here, so that `issue` is possible.
    public var canIssue: Bool { key != nil }

    /// - Parameter certificatePEM: one certificate or more; the first issues, all verify.
    /// - Parameter keyPEM: of the first; nil makes an authority that only verifies.
    /// - Parameter furtherPEM: more that devices may hold certificates of.
    /// - Throws: `SignatureError` when a certificate is no authority's (CA:TRUE, `keyCertSign`) or the key
    ///   is not the first one's.
    public init(
        certificatePEM: [UInt8], keyPEM: [UInt8]?, furtherPEM: [[UInt8]] = []
    ) throws(SignatureError) {
        ERR_clear_error()
        defer { ERR_clear_error() }
        var anchors = try Certificate.all(pem: certificatePEM)
        for pem in furtherPEM { anchors += try Certificate.all(pem: pem) }
        guard anchors.count <= Certificate.bundleMax else {
            throw SignatureError("enrollment authority: more than \(Certificate.bundleMax) certificates")
        }
        certificate = anchors[0]
        self.anchors = anchors
        trusted = try TrustedCertificates(anchors)
        guard let keyPEM else {
            key = nil
            return
        }
        let key = try SigningKey(pem: keyPEM)
        guard key.publicKey.material == certificate.publicKey.material else {
            throw SignatureError("enrollment authority: the key does not belong to the certificate")
        }
        self.key = key
    }

    /// Issues a device's certificate for the key of a PKCS#10 request; nothing else of the request is used.
    ///
    /// - Parameters:
    ///   - csrDER: at most 8 KiB, on P-256, signed with its own key.
    ///   - deviceID: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    ///   - validSeconds: 60 s to 400 days; cut to the authority's own end.
    ///   - nowSeconds: since 1970. Validity starts a minute earlier, for gateways whose clocks are behind.
    /// - Throws: `SignatureError`, also when the private key is not here or the authority is not valid now.
    public func issue(
        csrDER: [UInt8], deviceID: String, validSeconds: Int64, nowSeconds: Int64
    ) throws(SignatureError) -> Certificate {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let key else { throw SignatureError("enrollment authority: its private key is not configured") }
        guard Self.isDeviceID(deviceID) else {
            throw SignatureError("enrollment: a device id is 1 to 64 of A-Z a-z 0-9 . _ -")
        }
        guard (60...400 * 86_400).contains(validSeconds) else {
            throw SignatureError(
                "enrollment: a certificate is valid for 60 s to 400 days, not \(validSeconds) s")
        }
        guard nowSeconds >= certificate.notBeforeSeconds, nowSeconds < certificate.notAfterSeconds else {
            throw SignatureError("enrollment authority: its certificate is not valid now; replace it")
        }
        let issuer = try CertificateHandle(der: certificate.der)
        let notAfter = min(nowSeconds + validSeconds, certificate.notAfterSeconds)
        let der = try CertificateRequest.withVerifiedKey(of: csrDER) { (subjectKey) throws(SignatureError) in
            let draft = try CertificateDraft(
                subject: deviceID, key: subjectKey, notBeforeSeconds: nowSeconds - 60,
                notAfterSeconds: notAfter)
            return try draft.signed(
                by: key, issuer: issuer,
                extensions: [
                    (NID_basic_constraints, "critical,CA:FALSE"),
                    (NID_key_usage, "critical,digitalSignature"),
                    (NID_ext_key_usage, Self.deviceUsage),
                    (NID_subject_key_identifier, "hash"),
                    (NID_authority_key_identifier, "keyid"),
                    (NID_subject_alt_name, "URI:" + Self.deviceNamePrefix + deviceID),
                ])
        }
        return try Certificate(der: der)
    }

    /// A new authority on P-256, for development and tests; at most one authority may stand below it.
    ///
    /// - Throws: `SignatureError` when the name does not fit.
    public static func generateSelfSigned(
        commonName: String, validSeconds: Int64 = 10 * 365 * 86_400, nowSeconds: Int64
    ) throws(SignatureError) -> (certificatePEM: [UInt8], keyPEM: [UInt8]) {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let key = SigningKey.generateP256()
        let draft = try CertificateDraft(
            subject: commonName, key: key.handle.raw, notBeforeSeconds: nowSeconds - 60,
            notAfterSeconds: nowSeconds + validSeconds)
        let der = try draft.signed(
            by: key, issuer: nil,
            extensions: [
                (NID_basic_constraints, "critical,CA:TRUE,pathlen:1"),
                (NID_key_usage, "critical,keyCertSign,cRLSign"),
                (NID_subject_key_identifier, "hash"),
            ])
        return (try Certificate(der: der).pem, key.pem)
    }

    /// Characters that need no escaping in a URI, in OpenSSL's extension text, in a log or in a path.
    public static func isDeviceID(_ text: some StringProtocol) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                    UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}
