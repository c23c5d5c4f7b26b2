import Foundation
import Glibc

/// Requests of one session, without a pause, in a program of their own.
struct Load {
    struct Counts: Decodable, CustomStringConvertible {
        var keepAlive: Int
        var fresh: Int
        var lost: Int
        var longestGapMilliseconds: Double
        var problems: [String]
        var answered: Int { keepAlive + fresh }

        private enum CodingKeys: String, CodingKey {
            case keepAlive = "keep_alive"
            case fresh, lost, problems
            case longestGapMilliseconds = "longest_gap_ms"
        }
        var description: String {
            "\(lost) lost of \(answered + lost) (\(keepAlive) over kept connections, \(fresh) over new ones), "
                + "longest gap \(Int(longestGapMilliseconds)) ms \(problems)"
        }
    }

    let stack: Stack
    let client: Client
    private let child: Child
    private let seconds: Double

    /// Begins, and returns when the first answers have come.
    init(seconds: Double) throws {
        stack = try Stack.current()
        self.seconds = seconds
        client = try Client.signedIn(stack, application: "people")
        let cookie = try Self.cookie(of: client, host: "people.corp.test")
        let log = stack.folder.appending(path: "load-\(UUID().uuidString).log")
        child = try Child(
            "load", "/usr/bin/python3",
            [
                Programs.root.appending(path: "loadtest/lib/steady.py").path, PrivateNetwork.gatewayAddress,
                "443", "people.corp.test", stack.path("certs/dev-ca.pem"), cookie,
                "\(seconds)",
            ], log: log, in: stack.network)
        try poll("the load to begin", seconds: 10) {
            (try status()["counters"] as? [String: Any])?["session_hits"].flatMap { ($0 as? Int ?? 0) > 20 }?
                .whenTrue
        }
    }

    /// As the field `Cookie` names it.
    static func cookie(of client: Client, host: String) throws -> String {
        let jar = try String(contentsOfFile: client.jar, encoding: .utf8)
        let columns = jar.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
        guard let row = columns.first(where: { $0.count == 7 && $0[0].hasSuffix(host) }) else {
            throw Failure(description: "no cookie of \(host): \(jar)")
        }
        return "\(row[5])=\(row[6])"
    }

    func finish() throws -> Counts {
        try poll("the load to end", seconds: seconds + 20) { child.status.map { _ in () } }
        guard let line = child.output.split(separator: "\n").last else {
            throw Failure(description: "no counts")
        }
        return try JSONDecoder().decode(Counts.self, from: Data(line.utf8))
    }

    /// Stops it, also where a test fails before its end.
    func stop() { child.stop() }

    func supervisor() throws -> pid_t {
        guard let pid = (try status()["processes"] as? [String: Any])?["supervisor"] as? Int else {
            throw Failure(description: "no supervisor")
        }
        return pid_t(pid)
    }

    /// The process that has this part now.
    func pid(_ name: String) throws -> pid_t {
        let processes = (try status()["processes"] as? [String: Any])?["processes"] as? [[String: Any]] ?? []
        let found = processes.last {
            $0["process"] as? String == name && $0["state"] as? String == "ready"
        }
        guard let pid = found?["pid"] as? Int else { throw Failure(description: "no \(name): \(processes)") }
        return pid_t(pid)
    }

    func status() throws -> [String: Any] {
        let text = try stack.gatepost("status", "--json")
        let all = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return all?["data_plane"] as? [String: Any] ?? [:]
    }
}
