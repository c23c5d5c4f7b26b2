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
        if let subjects = status.subjects { lines += Self.lines(subjects) }
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

    /// A stream that is verified and tells about nobody looks healthy and is not.
    private static func lines(_ subjects: SignalSubjectStatus) -> [String] {
        guard !subjects.isImpossible else {
            return [
                "degraded: the transmitter tells about nobody by itself (default_subjects NONE) and cannot be "
                    + "told of anybody (no add_subject_endpoint); add people and devices there, or have it "
                    + "tell about all"
            ]
        }
        var lines = [
            "tells about \(subjects.added) people and devices that it was told of, \(subjects.waiting) to go"
        ]
        if subjects.unknown > 0 {
            lines.append("\(subjects.unknown) people and devices are not known to the transmitter")
        }
        if subjects.beyondMaximum > 0 {
            lines.append(
                "degraded: \(subjects.beyondMaximum) people and devices are more than one stream takes; "
                    + "have the transmitter tell about all")
        }
        if let failure = subjects.failure {
            lines.append("degraded: the transmitter could not be told of somebody: \(failure)")
        }
        return lines
    }

    private static func json(_ subjects: SignalSubjectStatus) -> JSONValue {
        [
            "added": .integer(Int64(subjects.added)), "waiting": .integer(Int64(subjects.waiting)),
            "unknown": .integer(Int64(subjects.unknown)),
            "beyond_maximum": .integer(Int64(subjects.beyondMaximum)),
            "failure": subjects.failure.map { .string($0) } ?? .null,
        ]
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
                ("degraded", .bool(status.isDegraded || status.subjects?.isDegraded == true)),
                ("subjects", status.subjects.map { json($0) } ?? .null),
                ("silenced", .bool(status.isSilenced)),
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
