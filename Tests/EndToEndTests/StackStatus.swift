import Foundation
import Glibc

/// What the gateway says about itself.
extension Stack {
    /// All of `gatepost status --json`.
    func status() throws -> [String: Any] {
        let text = try gatepost("status", "--json")
        return try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
    }

    /// What its reactors and processes say.
    func dataPlane() throws -> [String: Any] { try status()["data_plane"] as? [String: Any] ?? [:] }

    /// The processes that the supervisor started, in the order in which it did.
    func processes() throws -> [[String: Any]] {
        (try dataPlane()["processes"] as? [String: Any])?["processes"] as? [[String: Any]] ?? []
    }

    /// The process that has this part now.
    func processID(_ name: String) throws -> pid_t {
        let all = try processes()
        let found = all.last { $0["process"] as? String == name && $0["state"] as? String == "ready" }
        guard let pid = found?["pid"] as? Int else { throw Failure(description: "no \(name): \(all)") }
        return pid_t(pid)
    }
}
