import Access
import JSON
import Posture
import Synchronization

/// What was last said of the integrations, so that the decision log tells their changes once.
final class IntegrationEvents: Sendable {
    private let told = Mutex<[String: IntegrationStatus]>([:])

    /// Members of the lines to write: a state that changed, reads that succeeded and reads that failed since the last
    /// call. Failures are named by their class and our own words, never by what a provider sent.
    func news(_ statuses: [IntegrationStatus]) -> [[(String, JSONValue)]] {
        told.withLock { told in
            statuses.flatMap { status in
                let old = told.updateValue(status, forKey: status.integration)
                return Self.news(status, after: old)
            }
        }
    }

    private static func news(
        _ status: IntegrationStatus, after old: IntegrationStatus?
    ) -> [[(String, JSONValue)]] {
        let name: [(String, JSONValue)] = [
            ("integration", .string(status.integration)), ("provider", .string(status.provider)),
        ]
        var lines: [[(String, JSONValue)]] = []
        if old?.state != status.state {
            lines.append(
                name + [
                    ("event", "state-changed"), ("state", .string(status.state.rawValue)),
                    ("before", old.map { .string($0.state.rawValue) } ?? .null),
                ])
        }
        if let at = status.lastSuccessSeconds, at != old?.lastSuccessSeconds {
            lines.append(
                name + [
                    ("event", "read"), ("read_at", .integer(at)),
                    ("devices", .integer(Int64(status.devicesKnown))),
                    ("complete_at", status.lastCompleteSyncSeconds.map { .integer($0) } ?? .null),
                ])
        }
        let failures = status.failureCounts.values.reduce(0, +)
        let before = old?.failureCounts.values.reduce(0, +) ?? 0
        if let failure = status.lastFailure, let at = status.lastFailureSeconds, failures != before {
            lines.append(
                name + [
                    ("event", "failed"), ("failed_at", .integer(at)),
                    ("failure", .string(failure.kind.rawValue)),
                    ("failures", .integer(Int64(failures - before))),
                ] + (status.lastFailureCall?.members ?? []))
        }
        return lines
    }
}
