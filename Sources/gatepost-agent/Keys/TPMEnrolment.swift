import JSON
import Signatures

/// The chip's part in an enrolment (handshake.md 4.2): names its endorsement key, opens the gateway's
/// credential, and vouches for a new device key.
///
/// Never more than three keys are loaded at once: that is all the room that a TPM must have.
struct TPMEnrolment {
    /// Where makers put the certificates of their endorsement keys (TCG EK Credential Profile, 2.2.1.4).
    static let certificateIndexes: (curve: UInt32, rsa: UInt32) = (0x01c0_000a, 0x01c0_0002)
    static let certificateBytesMax = 4096

    let path: String
    private let device: TPMDevice
    private let endorsement: (handle: UInt32, area: [UInt8])
    private let attestation: (handle: UInt32, area: [UInt8])
    private let certificate: [UInt8]?

    /// Makes the keys of one enrolment. Whoever has it closes it.
    init(path: String) throws(TPMError) {
        self.path = path
        device = try TPMDevice(path: path)
        do throws(TPMError) {
            let onCurve = try Self.certificate(device, Self.certificateIndexes.curve)
            let onRSA = onCurve == nil ? try Self.certificate(device, Self.certificateIndexes.rsa) : nil
            certificate = onCurve ?? onRSA
            let made = try Self.make(TPMTemplates.attestation, device)
            attestation = (made.handle, made.key.publicArea)
            // The key that the maker certified; with no certificate the one that is made faster.
            endorsement = try device.createPrimary(
                onRSA == nil ? TPMTemplates.endorsementCurve : TPMTemplates.endorsementRSA,
                in: TPMDevice.endorsementHierarchy)
        } catch {
            device.close()
            throw error
        }
    }

    /// `attestation` of the first request.
    var opening: JSONValue {
        var members = JSONObject([
            ("ek", .string(Base64.encode(endorsement.area))),
            ("ak", .string(Base64.encode(attestation.area))),
        ])
        if let certificate { members["ek_certificate"] = .string(Base64.encode(certificate)) }
        return .object(members)
    }

    /// Answers the gateway's credential with a new device key that the chip vouches for.
    ///
    /// - Returns: the key, and `attestation` of the second request.
    func finish(_ answer: JSONValue) throws(TPMError) -> (key: TPMDevice.WrappedKey, proof: JSONValue) {
        func bytes(_ name: String) throws(TPMError) -> [UInt8] {
            guard let bytes = answer[name]?.string.flatMap(Base64.decode), (1...512).contains(bytes.count)
            else { throw .malformed("the gateway's answer has no \(name)") }
            return bytes
        }
        let nonce = try bytes("nonce")
        guard nonce.count == 32 else { throw .malformed("the gateway's nonce has \(nonce.count) bytes") }
        let credential = TPMCredential.Sealed(credential: try bytes("credential"), seed: try bytes("seed"))
        let activated = try device.activate(credential, for: attestation.handle, by: endorsement.handle)
        device.flush(endorsement.handle)
        let made = try Self.make(TPMTemplates.device, device)
        defer { device.flush(made.handle) }
        let (attest, signature) = try device.certify(made.handle, by: attestation.handle, nonce: nonce)
        let proof: JSONValue = [
            "attempt": .string(Base64.encode(try bytes("attempt"))),
            "activated": .string(Base64.encode(activated)),
            "device": .string(Base64.encode(made.key.publicArea)),
            "certify": .string(Base64.encode(attest)), "signature": .string(Base64.encode(signature)),
        ]
        return (made.key, proof)
    }

    /// Leaves nothing in the chip.
    func close() {
        device.flush(endorsement.handle)
        device.flush(attestation.handle)
        device.close()
    }

    /// A key that only sits in a chip, for a gateway that gets no proof of it.
    static func unprovenKey(path: String) throws(TPMError) -> TPMDevice.WrappedKey {
        let device = try TPMDevice(path: path)
        defer { device.close() }
        let made = try make(TPMTemplates.device, device)
        device.flush(made.handle)
        return made.key
    }

    private static func make(
        _ template: [UInt8], _ device: TPMDevice
    ) throws(TPMError) -> (handle: UInt32, key: TPMDevice.WrappedKey) {
        let (storage, _) = try device.createPrimary(TPMTemplates.storage, in: TPMDevice.ownerHierarchy)
        defer { device.flush(storage) }
        let key = try device.create(template, below: storage)
        return (try device.load(key, below: storage), key)
    }

    /// The certificate in an index, without what fills the index up behind it.
    private static func certificate(_ device: TPMDevice, _ index: UInt32) throws(TPMError) -> [UInt8]? {
        guard let content = try device.readIndex(index, bytesMax: certificateBytesMax) else { return nil }
        // SEQUENCE with two bytes of length (X.690 §8.1.3): every X.509 certificate is longer than 255 bytes.
        guard content.count > 4, content[0] == 0x30, content[1] == 0x82 else { return nil }
        let count = 4 + Int(content[2]) << 8 + Int(content[3])
        return count <= content.count ? Array(content.prefix(count)) : nil
    }
}
