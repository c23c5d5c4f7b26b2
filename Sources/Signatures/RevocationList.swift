import COpenSSL

/// A list of revoked certificates (RFC 5280 §5) whose signature was checked.
///
/// Only whole lists are read: delta and indirect lists, and every critical extension, are refused, because what they
/// add would be missed in silence.
public struct RevocationList: Sendable, Hashable {
    /// The most bytes of a file with one list.
    public static let bytesMax = 8 << 20

    /// Of the authority that signed it, as `CertificateLink.issuer` names it.
    public let issuer: [UInt8]
    /// Serial numbers as `Certificate.serialHex` writes them.
    public let serials: Set<String>
    /// Which of its authority's lists it is (cRLNumber, RFC 5280 §5.2.3): big-endian octets without leading zeros; nil:
    /// the authority does not number them.
    public let number: [UInt8]?
    /// When it was made, since 1970.
    public let thisUpdateSeconds: Int64
    /// From then on it says nothing: a newer one was promised by then.
    public let nextUpdateSeconds: Int64

    /// Reads PEM or DER.
    ///
    /// - Parameter authority: one of its certificates must have signed the list, and be one that may (`cRLSign`).
    /// - Throws: `SignatureError` naming the condition that failed.
    public init(_ bytes: [UInt8], authority: EnrollmentAuthority) throws(SignatureError) {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let list = try RevocationListHandle(bytes)
        defer { withExtendedLifetime(list) {} }
        issuer = try list.signer(among: authority.anchors)
        try list.refuseUnknown()
        thisUpdateSeconds = try CertificateHandle.seconds(X509_CRL_get0_lastUpdate(list.raw))
        guard let next = X509_CRL_get0_nextUpdate(list.raw) else {
            throw SignatureError("revocation list: nextUpdate is missing")
        }
        nextUpdateSeconds = try CertificateHandle.seconds(next)
        serials = try list.serials()
        number = try list.number()
    }

    /// One that was read before, and kept where nobody else writes.
    public init(
        keptOf issuer: [UInt8], number: [UInt8]?, thisUpdateSeconds: Int64, nextUpdateSeconds: Int64,
        serials: Set<String>
    ) {
        self.issuer = issuer
        self.number = number
        self.thisUpdateSeconds = thisUpdateSeconds
        self.nextUpdateSeconds = nextUpdateSeconds
        self.serials = serials
    }

    /// Whether an authority made it before another one of its lists. By the date first: an authority that is set up
    /// anew may count from the start, and two lists of one second have their numbers.
    public func isOlder(than other: RevocationList) -> Bool {
        guard thisUpdateSeconds == other.thisUpdateSeconds, let number, let otherNumber = other.number else {
            return thisUpdateSeconds < other.thisUpdateSeconds
        }
        guard number.count == otherNumber.count else { return number.count < otherNumber.count }
        return number.lexicographicallyPrecedes(otherNumber)
    }

    /// Whether it may be believed now.
    public func isCurrent(nowSeconds: Int64) -> Bool { nowSeconds < nextUpdateSeconds }
}

extension EnrollmentAuthority {
    /// Its own certificates' identities, as `CertificateLink.issuer` names them.
    public var issuers: [[UInt8]] {
        anchors.compactMap { anchor in
            guard let handle = try? CertificateHandle(der: anchor.der) else { return nil }
            defer { withExtendedLifetime(handle) {} }
            return try? handle.identity()
        }
    }
}

/// Owns one `X509_CRL` while it is read.
final class RevocationListHandle {
    let raw: OpaquePointer

    init(_ bytes: [UInt8]) throws(SignatureError) {
        guard bytes.count <= RevocationList.bytesMax else {
            throw SignatureError("revocation list: longer than \(RevocationList.bytesMax) bytes")
        }
        let isPEM = bytes.starts(with: Array("-----BEGIN ".utf8))
        raw = isPEM ? try Self.readPEM(bytes) : try Self.readDER(bytes)
    }

    init(adopting raw: OpaquePointer) { self.raw = raw }

    deinit { X509_CRL_free(raw) }

    private static func readPEM(_ bytes: [UInt8]) throws(SignatureError) -> OpaquePointer {
        try withMemoryReader(bytes, bytesMax: RevocationList.bytesMax) {
            (bio) throws(SignatureError) -> OpaquePointer in
            guard let raw = gatepost_read_revocation_list(bio) else {
                throw libraryError("the PEM text holds no revocation list")
            }
            return raw
        }
    }

    private static func readDER(_ bytes: [UInt8]) throws(SignatureError) -> OpaquePointer {
        let (raw, consumed) = bytes.withUnsafeBufferPointer { buffer in
            var next = buffer.baseAddress
            let raw = d2i_X509_CRL(nil, &next, buffer.count)
            return (raw, next.flatMap { next in buffer.baseAddress.map { next - $0 } } ?? 0)
        }
        guard let raw else { throw libraryError("revocation list: neither PEM nor DER") }
        guard consumed == bytes.count else {
            X509_CRL_free(raw)
            throw SignatureError("revocation list: bytes follow it")
        }
        return raw
    }

    /// The identity of the certificate that signed it.
    func signer(among anchors: [Certificate]) throws(SignatureError) -> [UInt8] {
        var digest: CInt = 0
        var kind: CInt = 0
        guard OBJ_find_sigid_algs(X509_CRL_get_signature_nid(raw), &digest, &kind) == 1,
            [NID_sha256, NID_sha384, NID_sha512, NID_undef].contains(digest)
        else { throw SignatureError("revocation list: signed with an algorithm that is not accepted") }
        for anchor in anchors {
            let handle = try CertificateHandle(der: anchor.der)
            defer { withExtendedLifetime(handle) {} }
            guard X509_NAME_cmp(X509_CRL_get_issuer(raw), X509_get_subject_name(handle.raw)) == 0,
                let key = X509_get0_pubkey(handle.raw), X509_CRL_verify(raw, key) == 1
            else { continue }
            guard X509_get_key_usage(handle.raw) & UInt32(KU_CRL_SIGN) != 0 else {
                throw SignatureError("revocation list: its signer may not sign lists (cRLSign)")
            }
            return try handle.identity()
        }
        throw SignatureError("revocation list: signed by none of the configured authorities")
    }

    func refuseUnknown() throws(SignatureError) {
        for index in 0..<max(0, X509_CRL_get_ext_count(raw)) {
            guard X509_EXTENSION_get_critical(X509_CRL_get_ext(raw, index)) == 0 else {
                throw SignatureError(
                    "revocation list: it has a critical extension; a whole list by the authority itself is needed"
                )
            }
        }
        guard X509_CRL_get_ext_by_NID(raw, NID_delta_crl, -1) < 0 else {
            throw SignatureError("revocation list: only changes to another one (delta)")
        }
    }

    /// At most 20 octets (RFC 5280 §5.2.3); a negative one is none.
    func number() throws(SignatureError) -> [UInt8]? {
        guard let raw = X509_CRL_get_ext_d2i(raw, NID_crl_number, nil, nil) else { return nil }
        let number = raw.assumingMemoryBound(to: ASN1_INTEGER.self)
        defer { ASN1_INTEGER_free(number) }
        guard let value = ASN1_INTEGER_to_BN(number, nil) else {
            throw libraryError("revocation list: its number cannot be read")
        }
        defer { BN_free(value) }
        let count = Int((BN_num_bits(value) + 7) / 8)
        guard BN_is_negative(value) == 0, count <= 20 else {
            throw SignatureError("revocation list: its number is negative or longer than 20 octets")
        }
        var octets = [UInt8](repeating: 0, count: count)
        BN_bn2bin(value, &octets)
        return octets
    }

    func serials() throws(SignatureError) -> Set<String> {
        guard let list = X509_CRL_get_REVOKED(raw) else { return [] }
        var serials: Set<String> = []
        for index in 0..<max(0, gatepost_revoked_count(list)) {
            guard let entry = gatepost_revoked(list, index) else { continue }
            for position in 0..<max(0, X509_REVOKED_get_ext_count(entry)) {
                guard X509_EXTENSION_get_critical(X509_REVOKED_get_ext(entry, position)) == 0 else {
                    throw SignatureError("revocation list: an entry has a critical extension")
                }
            }
            serials.insert(try CertificateHandle.serialHex(X509_REVOKED_get0_serialNumber(entry)))
        }
        return serials
    }
}
