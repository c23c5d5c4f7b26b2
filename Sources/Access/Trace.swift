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
    /// Each once. Some ten of them: a set would hash each, for every residual.
    private var inputs: [String] = []
    private var verdicts: [(integration: String, nativeID: String)] = []

    init(nowSeconds: Int64, isRecording: Bool) {
        self.nowSeconds = nowSeconds
        self.isRecording = isRecording
        validUntilSeconds = nowSeconds.sum(saturating: Self.residualSecondsMax)
        openUntilSeconds = validUntilSeconds
    }

    /// Sorted, without doubles.
    var dependsOn: [String] { inputs.sorted() }

    mutating func note(_ line: @autoclosure () -> ExplainLine) {
        if isRecording { lines.append(line()) }
    }

    mutating func read(_ input: String) {
        guard !ExactText.contains(inputs, input) else { return }
        if inputs.isEmpty { inputs.reserveCapacity(8) }
        inputs.append(input)
    }

    /// Several rules ask one verdict, often one after the other: its name is written once.
    mutating func readVerdict(_ integration: String, _ nativeID: String) {
        for known in verdicts
        where ExactText.isEqual(known.nativeID, nativeID)
            && ExactText.isEqual(known.integration, integration)
        { return }
        if verdicts.isEmpty { verdicts.reserveCapacity(8) }
        verdicts.append((integration, nativeID))
        read("verdict:\(integration):\(nativeID)")
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
