import JSON
import Testing

@testable import Control
@testable import Posture

@Suite("What a reconnect answers")
struct ReconnectTests {
    private func text(_ change: (inout IntegrationStatus) -> Void, goesOn: Bool) -> String {
        var status = IntegrationStatus(integration: "intune", provider: "intune", state: .configured)
        change(&status)
        return ReconnectText(
            name: "intune", begun: Reconnection(status: status, synchronisation: goesOn ? Task {} : nil)
        ).text
    }

    @Test func `what works, what is missing, and that the rest goes on`() {
        let answer = text(
            {
                $0.connection.missingPermissions = ["Device.Read.All"]
                $0.devicesRead = 12_000
            }, goesOn: true)
        #expect(
            answer == """
                intune is configured
                works without Device.Read.All, which is not granted
                its devices are being read (12000 so far); gatepost status shows how far that has got
                """)
    }

    @Test func `a provider that refuses is pending, with its reason, and nothing goes on`() {
        let answer = text(
            {
                $0.state = .pending
                $0.pendingReason = "AADSTS7000222: the secret has expired"
            }, goesOn: false)
        #expect(answer == "intune is pending: AADSTS7000222: the secret has expired")
    }

    @Test func `status says how far a synchronisation has got, in words and in JSON`() {
        var status = IntegrationStatus(integration: "intune", provider: "intune", state: .configured)
        func shown() -> StatusText {
            StatusText(
                policy: "p", revision: 1, integrations: [status], reactors: .null, nowSeconds: 0)
        }
        let words = "intune: being synchronised, 500 devices read so far"
        #expect(!shown().text.contains("being synchronised"))
        #expect(StatusText.json(status)["devices_read"] == .null)
        status.devicesRead = 500
        #expect(shown().text.contains(words))
        #expect(StatusText.json(status)["devices_read"]?.integer == 500)
    }
}
