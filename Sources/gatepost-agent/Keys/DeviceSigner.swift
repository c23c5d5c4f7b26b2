import JSON
import Signatures

/// The device key, wherever it lies: in a file or in a security chip.
protocol DeviceSigner: Sendable {
    var publicKey: VerificationKey { get }
    /// What statements say of the key (handshake.md 9): `software`, `claimed` or `attested`. The gateway
    /// believes no more than what was proven at enrolment.
    var level: String { get }
    /// r ‖ s over `bytes` with SHA-256.
    func sign(_ bytes: [UInt8]) throws(AgentError) -> [UInt8]
    /// Lets go of the chip until the next signature.
    func release()
}

/// A key in a file.
extension SigningKey: DeviceSigner {
    var level: String { "software" }
    func release() {}
}

extension DeviceSigner {
    /// A signed token (RFC 7515).
    func token(header: JSONObject, payload: JSONObject) throws(AgentError) -> String {
        try JWS.sign(header: header, payload: payload, for: publicKey) { (bytes) throws(AgentError) in
            try sign(bytes)
        }
    }

    /// PKCS#10 in DER for this key.
    func certificateRequest(commonName: String) throws(AgentError) -> [UInt8] {
        var failure: AgentError?
        do throws(SignatureError) {
            return try CertificateRequest.make(publicKey: publicKey, commonName: commonName) { bytes in
                do throws(AgentError) {
                    return try sign(bytes)
                } catch {
                    failure = error
                    return nil
                }
            }
        } catch {
            throw failure
                ?? AgentError(
                    "no certificate request could be made: \(error.what)",
                    remedy: "check the installation of OpenSSL 3")
        }
    }
}
