import Fetch
import Foundation
import JSON
import Synchronization

@testable import Posture

/// Microsoft Graph as a table of answers: a test scripts exactly how it misbehaves.
final class GraphFake: Fetcher {
    struct State: Sendable {
        var devices: [JSONValue] = []
        var pageSize = 1000
        var overview: Int64?
        /// Answers by call number (0 is the first Graph call, tokens not counted), before anything else.
        var scripted: [Int: FetchResponse] = [:]
        var failures: [Int: FetchError] = [:]
        var tokenAnswer: FetchResponse?
        var isTokenValid = true
        var refusedPath: String?
        var nextLink: String?
        var calls: [String] = []
        /// Addresses of parts of batches, in the order of answering.
        var parts: [String] = []
        /// Answers to parts whose address has this in it, each used once, before anything else.
        var partAnswers: [String: [FetchResponse]] = [:]
        var tokenRequests = 0
        var tokenLife: Int64 = 3599
    }

    let state = Mutex(State())

    func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }
    var calls: [String] { state.withLock { $0.calls } }
    var tokenRequests: Int { state.withLock { $0.tokenRequests } }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        let outcome: Result<FetchResponse, FetchError> = state.withLock { state in
            if request.url.contains("/oauth2/v2.0/token") { return .success(Self.token(request, &state)) }
            let number = state.calls.count
            state.calls.append(request.url)
            if let failure = state.failures[number] { return .failure(failure) }
            if let scripted = state.scripted[number] { return .success(scripted) }
            if request.url.hasSuffix("/$batch") { return .success(Self.batch(request, &state)) }
            return .success(Self.graph(request, state))
        }
        switch outcome {
        case .success(let response): return response
        case .failure(let error): throw error
        }
    }

    static func json(_ value: JSONValue, status: Int = 200, fields: [(name: String, value: String)] = [])
        -> FetchResponse
    {
        FetchResponse(status: status, fields: fields, body: value.serialized())
    }

    static func error(_ status: Int, _ code: String, retryAfter: String? = nil) -> FetchResponse {
        let fields = retryAfter.map { [(name: "retry-after", value: $0)] } ?? []
        return json(["error": ["code": .string(code), "message": "no"]], status: status, fields: fields)
    }

    private static func token(_ request: FetchRequest, _ state: inout State) -> FetchResponse {
        state.tokenRequests += 1
        if let answer = state.tokenAnswer { return answer }
        let form = String(decoding: request.body ?? [], as: UTF8.self)
        guard request.method == "POST", form.contains("grant_type=client_credentials"),
            form.contains("%2F.default")
        else { return json(["error": "invalid_request"], status: 400) }
        state.isTokenValid = true
        return json([
            "token_type": "Bearer", "expires_in": .integer(state.tokenLife),
            "access_token": .string("token-\(state.tokenRequests)"),
        ])
    }

    /// Parts by their own addresses, answered from the last to the first.
    private static func batch(_ request: FetchRequest, _ state: inout State) -> FetchResponse {
        let parts = (try? JSONValue(parsing: request.body ?? []))?["requests"]?.array ?? []
        guard (1...20).contains(parts.count) else { return error(400, "BadRequest") }
        let answers = parts.reversed().map { part -> JSONValue in
            let url = "https://graph.test/v1.0" + (part["url"]?.string ?? "")
            state.parts.append(url)
            var answer = graph(FetchRequest(url: url), state)
            if let key = state.partAnswers.keys.first(where: { url.contains($0) }),
                let scripted = state.partAnswers[key], !scripted.isEmpty
            {
                answer = scripted[0]
                state.partAnswers[key]?.removeFirst()
            }
            let fields = JSONObject(answer.fields.map { ($0.name, JSONValue.string($0.value)) })
            return [
                "id": part["id"] ?? .null, "status": .integer(Int64(answer.status)),
                "headers": .object(fields), "body": (try? JSONValue(parsing: answer.body)) ?? .null,
            ]
        }
        return json(["responses": .array(answers)])
    }

    private static func graph(_ request: FetchRequest, _ state: State) -> FetchResponse {
        guard state.isTokenValid else { return error(401, "InvalidAuthenticationToken") }
        if let refused = state.refusedPath, request.url.contains(refused) { return error(403, "Forbidden") }
        if request.url.contains("managedDeviceOverview") {
            return state.overview.map { json(["enrolledDeviceCount": .integer($0)]) }
                ?? error(404, "ResourceNotFound")
        }
        if request.url.contains("complianceManagementPartners") { return json(["value": []]) }
        let tail = request.url.split(separator: "?")[0].split(separator: "/").last.map(String.init) ?? ""
        if tail != "managedDevices" {
            let found = state.devices.first { $0["id"]?.string == tail }
            return found.map { json($0) } ?? error(404, "ResourceNotFound")
        }
        if let range = request.url.range(of: "/users/") {
            let person = request.url[range.upperBound...].prefix { $0 != "/" }.removingPercentEncoding
            let own = state.devices.filter {
                $0["userPrincipalName"]?.string == person || $0["userId"]?.string == person
            }
            return json(["value": .array(own)])
        }
        if let filter = request.url.removingPercentEncoding, let range = filter.range(of: " eq '") {
            let value = filter[range.upperBound...].prefix { $0 != "'" }
            let hits = state.devices.filter {
                $0["azureADDeviceId"]?.string == String(value) || $0["serialNumber"]?.string == String(value)
            }
            return json(["value": .array(hits)])
        }
        let start = request.url.split(separator: "=").last.flatMap { Int($0) } ?? 0
        let end = min(start + state.pageSize, state.devices.count)
        var page = JSONObject([("value", .array(Array(state.devices[min(start, end)..<end])))])
        if end < state.devices.count {
            page["@odata.nextLink"] = .string(
                "https://graph.test/v1.0/deviceManagement/managedDevices?$skiptoken=\(end)")
        }
        if let link = state.nextLink { page["@odata.nextLink"] = .string(link) }
        return json(.object(page))
    }

    static func device(
        _ number: Int, state: String = "compliant", lastSync: Int64 = Setting.start - 600,
        serial: String? = nil,
        grace: String? = nil
    ) -> JSONValue {
        var device = JSONObject([
            ("id", .string(id(number))), ("azureADDeviceId", .string(entra(number))),
            ("complianceState", .string(state)), ("lastSyncDateTime", .string(date(lastSync))),
            ("deviceRegistrationState", "registered"), ("managedDeviceOwnerType", "company"),
            ("isEncrypted", true),
            ("serialNumber", .string(serial ?? "SN\(number)")), ("wiFiMacAddress", .null),
            ("complianceGracePeriodExpirationDateTime", .string(grace ?? "9999-12-31T23:59:59Z")),
        ])
        device["partnerReportedThreatState"] = "secured"
        return .object(device)
    }

    static func id(_ number: Int) -> String { "5c1d9b7e-0a0e-4d51-9a0f-" + padded(number) }
    static func entra(_ number: Int) -> String { "9d3e2c10-7f6a-4f0e-8f30-" + padded(number) }
    static func date(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }
    private static func padded(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: 12 - text.count) + text
    }

    static func connection() -> IntuneConnection {
        IntuneConnection(
            integration: "intune", tenant: "tenant", clientID: "client", clientSecret: "s+ecret&",
            loginURL: "https://login.test", graphURL: "https://graph.test")
    }
}

extension Setting {
    /// An Intune that knows these devices and was asked, and the agent of one that was enrolled with `ids`.
    static func knowing(
        _ devices: [JSONValue], enrolling ids: JSONObject
    ) async throws -> (setting: Setting, fake: GraphFake, agent: FakeAgent) {
        let fake = GraphFake()
        fake.set {
            $0.devices = devices
            $0.overview = Int64(devices.count)
        }
        let setting = try Setting(intune: [GraphFake.connection()], fetcher: fake)
        try await setting.service.load()
        let agent = try await setting.enroll(ids)
        await setting.service.refreshDue()
        return (setting, fake, agent)
    }
}
