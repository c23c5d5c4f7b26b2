import Access
import Border
import Config
import Foundation
import JSON
import Posture
import Synchronization

/// `gatepost status`: what runs, how the providers are, what the reactors did.
extension ControlPlane {
    func status() async -> JSONValue {
        let services = services
        let refresh = await refreshStatus(services)
        let deviceChecks = deviceChecks.counts
        let agents = await AgentStatusText(services, nowSeconds: nowSeconds())
        let tokens = ServiceTokenState.last(of: machines.tokens ?? [], nowSeconds: nowSeconds())
        let text = StatusText(
            policy: services.config.policy.identity, revision: services.snapshot.revision,
            integrations: await services.posture.integrationStatus(), reactors: reactors.status(),
            held: heldChanges(), nowSeconds: nowSeconds(),
            decisions: DecisionStatusText(decisions, nowSeconds: nowSeconds()),
            refresh: refresh, deviceChecks: deviceChecks, agents: agents, upstreams: upstreamStatus(services),
            reloads: reloads.withLock { $0 },
            reported: ReportedRulesText(
                counts: decisions.reported.counts(
                    under: services.config.policy, atSeconds: nowSeconds())),
            clientTrust: clientTrust.warnings(nowSeconds: nowSeconds()),
            serviceTokens: tokens.compactMap { state in state.problem.map { "\($0); \(state.remedy)" } })
        return .object(
            JSONObject([
                ("text", .string(text.text)), ("configuration", reloads.withLock { $0 }.json),
                ("policy", .string(text.policy)),
                ("revision", .integer(Int64(clamping: text.revision))),
                ("integrations", .array(text.integrations.map(StatusText.json))),
                ("held", .array(text.held.map(HeldText.json))),
                ("decision_log", text.decisions?.logJSON ?? .null),
                ("decision_webhook", text.decisions?.webhookJSON ?? .null),
                ("sign_in_refresh", refresh.json), ("agents", agents.json),
                (
                    "service_tokens",
                    .array(tokens.filter { $0.stage != .good }.map { .object(JSONObject($0.members)) })
                ),
                ("client_certificates", clientTrust.json(nowSeconds: nowSeconds())),
                ("device_checks", DeviceCheckCounts.json(deviceChecks)),
                ("shadow", text.decisions?.shadowJSON ?? .null), ("reported_rules", text.reported.json),
                ("upstreams", text.upstreams?.json ?? .null),
                ("data_plane", text.reactors),
            ]))
    }
}

/// The state of the gateway as people read it.
struct StatusText {
    var policy: String
    var revision: UInt64
    var integrations: [IntegrationStatus]
    /// What `Reactors.status` gave.
    var reactors: JSONValue
    var held: [HeldChange] = []
    var nowSeconds: Int64
    var decisions: DecisionStatusText?
    var refresh: RefreshStatusText?
    var deviceChecks: [(word: String, count: Int64)] = []
    var agents: AgentStatusText?
    var upstreams: UpstreamStatusText?
    var reloads = ReloadCounts()
    var reported = ReportedRulesText(counts: [])
    /// What client certificates are judged by, where something is the matter.
    var clientTrust: [String] = []
    /// Services whose last token ends soon, or has ended.
    var serviceTokens: [String] = []

    var text: String {
        var lines = ["running; policy \(policy.prefix(12)), configuration \(revision)"]
        lines += reloads.lines(nowSeconds: nowSeconds)
        lines += ProcessesText(reactors["processes"]).lines
        lines += held.map { HeldText.line($0, nowSeconds: nowSeconds) }
        lines += decisions?.lines ?? []
        lines += reported.lines
        lines += refresh?.lines ?? []
        lines += DeviceCheckCounts.lines(deviceChecks)
        lines += agents?.warnings ?? []
        lines += clientTrust
        lines += serviceTokens
        if !integrations.isEmpty { lines += ["", integrationTable] }
        for integration in integrations {
            if let reason = integration.pendingReason {
                lines.append("\(integration.integration): \(reason)")
            }
            if let read = integration.devicesRead {
                lines.append("\(integration.integration): being synchronised, \(read) devices read so far")
            }
            if let failure = integration.storeFailure {
                lines.append("\(integration.integration): the store: \(failure)")
            }
            lines += integration.connection.missingPermissions.map {
                "\(integration.integration): works without \($0), which is not granted"
            }
            if let account = integration.connection.account {
                lines.append("\(integration.integration): reads in the name of \(account)")
            }
            lines += integration.connection.partners.map { "\(integration.integration): \(line(of: $0))" }
            if let signals = integration.signals {
                lines += SignalStatusText(status: signals, nowSeconds: nowSeconds).lines.map {
                    "\(integration.integration): \($0)"
                }
            }
        }
        lines += upstreams?.lines ?? []
        if let counters = reactors["counters"]?.object { lines += ["", Self.counterTable(counters)] }
        if let stages = reactors["stages"]?.object { lines += ["", Self.stageTable(stages)] }
        return lines.joined(separator: "\n")
    }

    private var integrationTable: String {
        Table(
            header: ["integration", "provider", "state", "devices", "last success", "last failure"],
            rows: integrations.map { status in
                let failure = status.lastFailure.map {
                    "\($0.kind.rawValue), \(age(status.lastFailureSeconds))"
                }
                return [
                    status.integration, status.provider, status.state.rawValue, String(status.devicesKnown),
                    age(status.lastSuccessSeconds), failure ?? "-",
                ]
            }
        ).text
    }

    /// 001.17: what works is Active, whatever the provider's own word is.
    private func line(of partner: PartnerState) -> String {
        let state = partner.hint.map { "\(partner.state); \($0)" } ?? "Active"
        return "partner \(partner.name), heartbeat \(age(partner.lastHeartbeatSeconds)): \(state)"
    }

    private func age(_ seconds: Int64?) -> String {
        seconds.map { "\(Age(seconds: max(0, nowSeconds - $0))) ago" } ?? "-"
    }

    private static func counterTable(_ counters: JSONObject) -> String {
        let rows = counters.members.compactMap { name, value in
            value.integer.flatMap { $0 == 0 ? nil : [name, String($0)] }
        }
        return Table(header: ["counter", "since the start"], rows: rows).text
    }

    private static func stageTable(_ stages: JSONObject) -> String {
        let columns = ["p50_us", "p99_us", "p999_us"]
        let rows = stages.members.compactMap { name, stage -> [String]? in
            guard let count = stage["count"]?.integer, count > 0 else { return nil }
            return [name, String(count)]
                + columns.map { column in stage[column]?.integer.map { "\($0) µs" } ?? "-" }
        }
        return Table(header: ["stage", "count", "p50 ≤", "p99 ≤", "p99.9 ≤"], rows: rows).text
    }

    static func json(_ status: IntegrationStatus) -> JSONValue {
        .object(
            JSONObject([
                ("integration", .string(status.integration)), ("provider", .string(status.provider)),
                ("state", .string(status.state.rawValue)),
                ("reason", status.pendingReason.map { .string($0) } ?? .null),
                ("store_failure", status.storeFailure.map { .string($0) } ?? .null),
                ("devices", .integer(Int64(status.devicesKnown))),
                ("devices_read", status.devicesRead.map { .integer(Int64($0)) } ?? .null),
                ("last_success", status.lastSuccessSeconds.map { .integer($0) } ?? .null),
                ("last_failure", status.lastFailure.map { .string($0.kind.rawValue) } ?? .null),
                ("last_failure_at", status.lastFailureSeconds.map { .integer($0) } ?? .null),
                ("missing_permissions", .array(status.connection.missingPermissions.map { .string($0) })),
                ("account", status.connection.account.map { .string($0) } ?? .null),
                ("partners", .array(status.connection.partners.map(json))),
                ("signals", status.signals.map(SignalStatusText.json) ?? .null),
                ("last_complete_sync", status.lastCompleteSyncSeconds.map { .integer($0) } ?? .null),
            ]))
    }
    private static func json(_ partner: PartnerState) -> JSONValue {
        [
            "id": .string(partner.id), "name": .string(partner.name), "state": .string(partner.state),
            "last_heartbeat": partner.lastHeartbeatSeconds.map { .integer($0) } ?? .null,
            "platforms": .array(partner.platforms.map { .string($0) }),
            "hint": partner.hint.map { .string($0) } ?? .null,
        ]
    }
}
