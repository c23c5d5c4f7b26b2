import Access
import JSON
import Signatures
import Store

/// Checks an agent's assertion in exactly the order of handshake.md M5, Mode B (x5c).
///
/// Size, nonce and session come before this and belong to the tables; each later line assumes every earlier
/// one.
struct AssertionVerifier: Sendable {
    static let skewSeconds: Int64 = 120
    static let lifeSecondsMax: Int64 = 60
    static let chainCertificatesMax = 4
    static let chainBytesMax = 8 << 10
    /// Only transports that this gateway offers (a forced weaker one is a downgrade).
    static let transports: Set<String> = ["fetch"]

    let settings: HandshakeSettings
    let authority: EnrollmentAuthority

    /// What passed every cryptographic check.
    struct Verified: Sendable {
        var claims: AssertionClaims
        var deviceID: String
        var thumbprint: String
        /// The later of "certificate issued" and nothing: what the authority itself proves (handshake.md
        /// 4.2).
        var lastSeenSeconds: Int64
        var mode = HandshakeMode.x5c
    }

    /// JWS typ and alg → key → aud, iat, exp → eat_nonce, chh → origin.
    ///
    /// - Parameter isRevoked: whether a device id was revoked; asked as soon as the certificate names it.
    func verify(
        _ compact: String, challenge: IssuedChallenge, nonce: [UInt8], nowSeconds: Int64,
        isRevoked: (String) -> Bool
    ) throws(PostureRefusal) -> Verified {
        let jws = try parse(compact)
        let (leaf, deviceID) = try verifyKey(jws, nowSeconds: nowSeconds, isRevoked: isRevoked)
        let claims = try readClaims(jws)
        guard ExactText.isEqual(claims.subject, deviceID),
            ExactText.isEqual(claims.keyThumbprint, leaf.publicKey.thumbprint)
        else {
            throw PostureRefusal(.signatureInvalid, "sub or cnf names another device than the certificate")
        }
        try verifyAudienceAndTimes(claims, nowSeconds: nowSeconds)
        guard constantTimeEqual(claims.nonce, nonce) else {
            throw PostureRefusal(.nonceUnknown, "eat_nonce is not the nonce that was used up")
        }
        guard ExactText.isEqual(claims.challengeHash, challenge.challengeHash) else {
            throw PostureRefusal(.statementInvalid, "chh is not the hash of the challenge")
        }
        guard claims.origin == .string(settings.authOrigin) else {
            throw PostureRefusal(.originNotAllowed, "the agent saw another origin", isAlert: true)
        }
        guard Self.transports.contains(claims.transport) else {
            throw PostureRefusal(
                .statementInvalid, "transport \(claims.transport) is not offered", isAlert: true)
        }
        guard (ChallengeIssuer.versionMin...ChallengeIssuer.versionMax).contains(claims.version) else {
            throw PostureRefusal(.statementInvalid, "protocol version \(claims.version) is not spoken")
        }
        // A device may claim an *older* contact than its certificate proves, never a newer one.
        let seen = min(claims.lastSeenSeconds ?? leaf.notBeforeSeconds, leaf.notBeforeSeconds)
        return Verified(
            claims: claims, deviceID: deviceID, thumbprint: leaf.publicKey.thumbprint, lastSeenSeconds: seen)
    }

    /// managed, last_seen and the agent's version: the last lines, after the device is mapped to a person.
    func verifyManaged(_ verified: Verified, nowSeconds: Int64) throws(PostureRefusal) {
        if verified.claims.posture["managed"]?.bool == false {
            throw PostureRefusal(.deviceNotManaged, "the agent says that nobody manages it")
        }
        if let claimed = verified.claims.lastSeenSeconds, claimed > nowSeconds + Self.skewSeconds {
            throw PostureRefusal(.lastSeenStale, "last_seen lies \(claimed - nowSeconds) s in the future")
        }
        let age = nowSeconds - verified.lastSeenSeconds
        guard age <= settings.lastSeenSecondsMax else {
            throw PostureRefusal(.lastSeenStale, "last seen \(age / 86_400) days ago")
        }
        if let minimum = settings.minimumVersion,
            AgentVersion(verified.claims.agentVersion) < AgentVersion(minimum)
        {
            throw PostureRefusal(
                .agentOutdated, "agent version \(verified.claims.agentVersion) is older than \(minimum)")
        }
    }

    private func parse(_ compact: String) throws(PostureRefusal) -> JWS {
        let jws: JWS
        do throws(SignatureError) {
            jws = try JWS(compact: compact, bytesMax: AssertionClaims.bytesMax)
        } catch {
            throw PostureRefusal(.signatureInvalid, error.what)
        }
        guard jws.header["typ"] == .string("posture+jwt") else {
            throw PostureRefusal(.signatureInvalid, "typ is not posture+jwt")
        }
        // The algorithm is ours to choose: enrolment issues P-256 keys only.
        guard jws.header["alg"] == .string(SignatureAlgorithm.es256.rawValue) else {
            throw PostureRefusal(.signatureInvalid, "alg is not ES256")
        }
        // A key inside the header is the sender's own opinion about whom to trust.
        for name in ["jwk", "jku", "x5u"] where jws.header[name] != nil {
            throw PostureRefusal(.signatureInvalid, "the header brings its own key (\(name))")
        }
        return jws
    }

    private func verifyKey(
        _ jws: JWS, nowSeconds: Int64, isRevoked: (String) -> Bool
    ) throws(PostureRefusal) -> (Certificate, String) {
        let chain = try Self.chain(of: jws)
        let (leaf, deviceID) = try verifyChain(chain, authority: authority, nowSeconds: nowSeconds)
        guard !isRevoked(deviceID) else {
            throw PostureRefusal(.certificateRevoked, "device \(deviceID) was revoked", isAlert: true)
        }
        guard jws.verify(with: leaf.publicKey) else {
            throw PostureRefusal(.signatureInvalid, "the signature is not of the certificate's key")
        }
        return (leaf, deviceID)
    }

    private func readClaims(_ jws: JWS) throws(PostureRefusal) -> AssertionClaims {
        let payload: JSONObject
        do throws(SignatureError) {
            payload = try jws.payloadObject
        } catch {
            throw PostureRefusal(.statementInvalid, error.what)
        }
        return try AssertionClaims(payload)
    }

    private func verifyAudienceAndTimes(_ claims: AssertionClaims, nowSeconds: Int64) throws(PostureRefusal) {
        guard claims.audience == .string(settings.authOrigin) else {
            throw PostureRefusal(.audienceMismatch, "aud is not this gateway")
        }
        let offset = claims.issuedAtSeconds - nowSeconds
        guard abs(offset) <= Self.skewSeconds else {
            throw PostureRefusal(.clockSkew, "the device's clock is \(offset) s off")
        }
        let life = claims.expiresAtSeconds - claims.issuedAtSeconds
        guard life > 0, life <= Self.lifeSecondsMax else {
            throw PostureRefusal(.statementInvalid, "the assertion lives \(life) s; 1...60 are allowed")
        }
    }

    /// The certificates of a header's `x5c`, leaf first (RFC 7515 §4.1.6).
    static func chain(of jws: JWS) throws(PostureRefusal) -> [[UInt8]] {
        guard let entries = jws.header["x5c"]?.array, !entries.isEmpty, entries.count <= chainCertificatesMax
        else {
            throw PostureRefusal(.certificateUntrusted, "x5c is missing or holds more than 4 certificates")
        }
        var chain: [[UInt8]] = []
        for entry in entries {
            guard let text = entry.string, let der = Base64.decode(text) else {
                throw PostureRefusal(.certificateUntrusted, "x5c holds something that is no base64")
            }
            chain.append(der)
        }
        guard chain.reduce(0, { $0 + $1.count }) <= chainBytesMax else {
            throw PostureRefusal(.certificateUntrusted, "x5c is larger than 8 KiB")
        }
        return chain
    }
}

/// Verifies a device's chain up to the configured authority only, and tells "expired" from "untrusted".
func verifyChain(
    _ chain: [[UInt8]], authority: EnrollmentAuthority, nowSeconds: Int64
) throws(PostureRefusal) -> (Certificate, String) {
    do throws(SignatureError) {
        let (leaf, deviceID) = try authority.verify(chainDER: chain, nowSeconds: nowSeconds)
        return (leaf, deviceID)
    } catch {
        if let first = chain.first, let leaf = try? Certificate(der: first),
            nowSeconds > leaf.notAfterSeconds,
            // Expired is said only of a certificate that was ours: anything else is untrusted first.
            (try? authority.verify(
                chainDER: chain, nowSeconds: (leaf.notBeforeSeconds + leaf.notAfterSeconds) / 2)) != nil
        {
            throw PostureRefusal(
                .certificateExpired, "the device certificate ended at \(leaf.notAfterSeconds)")
        }
        throw PostureRefusal(.certificateUntrusted, error.what)
    }
}
