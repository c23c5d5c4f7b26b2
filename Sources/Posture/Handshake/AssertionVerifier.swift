import Access
import JSON
import Signatures
import Store

/// Checks an agent's assertion in exactly the order of handshake.md M5, in the modes that the configuration accepts.
///
/// Size, nonce and session come before this and belong to the tables; each later line assumes every earlier
/// one.
struct AssertionVerifier: Sendable {
    static let skewSeconds: Int64 = 120
    static let lifeSecondsMax: Int64 = 60
    static let chainCertificatesMax = 4
    static let chainBytesMax = 8 << 10
    /// Only transports that this gateway offers (a forced other one is a downgrade).
    static let transports: Set<String> = ["fetch", "popup", "navigation"]

    /// A key inside the header is the sender's own opinion about whom to trust.
    static let foreignKeys = ["jwk", "jku", "x5u"]

    let settings: HandshakeSettings
    /// Of mode B; nil: no device certificates are accepted.
    let authority: EnrollmentAuthority?
    /// Of mode A; nil: no statements are accepted.
    var statements: StatementTrust?
    /// nil: the authority has no lists.
    var revocation: RevocationFiles?

    /// What passed every cryptographic check.
    struct Verified: Sendable {
        var claims: AssertionClaims
        var deviceID: String
        var thumbprint: String
        /// Mode B: when the certificate was issued, which is what the authority itself proves (handshake.md
        /// 4.2). Mode A: what the management server says.
        var lastSeenSeconds: Int64
        /// Mode A: the management server's words; nil: mode B.
        var statement: DeviceStatement?
        /// Mode B: the steps of the certificate's path.
        var links: [CertificateLink] = []
        var mode = HandshakeMode.x5c
    }

    /// JWS typ and alg → key → aud, iat, exp → eat_nonce, chh → origin.
    ///
    /// - Parameter statement: what came beside the assertion: it makes the answer one of mode A.
    /// - Parameter isRevoked: whether a device id was revoked; asked as soon as the certificate names it.
    func verify(
        _ compact: String, statement: String? = nil, challenge: IssuedChallenge, nonce: [UInt8],
        nowSeconds: Int64, isRevoked: (String) -> Bool
    ) throws(PostureRefusal) -> Verified {
        let jws = try parse(compact)
        let proven = try verifyKey(jws, statement: statement, nowSeconds: nowSeconds, isRevoked: isRevoked)
        let claims = try readClaims(jws)
        guard ExactText.isEqual(claims.subject, proven.subject),
            ExactText.isEqual(claims.keyThumbprint, proven.key.thumbprint)
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
        try WayCheck.verify(claims, authOrigin: settings.authOrigin)
        guard (ChallengeIssuer.versionMin...ChallengeIssuer.versionMax).contains(claims.version) else {
            throw PostureRefusal(.statementInvalid, "protocol version \(claims.version) is not spoken")
        }
        return verified(claims, proven)
    }

    private func verified(_ claims: AssertionClaims, _ proven: ProvenKey) -> Verified {
        guard let statement = proven.statement else {
            // A device may claim an *older* contact than its certificate proves, never a newer one.
            let seen = min(claims.lastSeenSeconds ?? proven.provenSeconds, proven.provenSeconds)
            return Verified(
                claims: claims, deviceID: proven.subject, thumbprint: proven.key.thumbprint,
                lastSeenSeconds: seen, links: proven.links)
        }
        // The colon keeps these ids apart from those of certificates, which cannot hold one.
        let id = "statement:\(settings.integration):\(proven.subject)"
        return Verified(
            claims: claims, deviceID: id,
            // The shared key is nobody's: the device stands for itself.
            thumbprint: proven.isShared ? "shared:\(id)" : proven.key.thumbprint,
            lastSeenSeconds: statement.lastSeenSeconds, statement: statement,
            mode: proven.isShared ? .unsafeStatic : .statement)
    }

    /// managed, last_seen and the agent's version: the last lines, after the device is mapped to a person.
    func verifyManaged(_ verified: Verified, nowSeconds: Int64) throws(PostureRefusal) {
        if verified.claims.posture["managed"]?.bool == false {
            throw PostureRefusal(.deviceNotManaged, "the agent says that nobody manages it")
        }
        if verified.statement?.isManaged == false {
            throw PostureRefusal(.deviceNotManaged, "the management server says that it does not manage it")
        }
        for claimed in [verified.claims.lastSeenSeconds, verified.statement?.lastSeenSeconds].compactMap({
            $0
        })
        where claimed > nowSeconds + Self.skewSeconds {
            throw PostureRefusal(.lastSeenStale, "last_seen lies \(claimed - nowSeconds) s in the future")
        }
        let age = nowSeconds - verified.lastSeenSeconds
        guard age <= settings.lastSeenSecondsMax else {
            throw PostureRefusal(.lastSeenStale, "last seen \(age / 86_400) days ago", ageSeconds: age)
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
        for name in ["jku", "x5u"] where jws.header[name] != nil {
            throw PostureRefusal(.signatureInvalid, "the header brings its own key (\(name))")
        }
        return jws
    }

    /// What signed, and what vouches for it.
    private struct ProvenKey {
        var subject: String
        var key: VerificationKey
        var provenSeconds: Int64 = 0
        var links: [CertificateLink] = []
        var statement: DeviceStatement?
        var isShared = false
    }

    /// A statement beside it makes the answer one of mode A, a certificate in it one of mode B; neither is good only
    /// where the shared key is accepted. Nothing is tried twice: each answer has one reading.
    private func verifyKey(
        _ jws: JWS, statement: String?, nowSeconds: Int64, isRevoked: (String) -> Bool
    ) throws(PostureRefusal) -> ProvenKey {
        let hasCertificate = jws.header["x5c"] != nil
        if let statement {
            guard let statements else {
                throw PostureRefusal(.statementInvalid, "mode stmt is not accepted here", isAlert: true)
            }
            guard !hasCertificate else {
                throw PostureRefusal(.statementInvalid, "a statement and a certificate in one answer")
            }
            let verifier = StatementVerifier(trust: statements)
            let verified = try verifier.verify(statement, nowSeconds: nowSeconds)
            return try verifyStated(jws, verified, isRevoked: isRevoked)
        }
        if !hasCertificate, let statements, statements.allowsSharedKey {
            return try verifyShared(jws, statements, nowSeconds: nowSeconds, isRevoked: isRevoked)
        }
        return try verifyCertificate(jws, nowSeconds: nowSeconds, isRevoked: isRevoked)
    }

    private func verifyCertificate(
        _ jws: JWS, nowSeconds: Int64, isRevoked: (String) -> Bool
    ) throws(PostureRefusal) -> ProvenKey {
        // The algorithm is ours to choose: enrolment issues P-256 keys only.
        guard jws.header["alg"] == .string(SignatureAlgorithm.es256.rawValue) else {
            throw PostureRefusal(.signatureInvalid, "alg is not ES256")
        }
        guard jws.header["jwk"] == nil else {
            throw PostureRefusal(.signatureInvalid, "the header brings its own key (jwk)")
        }
        guard let authority else {
            throw PostureRefusal(.certificateUntrusted, "mode x5c is not accepted here", isAlert: true)
        }
        let chain = try Self.chain(of: jws)
        let path = try verifyChain(chain, authority: authority, nowSeconds: nowSeconds)
        guard !isRevoked(path.deviceID) else {
            throw PostureRefusal(.certificateRevoked, "device \(path.deviceID) was revoked", isAlert: true)
        }
        try revocation?.check(path.links, nowSeconds: nowSeconds)
        guard jws.verify(with: path.leaf.publicKey) else {
            throw PostureRefusal(.signatureInvalid, "the signature is not of the certificate's key")
        }
        return ProvenKey(
            subject: path.deviceID, key: path.leaf.publicKey, provenSeconds: path.leaf.notBeforeSeconds,
            links: path.links)
    }

    /// Mode A: the key that the statement names, and no other.
    private func verifyStated(
        _ jws: JWS, _ statement: DeviceStatement, isRevoked: (String) -> Bool
    ) throws(PostureRefusal) -> ProvenKey {
        let key: VerificationKey
        switch (statement.confirmation, jws.header["jwk"]) {
        case (.key(let named), nil): key = named
        case (.key, _?):
            throw PostureRefusal(.signatureInvalid, "the header brings its own key (jwk)")
        case (.thumbprint(let thumbprint), let jwk):
            // The sender's own key, believed only because the statement names its thumbprint.
            guard let members = jwk?.object, let own = try? DeviceProofKey.key(members),
                ExactText.isEqual(own.thumbprint, thumbprint)
            else {
                throw PostureRefusal(.signatureInvalid, "jwk is not the key that the statement names")
            }
            key = own
        }
        let id = "statement:\(settings.integration):\(statement.subject)"
        guard !isRevoked(id) else {
            throw PostureRefusal(.certificateRevoked, "device \(id) was revoked", isAlert: true)
        }
        guard jws.verify(with: key) else {
            throw PostureRefusal(
                .signatureInvalid, "the signature is not of the key that the statement names")
        }
        return ProvenKey(subject: statement.subject, key: key, statement: statement)
    }

    /// The shared key signed the whole answer: it proves that somebody has the key that every endpoint has.
    private func verifyShared(
        _ jws: JWS, _ statements: StatementTrust, nowSeconds: Int64, isRevoked: (String) -> Bool
    ) throws(PostureRefusal) -> ProvenKey {
        guard jws.header["jwk"] == nil else {
            throw PostureRefusal(.signatureInvalid, "the header brings its own key (jwk)")
        }
        let verifier = StatementVerifier(trust: statements)
        let signer = try verifier.signer(of: jws, what: "answer", nowSeconds: nowSeconds)
        let payload: JSONObject
        do throws(SignatureError) {
            payload = try jws.payloadObject
        } catch {
            throw PostureRefusal(.statementInvalid, error.what)
        }
        try verifier.verifyTenant(of: payload)
        let statement = try DeviceStatement(
            payload, confirmation: .thumbprint(signer.publicKey.thumbprint))
        let id = "statement:\(settings.integration):\(statement.subject)"
        guard !isRevoked(id) else {
            throw PostureRefusal(.certificateRevoked, "device \(id) was revoked", isAlert: true)
        }
        return ProvenKey(
            subject: statement.subject, key: signer.publicKey, statement: statement, isShared: true)
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
) throws(PostureRefusal) -> VerifiedPath {
    do throws(SignatureError) {
        return try authority.verifiedPath(chainDER: chain, nowSeconds: nowSeconds)
    } catch {
        if let first = chain.first, let leaf = try? Certificate(der: first),
            nowSeconds >= leaf.notAfterSeconds,
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
