/// What one evaluation read and, on demand, its lines. Residuals and explain records come from the same
/// evaluation; the only difference is whether the lines are kept.
struct Trace {
    /// The longest time that any residual may be used without being made again.
    static let residualSecondsMax: Int64 = 900

    let nowSeconds: Int64
    let isRecording: Bool
    private(set) var lines: [ExplainLine] = []
    private(set) var validUntilSeconds: Int64
    /// The same for what is already open, which the proof of a device serves longer.
    private(set) var openUntilSeconds: Int64
    /// Sorted, each once. Some ten of them: a set would hash each, for every residual.
    private(set) var dependsOn: [DecisionInput] = []

    init(nowSeconds: Int64, isRecording: Bool) {
        self.nowSeconds = nowSeconds
        self.isRecording = isRecording
        validUntilSeconds = nowSeconds.sum(saturating: Self.residualSecondsMax)
        openUntilSeconds = validUntilSeconds
    }

    mutating func note(_ line: @autoclosure () -> ExplainLine) {
        if isRecording { lines.append(line()) }
    }

    mutating func read(_ input: DecisionInput) {
        // From the end: several rules ask one verdict, one after the other.
        var place = dependsOn.count
        while place > 0 {
            let order = dependsOn[place - 1].order(input)
            if order == 0 { return }
            if order < 0 { break }
            place -= 1
        }
        if dependsOn.isEmpty { dependsOn.reserveCapacity(8) }
        dependsOn.insert(input, at: place)
    }

    /// The answer changes at `seconds`. A moment that has passed has already had its effect and bounds
    /// nothing: otherwise one expired input would make every later residual useless at birth.
    ///
    /// - Parameter open: when it changes for what is already open, where that is another moment.
    mutating func changes(atSeconds seconds: Int64, open: Int64? = nil) {
        if seconds > nowSeconds { validUntilSeconds = min(validUntilSeconds, seconds) }
        let open = open ?? seconds
        if open > nowSeconds { openUntilSeconds = min(openUntilSeconds, open) }
    }

    mutating func include(_ result: DeviceResult) {
        if isRecording { lines += result.lines }
        for input in result.dependsOn { read(input) }
        validUntilSeconds = min(validUntilSeconds, result.validUntilSeconds)
        openUntilSeconds = min(openUntilSeconds, result.openUntilSeconds)
    }
}
