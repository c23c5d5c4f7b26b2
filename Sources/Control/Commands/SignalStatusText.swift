import JSON
import Posture

/// A Shared Signals stream in `gatepost status`.
struct SignalStatusText {
    var status: SignalStreamStatus
    var nowSeconds: Int64

    var lines: [String] {
        var lines = ["\(status.delivery), stream \(status.streamID ?? "-") \(state), \(verification)"]
        if status.isSilenced {
            lines.append("not verified for a day: what it said of devices does not count")
        }
        if status.isDegraded {
            lines.append("degraded: no verification event within 2 min; devices are polled")
        }
        if !status.acknowledged.isEmpty { lines.append("acknowledged: " + Self.counts(status.acknowledged)) }
        if let event = status.lastUnmapped { lines.append("last event about nobody known here: \(event)") }
        if !status.refused.isEmpty {
            lines.append("refused: \(Self.counts(status.refused)); last: \(status.lastRefusal ?? "-")")
        }
        if !status.missingEvents.isEmpty {
            let names = status.missingEvents.compactMap { $0.split(separator: "/").last }
            lines.append("not delivered: " + names.joined(separator: ", "))
        }
        return lines
    }

    private var state: String {
        guard let state = status.state else { return "(state not known)" }
        return status.stateReason.map { "\(state) (\($0))" } ?? state
    }

    private var verification: String {
        guard let verified = status.verifiedAtSeconds else { return "never verified" }
        return "verified \(Age(seconds: max(0, nowSeconds - verified))) ago"
    }

    private static func counts(_ counts: [String: Int]) -> String {
        counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }

    static func json(_ status: SignalStreamStatus) -> JSONValue {
        .object(
            JSONObject([
                ("delivery", .string(status.delivery)),
                ("stream_id", status.streamID.map { .string($0) } ?? .null),
                ("state", status.state.map { .string($0) } ?? .null),
                ("state_reason", status.stateReason.map { .string($0) } ?? .null),
                ("verified_at", status.verifiedAtSeconds.map { .integer($0) } ?? .null),
                ("degraded", .bool(status.isDegraded)), ("silenced", .bool(status.isSilenced)),
                ("missing_events", .array(status.missingEvents.map { .string($0) })),
                ("acknowledged", json(status.acknowledged)), ("refused", json(status.refused)),
                ("last_refusal", status.lastRefusal.map { .string($0) } ?? .null),
                ("last_unmapped", status.lastUnmapped.map { .string($0) } ?? .null),
            ]))
    }

    private static func json(_ counts: [String: Int]) -> JSONValue {
        .object(JSONObject(counts.sorted { $0.key < $1.key }.map { ($0.key, .integer(Int64($0.value))) }))
    }
}
