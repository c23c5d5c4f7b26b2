import Foundation

/// One stream that a program of its own holds open.
struct Held {
    struct Outcome: Decodable, CustomStringConvertible {
        var reads: Int
        var isOpen: Bool
        var close: Int?
        var reason: String?

        private enum CodingKeys: String, CodingKey {
            case reads, close, reason
            case isOpen = "is_open"
        }
        var description: String {
            "\(reads) reads, \(isOpen ? "open" : "ended \(close ?? 0) \(reason ?? "")")"
        }
    }
    private let child: Child

    init(_ kind: String, _ application: String, _ client: Client, _ stack: Stack, seconds: Int) throws {
        let cookie = try Load.cookie(of: client, host: "\(application).corp.test")
        try self.init(kind, application, field: "Cookie: \(cookie)", stack, seconds: seconds)
    }

    /// - Parameter field: the field line that names the client.
    init(_ kind: String, _ application: String, field: String, _ stack: Stack, seconds: Int) throws {
        child = try Child(
            "hold", "/usr/bin/python3",
            [
                Programs.root.appending(path: "loadtest/lib/hold.py").path, kind,
                PrivateNetwork.gatewayAddress, "443", "\(application).corp.test",
                stack.path("certs/dev-ca.pem"), field, "\(seconds)",
            ], log: stack.folder.appending(path: "hold-\(UUID().uuidString).log"), in: stack.network)
    }

    func finish() throws -> Outcome {
        try poll("the stream's holder to end") { child.status.map { _ in () } }
        guard let line = child.output.split(separator: "\n").last else {
            throw Failure(description: "the stream's holder said nothing")
        }
        do {
            return try JSONDecoder().decode(Outcome.self, from: Data(line.utf8))
        } catch {
            throw Failure(description: "the stream's holder: \(child.output)")
        }
    }
}
