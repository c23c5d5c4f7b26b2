import Border
import Dispatch
import Synchronization

/// The sockets to one control process, as the data process has them.
final class ControlConnection: Sendable {
    private struct Standing {
        /// The highest revocation of this control process that the reactors have.
        var delivered: UInt64 = 0
        var isOpen = true
        var isPaused = false
    }
    let messages: BorderSocket
    let revocations: BorderSocket
    let readers = DispatchGroup()
    private let standing = Watched(Standing())
    /// Answers and questions come from several threads; a frame is written whole.
    private let writing = Mutex(())
    /// Whoever sends questions has to look again.
    private let bell: Bell

    init(messages: Int32, revocations: Int32, bell: Bell) {
        self.messages = BorderSocket(adopting: messages)
        self.revocations = BorderSocket(adopting: revocations)
        self.bell = bell
    }

    /// Whether questions may be sent.
    var takesQuestions: Bool { standing.look { $0.isOpen && !$0.isPaused } }

    func pause() {
        standing.change { $0.isPaused = true }
        bell.ring()
    }

    func end() {
        standing.change { $0.isOpen = false }
        messages.end()
        revocations.end()
        bell.ring()
    }

    /// The reactors have every revocation up to this one.
    func delivered(_ sequence: UInt64) { standing.change { $0.delivered = max($0.delivered, sequence) } }

    /// Waits until the reactors have every revocation up to this one.
    /// - Returns: false: the connection ended before.
    func waitForRevocations(upTo sequence: UInt64) -> Bool {
        standing.wait { standing in
            if standing.delivered >= sequence { return true }
            return standing.isOpen ? nil : false
        } ?? false
    }

    func send(_ value: FromData) -> Bool {
        guard let frame = try? Frames.frame(value, bytesMax: Frames.bytesMaxFromData) else { return true }
        return writing.withLock { _ in messages.send(frame[...]) }
    }
}
