import JSON
import Posture

/// How far an integration is behind with asking about devices, as people read it and as programs do.
struct BacklogText {
    var backlog: RefreshBacklog

    /// nil: nothing that anybody has to know.
    var line: String? {
        if backlog.isLate {
            return
                "warning: questions about devices wait \(Age(seconds: backlog.waitingSeconds)): the provider "
                + "answers too slowly for so many devices; raise refresh and ttl"
        }
        guard backlog.readsList else { return nil }
        let round = backlog.roundSeconds.map { " (\(Age(seconds: $0)) for all)" } ?? ""
        return "reads the complete list at each refresh: asking about every device takes too long\(round)"
    }

    var json: JSONValue {
        [
            "waiting_seconds": .integer(backlog.waitingSeconds),
            "round_seconds": backlog.roundSeconds.map { .integer($0) } ?? .null,
            "reads_list": .bool(backlog.readsList), "late": .bool(backlog.isLate),
        ]
    }
}
