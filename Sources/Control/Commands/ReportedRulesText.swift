import Access
import Foundation
import JSON

/// The rules that only report, and whom they would affect, in `gatepost status`.
struct ReportedRulesText {
    var counts: [ReportedRules.Count]

    /// Nothing where every rule counts.
    var lines: [String] {
        guard !counts.isEmpty else { return [] }
        let rows = counts.map { count in
            let least = count.isLeast ? "≥ " : ""
            return [
                count.rule.policy, String(count.rule.index), count.rule.condition, Self.plan(of: count),
                least + String(count.devices), least + String(count.persons),
            ]
        }
        let header = ["device policy", "rule", "condition", "will be", "devices", "persons"]
        return [
            "", "rules that only report, and whom they would affect:", Table(header: header, rows: rows).text,
        ]
    }

    var json: JSONValue { .array(counts.map(\.json)) }

    private static func plan(of count: ReportedRules.Count) -> String {
        guard let until = count.untilSeconds else { return count.effect.rawValue }
        let day = Date(timeIntervalSince1970: TimeInterval(until)).formatted(.iso8601.year().month().day())
        return "\(count.effect.rawValue) from \(day)"
    }
}
