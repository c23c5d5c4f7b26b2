/// Lets one change of the reactors' configuration happen at a time. A new address or key that overtook a reload would
/// put yesterday's policies back in force.
actor ChangeOrder {
    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// Waits for its turn; `leave` ends it.
    func enter() async {
        guard isTaken else {
            isTaken = true
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    /// The next one, in the order of their coming, takes over.
    func leave() {
        guard waiting.isEmpty else { return waiting.removeFirst().resume() }
        isTaken = false
    }
}
