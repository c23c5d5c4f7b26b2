import Config
import JSON
import Posture
import Synchronization

/// How often the configuration was read again, for `gatepost status`.
struct ReloadCounts: Sendable {
    var taken: Int64 = 0
    var refused: Int64 = 0
    /// The first line of why the last one was refused; nil: it was taken.
    var refusal: (atSeconds: Int64, what: String)?

    func lines(nowSeconds: Int64) -> [String] {
        guard let refusal else { return [] }
        let age = Age(seconds: max(0, nowSeconds - refusal.atSeconds))
        return ["the last reload was refused \(age) ago, the configuration before it stays: \(refusal.what)"]
    }

    var json: JSONValue {
        .object(
            JSONObject([
                ("reloads", .integer(taken)), ("reloads_refused", .integer(refused)),
                ("refusal", refusal.map { .string($0.what) } ?? .null),
                ("refused_at", refusal.map { .integer($0.atSeconds) } ?? .null),
            ]))
    }
}

extension ControlPlane {
    func noteReload(_ outcome: ReloadOutcome) {
        reloads.withLock { counts in
            counts.taken += 1
            counts.refusal = nil
        }
        EventLog.write(
            "configuration-reloaded",
            [
                ("policy", .string(outcome.policy)), ("changes", .array(outcome.changes.map { .string($0) })),
                ("held_sessions", .integer(Int64(outcome.heldSessions))),
            ])
    }

    func noteRefusedReload(_ failure: ControlFailure) {
        let first = String(failure.what.prefix { $0 != "\n" })
        reloads.withLock { counts in
            counts.refused += 1
            counts.refusal = (nowSeconds(), first)
        }
        EventLog.write("configuration-refused", [("what", .string(first))])
    }

    /// `gatepost reload`: answers when it is in force, or refused.
    func reloadCommand() async -> JSONValue {
        do throws(ControlFailure) {
            let outcome = try await reload()
            var lines = ["configuration reloaded; policy \(outcome.policy.prefix(12))"]
            lines += outcome.changes.isEmpty ? ["nothing changed"] : outcome.changes
            if let remark = outcome.remark { lines.append(remark) }
            return .object(
                JSONObject([
                    ("text", .string(lines.joined(separator: "\n"))), ("policy", .string(outcome.policy)),
                    ("changes", .array(outcome.changes.map { .string($0) })),
                    ("held_sessions", .integer(Int64(outcome.heldSessions))),
                ]))
        } catch {
            return [
                "error": .string("the configuration was not taken, the running one stays:\n\(error.what)")
            ]
        }
    }

    /// What the configuration in force was read from.
    public var configurationFiles: [String] { services.config.files }

    /// Whether it is read again when one of them changes.
    public var reloadsOnChange: Bool { services.config.gateway.reloadsOnChange }
}
