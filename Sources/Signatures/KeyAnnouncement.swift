public import JSON

/// Which keys a gateway's agents believe, signed by a root key (handshake.md 9).
///
/// The challenge keys of today and of the next rotation are announced together, so an agent knows a key
/// before it is used. The announcement is signed by the root keys of yesterday, today and tomorrow, each in a
/// text of its own: an agent that pinned any of them can follow. Whoever holds a challenge key but no root
/// can announce nothing.
public struct KeyAnnouncement: Sendable {
    /// A key with its name.
    public typealias Named = (kid: String, key: VerificationKey)

    /// The most keys of one kind.
    public static let keysMax = 8
    /// The most texts of one announcement.
    public static let textsMax = 4
    static let type = "gateway-keys+jwt"

    /// The gateway, as in the `iss` of its challenges.
    public let issuer: String
    /// Whom it is for, as in the `aud` of its challenges.
    public let audience: String
    /// Grows with every rotation; an older announcement is never followed.
    public let sequence: Int64
    /// The keys that challenges may be signed with.
    public let keys: [Named]
    /// The keys that the next announcement may be signed with.
    public let roots: [Named]

    /// Announces the ring's keys.
    ///
    /// - Returns: one compact JWS per root key, the current one's first. All say the same.
    public static func signed(by ring: KeyRing, issuer: String, audience: String) -> [String] {
        let announced = ring.announced()
        let payload = JSONObject([
            ("iss", .string(issuer)), ("aud", .string(audience)), ("seq", .integer(announced.sequence)),
            ("keys", keySet(announced.keys)), ("roots", keySet(announced.roots)),
        ])
        return announced.signers.map { signer in
            let kid = signer.publicKey.keyID ?? signer.publicKey.thumbprint
            let header = JSONObject([("typ", .string(type)), ("kid", .string(kid))])
            return JWS.sign(header: header, payload: payload, with: signer)
        }
    }

    /// The number of what the ring would announce now.
    public static func sequence(of ring: KeyRing) -> Int64 { ring.announced().sequence }

    /// Follows an announcement: one of the texts must be signed by one of the pinned roots.
    public init(following texts: [String], roots pinned: [Named]) throws(SignatureError) {
        guard !texts.isEmpty else {
            throw SignatureError("the announcement of keys is missing or not signed")
        }
        guard texts.count <= Self.textsMax else { throw SignatureError("too many announcements of keys") }
        for text in texts {
            let jws = try JWS(compact: text)
            guard jws.header["typ"] == .string(Self.type) else {
                throw SignatureError("typ is not \(Self.type)")
            }
            // By its name from the pinned set; nothing in the header can bring another key.
            let kid = Array((jws.header["kid"]?.string ?? "").utf8)
            guard let root = pinned.first(where: { Array($0.kid.utf8) == kid }), jws.verify(with: root.key)
            else { continue }
            self = try Self(payload: try jws.payloadObject)
            return
        }
        throw SignatureError("the announcement of keys is not signed by a pinned root key")
    }

    /// Takes the first announcement ever seen, from a channel that is trusted by other means (enrolment: TLS
    /// and a one-time token). It must be signed by a root that it names itself.
    public init(firstUseOf texts: [String]) throws(SignatureError) {
        guard let first = texts.first else {
            throw SignatureError("the announcement of keys is missing or not signed")
        }
        let claimed = try Self(payload: try JWS(compact: first).payloadObject)
        self = try Self(following: texts, roots: claimed.roots)
    }

    private init(payload: JSONObject) throws(SignatureError) {
        guard let issuer = payload["iss"]?.string, let audience = payload["aud"]?.string,
            let sequence = payload["seq"]?.integer, sequence > 0
        else { throw SignatureError("iss, aud or seq of the announcement of keys is missing") }
        self.issuer = issuer
        self.audience = audience
        self.sequence = sequence
        keys = try Self.named(payload["keys"])
        roots = try Self.named(payload["roots"])
    }

    /// Reads `{"keys": [jwk, …]}` of 1 to 8 keys on P-256, each with a `kid` of its own.
    public static func named(_ set: JSONValue?) throws(SignatureError) -> [Named] {
        guard let values = set?["keys"]?.array, (1...keysMax).contains(values.count) else {
            throw SignatureError("a set of keys is missing, empty or larger than \(keysMax)")
        }
        var named: [Named] = []
        for value in values {
            guard let jwk = value.object, let kid = jwk["kid"]?.string, (1...128).contains(kid.utf8.count),
                !named.contains(where: { Array($0.kid.utf8) == Array(kid.utf8) })
            else { throw SignatureError("a key has no name of its own") }
            let key = try VerificationKey(jwk: jwk)
            guard key.algorithm == .es256 else { throw SignatureError("key \(kid) is not on P-256") }
            named.append((kid, key))
        }
        return named
    }

    /// The set as `named(_:)` reads it.
    public static func keySet(_ named: [Named]) -> JSONValue {
        let keys = named.map { kid, key in
            var jwk = key.jwk
            jwk["kid"] = .string(kid)
            return JSONValue.object(jwk)
        }
        return .object(JSONObject([("keys", .array(keys))]))
    }

    /// Whether two sets hold the same keys under the same names, in any order.
    public static func isSame(_ left: [Named], _ right: [Named]) -> Bool {
        left.count == right.count
            && left.allSatisfy { one in
                right.contains {
                    Array($0.kid.utf8) == Array(one.kid.utf8)
                        && Array($0.key.thumbprint.utf8) == Array(one.key.thumbprint.utf8)
                }
            }
    }
}
