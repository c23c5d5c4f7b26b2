/// The statement counter of one device key: each value counts once, and old values never (handshake.md 9).
///
/// Two tabs may deliver their assertions in the other order, so the last 64 values are remembered one by one;
/// a copied key shows itself by a value that was seen, or by one from far behind.
struct CounterWindow: Sendable, Hashable {
    private(set) var highest: Int64
    /// Bit n: `highest - n` was seen.
    private var seen: UInt64

    /// After a start everything up to the stored value counts as seen.
    init(highest: Int64) {
        self.highest = highest
        seen = .max
    }

    /// - Returns: false when the value was seen or is too old; then nothing changes.
    mutating func accept(_ counter: Int64) -> Bool {
        if counter > highest {
            let step = counter - highest
            seen = step < 64 ? seen << UInt64(step) | 1 : 1
            highest = counter
            return true
        }
        let behind = highest - counter
        guard behind < 64, seen & (1 << UInt64(behind)) == 0 else { return false }
        seen |= 1 << UInt64(behind)
        return true
    }
}
