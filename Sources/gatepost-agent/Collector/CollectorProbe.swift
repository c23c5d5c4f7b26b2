import Glibc
import JSON

/// Every fact that the collector can read and this process cannot: asked first, so that its answers win over
/// what an unprivileged process makes out. Without a collector there is nothing here, and what only root can
/// read stays unknown.
struct CollectorProbe: FactProbe {
    static let defaultPath = "/run/gatepost-agent/collector.sock"
    static let answerBytesMax = 64 << 10

    let patienceMilliseconds: Int64 = 5_000
    let path: String
    let clock: AgentClock
    let names: [String]

    /// - Parameter names: the facts that are taken; the collector may know others, of another version.
    init(path: String, names: [String], clock: AgentClock = .system) {
        self.path = path
        self.clock = clock
        self.names = names
    }

    func read(_ machine: Machine) -> [Fact] {
        (answer() ?? JSONObject()).members.filter { names.contains($0.0) }
            .map { Fact(name: $0.0, value: $0.1, source: path) }
    }

    /// nil: nobody answers, or nobody whom we believe.
    func answer() -> JSONObject? {
        guard let descriptor = UnixSocket.connected(to: path) else { return nil }
        defer { close(descriptor) }
        // Only root, or the user of this process, may tell us what root saw.
        guard let other = UnixSocket.peerUser(descriptor), other == 0 || other == geteuid() else {
            return nil
        }
        let deadline = clock.nowMilliseconds() + patienceMilliseconds
        guard UnixSocket.write(descriptor, CollectorServer.question, until: deadline, clock),
            let bytes = UnixSocket.read(
                descriptor, bytesMax: Self.answerBytesMax, until: deadline, clock),
            let value = try? JSONValue(parsing: bytes, limits: JSONLimits(bytesMax: Self.answerBytesMax))
        else { return nil }
        return value["facts"]?.object
    }
}
