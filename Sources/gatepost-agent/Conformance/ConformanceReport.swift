import JSON

/// What a run found, for people and for programs.
struct ConformanceReport: Sendable {
    let target: String
    let results: [ConformanceResult]

    func count(_ outcome: ConformanceResult.Outcome) -> Int { results.count { $0.outcome == outcome } }

    /// Nothing failed, and something was judged.
    var isGood: Bool { count(.failed) == 0 && count(.passed) > 0 }

    /// One line of the table.
    static func line(_ result: ConformanceResult) -> String {
        let mark =
            switch result.outcome {
            case .passed: "ok"
            case .failed: "FAIL"
            case .notOffered: "absent"
            case .notJudged: "unjudged"
            }
        let line =
            "  " + padded(mark, 9) + padded(result.check.section, 6) + padded(result.check.name, 26)
            + result.check.guarantee
        guard !result.detail.isEmpty else { return line }
        return line + "\n" + padded("", 43) + "-> " + result.detail
    }

    /// The last lines of the table.
    var summary: String {
        var text = "\(count(.passed)) of \(results.count) guarantees hold"
        if count(.failed) > 0 { text += ", \(count(.failed)) do not" }
        if count(.notOffered) > 0 { text += ", \(count(.notOffered)) are of parts that are not offered" }
        if count(.notJudged) > 0 { text += ", \(count(.notJudged)) could not be judged here" }
        return text
    }

    /// The whole report for programs.
    var json: JSONValue {
        let rows = results.map { result in
            JSONValue.object(
                JSONObject([
                    ("name", .string(result.check.name)), ("section", .string(result.check.section)),
                    ("guarantee", .string(result.check.guarantee)),
                    ("outcome", .string(result.outcome.rawValue)), ("detail", .string(result.detail)),
                    ("milliseconds", .integer(result.milliseconds)),
                ]))
        }
        return .object(
            JSONObject([
                ("agent", .string(target)), ("good", .bool(isGood)),
                ("passed", .integer(Int64(count(.passed)))), ("failed", .integer(Int64(count(.failed)))),
                ("checks", .array(rows)),
            ]))
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
