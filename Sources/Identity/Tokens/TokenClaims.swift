import JSON
import Signatures

/// What id tokens and bearer tokens have in common (RFC 7519 §4.1).
extension JSONObject {
    /// `aud` as a list; nil when it is missing, or holds something that is no text.
    var audience: [String]? {
        switch self["aud"] {
        case .string(let one): return [one]
        case .array(let several):
            let texts = several.compactMap(\.string)
            return texts.count == several.count ? texts : nil
        case .null, .bool, .integer, .number, .object, nil: return nil
        }
    }
}

extension JSONValue {
    /// A NumericDate (RFC 7519 §2): it may have a fraction. Bounded so that adding to it cannot overflow.
    var numericDate: Int64? {
        guard let number, (0...1e12).contains(number) else { return nil }
        return Int64(number)
    }
}

extension JWS {
    /// The key that signed.
    ///
    /// - Parameter keys: the issuer's keys that fit `kid` and algorithm. Without a `kid` there must be
    ///   exactly one: trying several until one fits would let a forgotten key sign.
    /// - Throws: `.tokenInvalid` when none of them did.
    func signer(among keys: [VerificationKey]) throws(IdentityError) -> VerificationKey {
        guard keyID != nil || keys.count == 1 else {
            throw IdentityError(.tokenInvalid, "token without kid, and \(keys.count) keys fit")
        }
        guard let key = keys.prefix(4).first(where: { verify(with: $0) }) else {
            throw IdentityError(.tokenInvalid, "signature is wrong")
        }
        return key
    }
}
