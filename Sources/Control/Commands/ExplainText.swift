import Access
import Foundation
import JSON

/// An explanation as people read it, and as JSON.
struct ExplainText {
    var record: ExplainRecord
    var user: String
    var isSignedIn: Bool
    var nowSeconds: Int64
    /// A request that the residual is applied to.
    var request: AskedRequest?

    var answer: JSONValue {
        var members: [(String, JSONValue)] = [
            ("text", .string(text)), ("application", .string(record.application)),
            ("policy", .string(record.policyIdentity)),
            ("device_class", record.deviceClass.map { .string($0.rawValue) } ?? .null),
            ("outcome", .string(outcome)), ("reason", .string(reason.rawValue)),
            ("lines", .array(record.lines.map(Self.json))),
        ]
        if let request { members.append(("request", request.json(by: record.residual))) }
        return .object(JSONObject(members))
    }

    private var reason: Reason { record.residual.policies.first?.reason ?? record.residual.refusal }

    private var outcome: String {
        guard let first = record.residual.policies.first else { return isSignedIn ? "refuse" : "sign-in" }
        let asks = !first.anyOf.isEmpty || !first.allOf.isEmpty || !first.noneOf.isEmpty
        let word = first.action == .block ? "refuse" : "forward"
        return asks ? "\(word), when the request itself fits" : word
    }

    var text: String {
        var lines = [
            "\(user) at \(record.application): \(outcome) (\(reason.rawValue))",
            "session: \(isSignedIn ? "live" : "none")    device: \(device)    "
                + "policy: \(record.policyIdentity.prefix(12))",
            "",
        ]
        if let request { lines.insert(request.text(by: record.residual), at: 1) }
        let rows = record.lines.map { line in
            [
                line.rule, line.condition, Self.word(line.outcome), line.observed, line.source,
                line.ageSeconds.map { "\(Age(seconds: $0))" } ?? "-",
            ]
        }
        lines.append(
            Table(header: ["rule", "condition", "holds", "observed", "source", "age"], rows: rows).text)
        let remedies = record.lines.filter { $0.outcome != .yes }.compactMap(\.remedy)
        if !remedies.isEmpty {
            lines +=
                ["", "To change it:"]
                + Array(NSOrderedSet(array: remedies)).compactMap { $0 as? String }.map { "  - \($0)" }
        }
        return lines.joined(separator: "\n")
    }

    private var device: String {
        guard let deviceClass = record.deviceClass else { return "none" }
        return deviceClass.rawValue + (record.devicePolicy.map { " by \($0)" } ?? " by default")
    }

    private static func word(_ outcome: Ternary) -> String {
        switch outcome {
        case .yes: "yes"
        case .no: "no"
        case .indeterminate: "not known"
        }
    }

    private static func json(_ line: ExplainLine) -> JSONValue {
        .object(
            JSONObject([
                ("rule", .string(line.rule)), ("condition", .string(line.condition)),
                ("outcome", .string(line.outcome.rawValue)), ("observed", .string(line.observed)),
                ("source", .string(line.source)),
                ("age_seconds", line.ageSeconds.map { .integer($0) } ?? .null),
                ("remedy", line.remedy.map { .string($0) } ?? .null),
            ]))
    }
}
