import COpenSSL

/// The certificates that devices' paths may end at, decoded once: finding the key of a certificate costs the library
/// more than one signature, and most devices send the authority's certificate beside their own.
final class TrustedCertificates: @unchecked Sendable {
    // Unchecked because of the C pointers: all is complete before it is shared, and nothing here changes it after that.
    // What OpenSSL computes later (extensions, references, its own look-ups) it guards by locks of its own.

    /// For `X509_STORE_CTX_init`, which leaves it as it is.
    let store: OpaquePointer
    private let known: Set<[UInt8]>

    /// - Throws: `SignatureError` for one that is no authority's (CA:TRUE).
    init(_ anchors: [Certificate]) throws(SignatureError) {
        guard let store = X509_STORE_new() else { throw SignatureError("out of memory") }
        self.store = store
        known = Set(anchors.map(\.der))
        for anchor in anchors {
            let handle = try CertificateHandle(der: anchor.der)
            defer { withExtendedLifetime(handle) {} }
            guard X509_check_ca(handle.raw) == 1 else {
                throw SignatureError(
                    "enrollment authority: the certificate is not one of an authority (CA:TRUE)")
            }
            // The store takes a reference of its own.
            guard X509_STORE_add_cert(store, handle.raw) == 1 else { throw SignatureError("out of memory") }
        }
    }

    deinit { X509_STORE_free(store) }

    /// Whether it is one of these, byte for byte.
    func contains(_ der: [UInt8]) -> Bool { known.contains(der) }
}
