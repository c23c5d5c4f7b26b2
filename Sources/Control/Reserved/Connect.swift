import Access
import Border
import Identity
import JSON
import Posture

/// Where a directory sends the administrator back to who connects an integration.
enum ConnectPath {
    /// Followed by the configured name of the integration.
    static let prefix = "/.gatepost/connect/"
}

/// The end of connecting an integration: what the directory answered, checked, said and tried out (000.8,
/// 003.11).
extension ControlPlane {
    /// The page answers in time for the browser; the probe goes on by itself.
    private static let probeMilliseconds = 5_000

    func connectAnswer(_ request: ControlRequest) async -> ControlResponse {
        let answers = Answers(request: request)
        guard request.method == "GET" else { return answers.failure(405, .methodNotAllowed) }
        let name = String(request.path.dropFirst(ConnectPath.prefix.count))
        // A query that could be read in two ways is none.
        let parameters = FormText.parse(request.query) ?? [:]
        let posture = services.posture
        let outcome = await posture.connect(integration: name, parameters: parameters)
        var status: IntegrationStatus?
        if case .connected = outcome {
            status =
                await Patience.value(milliseconds: Self.probeMilliseconds) {
                    await posture.probeNow(integration: name)
                } ?? nil
        }
        // A request that nobody here began is the access log's matter: anybody can send many.
        if outcome != .stateUnknown, outcome != .noSuchIntegration {
            EventLog.write(
                "integration-connect",
                [
                    ("request_id", .string(request.requestID)), ("outcome", .string(outcome.word)),
                    ("integration", .string(name)),
                ])
        }
        let page = ConnectPage(integration: name, outcome: outcome, status: status)
        return answers.page(
            page.httpStatus, page.page(requestID: request.requestID, nonce: Answers.nonce()))
    }
}
