import Access
import JSON
import Signatures

/// A validated security event token (RFC 8417) of one Shared Signals stream.
struct SecurityEvent: Sendable, Hashable {
    /// Unique at its issuer.
    var tokenID: String
    /// Groups events of one cause; for the log.
    var transaction: String?
    var issuedAtSeconds: Int64
    /// The URI of its one event.
    var type: String
    /// The event's members.
    var members: JSONObject
    var subject: SubjectIdentifier

    /// When it happened: what the event says, as far as that can be; otherwise when it was issued.
    var happenedAtSeconds: Int64
}

/// What a security event token must be (Shared Signals 1.0 §4, providers.md 11.2). Pure: keys and clock are
/// given.
struct SecurityEventValidator: Sendable {
    /// Bytes of a token.
    static let bytesMax = 64 << 10
    /// How far `iat` may be ahead of our clock; exactly this much is taken.
    static let aheadSecondsMax: Int64 = 300
    static let identifierBytesMax = 512
    static let algorithms: Set<SignatureAlgorithm> = [.rs256, .es256]
    private static let payloadLimits = JSONLimits(bytesMax: bytesMax, depthMax: 12, membersMax: 2_000)

    /// The stream's `iss`, byte for byte.
    var issuer: String
    /// Must be in `aud`.
    var audience: String
    /// The stream is of a draft: `subject` inside the event is taken where `sub_id` is missing.
    var acceptsDrafts = false
    var nowSeconds: Int64

    /// A token whose header and origin are right; its signature is not looked at yet.
    struct Unverified: Sendable {
        var token: JWS
        fileprivate var claims: JSONObject
    }

    /// Takes a token apart. What is not ours is refused before any key is looked up.
    func parse(_ compact: String) throws(SignalRefusal) -> Unverified {
        let token: JWS
        do throws(SignatureError) {
            token = try JWS(compact: compact, bytesMax: Self.bytesMax)
        } catch {
            throw SignalRefusal(.invalidRequest, error.what)
        }
        guard let type = token.header["typ"]?.string, Self.isSecurityEvent(type) else {
            throw SignalRefusal(.invalidRequest, "typ is not secevent+jwt")
        }
        guard Self.algorithms.contains(token.algorithm) else {
            throw SignalRefusal(.invalidKey, "alg is neither RS256 nor ES256")
        }
        let claims = try Self.claims(token)
        guard let iss = claims["iss"]?.string, ExactText.isEqual(iss, issuer) else {
            throw SignalRefusal(.invalidIssuer, "iss is not the stream's issuer")
        }
        guard Self.audiences(claims["aud"]).contains(where: { ExactText.isEqual($0, audience) }) else {
            throw SignalRefusal(.invalidAudience, "aud does not name this receiver")
        }
        return Unverified(token: token, claims: claims)
    }

    /// Checks signature and claims.
    ///
    /// - Parameter keys: the transmitter's keys that fit `kid` and algorithm. Without a `kid` there must be
    ///   exactly one: trying several until one fits would let a forgotten key sign.
    func validate(
        _ unverified: Unverified, keys: [VerificationKey]
    ) throws(SignalRefusal) -> SecurityEvent {
        let token = unverified.token
        guard !keys.isEmpty, token.keyID != nil || keys.count == 1 else {
            throw SignalRefusal(.invalidKey, "no key of the transmitter fits the token")
        }
        guard keys.contains(where: { token.verify(with: $0) }) else {
            throw SignalRefusal(.authenticationFailed, "the signature is wrong")
        }
        return try event(of: unverified.claims)
    }

    private func event(of claims: JSONObject) throws(SignalRefusal) -> SecurityEvent {
        // OpenID Shared Signals 1.0 §4.1.7 and §4.1.2: either makes it some other kind of token.
        guard claims["exp"] == nil else { throw SignalRefusal(.invalidRequest, "exp must not be present") }
        guard claims["sub"] == nil else { throw SignalRefusal(.invalidRequest, "sub must not be present") }
        guard let issued = Self.seconds(claims["iat"]) else {
            throw SignalRefusal(.invalidRequest, "iat is missing or no time")
        }
        guard issued <= nowSeconds + Self.aheadSecondsMax else {
            throw SignalRefusal(.invalidRequest, "iat is in the future")
        }
        guard let tokenID = claims["jti"]?.string,
            (1...Self.identifierBytesMax).contains(tokenID.utf8.count)
        else { throw SignalRefusal(.invalidRequest, "jti is missing or no text of a fitting length") }
        guard let events = claims["events"]?.object, events.count == 1, let event = events.members.first,
            let members = event.value.object, event.name.utf8.count <= Self.identifierBytesMax
        else { throw SignalRefusal(.invalidRequest, "events does not hold exactly one event") }
        var happened = issued
        // A time that lies ahead would win against every later event.
        if let named = Self.seconds(members["event_timestamp"]), named <= nowSeconds + Self.aheadSecondsMax {
            happened = named
        }
        return SecurityEvent(
            tokenID: tokenID, transaction: claims["txn"]?.string, issuedAtSeconds: issued, type: event.name,
            members: members, subject: try subject(claims["sub_id"], in: members),
            happenedAtSeconds: happened)
    }

    private func subject(
        _ value: JSONValue?, in members: JSONObject
    ) throws(SignalRefusal) -> SubjectIdentifier {
        let source = value ?? (acceptsDrafts ? members["subject"] : nil)
        guard let object = source?.object else {
            throw SignalRefusal(.invalidRequest, "sub_id is missing or no object")
        }
        return try SubjectIdentifier(object, isDraft: value == nil)
    }

    private static func claims(_ token: JWS) throws(SignalRefusal) -> JSONObject {
        do throws(JSONError) {
            guard let object = try JSONValue(parsing: token.payload, limits: payloadLimits).object else {
                throw JSONError(offset: 0, what: "no object")
            }
            return object
        } catch {
            throw SignalRefusal(.invalidRequest, "token: payload: \(error)")
        }
    }

    /// RFC 8417 §2.3 recommends leaving `application/` out; media types are compared without regard to case.
    private static func isSecurityEvent(_ type: String) -> Bool {
        let folded = type.lowercased()
        return folded == "secevent+jwt" || folded == "application/secevent+jwt"
    }

    private static func audiences(_ value: JSONValue?) -> [String] {
        if let one = value?.string { return [one] }
        return (value?.array ?? []).prefix(32).compactMap(\.string)
    }

    /// A NumericDate (RFC 7519 §2), bounded so that adding to it cannot overflow.
    static func seconds(_ value: JSONValue?) -> Int64? {
        guard let number = value?.number, (0...1e11).contains(number) else { return nil }
        return Int64(number)
    }
}
