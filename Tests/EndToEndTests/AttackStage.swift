import Foundation
import Synchronization
import Testing

extension EndToEnd {
    /// What hostile clients try, with a gateway of its own: its limits are low, and nobody else's time is
    /// measured.
    @Suite("Attacks on the real gateway from outside", .serialized, .attackStage)
    struct Attacks {}
}

/// A gateway on loopback of the private network, before upstreams that say what they understood: Python's
/// http.server and Node themselves, nginx and Apache by what they pass on to one more http.server. Node's HTTP/2 server is
/// one that is asked over HTTP/2.
final class AttackStage: Sendable {
    @TaskLocal static var running: AttackStage?

    static func current() throws -> AttackStage {
        guard let running else { throw Failure(description: "the suite has no .attackStage") }
        return running
    }

    static let port = 18_443
    static let closed = "closed.corp.test"
    static let parsers = [
        "python": 18_101, "node": 18_102, "nginx": 18_103, "apache": 18_104, "node2": 18_106,
    ]
    private static let behindPort = 18_105
    /// Closed applications beside the others: some matchers change their ways above a hundred hosts.
    static let manyCount = 120

    let network: PrivateNetwork
    let folder: URL
    private let children = Mutex<[String: Child]>([:])

    init() throws {
        network = try PrivateNetwork.shared()
        let name = "gatepost-attacks-\(UUID().uuidString.prefix(8))"
        folder = URL(filePath: NSTemporaryDirectory()).appending(path: name)
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        do {
            try startAll()
        } catch {
            stop()
            throw error
        }
    }

    private func startAll() throws {
        let generate = Programs.root.appending(path: "certs/generate.sh").path
        try run("/bin/bash", [generate, path("certs"), "auth.corp.test", "*.corp.test"])
        try write("secret", "attack-demo-secret", mode: 0o600)
        for (name, port) in [("python", Self.parsers["python"] ?? 0), ("behind", Self.behindPort)] {
            try start(
                name, "/usr/bin/python3", ["-B", Self.file("echo.py"), name, "\(port)", path("\(name).seen")])
        }
        try start("node", "/usr/bin/node", [Self.file("echo.js"), "\(Self.parsers["node"] ?? 0)"])
        try start("node2", "/usr/bin/node", [Self.file("echo2.js"), "\(Self.parsers["node2"] ?? 0)"])
        try writeParser("nginx")
        try start("nginx", "/usr/sbin/nginx", ["-c", path("nginx.conf")])
        try writeParser("apache")
        try start("apache", "/usr/sbin/apache2", ["-f", path("apache.conf"), "-DFOREGROUND"])
        try startGateway("gateway", port: Self.port)
        for (name, port) in Self.parsers { try waitFor(name, port: port) }
    }

    /// - Parameter descriptors: how many files the process may have open; nil: as many as the machine gives.
    func startGateway(_ name: String, port: Int, descriptors: Int? = nil) throws {
        try FileManager.default.createDirectory(
            at: folder.appending(path: "state-\(name)"), withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        try write("\(name).yaml", Self.configuration(name, port: port))
        let gateway = try Programs.folder().appending(path: "gatepost").path
        let serve = ["serve", "--config", path("\(name).yaml")]
        if let descriptors {
            try start(name, "/usr/bin/prlimit", ["--nofile=\(descriptors):\(descriptors)", gateway] + serve)
        } else {
            try start(name, gateway, serve)
        }
        try waitFor(name, port: port)
    }

    private static func configuration(_ name: String, port: Int) -> String {
        let open = "[ { name: open, action: bypass, include: [ everyone: true ] } ]"
        let staff = "[ { name: staff, action: allow, include: [ everyone: true ] } ]"
        func application(_ name: String, _ port: Int, _ policies: String) -> String {
            """
              \(name): { host: \(name).corp.test, \
            upstreams: [ "\(name == "node2" ? "h2c" : "http")://127.0.0.1:\(port)" ], \
            identity-providers: [ staff ], fields: { X-Remote-User: email }, policies: \(policies) }

            """
        }
        return """
            version: 1
            gateway:
              auth-host: auth.corp.test
              public-port: \(port)
              listeners:
                - address: "127.0.0.1:\(port)"
                  certificates: [ { chain: certs/server.pem, key: certs/server.key } ]
              workers: 2
              # What is measured and bounded here is one process's: its memory, its time, its descriptors.
              processes: one
              access-log: json
              store: sqlite:state-\(name)
              limits:
                connections-per-address-max: 128
                handshakes-per-address-per-second-max: 100
                memory-max: 8MiB
            identity-providers:
              staff: { issuer: "http://127.0.0.1:9", client-id: gatepost, client-secret: { file: secret },
                unsafe-allow-http: true }
            applications:

            """ + parsers.sorted { $0.key < $1.key }.map { application($0.key, $0.value, open) }.joined()
                + (0..<manyCount).map { application("many-\($0)", parsers["python"] ?? 0, staff) }.joined()
                    + """
                      closed:
                        host: \(closed)
                        upstreams: [ "http://127.0.0.1:\(parsers["python"] ?? 0)" ]
                        identity-providers: [ staff ]
                        fields: { X-Remote-User: email }
                        policies:
                          - { name: public, action: bypass, include: [ everyone: true ],
                              require: [ { path: { prefixes: [ /public ] } } ] }
                          - { name: health, action: bypass, include: [ everyone: true ],
                              require: [ { path: { exact: [ /healthz ] } } ] }
                          - { name: staff, action: allow, include: [ everyone: true ] }

                    """
    }

    // MARK: Files and programs

    static func file(_ name: String) -> String {
        Programs.root.appending(path: "Tests/EndToEndTests/Attacks/\(name)").path
    }

    func path(_ name: String) -> String { folder.appending(path: name).path }

    func write(_ name: String, _ text: String, mode: Int = 0o644) throws {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path(name))
    }

    private func writeParser(_ name: String) throws {
        var text = try String(contentsOfFile: Self.file("\(name).conf"), encoding: .utf8)
        let values = [
            "FOLDER": folder.path, "BEHIND": "\(Self.behindPort)",
            name.uppercased(): "\(Self.parsers[name] ?? 0)",
        ]
        for (word, value) in values { text = text.replacingOccurrences(of: word, with: value) }
        try write("\(name).conf", text)
    }

    @discardableResult
    func run(_ program: String, _ arguments: [String], seconds: Double = 60) throws -> String {
        let (status, text) = try Child.output(of: program, arguments, seconds: seconds, in: network)
        guard status == 0 else {
            throw Failure(description: "\(program) \(arguments.joined(separator: " ")): \(status) \(text)")
        }
        return text
    }

    private func start(_ name: String, _ program: String, _ arguments: [String]) throws {
        let child = try Child(
            name, program, arguments, environment: ["TMPDIR": folder.path],
            log: folder.appending(path: "\(name).log"), in: network)
        children.withLock { $0[name] = child }
    }

    func child(_ name: String) throws -> Child {
        guard let child = children.withLock({ $0[name] }) else {
            throw Failure(description: "\(name) was not started")
        }
        return child
    }

    private func waitFor(_ name: String, port: Int) throws {
        let child = try child(name)
        try poll("\(name) to listen", every: 0.1) { () -> Void? in
            if let status = child.status {
                throw Failure(description: "\(name) ended with \(status): \(child.output.suffix(2_000))")
            }
            guard let descriptor = try? network.connect(port: port) else { return nil }
            close(descriptor)
            return ()
        }
    }

    func stop(_ name: String) { children.withLock { $0.removeValue(forKey: name) }?.stop() }

    func stop() {
        for child in children.withLock({ Array($0.values) }) { child.stop(seconds: 4) }
        guard ProcessInfo.processInfo.environment["GATEPOST_KEEP"] == nil else { return }
        try? FileManager.default.removeItem(at: folder)
    }
}

/// Sets the stage before the suite's first test, and clears it after the last.
struct AttackStageTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
    ) async throws {
        let stage = try AttackStage()
        defer { stage.stop() }
        try await AttackStage.$running.withValue(stage) { try await body() }
    }
}

extension Trait where Self == AttackStageTrait {
    static var attackStage: Self { Self() }
}
