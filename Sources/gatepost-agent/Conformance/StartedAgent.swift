import Foundation
import Glibc
import Synchronization

/// The agent under test where the runner starts it.
final class StartedAgent: Sendable {
    private let command: String
    private let environment: [String: String]
    private let process: Mutex<Process>

    init(command: String, _ environment: [String: String]) throws {
        self.command = command
        self.environment = environment
        process = Mutex(try ConformanceCommand.shell(command, environment))
    }

    func stop() { process.withLock { $0.terminate() } }

    /// Kills it, as a power cut would, and starts it again.
    ///
    /// - Returns: false when it does not listen again within a minute.
    func restart(_ probe: AgentProbe) -> Bool {
        let isStarted = process.withLock { process in
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            guard let again = try? ConformanceCommand.shell(command, environment) else { return false }
            process = again
            return true
        }
        let until = probe.clock.nowMilliseconds() + ConformanceSubject.standardPatienceMilliseconds
        while isStarted, probe.clock.nowMilliseconds() < until {
            if probe.isListening { return true }
            poll(nil, 0, 100)
        }
        return false
    }
}
