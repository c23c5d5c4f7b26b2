import COpenSSL

/// A revocation list as a file of client certificates' authorities holds it. Unverified: OpenSSL checks its signature
/// when it clears a certificate by it, and who signs may be an authority that only clients show.
public struct ListedRevocations: Sendable, Hashable {
    /// The most lists of one file.
    public static let listsMax = 100

    /// The list itself.
    public let der: [UInt8]
    /// DER of its issuer's name.
    public let issuer: [UInt8]
    /// The issuer's name in words.
    public let issuerName: String
    /// Which of the issuer's keys signed it (keyIdentifier, RFC 5280 §5.2.1); nil: it does not say.
    public let key: [UInt8]?
    /// Which part of the issuer's certificates it is about, as its extensions write it (§5.2.5); empty: all.
    public let scope: [UInt8]
    /// cRLNumber: big-endian octets without leading zeros; nil: the authority does not number its lists.
    public let number: [UInt8]?
    /// When it was made, since 1970.
    public let thisUpdateSeconds: Int64
    /// From then on it clears nobody.
    public let nextUpdateSeconds: Int64
    /// How many certificates it names.
    public let count: Int

    /// Every list of a file of at most `RevocationList.bytesMax`: PEM, one below the other, or one in DER.
    ///
    /// - Throws: `SignatureError` for no list, for more than `listsMax`, and for one that is broken, cut off, without
    ///   `nextUpdate` or only a delta: half a file is not the file that was meant.
    public static func all(_ bytes: [UInt8]) throws(SignatureError) -> [ListedRevocations] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard bytes.first != 0x30 else { return [try ListedRevocations(RevocationListHandle(bytes))] }
        let handles = try withMemoryReader(bytes, bytesMax: RevocationList.bytesMax) {
            (bio) throws(SignatureError) -> [RevocationListHandle] in
            var handles: [RevocationListHandle] = []
            while let raw = gatepost_read_revocation_list(bio) {
                handles.append(RevocationListHandle(adopting: raw))
                guard handles.count <= listsMax else {
                    throw SignatureError(
                        "the file holds more than \(listsMax) revocation lists; leave the newest of each authority"
                    )
                }
            }
            // "No start line" is how a PEM text ends; anything else is a broken block.
            guard ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE else {
                throw libraryError("the file holds a broken revocation list")
            }
            return handles
        }
        guard !handles.isEmpty else {
            throw SignatureError("the file holds no revocation list, in PEM or DER")
        }
        var lists: [ListedRevocations] = []
        for handle in handles { lists.append(try ListedRevocations(handle)) }
        return lists
    }

    private init(_ list: RevocationListHandle) throws(SignatureError) {
        defer { withExtendedLifetime(list) {} }
        guard let der = encodedDER({ i2d_X509_CRL(list.raw, $0) }), let name = X509_CRL_get_issuer(list.raw),
            let issuer = encodedDER({ i2d_X509_NAME(name, $0) })
        else { throw libraryError("revocation list: no encoding") }
        self.der = der
        self.issuer = issuer
        issuerName = Self.text(name)
        number = try list.number()
        thisUpdateSeconds = try CertificateHandle.seconds(X509_CRL_get0_lastUpdate(list.raw))
        guard let next = X509_CRL_get0_nextUpdate(list.raw) else {
            throw SignatureError(
                "the revocation list of \(issuerName) has no nextUpdate, so that nobody could tell when it is out of "
                    + "date; have its authority write one")
        }
        guard X509_CRL_get_ext_by_NID(list.raw, NID_delta_crl, -1) < 0 else {
            throw SignatureError(
                "the revocation list of \(issuerName) has only changes to another one (delta); give whole lists"
            )
        }
        key = list.keyIdentifier()
        scope =
            list.extensionValue(NID_issuing_distribution_point)
            + (key == nil ? list.extensionValue(NID_authority_key_identifier) : [])
        nextUpdateSeconds = try CertificateHandle.seconds(next)
        count = X509_CRL_get_REVOKED(list.raw).map { max(0, Int(gatepost_revoked_count($0))) } ?? 0
    }

    private static func text(_ name: OpaquePointer) -> String {
        let written = memoryWritten { gatepost_print_name($0, name) }
        return String(decoding: written ?? [], as: UTF8.self)
    }

    /// Whether only the newer one of the two counts: an authority may have several keys, and several lists of one.
    public func isOfOneRow(with other: ListedRevocations) -> Bool {
        issuer == other.issuer && key == other.key && scope == other.scope
    }

    /// Whether the authority made it before another one of its lists, as `RevocationList.isOlder`.
    public func isOlder(than other: ListedRevocations) -> Bool {
        guard thisUpdateSeconds == other.thisUpdateSeconds, let number, let otherNumber = other.number else {
            return thisUpdateSeconds < other.thisUpdateSeconds
        }
        guard number.count == otherNumber.count else { return number.count < otherNumber.count }
        return number.lexicographicallyPrecedes(otherNumber)
    }

    /// Whether it is called as a list of this authority is, and of its key, where both say which.
    public func isOf(_ authority: Certificate) -> Bool {
        guard let handle = try? CertificateHandle(der: authority.der),
            let name = X509_get_subject_name(handle.raw)
        else { return false }
        defer { withExtendedLifetime(handle) {} }
        let own = issuer.withUnsafeBufferPointer { buffer in
            var next = buffer.baseAddress
            return d2i_X509_NAME(nil, &next, buffer.count)
        }
        defer { X509_NAME_free(own) }
        // As OpenSSL finds it: however its letters are encoded.
        guard own != nil, X509_NAME_cmp(own, name) == 0 else { return false }
        guard let key, let subject = X509_get0_subject_key_id(handle.raw) else { return true }
        return key == octets(subject)
    }

    /// Lists below each other, for who reads PEM alone.
    public static func pem(_ lists: [ListedRevocations]) -> [UInt8] {
        lists.flatMap { Certificate.pem($0.der, "X509 CRL") }
    }
}

extension RevocationListHandle {
    fileprivate func keyIdentifier() -> [UInt8]? {
        guard let raw = X509_CRL_get_ext_d2i(raw, NID_authority_key_identifier, nil, nil) else { return nil }
        let identifier = raw.assumingMemoryBound(to: AUTHORITY_KEYID.self)
        defer { AUTHORITY_KEYID_free(identifier) }
        return identifier.pointee.keyid.map { octets($0) }
    }

    /// Empty: it has no such extension.
    fileprivate func extensionValue(_ kind: CInt) -> [UInt8] {
        let index = X509_CRL_get_ext_by_NID(raw, kind, -1)
        guard index >= 0, let value = X509_EXTENSION_get_data(X509_CRL_get_ext(raw, index)) else { return [] }
        return octets(value)
    }
}

private func octets(_ string: UnsafePointer<ASN1_OCTET_STRING>) -> [UInt8] {
    Array(UnsafeBufferPointer(start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string))))
}

extension Certificate {
    /// Every certificate of a PEM text that can be read, in its order: authorities may have keys that we do not use.
    ///
    /// - Parameter countMax: what stands behind as many is left out.
    public static func readable(pem: [UInt8], countMax: Int) -> [Certificate] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let encodings = try? withMemoryReader(pem, bytesMax: 1 << 20) {
            (bio) throws(SignatureError) -> [[UInt8]] in
            var encodings: [[UInt8]] = []
            while encodings.count < countMax, let raw = gatepost_read_certificate(bio) {
                defer { X509_free(raw) }
                if let der = encodedDER({ i2d_X509(raw, $0) }) { encodings.append(der) }
            }
            return encodings
        }
        return (encodings ?? []).compactMap { try? Certificate(der: $0) }
    }
}
