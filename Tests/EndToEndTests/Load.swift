import Foundation
import Glibc

/// Requests of one session, without a pause, in a program of their own.
struct Load {
    struct Counts: Decodable, CustomStringConvertible {
        var keepAlive: Int
        var fresh: Int
        var http2: Int
        var lost: Int
        var longestGapMilliseconds: Double
        var problems: [String]
        var answered: Int { keepAlive + fresh + http2 }

        private enum CodingKeys: String, CodingKey {
            case keepAlive = "keep_alive"
            case fresh, http2, lost, problems
            case longestGapMilliseconds = "longest_gap_ms"
        }
        var description: String {
            "\(lost) lost of \(answered + lost) (\(keepAlive) over kept connections, \(fresh) over new ones, "
                + "\(http2) over HTTP/2), "
                + "longest gap \(Int(longestGapMilliseconds)) ms \(problems)"
        }
    }

    let stack: Stack
    let client: Client
    private let child: Child
    private let seconds: Double

    /// Begins, and returns when the first answers have come.
    ///
    /// - Parameter http2: clients that have four requests at a time on one connection.
    init(
        seconds: Double, application: String = "people", http1: (kept: Int, fresh: Int) = (4, 2),
        http2: Int = 0,
        path: String = "/steady"
    ) throws {
        stack = try Stack.current()
        self.seconds = seconds
        client = try Client.signedIn(stack, application: application)
        let host = "\(application).corp.test"
        let cookie = try Self.cookie(of: client, host: host)
        let before = try Self.hits(stack)
        let log = stack.folder.appending(path: "load-\(UUID().uuidString).log")
        child = try Child(
            "load", "/usr/bin/python3",
            [
                Programs.root.appending(path: "loadtest/lib/steady.py").path, PrivateNetwork.gatewayAddress,
                "443", host, stack.path("certs/dev-ca.pem"), cookie, "\(seconds)", "\(http1.kept)",
                "\(http1.fresh)", "\(http2)", path,
            ], log: log, in: stack.network)
        try poll("the load to begin") { (try Self.hits(stack) > before + 20).whenTrue }
    }

    private static func hits(_ stack: Stack) throws -> Int {
        (try stack.dataPlane()["counters"] as? [String: Any])?["session_hits"] as? Int ?? 0
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
        try poll("the load to end", seconds: seconds + patienceSeconds) { child.status.map { _ in () } }
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
    func pid(_ name: String) throws -> pid_t { try stack.processID(name) }

    func status() throws -> [String: Any] { try stack.dataPlane() }
}
