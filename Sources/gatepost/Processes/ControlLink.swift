import Border
import DataPlane
import Dispatch
import Foundation
import Synchronization

/// The control process as the data process sees it: there, or about to be there again.
///
/// While nobody is there questions wait: here, and then in the reactors' queue. What was asked and not answered when
/// one went is asked again of the next where asking twice changes nothing; else it is answered with 503.
final class ControlLink: Sendable {
    /// Questions that wait here for the next control process.
    static let heldMax = 8_192

    /// Certificates that may be revoked while the engine begins.
    static var earlyMax: Int { DataPlaneEngine.revocationsAheadMax }

    /// What the first configuration is given to; afterwards the engine takes them by itself.
    typealias Maker = @Sendable (GatewaySnapshot) throws -> DataPlaneEngine

    struct State {
        var engine: DataPlaneEngine?
        var revision: UInt64 = 0
        /// The highest revocation handed to the reactors, of any control process.
        var sequence: UInt64 = 0
        var connection: ControlConnection?
        var held: [ToControl] = []
        var asked: [Ticket: ToControl] = [:]
        var records = KnownRecords()
        /// Certificates that were revoked while the engine began: its first configuration may not name them yet. At
        /// most `earlyMax`.
        var early: [Revocation] = []
    }

    let state = Mutex(State())
    let inbox: ControlInbox
    let bell: Bell
    let make: Maker
    let started = DispatchSemaphore(value: 0)
    private let broken: @Sendable (BorderBreach) -> Void
    /// One control process after the other, in the order in which they came.
    private let connecting = DispatchQueue(label: "gatepost.connecting")

    /// - Parameters:
    ///   - bell: wakes the thread that sends questions.
    ///   - make: makes the engine; it is started here.
    ///   - broken: told when the control process says what it may not say; the link is of no use then.
    init(
        inbox: ControlInbox, bell: Bell, make: @escaping Maker,
        broken: @escaping @Sendable (BorderBreach) -> Void
    ) {
        self.inbox = inbox
        self.bell = bell
        self.make = make
        self.broken = broken
        Thread.detachNewThread { [self] in
            while true { forward() }
        }
    }

    /// Waits for the first configuration, and returns what it started.
    func firstEngine() -> DataPlaneEngine? {
        started.wait()
        return engine
    }

    var engine: DataPlaneEngine? { state.withLock { $0.engine } }

    // MARK: one control process after the other

    func connect(messages: Int32, revocations: Int32) {
        let connection = ControlConnection(messages: messages, revocations: revocations, bell: bell)
        connecting.async { [self] in
            // What the last one said comes first: the new one numbers on from there.
            if let last = state.withLock({ $0.connection }) {
                last.end()
                last.readers.wait()
            }
            read(connection) { try self.readRevocations(connection) }
            read(connection) { try self.readMessages(connection) }
            greet(connection)
            state.withLock { $0.connection = connection }
            bell.ring()
        }
    }

    private func read(_ connection: ControlConnection, _ body: @escaping @Sendable () throws -> Void) {
        connection.readers.enter()
        Thread.detachNewThread { [self] in
            do {
                try body()
            } catch {
                // Both processes live, so nobody else would notice.
                broken(
                    error as? BorderBreach
                        ?? BorderBreach("the control process said what is no value: \(error)"))
            }
            connection.end()
            abandonAsked(connection)
            connection.readers.leave()
        }
    }

    private func greet(_ connection: ControlConnection) {
        let now = Int64(Date().timeIntervalSince1970)
        let (sequence, revision, known) = state.withLock { state in
            state.records.forgetEnded(nowSeconds: now)
            return (state.sequence, state.revision, state.records.all)
        }
        guard connection.send(.greeting(BorderGreeting())),
            connection.send(.state(sequence: sequence, revision: revision))
        else { return }
        for start in stride(from: 0, to: known.count, by: 1_000) {
            let end = min(start + 1_000, known.count)
            guard connection.send(.known(Array(known[start..<end]), isLast: end == known.count)) else {
                return
            }
        }
    }
}
