import Access
import JSON
import Signatures
import Store

/// How a device key in a TPM 2.0 is proven at enrolment (handshake.md 4.2, 9), in two steps.
///
/// First the device names its endorsement key (EK) and an attestation key (AK), and gets a secret that only the
/// TPM with this EK opens, and only if the AK lies in it too. Then it brings the secret, and the AK's word that
/// the device key was born in the same TPM and cannot leave it. The enrolment token is used up by the second
/// step only; an attempt counts once, also when it fails.
enum KeyAttestation {
    /// The `attestation` of the first request.
    struct Opening: Sendable {
        var endorsement: TPMPublicArea
        /// DER, when the chip carries one.
        var endorsementCertificate: [UInt8]?
        var attestation: TPMPublicArea

        static let certificateBytesMax = 4 << 10

        init(_ value: JSONValue) throws(PostureRefusal) {
            do throws(SignatureError) {
                endorsement = try TPMPublicArea(try bytes("ek", of: value, max: TPMPublicArea.bytesMax))
                attestation = try TPMPublicArea(try bytes("ak", of: value, max: TPMPublicArea.bytesMax))
                try endorsement.check(.endorsement)
                try attestation.check(.attestation)
                endorsementCertificate =
                    value["ek_certificate"] == nil
                    ? nil : try bytes("ek_certificate", of: value, max: Self.certificateBytesMax)
            } catch {
                throw PostureRefusal(.attestationInvalid, error.what)
            }
        }
    }

    /// The `attestation` of the second request.
    struct Proof: Sendable {
        var attempt: [UInt8]
        var activated: [UInt8]
        var device: TPMPublicArea
        var certification: TPMCertification

        init(_ value: JSONValue) throws(PostureRefusal) {
            do throws(SignatureError) {
                attempt = try bytes("attempt", of: value, max: AttestationAttempts.keyBytes)
                activated = try bytes("activated", of: value, max: TPMCredential.secretBytesMax)
                device = try TPMPublicArea(try bytes("device", of: value, max: TPMPublicArea.bytesMax))
                certification = try TPMCertification(
                    attest: try bytes("certify", of: value, max: TPMCertification.attestBytesMax),
                    signature: try bytes("signature", of: value, max: TPMCertification.signatureBytesMax))
            } catch {
                throw PostureRefusal(.attestationInvalid, error.what)
            }
        }
    }

    /// What is known about a new device's key.
    struct Standing: Sendable, Hashable {
        var level: AgentStatement.KeyLevel = .software
        /// SHA-256 of the EK's public area, hex; nil without attestation.
        var chipID: String?
        /// Whether the EK's certificate came from a configured authority.
        var isMakerKnown = false
    }

    /// Makes the secret of one attempt; nothing about the token is decided here.
    static func open(
        _ opening: Opening, tokenDigest: [UInt8], authorities: EndorsementAuthorities?, nowSeconds: Int64
    ) throws(PostureRefusal) -> (attempt: AttestationAttempts.Attempt, sealed: TPMCredential.Sealed) {
        let secret = Random.bytes(TPMCredential.secretBytesMax)
        let sealed: TPMCredential.Sealed
        do throws(SignatureError) {
            sealed = try TPMCredential.make(
                for: opening.endorsement, name: opening.attestation.name, secret: secret)
        } catch {
            throw PostureRefusal(.attestationInvalid, error.what)
        }
        var attempt = AttestationAttempts.Attempt(
            tokenDigest: tokenDigest, attestation: opening.attestation, secret: secret,
            nonce: Random.bytes(32), chipID: Digest.sha256(opening.endorsement.bytes),
            makerProblem: nil, expiresAtSeconds: nowSeconds + AttestationAttempts.lifeSeconds)
        attempt.makerProblem = makerProblem(opening, authorities, nowSeconds)
        return (attempt, sealed)
    }

    /// Why the chip's maker is not known; nil: it is.
    private static func makerProblem(
        _ opening: Opening, _ authorities: EndorsementAuthorities?, _ nowSeconds: Int64
    ) -> String? {
        guard let authorities else { return "no tpm-authorities are configured" }
        guard let certificate = opening.endorsementCertificate else {
            return "the chip carries no endorsement certificate"
        }
        do throws(SignatureError) {
            try authorities.verify(
                certificate: certificate, of: opening.endorsement, nowSeconds: nowSeconds)
            return nil
        } catch {
            return error.what
        }
    }

    /// Secret → certification → properties of the key → it is the key of the certificate request.
    ///
    /// - Parameter isMakerDemanded: a chip of an unknown maker is then no more than a claim.
    static func verify(
        _ proof: Proof, of attempt: AttestationAttempts.Attempt, requested: VerificationKey,
        isMakerDemanded: Bool
    ) throws(PostureRefusal) -> Standing {
        guard constantTimeEqual(proof.activated, attempt.secret) else {
            throw PostureRefusal(
                .attestationInvalid, "the credential was not opened: another chip, or another key",
                isAlert: true)
        }
        let thumbprint: String
        do throws(SignatureError) {
            try proof.certification.verify(
                by: attempt.attestation, nonce: attempt.nonce, certifying: proof.device.name)
            try proof.device.check(.device)
            thumbprint = try proof.device.verificationKey().thumbprint
        } catch {
            throw PostureRefusal(.attestationInvalid, error.what, isAlert: true)
        }
        guard ExactText.isEqual(thumbprint, requested.thumbprint) else {
            throw PostureRefusal(
                .attestationInvalid, "the certificate request is for another key", isAlert: true)
        }
        let isMakerKnown = attempt.makerProblem == nil
        return Standing(
            level: isMakerKnown || !isMakerDemanded ? .attested : .claimed,
            chipID: attempt.chipID.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(),
            isMakerKnown: isMakerKnown)
    }

    private static func bytes(
        _ name: String, of value: JSONValue, max: Int
    ) throws(SignatureError) -> [UInt8] {
        guard let text = value[name]?.string, let bytes = Base64.decode(text), !bytes.isEmpty,
            bytes.count <= max
        else { throw SignatureError("attestation: \(name) is no base64 of 1 to \(max) bytes") }
        return bytes
    }
}

/// The first steps that wait for their second: bounded as a whole and per token, with an end.
struct AttestationAttempts: Sendable {
    static let keyBytes = 16
    static let countMax = 4096
    /// A person who starts over must not wait; one who holds a token must not fill the table.
    static let perTokenMax = 4
    /// Old chips take a minute to make their endorsement key.
    static let lifeSeconds: Int64 = 300

    struct Attempt: Sendable {
        var tokenDigest: [UInt8]
        var attestation: TPMPublicArea
        var secret: [UInt8]
        var nonce: [UInt8]
        var chipID: [UInt8]
        var makerProblem: String?
        var expiresAtSeconds: Int64
    }

    private var attempts: [[UInt8]: Attempt] = [:]
    private var byToken: [[UInt8]: [[UInt8]]] = [:]
    private let countMax: Int

    init(countMax: Int = AttestationAttempts.countMax) { self.countMax = countMax }

    var count: Int { attempts.count }

    /// Keeps an attempt; a token's fifth takes the place of its first.
    mutating func keep(_ attempt: Attempt, as key: [UInt8], nowSeconds: Int64) throws(PostureRefusal) {
        if attempts.count >= countMax { removeExpired(nowSeconds: nowSeconds) }
        let own = byToken[attempt.tokenDigest] ?? []
        if own.count >= Self.perTokenMax, let oldest = own.first { remove(oldest) }
        guard attempts.count < countMax else {
            throw PostureRefusal(.overloaded, "\(attempts.count) enrolments are under way")
        }
        attempts[key] = attempt
        byToken[attempt.tokenDigest, default: []].append(key)
    }

    /// Takes an attempt out: of two that bring the same one, one finds it.
    mutating func take(_ key: [UInt8], tokenDigest: [UInt8], nowSeconds: Int64) throws(PostureRefusal)
        -> Attempt
    {
        guard let attempt = attempts[key] else {
            throw PostureRefusal(.attestationInvalid, "this attempt was never opened, or it was used")
        }
        remove(key)
        guard constantTimeEqual(attempt.tokenDigest, tokenDigest) else {
            throw PostureRefusal(.attestationInvalid, "this attempt belongs to another token", isAlert: true)
        }
        guard nowSeconds < attempt.expiresAtSeconds else {
            throw PostureRefusal(
                .attestationInvalid, "this attempt ended \(nowSeconds - attempt.expiresAtSeconds) s ago")
        }
        return attempt
    }

    /// Forgets what hangs on a token that was used up.
    mutating func remove(tokenDigest: [UInt8]) {
        for key in byToken.removeValue(forKey: tokenDigest) ?? [] { attempts[key] = nil }
    }

    private mutating func removeExpired(nowSeconds: Int64) {
        for (key, attempt) in attempts where nowSeconds >= attempt.expiresAtSeconds { remove(key) }
    }

    private mutating func remove(_ key: [UInt8]) {
        guard let digest = attempts.removeValue(forKey: key)?.tokenDigest else { return }
        byToken[digest]?.removeAll { $0 == key }
        if byToken[digest]?.isEmpty == true { byToken[digest] = nil }
    }
}

extension StoredDevice {
    /// What the device's key counts for: never more than was proven at its enrolment, and never more than the
    /// agent says today.
    ///
    /// - Parameter isMakerDemanded: `tpm-authorities` may have been configured after it enrolled.
    func keyLevel(stated: AgentStatement.KeyLevel, isMakerDemanded: Bool) -> AgentStatement.KeyLevel {
        let proven: AgentStatement.KeyLevel =
            keyLevel == .attested && isMakerDemanded && !isChipMakerKnown ? .claimed : keyLevel
        let order = AgentStatement.KeyLevel.allCases
        let rank = { (level: AgentStatement.KeyLevel) in order.firstIndex(of: level) ?? 0 }
        return rank(stated) < rank(proven) ? stated : proven
    }
}
