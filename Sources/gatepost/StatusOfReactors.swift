import DataPlane
import JSON

/// Counters and latencies of all reactors together, as `gatepost status` gets them.
struct StatusOfReactors {
    private static let quantiles: [(name: String, fraction: Double)] = [
        ("p50", 0.5), ("p99", 0.99), ("p999", 0.999),
    ]

    var metrics: DataPlaneMetrics

    init(_ metrics: DataPlaneMetrics) { self.metrics = metrics }

    /// `{"reactors": 2, "counters": {"requests": 12, …}, "stages": {"request": {"count", "p50_us", …}, …}}`
    var value: JSONValue {
        var counters = JSONObject()
        for name in Set(metrics.reactors.flatMap(\.counters.keys)).sorted() {
            counters[name] = .integer(Int64(clamping: metrics.sum(name)))
        }
        var stages = JSONObject()
        for name in Set(metrics.reactors.flatMap(\.stages.keys)).sorted() { stages[name] = stage(name) }
        return .object(
            JSONObject([
                ("version", .string(Gatepost.versionText)),
                ("reactors", .integer(Int64(metrics.reactors.count))), ("counters", .object(counters)),
                ("stages", .object(stages)),
            ]))
    }

    private func stage(_ name: String) -> JSONValue {
        guard let all = metrics.merged(stage: name) else { return .null }
        var members: [(String, JSONValue)] = [("count", .integer(Int64(clamping: all.total)))]
        for (quantile, fraction) in Self.quantiles {
            let nanoseconds = all.quantileNanoseconds(fraction)
            members.append(
                ("\(quantile)_us", nanoseconds.map { .integer(Int64(clamping: $0 / 1_000)) } ?? .null))
        }
        return .object(JSONObject(members))
    }
}
