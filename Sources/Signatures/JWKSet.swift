import JSON

/// The usable keys of a JWK Set (RFC 7517 §5).
public struct JWKSet: Sendable {
    /// The keys that can verify signatures, in the order of the document.
    public let keys: [VerificationKey]
    /// Why other keys of the document are not used, one sentence each, for the log.
    public let skipped: [String]

    /// The most keys of one set, skipped ones included.
    public static let keysMax = 64

    /// Reads a set of at most 1 MiB.
    ///
    /// Keys that cannot be used (encryption keys, unknown kinds and algorithms, keys too weak) are skipped,
    /// as RFC 7517 §5 asks, so that one new kind of key does not lock everybody out.
    /// - Throws: `SignatureError` when this is no set or has more than `keysMax` keys.
    public init(parsing bytes: [UInt8]) throws(SignatureError) {
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw SignatureError("key set: \(error)")
        }
        guard let list = document["keys"]?.array else { throw SignatureError("key set: keys is no list") }
        guard list.count <= Self.keysMax else {
            throw SignatureError("key set: more than \(Self.keysMax) keys")
        }
        var keys: [VerificationKey] = []
        var skipped: [String] = []
        for (index, value) in list.enumerated() {
            do throws(SignatureError) {
                guard let jwk = value.object else { throw SignatureError("JWK: no object") }
                keys.append(try VerificationKey(jwk: jwk))
            } catch {
                skipped.append("key \(index): \(error.what)")
            }
        }
        self.keys = keys
        self.skipped = skipped
    }

    /// A set of keys that are known already.
    public init(keys: [VerificationKey]) {
        self.keys = keys
        skipped = []
    }

    /// The keys to try for a token: those with its `kid` if it names one (else all), and with its algorithm.
    public func candidates(keyID: String?, algorithm: SignatureAlgorithm) -> [VerificationKey] {
        keys.filter { key in
            guard key.algorithm == algorithm else { return false }
            guard let keyID else { return true }
            // By bytes: Swift's == takes canonically equivalent texts for equal.
            return key.keyID.map { $0.utf8.elementsEqual(keyID.utf8) } ?? false
        }
    }
}
