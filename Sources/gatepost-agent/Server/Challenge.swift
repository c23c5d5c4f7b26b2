import JSON
import Signatures

/// Why an enrolled gateway's page gets no assertion. The words are the product's reasons.
enum AttestRefusal: String, Error, Sendable, CaseIterable {
    case requestMalformed = "request-malformed"
    case requestTooLarge = "request-too-large"
    case rateLimited = "rate-limited"
    case gatewayNotTrusted = "gateway-not-trusted"
    case audienceMismatch = "audience-mismatch"
    case clockSkew = "clock-skew"
    case challengeExpired = "challenge-expired"
    case originNotAllowed = "origin-not-allowed"
    case challengeReplayed = "challenge-replayed"
    case wrongUser = "wrong-user"
    case overloaded

    var status: Int {
        switch self {
        case .requestMalformed: 400
        case .gatewayNotTrusted, .audienceMismatch, .clockSkew, .challengeExpired: 401
        case .originNotAllowed, .challengeReplayed: 403
        case .wrongUser: 409
        case .requestTooLarge: 413
        case .rateLimited: 429
        case .overloaded: 503
        }
    }
}

/// A challenge whose signature, audience and times were checked (handshake.md M1, M3).
struct Challenge: Sendable {
    static let skewSeconds: Int64 = 120
    static let bytesMax = 8 << 10
    static let version: Int64 = 1
    /// Numbers that every JSON reader holds exactly.
    static let timeMax: Int64 = 1 << 53

    let compact: String
    let issuer: String
    let identifier: String
    let nonce: String
    let origin: JSONValue?
    /// Where a navigation leads back to; on our gateway's origin and of harmless bytes.
    let wayBack: String
    let expiresAtSeconds: Int64
    let requested: [String]
    /// The ways of proving the device that the gateway accepts, the preferred one first.
    let profiles: [String]
    /// The number of the gateway's newest announcement of keys; 0 when it does not say.
    let keySequence: Int64

    /// Pinned key → aud → times. `origin` is compared by the caller, who knows the Origin field.
    init(_ compact: String, enrolment: Enrolment, nowSeconds: Int64) throws(AttestRefusal) {
        guard let payload = Self.signedPayload(compact, enrolment: enrolment) else {
            throw .gatewayNotTrusted
        }
        try self.init(payload, of: compact, enrolment: enrolment, nowSeconds: nowSeconds)
    }

    /// What a pinned key of the gateway signed; nil for everything else. It may be old, and meant for others.
    static func signedPayload(_ compact: String, enrolment: Enrolment) -> JSONObject? {
        guard let jws = try? JWS(compact: compact, bytesMax: Self.bytesMax),
            jws.header["typ"] == .string("posture-challenge+jwt"), jws.header["alg"] == .string("ES256"),
            let kid = jws.header["kid"]?.string,
            // The key comes from the pinned set, by its name; nothing in the header can bring another.
            let pinned = enrolment.gatewayKeys.first(where: { Array($0.kid.utf8) == Array(kid.utf8) }),
            jws.verify(with: pinned.key), let payload = try? jws.payloadObject,
            payload["iss"] == .string(enrolment.authOrigin)
        else { return nil }
        return payload
    }

    /// The signed way back, when it is one: on the gateway's own origin, and nothing in it could end a field or begin a
    /// fragment.
    static func wayBack(_ payload: JSONObject, enrolment: Enrolment) -> String? {
        guard let back = payload["rtn"]?.string, back.utf8.count <= 2_048,
            back.utf8.starts(with: (enrolment.authOrigin + "/").utf8),
            back.utf8.allSatisfy({ (0x21...0x7e).contains($0) && !Array(#"#"<>\^`{|}"#.utf8).contains($0) })
        else { return nil }
        return back
    }

    /// - Parameter payload: what `signedPayload` gave for `compact`.
    init(
        _ payload: JSONObject, of compact: String, enrolment: Enrolment, nowSeconds: Int64
    ) throws(AttestRefusal) {
        guard payload["aud"] == .string(enrolment.audience) else { throw .audienceMismatch }
        guard let issued = payload["iat"]?.integer, let begins = payload["nbf"]?.integer,
            let expires = payload["exp"]?.integer, issued >= 0, begins >= 0, expires <= Self.timeMax,
            // Bounded before they are computed with: the differences cannot overflow.
            expires > issued, expires - issued <= 60,
            begins <= expires,
            let identifier = payload["jti"]?.string, (1...128).contains(identifier.utf8.count),
            let nonce = payload["nonce"]?.string, Base64URL.decode(nonce)?.count == 32,
            Self.speaksOurVersion(payload), let profiles = payload["profiles"]?.array,
            profiles.contains(.string("x5c")) || profiles.contains(.string("stmt")),
            let back = Self.wayBack(payload, enrolment: enrolment)
        else { throw .requestMalformed }
        try Self.checkTimes(issued: issued, begins: begins, expires: expires, nowSeconds: nowSeconds)
        self.compact = compact
        issuer = enrolment.authOrigin
        self.identifier = identifier
        self.nonce = nonce
        origin = payload["origin"]
        wayBack = back
        expiresAtSeconds = expires
        keySequence = payload["key_seq"]?.integer ?? 0
        self.profiles = profiles.prefix(8).compactMap(\.string)
        requested = (payload["req"]?.array ?? []).prefix(64).compactMap(\.string)
    }

    /// Up to 120 s either way are the clocks' fault and forgiven; beyond, the page is told which it is.
    private static func checkTimes(
        issued: Int64, begins: Int64, expires: Int64, nowSeconds: Int64
    ) throws(AttestRefusal) {
        guard nowSeconds <= expires + skewSeconds else { throw .challengeExpired }
        guard abs(nowSeconds - issued) <= skewSeconds, begins <= nowSeconds + skewSeconds else {
            throw .clockSkew
        }
    }

    private static func speaksOurVersion(_ payload: JSONObject) -> Bool {
        guard let low = payload["versions"]?["min"]?.integer, let high = payload["versions"]?["max"]?.integer
        else {
            return false
        }
        return low <= version && version <= high
    }
}
