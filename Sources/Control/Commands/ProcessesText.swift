import Glibc
import JSON

/// Who of the gateway's processes runs, for `gatepost status`: what its supervisor says.
struct ProcessesText {
    var lines: [String] = []

    /// - Parameter value: nil or null in a gateway of one process; its own number says enough then.
    init(_ value: JSONValue?) {
        guard let value, let supervisor = value["supervisor"]?.integer else { return }
        let since = max(0, monotonicSeconds() - (value["told_at"]?.integer ?? 0))
        lines.append("supervisor: process \(supervisor)")
        for process in value["processes"]?.array ?? [] {
            guard let name = process["process"]?.string, let pid = process["pid"]?.integer,
                let seconds = process["seconds"]?.integer, let state = process["state"]?.string
            else { continue }
            let restarts = value["restarts_\(name)"]?.integer ?? 0
            lines.append(
                "\(name): process \(pid), \(state), up \(seconds + since) s, "
                    + "\(restarts) restart\(restarts == 1 ? "" : "s")")
        }
    }

    private func monotonicSeconds() -> Int64 { Int64(monotonicNanoseconds() / 1_000_000_000) }
}
