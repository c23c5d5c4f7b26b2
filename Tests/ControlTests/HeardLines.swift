import JSON
import Synchronization

@testable import Control

/// The lines of one event that were written while something was done.
func heard(_ event: String, _ body: () async throws -> Void) async throws -> [[String: JSONValue]] {
    let lines = Mutex<[[String: JSONValue]]>([])
    try await EventLog.$witness.withValue({ written, members in
        guard written == event else { return }
        lines.withLock { $0.append(Dictionary(members) { first, _ in first }) }
    }) { try await body() }
    return lines.withLock { $0 }
}
