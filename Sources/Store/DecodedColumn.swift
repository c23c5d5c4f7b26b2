import Access
import Synchronization

/// What JSON text in a column means, remembered: sessions in use are read once a minute and at every change of their
/// device, and decoding their text costs several times the query.
///
/// A meaning depends on its text alone, so nothing here can be out of date; what is forgotten is decoded again.
final class DecodedColumn<Value: Decodable & Sendable>: Sendable {
    /// Longer texts are rare, and not worth their memory.
    private static var textBytesMax: Int { 4_096 }

    private struct State {
        /// Texts remembered of the newer half.
        let textsMax: Int
        var recent: [ExactKey: Value] = [:]
        var older: [ExactKey: Value] = [:]

        /// What was asked for lately outlives what was not.
        mutating func known(_ text: ExactKey) -> Value? {
            if let value = recent[text] { return value }
            guard let value = older.removeValue(forKey: text) else { return nil }
            keep(value, text)
            return value
        }

        mutating func keep(_ value: Value, _ text: ExactKey) {
            if recent.count >= textsMax {
                older = recent
                recent = [:]
            }
            recent[text] = value
        }
    }
    private let state: Mutex<State>

    /// - Parameter textsMax: at most twice as many are remembered.
    init(textsMax: Int) { state = Mutex(State(textsMax: textsMax)) }

    /// The value that a text stands for.
    ///
    /// - Throws: `.malformedRow` for a text that cannot be read, every time.
    func value(_ text: String, _ column: String, file: String) throws -> Value {
        // By its bytes: equivalent letters are two group names, not one.
        let key = ExactKey(text)
        if let known = state.withLock({ $0.known(key) }) { return known }
        let value: Value = try JSONColumn.value(text, column, file: file)
        if text.utf8.count <= Self.textBytesMax { state.withLock { $0.keep(value, key) } }
        return value
    }

    /// Remembers what a text means that was just made of it.
    func remember(_ value: Value, as text: String) {
        guard text.utf8.count <= Self.textBytesMax else { return }
        state.withLock { $0.keep(value, ExactKey(text)) }
    }

    /// How many texts are remembered.
    var count: Int { state.withLock { $0.recent.count + $0.older.count } }
}
