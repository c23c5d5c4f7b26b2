public import JSON

/// A signed token in compact serialisation (RFC 7515 §7.1), taken apart but not yet verified.
public struct JWS: Sendable {
    /// The protected header. Nothing in it is trusted: `jwk`, `jku`, `x5c` and `x5u` are never used to find a
    /// key.
    public let header: JSONObject
    /// The algorithm that the header names.
    public let algorithm: SignatureAlgorithm
    /// `kid` of the header: only a hint which key to try.
    public let keyID: String?
    /// What was signed, as bytes; a JWT's claims are in `payloadObject`.
    public let payload: [UInt8]
    /// The bytes under the signature: the first two parts and the dot between them (RFC 7515 §5.1 step 8).
    public let signingInput: [UInt8]
    /// The signature as it stands in the token.
    public let signature: [UInt8]

    /// Takes a token apart: exactly three parts of strict base64url, the header one JSON object without a
    /// doubled member.
    ///
    /// - Throws: `SignatureError` when the token is longer than `bytesMax` or malformed, when `alg` is
    ///   absent, `none`, symmetric or unknown, and for every `crit` (RFC 7515 §4.1.11: no extension is
    ///   understood here) and `b64` (RFC 7797).
    public init(compact: String, bytesMax: Int = 16384) throws(SignatureError) {
        guard compact.utf8.count <= bytesMax else {
            throw SignatureError("token: longer than \(bytesMax) bytes")
        }
        let text = Array(compact.utf8)
        let parts = text.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw SignatureError("token: does not have exactly three parts") }
        guard let headerBytes = Base64URL.decode(parts[0]), let payload = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2])
        else { throw SignatureError("token: a part is not base64url") }
        guard !signature.isEmpty else { throw SignatureError("token: the signature is empty") }

        header = try Self.object(headerBytes, named: "header")
        algorithm = try Self.algorithm(of: header)
        keyID = try Self.keyID(of: header)
        self.payload = payload
        self.signature = signature
        signingInput = Array(text[..<parts[1].endIndex])
    }

    /// Whether the signature is right and `alg` is the key's own algorithm.
    public func verify(with key: VerificationKey) -> Bool {
        algorithm == key.algorithm && key.verify(signature, over: signingInput)
    }

    /// The claims of a JWT (RFC 7519 §7.2).
    ///
    /// - Throws: `SignatureError` when the payload is not one JSON object without doubled members, or is more
    ///   than 8 levels deep.
    public var payloadObject: JSONObject {
        get throws(SignatureError) { try Self.object(payload, named: "payload") }
    }

    /// A signed token over `header`, completed by the key's `alg` and, when it has one, `kid`.
    public static func sign(header: JSONObject, payload: JSONObject, with key: SigningKey) -> String {
        sign(header: header, payload: payload, for: key.publicKey) { key.sign($0) }
    }

    /// Like `sign(header:payload:with:)` for a key that is elsewhere, in a security chip for example.
    ///
    /// - Parameter sign: makes the signature over its argument as `SigningKey.sign` does.
    public static func sign<Failure: Error>(
        header: JSONObject, payload: JSONObject, for key: VerificationKey,
        by sign: ([UInt8]) throws(Failure) -> [UInt8]
    ) throws(Failure) -> String {
        var header = header
        header["alg"] = .string(key.algorithm.rawValue)
        if header["kid"] == nil, let keyID = key.keyID { header["kid"] = .string(keyID) }
        let input = Base64URL.encode(header.serialized()) + "." + Base64URL.encode(payload.serialized())
        return input + "." + Base64URL.encode(try sign(Array(input.utf8)))
    }

    private static func object(_ bytes: [UInt8], named part: String) throws(SignatureError) -> JSONObject {
        do throws(JSONError) {
            guard let object = try JSONValue(parsing: bytes, limits: .token).object else {
                throw JSONError(offset: 0, what: "no object")
            }
            return object
        } catch {
            throw SignatureError("token: \(part): \(error)")
        }
    }

    private static func algorithm(of header: JSONObject) throws(SignatureError) -> SignatureAlgorithm {
        guard header["crit"] == nil else {
            throw SignatureError("token: crit names an extension that is not known")
        }
        guard header["b64"] == nil else { throw SignatureError("token: b64 is not supported") }
        guard let name = header["alg"]?.string else {
            throw SignatureError("token: alg is missing or no text")
        }
        guard let algorithm = SignatureAlgorithm(rawValue: name) else {
            throw SignatureError("token: alg \(name.prefix(16).debugDescription) is not accepted")
        }
        return algorithm
    }

    private static func keyID(of header: JSONObject) throws(SignatureError) -> String? {
        guard let value = header["kid"] else { return nil }
        let bytesMax = 2048
        guard let text = value.string, text.utf8.count <= bytesMax else {
            throw SignatureError("token: kid is no text of at most \(bytesMax) bytes")
        }
        return text
    }
}
