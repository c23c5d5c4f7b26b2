extension VerdictCache {
    /// How many devices are known, and how old the reports are among those that still count.
    struct Census: Sendable, Hashable {
        var devices: Int
        var oldestObservedSeconds: Int64?
        var medianObservedSeconds: Int64?
        /// Sorted; at most `labelsMax`.
        var labels: [String]
        static let labelsMax = 200
    }
}
