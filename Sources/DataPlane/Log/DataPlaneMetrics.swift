/// How long something took, as counts per logarithmic bucket (four per power of two of nanoseconds).
public struct LatencyHistogram: Sendable, Hashable {
    /// Observations per bucket.
    public private(set) var counts: [UInt64]

    init(_ counts: [UInt64]) { self.counts = counts }

    /// Observations in all.
    public var total: UInt64 { counts.reduce(0, +) }

    /// The largest value in nanoseconds that bucket `index` of `counts` stands for.
    public func upperBoundNanoseconds(ofBucket index: Int) -> UInt64 {
        ReactorCounters.upperBound(ofBucket: index)
    }

    /// The bound that at least `fraction` (0...1) of the observations keep, in nanoseconds; nil without any.
    public func quantileNanoseconds(_ fraction: Double) -> UInt64? {
        let total = total
        guard total > 0 else { return nil }
        let wanted = max(1, UInt64((Double(total) * min(max(fraction, 0), 1)).rounded(.up)))
        var seen: UInt64 = 0
        for (index, count) in counts.enumerated() {
            seen += count
            if seen >= wanted { return upperBoundNanoseconds(ofBucket: index) }
        }
        return upperBoundNanoseconds(ofBucket: counts.count - 1)
    }
}

/// One reactor's counters at one moment. Counters only grow; the `open…`, `parked` and `cached…` ones are
/// levels.
public struct ReactorMetrics: Sendable, Hashable {
    /// By name in snake case, for example `requests`, `session_hits`, `open_exchanges`.
    public let counters: [String: UInt64]
    /// By stage: `handshake`, `walk`, `park`, `upstream_head`, `request`, `cut` (event to cut).
    public let stages: [String: LatencyHistogram]

    init(_ source: ReactorCounters) {
        var counters: [String: UInt64] = [:]
        for (counter, name) in Self.counterNames { counters[name] = source.value(counter) }
        self.counters = counters
        var stages: [String: LatencyHistogram] = [:]
        for (stage, name) in Self.stageNames { stages[name] = LatencyHistogram(source.buckets(stage)) }
        self.stages = stages
    }

    private static let counterNames = Counter.allCases.map { ($0, snakeCase("\($0)")) }
    private static let stageNames = TimedStage.allCases.map { ($0, snakeCase("\($0)")) }

    private static func snakeCase(_ name: String) -> String {
        var text = ""
        for character in name {
            if character.isUppercase { text += "_" }
            text += character.lowercased()
        }
        return text
    }
}

/// A snapshot of all reactors' counters.
public struct DataPlaneMetrics: Sendable, Hashable {
    /// In the order of the reactors' numbers.
    public let reactors: [ReactorMetrics]

    /// The sum of one counter over all reactors; 0 for an unknown name.
    public func sum(_ counter: String) -> UInt64 { reactors.reduce(0) { $0 + ($1.counters[counter] ?? 0) } }

    /// The latencies of one stage over all reactors; nil for an unknown name.
    public func merged(stage: String) -> LatencyHistogram? {
        let all = reactors.compactMap { $0.stages[stage]?.counts }
        guard let first = all.first else { return nil }
        return LatencyHistogram(
            first.indices.map { index in all.reduce(0) { $0 &+ (index < $1.count ? $1[index] : 0) } })
    }
}
