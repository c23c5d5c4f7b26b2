import Access
import JSON
import Signatures
import Store

/// When a new enrolment takes the place of an older device (handshake.md 6).
///
/// A machine that enrols again would otherwise never match: its provider ids stay pinned to the old key. But
/// ids are only claims, so a claim alone moves nothing. It takes the same owner, and one of two proofs that
/// this is the same machine: a signature of the old device key, or a token that an administrator made for
/// exactly this serial number.
struct Succession: Sendable {
    /// How the predecessor was proven; the word stands in the audit trail.
    enum Proof: String, Sendable {
        case deviceKey = "device-key"
        case serial
    }

    /// The old key's word: "my place goes to the key in this request", checked as far as it goes without the
    /// directory.
    struct Claim: Sendable {
        var deviceID: String
        var thumbprint: String
    }

    static let proofBytesMax = 4 << 10

    /// Reads `predecessor` of an enrolment request: a JWS `succession+jwt` with the old key as `jwk`, over
    /// the old device's id, this gateway, and the digests of the certificate request and of the token. The
    /// token is used once, and so is the proof.
    static func claim(
        _ compact: String, request: Enrollment.Request, authOrigin: String
    ) throws(PostureRefusal) -> Claim {
        let jws: JWS
        let key: VerificationKey
        let payload: JSONObject
        do throws(SignatureError) {
            jws = try JWS(compact: compact, bytesMax: proofBytesMax)
            // The sender's own key, believed only because its thumbprint must be the enrolled one.
            key = try VerificationKey(jwk: jws.header["jwk"]?.object ?? JSONObject())
            payload = try jws.payloadObject
        } catch {
            throw PostureRefusal(.signatureInvalid, "predecessor: \(error.what)")
        }
        guard jws.header["typ"] == .string("succession+jwt"), key.algorithm == .es256, jws.verify(with: key)
        else { throw PostureRefusal(.signatureInvalid, "predecessor: not signed by the key it names") }
        guard payload["aud"] == .string(authOrigin) else {
            throw PostureRefusal(.audienceMismatch, "predecessor: aud is not this gateway")
        }
        guard payload["csr"] == .string(Base64URL.encode(Digest.sha256(request.csr))),
            payload["token"] == .string(Base64URL.encode(Digest.sha256(Array(request.token.utf8)))),
            let device = payload["sub"]?.string
        else { throw PostureRefusal(.signatureInvalid, "predecessor: made for another request") }
        return Claim(deviceID: device, thumbprint: key.thumbprint)
    }

    /// The device whose place is taken, or nil: then the new one is a device of its own, and ids that are
    /// pinned elsewhere are conflicts.
    ///
    /// - Parameters:
    ///   - provenSerial: the serial number that the token was made for and the device stated.
    static func predecessor(
        of owner: EnrollmentToken, keys: [DeviceKey], claim: Claim?, provenSerial: String?,
        in directory: DeviceDirectory
    ) -> (device: StoredDevice, proof: Proof)? {
        guard let (device, proof) = candidate(claim, provenSerial, directory) else { return nil }
        // Another person's device never, whatever was proven about the machine: its owner's sessions and
        // verdicts hang on it, and only an administrator may end it.
        guard !device.isRevoked, ExactText.isEqual(device.ownerIssuer, owner.issuer),
            ExactText.isEqual(device.ownerSubject, owner.subject)
        else { return nil }
        for key in keys where key.kind.isPinned {
            // An id of a third device: somebody claims too much, so nothing is moved.
            if let holder = directory.owner(of: key), !ExactText.isEqual(holder, device.id) { return nil }
            // Another board or chassis: the proof was carried to another machine.
            if key.kind.isHardware, let known = device.pinnedIDs[key.kind.rawValue],
                !ExactText.isEqual(known, key.value)
            {
                return nil
            }
        }
        return (device, proof)
    }

    private static func candidate(
        _ claim: Claim?, _ provenSerial: String?, _ directory: DeviceDirectory
    ) -> (StoredDevice, Proof)? {
        if let claim, let device = directory[claim.deviceID],
            ExactText.isEqual(device.keyThumbprint, claim.thumbprint)
        {
            return (device, .deviceKey)
        }
        if let provenSerial, let key = DeviceKey(.serial, provenSerial),
            let device = directory.owner(of: key).flatMap({ directory[$0] })
        {
            return (device, .serial)
        }
        return nil
    }
}
