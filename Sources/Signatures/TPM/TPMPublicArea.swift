/// The public part of a key in a TPM 2.0 (`TPMT_PUBLIC`, Part 2, 12.2.4) of the few kinds that enrolment uses:
/// P-256 or RSA 2048, named by SHA-256.
///
/// What it says about the key is true only of a key whose *name* a TPM has vouched for: the name is the digest of
/// exactly these bytes.
package struct TPMPublicArea: Sendable, Hashable {
    package static let bytesMax = 1024

    /// `TPMA_OBJECT` (Part 2, 8.3).
    package struct Attributes: OptionSet, Sendable, Hashable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let fixedTPM = Attributes(rawValue: 1 << 1)
        package static let stClear = Attributes(rawValue: 1 << 2)
        package static let fixedParent = Attributes(rawValue: 1 << 4)
        package static let sensitiveDataOrigin = Attributes(rawValue: 1 << 5)
        package static let userWithAuth = Attributes(rawValue: 1 << 6)
        package static let adminWithPolicy = Attributes(rawValue: 1 << 7)
        package static let noDA = Attributes(rawValue: 1 << 10)
        package static let encryptedDuplication = Attributes(rawValue: 1 << 11)
        package static let restricted = Attributes(rawValue: 1 << 16)
        package static let decrypt = Attributes(rawValue: 1 << 17)
        package static let sign = Attributes(rawValue: 1 << 18)

        /// Made inside of this TPM, and never to leave it.
        package static let bornAndFixed: Attributes = [.fixedTPM, .fixedParent, .sensitiveDataOrigin]
    }

    /// What the key is for; each has its own demands.
    package enum Role: String, Sendable {
        /// EK: opens credentials for keys beside it. Template L-1 or L-2 of the TCG EK Credential Profile.
        case endorsement
        /// AK: signs nothing but what the TPM itself says.
        case attestation
        /// The device key of the handshake.
        case device
    }

    enum Key: Sendable, Hashable {
        case p256(x: [UInt8], y: [UInt8])
        case rsa2048(modulus: [UInt8])
    }

    /// `TPMT_PUBLIC` as the TPM wrote it.
    package let bytes: [UInt8]
    package let attributes: Attributes
    let authPolicy: [UInt8]
    /// AES-128-CFB, as storage keys and endorsement keys have it.
    let protectsChildren: Bool
    /// Whether the scheme is fixed to ECDSA with SHA-256.
    let signsECDSA: Bool
    let key: Key

    /// - Throws: `SignatureError` for other kinds of keys, and for bytes that end early or late.
    package init(_ bytes: [UInt8]) throws(SignatureError) {
        guard bytes.count <= Self.bytesMax else {
            throw SignatureError("TPM public area: longer than \(Self.bytesMax) bytes")
        }
        var reader = TPMReader(bytes)
        let kind = try reader.uint16()
        guard try reader.uint16() == TPMAlgorithm.sha256 else {
            throw SignatureError("TPM public area: it is not named by SHA-256")
        }
        attributes = Attributes(rawValue: try reader.uint32())
        authPolicy = try reader.sized(bytesMax: 64)
        protectsChildren = try Self.readSymmetric(&reader)
        signsECDSA = try Self.readScheme(&reader)
        switch kind {
        case TPMAlgorithm.ecc: key = try Self.readCurveKey(&reader)
        case TPMAlgorithm.rsa: key = try Self.readRSAKey(&reader)
        case let other: throw SignatureError("TPM public area: a key of kind \(other)")
        }
        try reader.end()
        self.bytes = bytes
    }

    private static func readSymmetric(_ reader: inout TPMReader) throws(SignatureError) -> Bool {
        let algorithm = try reader.uint16()
        if algorithm == TPMAlgorithm.null { return false }
        let isKnown = algorithm == TPMAlgorithm.aes
        guard isKnown, try reader.uint16() == 128, try reader.uint16() == TPMAlgorithm.cfb else {
            throw SignatureError("TPM public area: children are not protected by AES-128-CFB")
        }
        return true
    }

    private static func readScheme(_ reader: inout TPMReader) throws(SignatureError) -> Bool {
        let scheme = try reader.uint16()
        if scheme == TPMAlgorithm.null { return false }
        guard scheme == TPMAlgorithm.ecdsa, try reader.uint16() == TPMAlgorithm.sha256 else {
            throw SignatureError("TPM public area: a scheme other than ECDSA with SHA-256")
        }
        return true
    }

    private static func readCurveKey(_ reader: inout TPMReader) throws(SignatureError) -> Key {
        guard try reader.uint16() == TPMAlgorithm.curveP256 else {
            throw SignatureError("TPM public area: a curve other than P-256")
        }
        guard try reader.uint16() == TPMAlgorithm.null else {
            throw SignatureError("TPM public area: a key derivation of its own")
        }
        return .p256(x: try coordinate(&reader), y: try coordinate(&reader))
    }

    private static func readRSAKey(_ reader: inout TPMReader) throws(SignatureError) -> Key {
        guard try reader.uint16() == 2048 else {
            throw SignatureError("TPM public area: an RSA key of other than 2048 bits")
        }
        // 0 stands for 65537 (Part 2, 12.2.3.5).
        let exponent = try reader.uint32()
        guard exponent == 0 || exponent == 65_537 else {
            throw SignatureError("TPM public area: an RSA exponent other than 65537")
        }
        let modulus = try reader.sized(bytesMax: 256)
        guard modulus.count == 256, modulus[0] & 0x80 != 0 else {
            throw SignatureError("TPM public area: an RSA modulus of other than 2048 bits")
        }
        return .rsa2048(modulus: modulus)
    }

    /// 32 bytes; chips may leave out leading zeros.
    static func coordinate(_ reader: inout TPMReader) throws(SignatureError) -> [UInt8] {
        let bytes = try reader.sized(bytesMax: 32)
        guard !bytes.isEmpty else { throw SignatureError("TPM structure: an empty number") }
        return [UInt8](repeating: 0, count: 32 - bytes.count) + bytes
    }

    /// What other structures call this key by (Part 1, 16): the algorithm, and the digest of `bytes`.
    package var name: [UInt8] { [0x00, 0x0b] + Digest.sha256(bytes) }

    var material: KeyMaterial {
        switch key {
        case .p256(let x, let y): .ec(.p256, x: x, y: y)
        case .rsa2048(let modulus): .rsa(modulus: modulus, exponent: [1, 0, 1])
        }
    }

    /// The key to verify with.
    ///
    /// - Throws: `SignatureError` when the point is not on the curve.
    package func verificationKey() throws(SignatureError) -> VerificationKey {
        try VerificationKey(material, algorithm: material.defaultAlgorithm, keyID: nil)
    }

    /// PolicySecret with the endorsement hierarchy: "Policy A" of the TCG EK Credential Profile, B.3.
    package static let endorsementPolicy: [UInt8] = [
        0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
        0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
    ]

    /// Refuses a key that does not have every property of its role.
    package func check(_ role: Role) throws(SignatureError) {
        let refused = SignatureError("TPM public area: not the properties of \(role.rawValue) keys")
        // Exported, or made elsewhere and brought in: what it signs proves no machine.
        guard attributes.isSuperset(of: .bornAndFixed), attributes.isDisjoint(with: .encryptedDuplication)
        else { throw refused }
        let isCurve = if case .p256 = key { true } else { false }
        switch role {
        case .endorsement:
            guard attributes == [.bornAndFixed, .adminWithPolicy, .restricted, .decrypt],
                authPolicy == Self.endorsementPolicy, protectsChildren, !signsECDSA
            else { throw refused }
        case .attestation:
            // Restricted: it would never sign bytes from outside that look like the TPM's own.
            guard attributes.isSuperset(of: [.restricted, .sign]), !attributes.contains(.decrypt), isCurve,
                signsECDSA, !protectsChildren
            else { throw refused }
        case .device:
            guard attributes.contains(.sign), attributes.isDisjoint(with: [.restricted, .decrypt, .stClear]),
                isCurve, signsECDSA, !protectsChildren
            else { throw refused }
        }
    }
}
