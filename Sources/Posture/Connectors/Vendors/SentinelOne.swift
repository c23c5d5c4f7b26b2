import Access
import JSON

/// SentinelOne: agents and their threats (providers.md 8.2).
enum SentinelOne {
    static let vendor = DeclaredConnector.vendor(declared)
    static let agents = "/web/api/v2.1/agents"

    static let declared = DeclaredVendor(
        name: "sentinelone", title: "SentinelOne", permission: "Endpoints: View",
        api: { connection throws(ConnectorFailure) in
            ProviderAPI(
                name: "SentinelOne", base: try connection.text("console-url"),
                credentials: .fixed([
                    (name: "authorization", value: "ApiToken \(try connection.secret("api-token"))")
                ]),
                errorWord: errorWord,
                failureInside: { answer in
                    guard let errors = answer["errors"]?.array, !errors.isEmpty else { return nil }
                    return ConnectorFailure(
                        .malformedResponse,
                        "SentinelOne: an error in a good answer, "
                            + ProviderClient.plain(errorWord(answer) ?? "no code")
                    )
                }, windows: [RateWindow(calls: 25, seconds: 1)])
        },
        list: DeclaredList(
            path: agents, sizeParameter: "limit", size: 1_000,
            paging: .cursor(parameter: "cursor", next: ["pagination", "nextCursor"]), items: ["data"],
            total: .member(["pagination", "totalItems"])),
        lookUps: [
            // The filter is "contains": others whose number holds this one may come along.
            DeclaredLookUp(
                kind: .serial, path: { "\(agents)?limit=100&serialNumber__contains=\($0)" }, items: ["data"],
                mayHoldOthers: true)
        ], fullSyncSeconds: 3_600, read: read)

    @Sendable static func errorWord(_ body: JSONValue) -> String? {
        guard let error = body["errors"]?.array?.first else { return nil }
        return "\(error["code"]?.integer ?? 0) \(error["title"]?.string ?? "")"
    }

    /// Infected or too many threats, or protection that is not in order, is non-compliant; an agent that is
    /// not active says nothing.
    @Sendable static func read(_ record: JSONValue, _ connection: ProviderConnection, _ now: Int64)
        -> DeclaredDevice?
    {
        guard let id = record["id"]?.identifier else { return nil }
        let threats = record["activeThreats"]?.integer
        let operation = record["operationalState"]?.string ?? ""
        let network = record["networkStatus"]?.lowercasedWord
        let problems: [String] = [
            record["infected"]?.bool == true ? "infected" : nil,
            threats.map { $0 > connection.number("max-active-threats", 0) } == true
                ? "\(threats ?? 0) active threats" : nil,
            badOperations.contains(operation.lowercased()) ? operation : nil,
        ].compactMap { $0 }
        let isActive = record["isActive"]?.bool
        let isSound = record["infected"]?.bool == false && threats != nil && operation.lowercased() == "na"
        let state: Verdict.State =
            !problems.isEmpty ? .noncompliant : isActive == true && isSound ? .compliant : .unknown
        let interfaces = (record["networkInterfaces"]?.array ?? []).prefix(64)
        return DeclaredDevice(
            id: id,
            keys: RecordReading.keys(
                [(.serial, record["serialNumber"])] + interfaces.map { (.mac, $0["physical"]) }),
            state: state, isSensorRunning: isActive.map { $0 && operation.lowercased() == "na" },
            labels: labels(record, network: network), lastSeenSeconds: record["lastActiveDate"]?.timestamp,
            rawState: problems.isEmpty
                ? "isActive=\(isActive.map { $0 ? "true" : "false" } ?? "null") operationalState=\(operation)"
                : problems.joined(separator: ", "),
            checks: checks(record, threatsMax: connection.number("max-active-threats", 0)),
            remedies: [
                state == .noncompliant
                    ? "SentinelOne reports a problem on this device: \(problems.joined(separator: ", ")). "
                        + "Contact your "
                        + "security team; access returns when it is resolved."
                    : "The SentinelOne agent does not report as it should. Connect this device to "
                        + "the internet and "
                        + "restart it; if that does not help, ask your administrator."
            ])
    }

    /// Everything known but `na`; a word that is not known is unknown.
    static let badOperations: Set<String> = [
        "partially_disabled", "auto_fully_disabled", "fully_disabled", "auto_partially_disabled",
        "disabled_error",
        "db_corruption",
    ]

    private static func checks(_ record: JSONValue, threatsMax: Int64) -> [Verdict.Check] {
        var checks = CheckList()
        checks.add(flag: record["infected"], "infected", "Not infected", good: false)
        checks.add(flag: record["isActive"], "isActive", "The agent is active")
        checks.add(flag: record["isUpToDate"], "isUpToDate", "The agent is up to date")
        checks.add(
            word: record["operationalState"], "operationalState", "Protection is in order", good: ["na"],
            bad: badOperations)
        checks.add(
            word: record["networkStatus"], "networkStatus", "Connected to the network",
            good: ["connected", "connecting"], bad: ["disconnected", "disconnecting"])
        if let threats = record["activeThreats"] {
            checks.add(
                "activeThreats", "No active threats",
                threats.integer.map { $0 > threatsMax ? .fail : .pass } ?? .unknown)
        }
        return checks.checks
    }

    private static func labels(_ record: JSONValue, network: String?) -> [String] {
        var labels: [String] = []
        if let network { labels.append("network:\(network)") }
        if record["isUpToDate"]?.bool == true { labels.append("up-to-date") }
        if record["networkQuarantineEnabled"]?.bool == true { labels.append("quarantined") }
        if record["infected"]?.bool == true { labels.append("infected") }
        return labels
    }
}
