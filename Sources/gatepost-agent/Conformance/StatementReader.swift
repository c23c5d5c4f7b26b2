import JSON
import Signatures

/// Checks an assertion as a gateway does, written for this runner alone: an agent is not judged by the code
/// that made its answer.
struct StatementReader {
    let subject: ConformanceSubject
    let draft: ChallengeDraft
    let challenge: String
    var transport = "fetch"
    /// What the agent must say that it saw; nil: nothing, because the transport carries no origin.
    var origin: String?
    /// Of a management server, beside the assertion; nil: the assertion brings its certificate.
    var statement: String?

    /// Asks over fetch and checks the whole answer.
    ///
    /// - Returns: the payload.
    static func ask(
        _ subject: ConformanceSubject, _ draft: ChallengeDraft
    ) throws(ConformanceFailure) -> JSONObject {
        let challenge = draft.compact
        let assertion = try subject.assertion(in: subject.attest(challenge))
        return try StatementReader(
            subject: subject, draft: draft, challenge: challenge, origin: subject.origin
        ).read(assertion)
    }

    func read(_ assertion: String) throws(ConformanceFailure) -> JSONObject {
        guard assertion.utf8.count <= 16 << 10, let jws = try? JWS(compact: assertion, bytesMax: 16 << 10)
        else {
            throw ConformanceFailure("the assertion is no compact JWS of at most 16 KiB")
        }
        guard jws.header["typ"] == "posture+jwt", jws.header["alg"] == "ES256" else {
            throw ConformanceFailure("typ is not posture+jwt or alg is not ES256")
        }
        for name in ["jku", "x5u", "crit"] where jws.header[name] != nil {
            throw ConformanceFailure("the header carries \(name)")
        }
        let now = subject.clock.nowSeconds()
        let (subjectName, key) = try statement == nil ? certified(jws, now: now) : stated(jws)
        guard jws.verify(with: key) else {
            throw ConformanceFailure("the signature is not of the key that is vouched for")
        }
        guard let payload = try? jws.payloadObject else {
            throw ConformanceFailure("the payload is not one object without doubled members")
        }
        guard payload["sub"] == .string(subjectName), payload["cnf"]?["jkt"] == .string(key.thumbprint) else {
            throw ConformanceFailure("sub or cnf.jkt is not that of the key that is vouched for")
        }
        try readBinding(payload)
        try readForm(payload, now: now)
        return payload
    }

    /// Profile x5c: the device and its key by the certificate.
    private func certified(_ jws: JWS, now: Int64) throws(ConformanceFailure) -> (String, VerificationKey) {
        guard jws.header["jwk"] == nil else { throw ConformanceFailure("the header carries jwk") }
        guard let chain = ConformanceGateway.chain(of: jws) else {
            throw ConformanceFailure("x5c is not 1 to 4 certificates in base64")
        }
        let verified: (leaf: Certificate, deviceID: String)
        do throws(SignatureError) {
            verified = try subject.gateway.authority.verify(chainDER: chain, nowSeconds: now)
        } catch {
            throw ConformanceFailure("x5c: \(error.what)")
        }
        return (verified.deviceID, verified.leaf.publicKey)
    }

    /// Profile stmt: the runner's statement names the enrolled key by its thumbprint, so the answer brings the key.
    private func stated(_ jws: JWS) throws(ConformanceFailure) -> (String, VerificationKey) {
        guard jws.header["x5c"] == nil else {
            throw ConformanceFailure("the header carries x5c beside a statement")
        }
        guard let members = jws.header["jwk"]?.object, let key = try? VerificationKey(jwk: members),
            key.thumbprint == subject.gateway.device?.thumbprint
        else { throw ConformanceFailure("jwk is not the key that the statement names") }
        return (ConformanceGateway.statedName, key)
    }

    private func readBinding(_ payload: JSONObject) throws(ConformanceFailure) {
        guard payload["aud"] == .string(subject.origin) else {
            throw ConformanceFailure("aud is not the gateway")
        }
        guard payload["eat_nonce"] == .string(draft.nonce) else {
            throw ConformanceFailure("eat_nonce is not the challenge's nonce")
        }
        let hash = Base64URL.encode(Digest.sha256(Array(challenge.utf8)))
        guard payload["chh"] == .string(hash) else {
            throw ConformanceFailure("chh is not the SHA-256 of the challenge as it was sent")
        }
        guard payload["transport"] == .string(transport) else {
            throw ConformanceFailure("transport is not \(transport)")
        }
        let seen = payload["origin"] ?? .null
        guard seen == (origin.map { .string($0) } ?? .null) else {
            throw ConformanceFailure("origin is not what the agent saw")
        }
    }

    private func readForm(_ payload: JSONObject, now: Int64) throws(ConformanceFailure) {
        guard let issued = payload["iat"]?.integer, let expires = payload["exp"]?.integer,
            abs(issued - now) <= 120, expires > issued, expires - issued <= 60
        else { throw ConformanceFailure("iat is not now, or exp is not 1 to 60 s later") }
        guard payload["version"] == 1 else { throw ConformanceFailure("version is not one that was offered") }
        guard let counter = payload["counter"]?.integer, (1...1 << 53).contains(counter) else {
            throw ConformanceFailure("counter is no integer of 1...2^53")
        }
        for name in ["swname", "swversion", "jti"] {
            guard let text = payload[name]?.string, (1...512).contains(text.utf8.count) else {
                throw ConformanceFailure("\(name) is missing or no text of 1...512 bytes")
            }
        }
        guard let level = payload["key"]?.string, ["software", "claimed", "attested"].contains(level) else {
            throw ConformanceFailure("key is none of software, claimed, attested")
        }
        guard payload["posture"]?.object != nil else { throw ConformanceFailure("posture is no object") }
    }
}
