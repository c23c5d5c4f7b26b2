import Access
import JSON
import Signatures

/// What a browser signs to show that it has a session's key: a JWT in `Secure-Session-Response` (W3C Device Bound
/// Session Credentials, "DBSC Proof JWT Syntax").
///
/// The draft has moved and browsers with it: a proof names its key in the header when it registers, and nothing but
/// the challenge must stand in its claims. What stands there beyond is checked; what is absent is not asked for.
struct BindingProof: Sendable {
    let jws: JWS
    let claims: JSONObject
    /// The challenge that was signed.
    let challenge: String

    /// A proof is some 600 bytes on P-256 and 1,500 with RSA.
    static let bytesMax = 8_192
    /// Of an RSA key: what a verification costs grows with it.
    static let modulusBytesMax = 512
    private static let type = "dbsc+jwt"
    private static let algorithms: [SignatureAlgorithm] = [.es256, .rs256]

    /// Reads the field; no signature is checked here.
    ///
    /// - Throws: `SignatureError` for anything but one JWT of the right type and algorithm with a challenge.
    init(field: String) throws(SignatureError) {
        guard field.utf8.count <= Self.bytesMax, let text = StructuredText.string(field) else {
            throw SignatureError("proof: not one string of at most \(Self.bytesMax) bytes")
        }
        jws = try JWS(compact: text, bytesMax: Self.bytesMax)
        guard let type = jws.header["typ"]?.string, ExactText.isEqual(type, Self.type) else {
            throw SignatureError("proof: typ is not \(Self.type)")
        }
        guard Self.algorithms.contains(jws.algorithm) else {
            throw SignatureError("proof: alg is neither ES256 nor RS256")
        }
        claims = try jws.payloadObject
        guard let challenge = claims["jti"]?.string else { throw SignatureError("proof: jti is missing") }
        self.challenge = challenge
    }

    /// The key that registers itself: it stands in the header and has signed.
    func registeredKey() throws(SignatureError) -> VerificationKey {
        guard let jwk = jws.header["jwk"]?.object else { throw SignatureError("proof: jwk is missing") }
        let key = try VerificationKey(jwk: jwk)
        if let modulus = jwk["n"]?.string.flatMap(Base64URL.decode), modulus.count > Self.modulusBytesMax {
            throw SignatureError("proof: the key has more than \(Self.modulusBytesMax * 8) bits")
        }
        guard jws.verify(with: key) else { throw SignatureError("proof: not signed by its own key") }
        return key
    }

    /// Checks a proof of a key that is known.
    func verify(with key: VerificationKey) throws(SignatureError) {
        // A key beside the registered one would be a second opinion on whose proof it is.
        guard jws.header["jwk"] == nil else { throw SignatureError("proof: a refresh names no key") }
        guard jws.verify(with: key) else { throw SignatureError("proof: not signed by the session's key") }
    }

    /// Checks the claims that need not be there.
    ///
    /// - Parameters:
    ///   - audience: the URL that the proof was sent to.
    ///   - session: of a refresh; nil: of a registration.
    func checkClaims(audience: String, session: String?) throws(SignatureError) {
        func isAbsentOr(_ name: String, _ wanted: String) -> Bool {
            guard let value = claims[name] else { return true }
            return value.string.map { ExactText.isEqual($0, wanted) } ?? false
        }
        guard isAbsentOr("aud", audience) else { throw SignatureError("proof: aud is another address") }
        if let session {
            guard isAbsentOr("sub", session) else { throw SignatureError("proof: sub is another session") }
        }
        // We never send one that a browser could hand back.
        guard claims["authorization"] == nil else {
            throw SignatureError("proof: an authorization that was not asked for")
        }
    }
}

/// Items of structured fields (RFC 9651), as far as these fields need them.
enum StructuredText {
    /// The string of an item; its parameters are ignored, as the draft has it. Text without quotes is taken where it
    /// holds nothing but letters, digits, `-`, `_` and `.`: Chromium sent proofs like that.
    static func string(_ field: String) -> String? {
        var text = field.utf8[...]
        let isQuoted = text.first == UInt8(ascii: "\"")
        if isQuoted { text = text.dropFirst() }
        let value = text.prefix {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: "."):
                true
            case _: false
            }
        }
        var rest = text.dropFirst(value.count)
        if isQuoted {
            guard rest.first == UInt8(ascii: "\"") else { return nil }
            rest = rest.dropFirst()
        }
        guard !value.isEmpty, rest.isEmpty || rest.first == UInt8(ascii: ";") else { return nil }
        return String(value)
    }
}
