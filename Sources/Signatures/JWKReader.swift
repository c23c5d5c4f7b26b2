import JSON

/// Takes the members of a JWK apart (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
struct JWKReader {
    let jwk: JSONObject

    /// Members that only a private or symmetric key has.
    private static let secretMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
    private static let textBytesMax = 2048

    /// Refuses keys that were published for something else than signatures.
    func checkUse() throws(SignatureError) {
        if let use = try optionalText("use"), use != "sig" { throw SignatureError("JWK: use is not sig") }
        if let operations = jwk["key_ops"] {
            guard let list = operations.array, list.contains("verify") else {
                throw SignatureError("JWK: key_ops does not name verify")
            }
        }
        // A private key that reached a public place is everybody's key.
        for name in Self.secretMembers where jwk[name] != nil {
            throw SignatureError("JWK: a private member \(name) is published; replace this key")
        }
    }

    func material() throws(SignatureError) -> KeyMaterial {
        switch try text("kty") {
        case "EC":
            guard let curve = KeyMaterial.EllipticCurve(rawValue: try text("crv")) else {
                throw SignatureError("JWK: crv is neither P-256 nor P-384")
            }
            return .ec(curve, x: try bytes("x"), y: try bytes("y"))
        case "RSA":
            return .rsa(modulus: try bytes("n"), exponent: try bytes("e"))
        case "OKP":
            guard try text("crv") == "Ed25519" else { throw SignatureError("JWK: crv is not Ed25519") }
            return .ed25519(try bytes("x"))
        case let other:
            throw SignatureError("JWK: kty \(other.prefix(16).debugDescription) is not supported")
        }
    }

    func algorithm(for material: KeyMaterial) throws(SignatureError) -> SignatureAlgorithm {
        guard let name = try optionalText("alg") else { return material.defaultAlgorithm }
        guard let algorithm = SignatureAlgorithm(rawValue: name) else {
            throw SignatureError("JWK: alg \(name.prefix(16).debugDescription) is not supported")
        }
        return algorithm
    }

    /// The text of a member; nil when it is absent. Any other kind of value is an error.
    func optionalText(_ name: String) throws(SignatureError) -> String? {
        guard let value = jwk[name] else { return nil }
        guard let text = value.string, text.utf8.count <= Self.textBytesMax else {
            throw SignatureError("JWK: \(name) is no text of at most \(Self.textBytesMax) bytes")
        }
        return text
    }

    private func text(_ name: String) throws(SignatureError) -> String {
        guard let text = try optionalText(name) else { throw SignatureError("JWK: \(name) is missing") }
        // Every word of the registries is ASCII. Beyond it are letters that compare equal to one of them
        // (U+212A is a "K" to Swift), and "OKP" should have one spelling.
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else { throw SignatureError("JWK: \(name) is not ASCII") }
        return text
    }

    private func bytes(_ name: String) throws(SignatureError) -> [UInt8] {
        guard let bytes = Base64URL.decode(try text(name)) else {
            throw SignatureError("JWK: \(name) is not base64url")
        }
        return bytes
    }
}
