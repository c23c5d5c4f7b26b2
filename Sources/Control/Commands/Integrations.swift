import Foundation
import JSON
import Posture

/// `gatepost integrations`: all integrations with their state, and connecting one (000.7, 000.8, 003.12). The
/// administration socket is the programming interface: `integrations`, `integration-connect`, `reconnect`.
extension ControlPlane {
    func listIntegrations() async -> JSONValue {
        let services = services
        let text = IntegrationsText(
            integrations: await services.posture.integrationStatus(),
            connectPrefix: services.authOrigin + ConnectPath.prefix, nowSeconds: nowSeconds())
        let agents = await AgentStatusText(services, nowSeconds: nowSeconds())
        return .object(
            JSONObject([
                ("text", .string(([text.text] + agents.lines).joined(separator: "\n\n"))),
                ("integrations", .array(text.integrations.map(text.json))), ("agents", agents.json),
            ]))
    }

    /// The link that an administrator with the right role opens in a browser.
    func connectIntegration(_ command: JSONValue) async -> JSONValue {
        guard let name = command["integration"]?.string else { return ["error": "name an integration"] }
        let services = services
        do throws(ConnectorFailure) {
            let link = try await services.posture.connectLink(
                integration: name, redirectURI: services.authOrigin + ConnectPath.prefix + name)
            return .object(
                JSONObject([
                    ("text", .string(Self.text(of: link, name))), ("url", .string(link.url)),
                    ("redirect_uri", .string(link.redirectURI)), ("role", .string(link.role)),
                    ("delegated", .bool(link.isDelegated)), ("expires_at", .integer(link.expiresAtSeconds)),
                ]))
        } catch {
            return ["error": .string(error.what)]
        }
    }

    private static func text(of link: ConnectLink, _ name: String) -> String {
        let what =
            link.isDelegated
            ? "Sign in with the account in whose name \(name) shall be read."
            : "Grant the permissions that the registration asks for."
        return """
            Open this address within 15 minutes, once:

            \(link.url)

            \(what)
            Role: \(link.role).
            Registered redirect URI: \(link.redirectURI)
            """
    }
}

/// Every integration as people read it, and as programs do.
struct IntegrationsText {
    var integrations: [IntegrationStatus]
    /// `https://auth-host/.gatepost/connect/`
    var connectPrefix: String
    var nowSeconds: Int64

    var text: String {
        guard !integrations.isEmpty else { return "no integrations are configured" }
        let table = Table(
            header: [
                "integration", "provider", "state", "devices", "oldest report", "median", "last success",
                "last error", "throttled for", "notices within",
            ], rows: integrations.map(row))
        let lines = integrations.flatMap { status in
            notes(on: status).map { "\(status.integration): \($0)" }
        }
        return lines.isEmpty ? table.text : table.text + "\n\n" + lines.joined(separator: "\n")
    }

    private func row(_ status: IntegrationStatus) -> [String] {
        let failure = status.lastFailure.map { "\($0.kind.rawValue), \(age(status.lastFailureSeconds))" }
        let throttled = status.connection.throttledUntilSeconds.map {
            "\(Age(seconds: max(0, $0 - nowSeconds)))"
        }
        return [
            status.integration, status.provider, status.state.rawValue, String(status.devicesKnown),
            age(status.oldestObservedSeconds), age(status.medianObservedSeconds),
            age(status.lastSuccessSeconds), failure ?? "-", throttled ?? "-", Self.notice(of: status),
        ]
    }

    /// How long a change may stay unknown: our refresh, and what the vendor says of its own way.
    private static func notice(of status: IntegrationStatus) -> String {
        guard status.signals == nil else { return "push" }
        guard let seconds = status.noticedWithinSeconds else { return "-" }
        return "\(Age(seconds: seconds))"
            + (status.vendorDelaySeconds.map { " + \(Age(seconds: $0)) vendor" } ?? "")
    }

    /// What somebody has to know or do about it.
    private func notes(on status: IntegrationStatus) -> [String] {
        let connection = status.connection
        var notes: [String] = []
        if let reason = status.pendingReason { notes.append(reason) }
        if status.state != .configured {
            let name = status.integration
            notes.append(
                connection.isConnectable
                    ? "next: gatepost integrations connect \(name) (redirect URI \(connectPrefix)\(name))"
                    : "next: mend the credentials or permissions, then gatepost integrations "
                        + "reconnect \(name)"
            )
        } else if let failure = status.lastFailure {
            notes.append("last error: \(failure.what)")
        }
        if let line = FailureText(status: status).clockLine { notes.append(line) }
        if let line = status.backlog.flatMap({ BacklogText(backlog: $0).line }) { notes.append(line) }
        notes += connection.missingPermissions.map { "missing permission \($0)" }
        notes += connection.excessPermissions.map {
            "excess permission \($0): nothing here uses it; take it away"
        }
        if let account = connection.account {
            notes.append("reads in the name of \(account)\(ends(connection))")
        }
        if let publishing = status.publishing { notes.append(note(on: publishing)) }
        notes += connection.partners.map { partner in
            "partner \(partner.name), heartbeat \(age(partner.lastHeartbeatSeconds)): "
                + (partner.hint.map { "\(partner.state); \($0)" } ?? "Active")
        }
        if let signals = status.signals {
            notes += SignalStatusText(status: signals, nowSeconds: nowSeconds).lines
        }
        return notes.map(Table.printable)
    }

    /// Writing has a state of its own: whether it works changes nothing about reading.
    private func note(on publishing: PublishingStatus) -> String {
        var note =
            "publishes verdicts: \(publishing.written) written, last \(age(publishing.lastWrittenSeconds)), "
            + "\(publishing.waiting) waiting"
        if publishing.dropped > 0 { note += ", \(publishing.dropped) put off" }
        if let problem = publishing.problem { note += "; last problem: \(problem)" }
        if let until = publishing.pausedUntilSeconds, until > nowSeconds {
            note += "; goes on in \(Age(seconds: until - nowSeconds))"
        }
        return note
    }

    private func ends(_ connection: ConnectorStatus) -> String {
        guard let ends = connection.accountEndsAtSeconds else { return "" }
        return "; its sign-in ends in \(Age(seconds: max(0, ends - nowSeconds))) unless it is used"
    }

    private func age(_ seconds: Int64?) -> String {
        guard let seconds, seconds > 0 else { return "-" }
        return "\(Age(seconds: max(0, nowSeconds - seconds))) ago"
    }

    func json(_ status: IntegrationStatus) -> JSONValue {
        guard var members = StatusText.json(status).object else { return .null }
        func seconds(_ value: Int64?) -> JSONValue { value.map { .integer($0) } ?? .null }
        let connection = status.connection
        members["oldest_report_at"] = seconds(status.oldestObservedSeconds)
        members["median_report_at"] = seconds(status.medianObservedSeconds)
        members["queue"] = status.backlog.map { BacklogText(backlog: $0).json } ?? .null
        members["notices_within"] = status.signals == nil ? seconds(status.noticedWithinSeconds) : .integer(0)
        members["vendor_delay"] = seconds(status.vendorDelaySeconds)
        members["last_failure_call"] = status.lastFailureCall?.json ?? .null
        members["labels"] = .array(status.labels.map { .string($0) })
        members["last_error"] = status.lastFailure.map { .string($0.what) } ?? .null
        let failures = FailureText(status: status)
        members["failure_counts"] = failures.counts
        members["failure_samples"] = failures.samples
        members["clock_skewed"] = .bool(connection.isClockSkewed)
        members["throttled_until"] = seconds(connection.throttledUntilSeconds)
        members["token_expires_at"] = seconds(connection.tokenExpiresAtSeconds)
        members["server_offset_seconds"] = seconds(connection.serverOffsetSeconds)
        members["excess_permissions"] = .array(connection.excessPermissions.map { .string($0) })
        members["account_ends_at"] = seconds(connection.accountEndsAtSeconds)
        members["publishing"] = status.publishing.map(Self.json) ?? .null
        members["connectable"] = .bool(connection.isConnectable)
        members["redirect_uri"] =
            connection.isConnectable ? .string(connectPrefix + status.integration) : .null
        return .object(members)
    }

    private static func json(_ publishing: PublishingStatus) -> JSONValue {
        [
            "waiting": .integer(Int64(publishing.waiting)), "written": .integer(Int64(publishing.written)),
            "dropped": .integer(Int64(publishing.dropped)),
            "last_written": publishing.lastWrittenSeconds.map { .integer($0) } ?? .null,
            "problem": publishing.problem.map { .string($0) } ?? .null,
            "paused_until": publishing.pausedUntilSeconds.map { .integer($0) } ?? .null,
        ]
    }
}
