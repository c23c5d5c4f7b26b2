import Access
import JSON

/// The decision log and the shadow policy in `gatepost status`.
struct DecisionStatusText {
    private let log: DecisionLog.Status?
    private let webhook: DecisionWebhook.Status?
    private let nowSeconds: Int64
    private let policy: String?
    private let problem: String?
    private let counts: [String: [ShadowFinding.Word: Int]]

    init(_ decisions: DecisionRecorder, nowSeconds: Int64) {
        log = decisions.log?.status
        webhook = decisions.log?.webhook?.status
        self.nowSeconds = nowSeconds
        policy = decisions.shadow.policy?.identity
        problem = decisions.shadow.problem
        counts = decisions.shadow.counts
    }

    /// Nothing while all is well and no candidate is decided beside the live policy.
    var lines: [String] {
        var lines: [String] = []
        if let log, log.isFailing || log.entriesLost > 0 {
            lines.append(
                "decision log: \(log.entriesLost) entries lost"
                    + (log.isFailing ? "; nothing can be written to \(log.file)" : ""))
        }
        lines += webhookLines
        if let problem { lines.append("shadow policy not in use: \(problem)") }
        guard let policy else { return lines }
        lines += ["", "shadow policy \(policy.prefix(12)), in decisions:"]
        let rows = counts.sorted { $0.key < $1.key }.map { application, counts in
            [application] + ShadowFinding.Word.allCases.map { String(counts[$0] ?? 0) }
        }
        let header = ["application"] + ShadowFinding.Word.allCases.map(\.rawValue)
        lines.append(Table(header: header, rows: rows).text)
        return lines
    }

    private var webhookLines: [String] {
        guard let webhook else { return [] }
        var lines: [String] = []
        if webhook.linesLost > 0 {
            lines.append(
                "decision webhook: \(webhook.linesLost) line\(webhook.linesLost == 1 ? "" : "s") lost")
        }
        if let failure = webhook.failure {
            let age = Age(seconds: nowSeconds - (webhook.failingSinceSeconds ?? nowSeconds))
            lines.append(
                "decision webhook: fails for \(age) (\(failure)); \(webhook.waitingBytes) bytes wait")
        }
        return lines
    }

    var webhookJSON: JSONValue {
        guard let webhook else { return .null }
        return [
            "lines_sent": .integer(Int64(webhook.linesSent)),
            "lines_lost": .integer(Int64(webhook.linesLost)),
            "waiting_bytes": .integer(Int64(webhook.waitingBytes)),
            "failure": webhook.failure.map { .string($0) } ?? .null,
            "failing_since": webhook.failingSinceSeconds.map { .integer($0) } ?? .null,
        ]
    }

    var logJSON: JSONValue {
        guard let log else { return .null }
        return [
            "file": .string(log.file), "entries_written": .integer(Int64(log.entriesWritten)),
            "entries_lost": .integer(Int64(log.entriesLost)), "failing": .bool(log.isFailing),
        ]
    }

    var shadowJSON: JSONValue {
        if let problem { return ["problem": .string(problem)] }
        guard let policy else { return .null }
        return ["policy": .string(policy), "applications": ShadowPolicy.json(counts)]
    }
}
