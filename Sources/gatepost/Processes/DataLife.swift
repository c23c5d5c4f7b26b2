import Border
import Control

/// One data process, as the control process has it: from its greeting to its end.
final class DataLife: Sendable {
    /// Bytes that may wait for a data process. Revocations have a lane of their own, and their sender waits.
    private static let laneBytesMax = 64 << 20

    /// 1…255.
    let number: UInt8
    let socket: BorderSocket
    let messages: OutLane
    let revocations: OutLane
    /// Whom to read revocations for; kept so that it is not closed before.
    private let revocationSocket: BorderSocket

    init(number: UInt8, messages: BorderSocket, revocations: BorderSocket, patienceMilliseconds: Int = 30_000)
    {
        self.number = number
        socket = messages
        revocationSocket = revocations
        self.messages = OutLane(
            messages, bytesMax: Self.laneBytesMax, patienceMilliseconds: patienceMilliseconds)
        self.revocations = OutLane(
            revocations, bytesMax: Self.laneBytesMax, patienceMilliseconds: patienceMilliseconds)
    }

    func end() {
        messages.end()
        revocations.end()
        socket.end()
        revocationSocket.end()
    }
}

/// A data process that is told everything.
struct JoinedLife: Sendable {
    let life: DataLife
    /// The last revocation that was handed to its lane.
    var revoked: UInt64 = 0
    /// Requests that wait for an answer of ours.
    var waiting = WaitingQuestions()
    var isPaused = false
}

/// Seconds since the host started.
func uptimeSeconds() -> UInt64 { monotonicNanoseconds() / 1_000_000_000 }
