import JSON
import Posture

/// What failed at an integration, by class, and whose clock is wrong.
struct FailureText {
    var status: IntegrationStatus

    /// nil: the clocks agree.
    var clockLine: String? {
        let connection = status.connection
        guard connection.isClockSkewed, let offset = connection.serverOffsetSeconds else { return nil }
        let relation = offset > 0 ? "ahead of" : "behind"
        return "warning: its clock is \(Age(seconds: Int64(clamping: offset.magnitude))) \(relation) ours; "
            + "reports of devices look younger or older than they are; set this host's time"
    }

    /// By class: how often, when last, and in which words.
    var samples: JSONValue {
        .object(
            JSONObject(
                status.failureSamples.sorted { $0.key.rawValue < $1.key.rawValue }.map { kind, sample in
                    (
                        kind.rawValue,
                        [
                            "count": .integer(Int64(sample.count)), "at": .integer(sample.atSeconds),
                            "what": .string(sample.what),
                        ]
                    )
                }))
    }

    /// By class: how often.
    var counts: JSONValue {
        .object(
            JSONObject(
                status.failureSamples.sorted { $0.key.rawValue < $1.key.rawValue }.map {
                    ($0.key.rawValue, .integer(Int64($0.value.count)))
                }))
    }
}
