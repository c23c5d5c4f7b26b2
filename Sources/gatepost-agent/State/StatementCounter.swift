import Synchronization

/// The counter in every statement of this key: it only grows, also over a crash (handshake.md 9).
///
/// The file holds a number that was never used; numbers are taken in blocks, so that a handshake does not
/// wait for the disk. A crash skips at most one block.
final class StatementCounter: Sendable {
    static let fileName = "counter"
    static let block: Int64 = 64

    private struct State {
        var next: Int64
        var reservedBelow: Int64
    }

    private let folder: StateFolder
    private let state: Mutex<State>

    init(folder: StateFolder) throws(AgentError) {
        self.folder = folder
        var first: Int64 = 1
        if let bytes = try folder.read(Self.fileName) {
            guard let stored = Int64(String(decoding: bytes, as: UTF8.self)), stored > 0 else {
                throw AgentError("\(folder.path)/counter is damaged", remedy: "enrol this device again")
            }
            first = stored
        }
        state = Mutex(State(next: first, reservedBelow: first))
    }

    /// The next value; nil when the disk refuses to remember it.
    func take() -> Int64? {
        state.withLock { state in
            if state.next >= state.reservedBelow {
                let ceiling = state.next + Self.block
                guard (try? folder.write(Self.fileName, Array(String(ceiling).utf8))) != nil else {
                    return nil
                }
                state.reservedBelow = ceiling
            }
            defer { state.next += 1 }
            return state.next
        }
    }
}
