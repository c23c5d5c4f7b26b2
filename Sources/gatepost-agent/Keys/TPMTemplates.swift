import Signatures

/// The public areas that keys are made from (`TPMT_PUBLIC`).
enum TPMTemplates {
    private typealias Attributes = TPMPublicArea.Attributes

    /// The storage key that device keys are wrapped by: made anew from the owner's seed whenever it is needed,
    /// always the same one (TCG TPM v2.0 Provisioning Guidance, 7.5.1).
    static let storage = curve(
        [.bornAndFixed, .userWithAuth, .noDA, .restricted, .decrypt], protectsChildren: true)

    /// Signs what the TPM says and nothing else. A new one at every enrolment, kept nowhere: two gateways
    /// cannot tell by it that they see the same machine.
    static let attestation = curve(
        [.bornAndFixed, .userWithAuth, .noDA, .restricted, .sign], signsECDSA: true)

    /// The device key. Without a password: it would lie beside the wrapped key.
    static let device = curve([.bornAndFixed, .userWithAuth, .noDA, .sign], signsECDSA: true)

    /// EK, template L-2 of the TCG EK Credential Profile: P-256.
    static let endorsementCurve = curve(
        [.bornAndFixed, .adminWithPolicy, .restricted, .decrypt], policy: TPMPublicArea.endorsementPolicy,
        protectsChildren: true, unique: [UInt8](repeating: 0, count: 32))

    /// EK, template L-1: RSA 2048.
    static let endorsementRSA: [UInt8] = {
        let attributes: Attributes = [.bornAndFixed, .adminWithPolicy, .restricted, .decrypt]
        var area = head(TPMAlgorithm.rsa, attributes, TPMPublicArea.endorsementPolicy, protectsChildren: true)
        area.append(TPMAlgorithm.null)
        area.append(UInt16(2048))
        area.append(UInt32(0))
        area.appendSized([UInt8](repeating: 0, count: 256))
        return area.bytes
    }()

    private static func curve(
        _ attributes: Attributes, policy: [UInt8] = [], protectsChildren: Bool = false,
        signsECDSA: Bool = false, unique: [UInt8] = []
    ) -> [UInt8] {
        var area = head(TPMAlgorithm.ecc, attributes, policy, protectsChildren: protectsChildren)
        area.append(signsECDSA ? TPMAlgorithm.ecdsa : TPMAlgorithm.null)
        if signsECDSA { area.append(TPMAlgorithm.sha256) }
        area.append(TPMAlgorithm.curveP256)
        area.append(TPMAlgorithm.null)
        area.appendSized(unique)
        area.appendSized(unique)
        return area.bytes
    }

    private static func head(
        _ kind: UInt16, _ attributes: Attributes, _ policy: [UInt8], protectsChildren: Bool
    ) -> TPMWriter {
        var area = TPMWriter()
        area.append(kind)
        area.append(TPMAlgorithm.sha256)
        area.append(attributes.rawValue)
        area.appendSized(policy)
        if protectsChildren {
            area.append(TPMAlgorithm.aes)
            area.append(UInt16(128))
            area.append(TPMAlgorithm.cfb)
        } else {
            area.append(TPMAlgorithm.null)
        }
        return area
    }
}
