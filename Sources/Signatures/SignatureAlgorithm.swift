/// The JOSE algorithms that this gateway accepts (RFC 7518 §3.1, RFC 8037 §3.1).
///
/// `none` and everything symmetric (`HS256` …) do not exist here: a public key can then never become a
/// secret.
public enum SignatureAlgorithm: String, Sendable, Hashable, CaseIterable {
    /// ECDSA on P-256 with SHA-256; the signature is r ‖ s, 64 bytes.
    case es256 = "ES256"
    /// ECDSA on P-384 with SHA-384; the signature is r ‖ s, 96 bytes.
    case es384 = "ES384"
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    case rs256 = "RS256"
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    case rs384 = "RS384"
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    case rs512 = "RS512"
    /// RSASSA-PSS with SHA-256, MGF1 of the same and 32 bytes of salt.
    case ps256 = "PS256"
    /// Ed25519; the signature has 64 bytes.
    case eddsa = "EdDSA"

    enum Family { case p256, p384, rsa, ed25519 }

    var family: Family {
        switch self {
        case .es256: .p256
        case .es384: .p384
        case .rs256, .rs384, .rs512, .ps256: .rsa
        case .eddsa: .ed25519
        }
    }

    /// OpenSSL's name of the digest; nil where the algorithm brings its own.
    var digestName: String? {
        switch self {
        case .es256, .rs256, .ps256: "SHA256"
        case .es384, .rs384: "SHA384"
        case .rs512: "SHA512"
        case .eddsa: nil
        }
    }
}
