import Foundation
import Glibc
import JSON
import Synchronization

/// The part of the agent that runs as root: it reads facts and says them to one local user over a Unix
/// socket. It opens no network socket, holds no key, and takes no input beyond one fixed line.
final class CollectorServer: Sendable {
    /// All that anybody can ask.
    static let question = Array("facts 1\n".utf8)
    static let patienceMilliseconds: Int64 = 2_000
    /// Answers within this are not read anew: the asking user must not be able to keep root busy.
    static let cacheMilliseconds: Int64 = 10_000

    private struct Said {
        var bytes: [UInt8]
        var atMilliseconds: Int64
    }

    private let listener: CInt
    private let wake: WakePipe
    private let user: UInt32
    private let facts: @Sendable (Int64) -> JSONObject
    private let clock: AgentClock
    private let said = Mutex<Said?>(nil)

    /// - Parameters:
    ///   - user: who is answered, besides whoever runs the collector.
    ///   - facts: reads everything, at this time.
    init(
        socketPath: String, user: UInt32, clock: AgentClock, facts: @escaping @Sendable (Int64) -> JSONObject
    ) throws(AgentError) {
        wake = try WakePipe()
        listener = try UnixSocket.listening(at: socketPath)
        self.user = user
        self.clock = clock
        self.facts = facts
    }

    /// Answers one caller after the other until `stop`; call it on a thread of its own.
    func run() {
        var entries = [listener, wake.readEnd].map { pollfd(fd: $0, events: CShort(POLLIN), revents: 0) }
        while true {
            guard poll(&entries, 2, -1) > 0 else { continue }
            if entries[1].revents != 0 { break }
            let caller = accept(listener, nil, nil)
            guard caller >= 0 else {
                _ = poll(nil, 0, 50)
                continue
            }
            serve(caller)
            close(caller)
        }
        close(listener)
    }

    func stop() { wake.wake() }

    /// Everybody but the one user is closed on without a word.
    private func serve(_ caller: CInt) {
        guard let asking = UnixSocket.peerUser(caller), asking == user || asking == geteuid() else { return }
        let deadline = clock.nowMilliseconds() + Self.patienceMilliseconds
        let line = UnixSocket.read(caller, bytesMax: Self.question.count, until: deadline, clock) {
            $0.count == Self.question.count
        }
        guard line == Self.question else { return }
        UnixSocket.write(caller, answer(), until: deadline + Self.patienceMilliseconds, clock)
    }

    private func answer() -> [UInt8] {
        let now = clock.nowMilliseconds()
        if let last = said.withLock({ $0 }), now - last.atMilliseconds < Self.cacheMilliseconds {
            return last.bytes
        }
        let bytes = JSONValue.object(JSONObject([("facts", .object(facts(clock.nowSeconds())))])).serialized()
        said.withLock { $0 = Said(bytes: bytes, atMilliseconds: now) }
        return bytes
    }
}
