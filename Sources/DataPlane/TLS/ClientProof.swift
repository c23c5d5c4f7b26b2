import Access
import COpenSSL
import Glibc

/// What a connection proved when it was asked for a client certificate: made once per handshake.
final class ClientProof {
    /// Alternative names of a certificate that are read; one with more proves nothing.
    static let namesMax = 100
    static let nameBytesMax = 1_024

    /// The name that the client asked for: the certificate counts for this host alone.
    let host: [UInt8]
    /// The authorities that it was proven against.
    let authorities: Token
    /// nil: the client showed none.
    let facts: CertificateFacts?
    /// An administrator revoked the certificate by its serial number: it counts no more.
    var isRevoked = false
    /// What the certificate's record at this host is known by.
    let digest: Token

    /// - Returns: nil when the connection was not asked.
    init?(_ ssl: OpaquePointer?) {
        guard let ssl, SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER != 0,
            let host = ServerContext.serverName(of: ssl), let session = SSL_get_session(ssl)
        else { return nil }
        var length: UInt32 = 0
        guard let context = SSL_SESSION_get0_id_context(session, &length),
            let authorities = Token(Array(UnsafeBufferPointer(start: context, count: Int(length))))
        else { return nil }
        self.host = Array(host.utf8)
        self.authorities = authorities
        facts = Self.facts(of: ssl)
        digest = Self.digest(of: ssl, host: self.host)
        ERR_clear_error()
    }

    private static func digest(of ssl: OpaquePointer, host: [UInt8]) -> Token {
        var bytes = Array("gatepost client certificate\n".utf8) + host + [0x0a]
        var digest = [UInt8](repeating: 0, count: 32)
        if let certificate = SSL_get1_peer_certificate(ssl) {
            defer { X509_free(certificate) }
            if X509_digest(certificate, EVP_sha256(), &digest, nil) == 1 { bytes += digest }
        }
        return Token(sha256: bytes)
    }

    private static func facts(of ssl: OpaquePointer) -> CertificateFacts? {
        // Nothing is resumed where certificates are asked for; should it be, it proves nothing.
        guard SSL_session_reused(ssl) == 0, SSL_get_verify_result(ssl) == Int(X509_V_OK),
            let certificate = SSL_get1_peer_certificate(ssl)
        else { return nil }
        defer { X509_free(certificate) }
        guard let issuer = gatepost_verified_issuer(ssl), let names = names(of: certificate),
            let notAfter = seconds(X509_get0_notAfter(certificate))
        else { return nil }
        var digest = [UInt8](repeating: 0, count: 32)
        guard X509_digest(issuer, EVP_sha256(), &digest, nil) == 1 else { return nil }
        return CertificateFacts(
            subject: commonName(of: certificate), names: names, issuerDigest: Hex.text(digest[...]),
            serial: serial(of: certificate), notAfterSeconds: notAfter)
    }

    /// nil also when there are several: which one is meant nobody can say.
    private static func commonName(of certificate: OpaquePointer) -> String? {
        guard let subject = X509_get_subject_name(certificate) else { return nil }
        let first = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
        guard first >= 0, X509_NAME_get_index_by_NID(subject, NID_commonName, first) < 0,
            let value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, first))
        else { return nil }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&bytes, value)
        guard count > 0, count <= Int32(nameBytesMax), let bytes else { return nil }
        defer { gatepost_free_text(bytes) }
        return String(validating: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
    }

    /// nil when there are too many, or one is no plain text.
    private static func names(of certificate: OpaquePointer) -> [String]? {
        var presence: Int32 = 0
        guard let raw = X509_get_ext_d2i(certificate, NID_subject_alt_name, &presence, nil) else {
            // -1: there are none; anything else is broken or doubled.
            return presence == -1 ? [] : nil
        }
        let all = OpaquePointer(raw)
        defer { GENERAL_NAMES_free(all) }
        let count = gatepost_general_name_count(all)
        guard count <= Int32(namesMax) else { return nil }
        var names: [String] = []
        for index in 0..<count {
            var kind: Int32 = 0
            // An address or a directory name says nothing that policy compares.
            guard let raw = GENERAL_NAME_get0_value(gatepost_general_name(all, index), &kind),
                [GEN_DNS, GEN_URI, GEN_EMAIL].contains(kind)
            else { continue }
            let value = UnsafePointer(raw.assumingMemoryBound(to: ASN1_STRING.self))
            let bytes = UnsafeBufferPointer(
                start: ASN1_STRING_get0_data(value), count: Int(ASN1_STRING_length(value)))
            guard bytes.count <= nameBytesMax, bytes.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                return nil
            }
            let prefix = kind == GEN_DNS ? "dns:" : kind == GEN_URI ? "uri:" : "email:"
            names.append(prefix + String(decoding: bytes, as: UTF8.self))
        }
        return names
    }

    static func serial(of certificate: OpaquePointer) -> String {
        guard let number = X509_get0_serialNumber(certificate) else { return "" }
        let bytes = UnsafeBufferPointer(
            start: ASN1_STRING_get0_data(number), count: Int(ASN1_STRING_length(number)))
        return Hex.text(Array(bytes.drop { $0 == 0 })[...])
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        var parts = tm()
        guard ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        return Int64(timegm(&parts))
    }
}

/// What a connection keeps of a client that proves itself without a person. Made by the handshake, or by the first
/// request that needs it; people's connections have none.
final class MachineMemory {
    /// nil: it was not asked for a certificate.
    let proof: ClientProof?
    /// The service token that it last came with.
    var lastToken: ServiceTokenMemo?
    /// The bearer token that it last came with.
    var lastBearer: BearerTokenMemo?

    init(_ proof: ClientProof?) { self.proof = proof }
}
