import Border
import JSON
import Posture
import Signatures
import Store

extension ControlPlane {
    /// Does what `gatepost device revoke --serial` does, for a certificate that one of our own authorities issued:
    /// revoking goes by the serial number alone and for good, and people have certificates of others as well.
    func revoke(
        _ certificate: SignalledCertificate, of origin: SignalOrigin
    ) async throws(StoreError) {
        let named = DistinguishedName(certificate.issuer)
        var problem: String?
        if let named, await authorities().contains(where: { $0.subjectName == named }) {
            let serial =
                certificate.serial.lowercased().hasPrefix("0x")
                ? String(certificate.serial.dropFirst(2)) : certificate.serial
            problem = try await revokeDevice(["serial": .string(serial)])["error"]?.string
        } else {
            problem = "its issuer is no authority of devices or clients here"
        }
        guard let problem else { return }
        EventLog.write(
            "signal-certificate-unknown",
            [
                ("stream", .string(origin.stream)), ("jti", .string(origin.tokenID)),
                ("what", .string(problem)),
            ])
    }

    /// Whose certificates prove devices or clients.
    private func authorities() async -> [Certificate] {
        let services = services
        let clients = services.snapshot.clientCertificates.compactMap { $0 }.flatMap {
            (try? Certificate.all(pem: $0.authoritiesPEM)) ?? []
        }
        return await services.posture.trustCertificates().filter { $0.use == .enrollment }.map(\.certificate)
            + clients
    }
}
