import Signatures

extension AgentIntegration {
    /// Every certificate that was configured for it.
    public var trustCertificates: [TrustCertificate] {
        let name = handshake.integration
        return (authority?.anchors ?? []).map {
            TrustCertificate(integration: name, use: .enrollment, certificate: $0)
        }
            + (statements?.certificates ?? []).map {
                TrustCertificate(integration: name, use: .statement, certificate: $0)
            }
    }
}
