import JSON
import Posture
import Testing

@testable import Control

@Suite("What gatepost integrations says of questions that wait")
struct BacklogTextTests {
    private func text(waiting: Int64, round: Int64? = nil, readsList: Bool = false) -> IntegrationsText {
        var status = IntegrationStatus(integration: "intune", provider: "intune", state: .configured)
        status.backlog = RefreshBacklog(
            waitingSeconds: waiting, roundSeconds: round, readsList: readsList, waitingSecondsMax: 3_600)
        return IntegrationsText(integrations: [status], connectPrefix: "https://a/", nowSeconds: 0)
    }

    @Test func `a queue beyond its bound is warned of, in text and for programs`() {
        let late = text(waiting: 3_601)
        #expect(late.text.contains("intune: warning: questions about devices wait"))
        let queue = late.json(late.integrations[0])["queue"]
        #expect(queue?["waiting_seconds"] == 3_601 && queue?["late"] == true)
        let punctual = text(waiting: 3_600)
        #expect(!punctual.text.contains("warning"))
        #expect(punctual.json(punctual.integrations[0])["queue"]?["late"] == false)
    }

    @Test func `who reads lists instead is told why, and nobody who is not asked has a queue`() {
        let lists = text(waiting: 9_000, round: 7_201, readsList: true)
        #expect(
            lists.text.contains("reads the complete list at each refresh") && !lists.text.contains("warning"))
        #expect(lists.json(lists.integrations[0])["queue"]?["round_seconds"] == 7_201)
        var status = lists.integrations[0]
        status.backlog = nil
        #expect(lists.json(status)["queue"] == .null)
    }
}
