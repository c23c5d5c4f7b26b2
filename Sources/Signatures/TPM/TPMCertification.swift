/// What a TPM says about one of its keys: `TPMS_ATTEST` of `TPM2_Certify` with its signature (Part 2, 10.12).
package struct TPMCertification: Sendable {
    package static let attestBytesMax = 512
    package static let signatureBytesMax = 128
    /// The bytes that no restricted key signs unless its TPM wrote them.
    static let magic: UInt32 = 0xff54_4347
    static let certifyType: UInt16 = 0x8017

    private let signed: [UInt8]
    private let signature: [UInt8]
    private let qualifyingData: [UInt8]
    private let certifiedName: [UInt8]

    /// - Parameters:
    ///   - attest: the content of `TPM2B_ATTEST`.
    ///   - signature: `TPMT_SIGNATURE`, ECDSA with SHA-256 on P-256.
    package init(attest: [UInt8], signature: [UInt8]) throws(SignatureError) {
        guard attest.count <= Self.attestBytesMax, signature.count <= Self.signatureBytesMax else {
            throw SignatureError("TPM certification: longer than one of a P-256 key")
        }
        var reader = TPMReader(attest)
        guard try reader.uint32() == Self.magic else {
            throw SignatureError("TPM certification: not written by a TPM")
        }
        guard try reader.uint16() == Self.certifyType else {
            throw SignatureError("TPM certification: about something else than a key")
        }
        _ = try reader.sized(bytesMax: 68)  // The signer's place in its hierarchy.
        qualifyingData = try reader.sized(bytesMax: 64)
        _ = try reader.take(17)  // Clock and restarts.
        _ = try reader.take(8)  // Version of the firmware.
        certifiedName = try reader.sized(bytesMax: 68)
        _ = try reader.sized(bytesMax: 68)  // The key's place in its hierarchy.
        try reader.end()
        signed = attest
        self.signature = try Self.rawSignature(signature)
    }

    /// r ‖ s of a `TPMT_SIGNATURE` (Part 2, 11.3.4).
    package static func rawSignature(_ bytes: [UInt8]) throws(SignatureError) -> [UInt8] {
        var reader = TPMReader(bytes)
        guard try reader.uint16() == TPMAlgorithm.ecdsa, try reader.uint16() == TPMAlgorithm.sha256 else {
            throw SignatureError("TPM signature: not ECDSA with SHA-256")
        }
        let raw = try TPMPublicArea.coordinate(&reader) + TPMPublicArea.coordinate(&reader)
        try reader.end()
        return raw
    }

    /// Refuses anything but: `attestation` signed, for exactly this nonce, that a key of exactly this name is in
    /// its TPM.
    package func verify(
        by attestation: TPMPublicArea, nonce: [UInt8], certifying name: [UInt8]
    ) throws(SignatureError) {
        guard try attestation.verificationKey().verify(signature, over: signed) else {
            throw SignatureError("TPM certification: not signed by the attestation key")
        }
        guard constantTimeEqual(qualifyingData, nonce) else {
            throw SignatureError("TPM certification: made for another nonce")
        }
        guard constantTimeEqual(certifiedName, name) else {
            throw SignatureError("TPM certification: about another key")
        }
    }
}
