import Access
import JSON
import Signatures
import Store

/// Makes devices out of one-time tokens, and renews their certificates (handshake.md 4.2, 9).
struct Enrollment: Sendable {
    static let requestBytesMax = 64 << 10
    static let tokenCharactersMax = 128

    let settings: EnrollmentSettings
    let handshake: HandshakeSettings
    let authority: EnrollmentAuthority
    let ring: KeyRing
    let store: any GatewayStore

    /// What an agent sent to `enroll`.
    struct Request: Sendable {
        var token: String
        var csr: [UInt8]
        var posture: JSONObject
        /// The old device key's word when a machine enrols again, not verified yet.
        var predecessor: String?
        /// The agent says that its key lies in hardware; it shows no proof of it.
        var claimsHardware: Bool
        /// The second step of `KeyAttestation`.
        var proof: KeyAttestation.Proof?

        var tokenDigest: [UInt8] { Digest.sha256(Array(token.utf8)) }

        static func token(of body: JSONValue) throws(PostureRefusal) -> String {
            guard let token = body["token"]?.string, !token.isEmpty,
                token.utf8.count <= Enrollment.tokenCharactersMax
            else { throw PostureRefusal(.enrollmentTokenInvalid, "no token in the request") }
            return token
        }

        init(_ body: JSONValue) throws(PostureRefusal) {
            let token = try Self.token(of: body)
            guard let text = body["csr"]?.string, let csr = Base64.decode(text), csr.count <= 4096 else {
                throw PostureRefusal(.requestMalformed, "csr is no base64 of at most 4,096 bytes")
            }
            self.token = token
            self.csr = csr
            posture = body["facts"]?.object ?? JSONObject()
            claimsHardware = body["key"] == .string(AgentStatement.KeyLevel.claimed.rawValue)
            if let value = body["attestation"] { proof = try KeyAttestation.Proof(value) }
            if let proof = body["predecessor"] {
                guard let text = proof.string, text.utf8.count <= Succession.proofBytesMax else {
                    throw PostureRefusal(.requestMalformed, "predecessor is no text of at most 4 KiB")
                }
                predecessor = text
            }
        }
    }

    /// A token for one person and one device, usable once within 24 hours. Only its digest is kept.
    func createToken(
        issuer: String, subject: String, email: String?, expectedSerial: String?, nowSeconds: Int64
    ) async throws(StoreError) -> String {
        let token = Base64URL.encode(Random.bytes(32))
        let serial = expectedSerial.map { DeviceKey(.serial, $0)?.value ?? $0 }
        try await store.insert(
            EnrollmentToken(
                tokenDigest: Digest.sha256(Array(token.utf8)), issuer: issuer, subject: subject, email: email,
                expectedSerial: serial, expiresAtSeconds: nowSeconds + settings.tokenSeconds))
        return token
    }

    /// A certified device that is not stored yet: the caller pins ids.
    struct Enrolled: Sendable {
        var device: StoredDevice
        var certificate: Certificate
        /// The token that was used up.
        var token: EnrollmentToken
    }

    /// Refuses a token that is no longer good, without using it up.
    func checkToken(digest: [UInt8], nowSeconds: Int64) async throws(PostureRefusal) {
        guard authority.canIssue else {
            throw PostureRefusal(.enrollmentTokenInvalid, "the enrolment authority has no key: verify only")
        }
        do throws(StoreError) {
            if try await store.enrollmentToken(digest: digest, nowSeconds: nowSeconds) != nil { return }
        } catch {
            throw PostureRefusal(.storeUnavailable, error.description)
        }
        throw PostureRefusal(.enrollmentTokenInvalid, "unknown, used or expired enrolment token")
    }

    /// The key of the certificate request. Before the token is used up: a request that cannot be certified
    /// must not cost its sender the token.
    func requestedKey(_ request: Request) throws(PostureRefusal) -> VerificationKey {
        do throws(SignatureError) {
            return try CertificateRequest.publicKey(of: request.csr)
        } catch {
            throw PostureRefusal(.requestMalformed, "certificate request: \(error.what)")
        }
    }

    /// Uses up the token and issues the first certificate.
    ///
    /// - Parameter standing: what was proven about the key.
    func enroll(
        _ request: Request, standing: KeyAttestation.Standing, nowSeconds: Int64
    ) async throws(PostureRefusal) -> Enrolled {
        let token = try await redeem(request.token, nowSeconds: nowSeconds)
        if let expected = token.expectedSerial {
            let stated = StatementFacts.deviceKeys(request.posture).first { $0.kind == .serial }
            guard let stated, ExactText.isEqual(stated.value, expected) else {
                throw PostureRefusal(
                    .enrollmentTokenInvalid, "the token is for another serial number", isAlert: true)
            }
        }
        let id = Self.newDeviceID()
        let certificate = try issue(request.csr, deviceID: id, nowSeconds: nowSeconds)
        let device = StoredDevice(
            id: id, ownerIssuer: token.issuer, ownerSubject: token.subject, ownerEmail: token.email,
            platform: StatementFacts.platform(request.posture),
            keyThumbprint: certificate.publicKey.thumbprint,
            certificateSerial: certificate.serialHex, enrolledAtSeconds: nowSeconds,
            certificateNotAfterSeconds: certificate.notAfterSeconds,
            keyLevel: standing.level, chipID: standing.chipID, isChipMakerKnown: standing.isMakerKnown)
        return Enrolled(device: device, certificate: certificate, token: token)
    }

    /// What `renew` proves: the current device key signed the request itself.
    struct Renewal: Sendable {
        var deviceID: String
        var thumbprint: String
        /// The steps of the certificate's path.
        var links: [CertificateLink]
        var csr: [UInt8]
        var proofID: [UInt8]
        var expiresAtSeconds: Int64
    }

    /// Checks the proof of a renewal: typ `renewal+jwt`, x5c, aud, times. Once-only and the device are the
    /// caller's.
    func verifyRenewal(_ body: JSONValue, nowSeconds: Int64) throws(PostureRefusal) -> Renewal {
        guard let text = body["proof"]?.string else { throw PostureRefusal(.requestMalformed, "no proof") }
        let jws: JWS
        let payload: JSONObject
        do throws(SignatureError) {
            jws = try JWS(compact: text, bytesMax: AssertionClaims.bytesMax)
            payload = try jws.payloadObject
        } catch {
            throw PostureRefusal(.signatureInvalid, error.what)
        }
        guard jws.header["typ"] == .string("renewal+jwt"), jws.header["alg"] == .string("ES256") else {
            throw PostureRefusal(.signatureInvalid, "typ or alg is not a renewal's")
        }
        let chain = try AssertionVerifier.chain(of: jws)
        let path = try verifyChain(chain, authority: authority, nowSeconds: nowSeconds)
        let (leaf, deviceID) = (path.leaf, path.deviceID)
        guard jws.verify(with: leaf.publicKey) else {
            throw PostureRefusal(.signatureInvalid, "the proof is not of the certificate's key")
        }
        guard payload["aud"] == .string(handshake.authOrigin) else {
            throw PostureRefusal(.audienceMismatch, "aud is not this gateway")
        }
        // Bounded before it is computed with: any enrolled device chooses this number.
        guard let issued = payload["iat"]?.integer, (0...AssertionClaims.numberMax).contains(issued),
            abs(issued - nowSeconds) <= AssertionVerifier.skewSeconds
        else {
            throw PostureRefusal(.clockSkew, "the device's clock is more than 120 s off")
        }
        guard let proof = payload["jti"]?.string.flatMap(Base64URL.decode), proof.count == 16,
            let csr = payload["csr"]?.string.flatMap(Base64.decode), csr.count <= 4096
        else { throw PostureRefusal(.requestMalformed, "jti or csr is missing or of another shape") }
        return Renewal(
            deviceID: deviceID, thumbprint: leaf.publicKey.thumbprint, links: path.links, csr: csr,
            proofID: proof, expiresAtSeconds: issued + 2 * AssertionVerifier.skewSeconds)
    }

    func issue(_ csr: [UInt8], deviceID: String, nowSeconds: Int64) throws(PostureRefusal) -> Certificate {
        do throws(SignatureError) {
            return try authority.issue(
                csrDER: csr, deviceID: deviceID, validSeconds: settings.certificateSeconds,
                nowSeconds: nowSeconds)
        } catch {
            throw PostureRefusal(.requestMalformed, "certificate request: \(error.what)")
        }
    }

    /// The answer to `enroll` and `renew`: everything that the agent pins.
    func answer(for device: StoredDevice, certificate: Certificate, nowSeconds: Int64) -> JSONValue {
        let level = device.keyLevel(stated: .attested, isMakerDemanded: settings.chipAuthorities != nil)
        // Current and next: a rotation between two renewals must not leave agents that trust nobody.
        let keys = KeyAnnouncement.signed(
            by: ring, issuer: handshake.authOrigin, audience: handshake.audience)
        return .object(
            JSONObject([
                ("device_id", .string(device.id)),
                (
                    "certificates",
                    .array([certificate, authority.certificate].map { .string(Base64.encode($0.der)) })
                ),
                ("gateway_keys", .array(keys.map { .string($0) })),
                ("auth_origin", .string(handshake.authOrigin)),
                ("audience", .string(handshake.audience)),
                ("port", .integer(Int64(handshake.port))),
                ("renew_after_seconds", .integer(settings.renewAfterSeconds)),
                ("not_after", .integer(certificate.notAfterSeconds)),
                ("now", .integer(nowSeconds)),
                ("key", .string(level.rawValue)),
            ]))
    }

    private func redeem(_ token: String, nowSeconds: Int64) async throws(PostureRefusal) -> EnrollmentToken {
        let redeemed: EnrollmentToken?
        do throws(StoreError) {
            redeemed = try await store.redeem(
                enrollmentTokenDigest: Digest.sha256(Array(token.utf8)), nowSeconds: nowSeconds)
        } catch {
            throw PostureRefusal(.storeUnavailable, error.description)
        }
        guard let redeemed else {
            throw PostureRefusal(.enrollmentTokenInvalid, "unknown, used or expired enrolment token")
        }
        return redeemed
    }

    /// 128 random bits as a lower-case GUID-shaped text.
    private static func newDeviceID() -> String {
        let digits = Random.bytes(16).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 2 ? text : "0" + text
        }.joined()
        var parts: [Substring] = []
        var rest = Substring(digits)
        for count in [8, 4, 4, 4, 12] {
            parts.append(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        return parts.joined(separator: "-")
    }
}
