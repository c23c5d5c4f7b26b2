import Foundation
import Synchronization

/// The whole product in the private network: gateway, agent and lab of this build, Canaille, chromedriver.
final class Stack: Sendable {
    /// The stack that the suite's tests run against.
    @TaskLocal static var running: Stack?

    static func current() throws -> Stack {
        guard let running else {
            throw Failure(description: "no stack runs; the test is not in the suite EndToEnd")
        }
        return running
    }

    static let agentPort = 17_472
    static let openidPort = 8_480
    static let graphPort = 8_481
    static let echoPort = 8_482
    static let vendorsPort = 8_483
    static let driverPort = 9_515

    let network: PrivateNetwork
    let folder: URL
    private let bin: URL
    private let children = Mutex<[String: Child]>([:])
    private let prepared = Mutex<Set<String>>([])

    /// Starts everything and returns when all of it answers.
    init() throws {
        network = try PrivateNetwork.shared()
        bin = try Programs.folder()
        // Short, because Chromium makes a socket below it, whose path has 108 bytes at most.
        let name = "gatepost-e2e-\(UUID().uuidString.prefix(8))"
        folder = URL(filePath: NSTemporaryDirectory()).appending(path: name)
        try FileManager.default.createDirectory(
            at: folder.appending(path: "state"), withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        do {
            try startAll()
        } catch {
            stop()
            throw error
        }
    }

    private func startAll() throws {
        let names = [PrivateNetwork.authHost, PrivateNetwork.providerHost] + PrivateNetwork.applicationHosts
        try run(
            "/bin/bash", [Programs.root.appending(path: "certs/generate.sh").path, path("certs")] + names)
        try Provider.writeFiles(of: self)
        try launchProvider()
        try startLab()
        try start(
            "chromedriver", "/usr/bin/chromedriver", ["--port=\(Self.driverPort)"],
            environment: ["HOME": path("home")])
        try trustAuthority()
        try writeConfiguration()
        try waitForProvider()
        try startGateway()
        try enrolAlice(state: "agent", ids: path("agent/device-ids.json"))
        // The refresh of a device that was enrolled under a running gateway begins up to a minute later.
        try child("gateway").stop()
        try startGateway()
        try startAgent()
    }

    /// A program of this build.
    func program(_ name: String) -> String { bin.appending(path: name).path }

    func path(_ name: String) -> String { folder.appending(path: name).path }

    // MARK: programs

    func start(_ name: String, _ program: String, _ arguments: [String], environment: [String: String] = [:])
        throws
    {
        let child = try Child(
            name, program, arguments, environment: ["TMPDIR": folder.path].merging(environment) { $1 },
            log: folder.appending(path: "\(name).log"), in: network)
        children.withLock { $0[name] = child }
    }

    /// Does something once, however many ask for it at the same time.
    func ready(_ name: String, _ prepare: () throws -> Void) throws {
        try prepared.withLock { prepared in
            guard !prepared.contains(name) else { return }
            try prepare()
            prepared.insert(name)
        }
    }

    func child(_ name: String) throws -> Child {
        guard let child = children.withLock({ $0[name] }) else {
            throw Failure(description: "\(name) was not started")
        }
        return child
    }

    /// Runs something to its end and returns what it printed; fails when it does.
    @discardableResult
    func run(_ program: String, _ arguments: [String], seconds: Double = patienceSeconds) throws -> String {
        let program = program.hasPrefix("/") ? program : bin.appending(path: program).path
        let (status, text) = try Child.output(of: program, arguments, seconds: seconds, in: network)
        guard status == 0 else {
            throw Failure(
                description: "\(program) \(arguments.joined(separator: " ")) ended with \(status): \(text)")
        }
        return text
    }

    /// A command of `gatepost` that talks to the running gateway.
    func gatepost(_ arguments: String...) throws -> String { try gatepost(arguments) }

    func gatepost(_ arguments: [String]) throws -> String {
        try run("gatepost", arguments + ["--config", folder.path])
    }

    /// Until a sign-in may begin: one that begins in the second of an ending is ended by it, too, and a chooser asks
    /// anew then.
    static func waitUntilSecond(after began: Date = Date()) throws {
        let second = Int(began.timeIntervalSince1970)
        try poll("the next second") { (Int(Date().timeIntervalSince1970) > second).whenTrue }
    }

    /// The demo's own configuration, with Canaille where the demo has the lab's provider. The folder is the
    /// configuration: a test adds to it with one more file.
    private func writeConfiguration() throws {
        try run(
            "/bin/bash",
            [
                Programs.root.appending(path: "scripts/lib/demo-config.sh").path, folder.path,
                "domain=corp.test", "address=\(PrivateNetwork.gatewayAddress)", "port=443",
                "agent_port=\(Self.agentPort)", "staff_issuer=\(Provider.issuer)",
                "staff_trust=authorities: certs/dev-ca.pem",
            ])
    }

    private func startLab() throws {
        try start(
            "lab", bin.appending(path: "gatepost-lab").path,
            [
                "serve", "--folder", folder.path, "--auth-origin", "https://\(PrivateNetwork.authHost)",
                "--openid-port", "\(Self.openidPort)", "--graph-port", "\(Self.graphPort)",
                "--echo-port", "\(Self.echoPort)", "--vendors-port", "\(Self.vendorsPort)",
                "--gateway-authorities", path("certs/dev-ca.pem"),
            ])
        try waitFor("lab") { FileManager.default.fileExists(atPath: path("lab.json")) }
    }

    /// - Parameter program: another copy of it; nil: the one of this build.
    func startGateway(environment: [String: String] = [:], program other: String? = nil) throws {
        try start(
            "gateway", other ?? program("gatepost"), ["serve", "--config", folder.path],
            environment: environment)
        try waitFor("gateway") {
            try Client(self).get("https://\(PrivateNetwork.authHost)/.gatepost/jwks.json").status == 200
        }
    }

    func startAgent() throws {
        try start(
            "agent", bin.appending(path: "gatepost-agent").path,
            ["run", "--state-dir", path("agent"), "--device-ids", path("agent/device-ids.json")])
        try waitForAgent("agent")
    }

    func waitForAgent(_ name: String) throws {
        try waitFor(name) {
            guard let descriptor = try? network.connect(port: Self.agentPort) else { return false }
            close(descriptor)
            return true
        }
    }

    /// Makes a device of Alice's with these provider ids; its key and certificate are in the folder `state`.
    func enrolAlice(state: String, ids: String) throws {
        let token = try gatepost(
            "enroll-token", "--email", "alice@corp.example", "--identity-provider", "staff", "--subject",
            "alice")
        try run(
            "gatepost-agent",
            [
                "enroll", "--state-dir", path(state), "--device-ids", ids,
                "--url", "https://\(PrivateNetwork.authHost)", "--authorities", path("certs/dev-ca.pem"),
                // One of 64 tokens begins with a hyphen and would be read as an option.
                "--token=" + token.trimmingCharacters(in: .whitespacesAndNewlines),
            ])
    }

    /// Chromium reads further authorities from the NSS database of its home folder.
    private func trustAuthority() throws {
        try FileManager.default.createDirectory(
            atPath: path("home/.pki/nssdb"), withIntermediateDirectories: true)
        let database = "sql:" + path("home/.pki/nssdb")
        try run("/usr/bin/certutil", ["-d", database, "-N", "--empty-password"])
        try run(
            "/usr/bin/certutil",
            ["-d", database, "-A", "-t", "C,,", "-n", "gatepost", "-i", path("certs/dev-ca.pem")])
    }

    func startProvider(keepAliveSeconds: Int = 600) throws {
        try launchProvider(keepAliveSeconds: keepAliveSeconds)
        try waitForProvider()
    }

    /// Without waiting: the other programs start meanwhile.
    private func launchProvider(keepAliveSeconds: Int = 600) throws {
        let arguments = Provider.arguments(of: self, keepAliveSeconds: keepAliveSeconds)
        let environment = Provider.environment(of: self)
        try start("canaille", Provider.python(), arguments, environment: environment)
    }

    private func waitForProvider() throws {
        try waitFor("canaille") {
            try Client(self).get("\(Provider.issuer)/.well-known/openid-configuration").status == 200
        }
    }

    /// Waits until a child answers; a child that died is named with the end of its log.
    private func waitFor(_ name: String, _ answers: () throws -> Bool) throws {
        let child = try child(name)
        do {
            try poll(name, every: 0.1) {
                if let status = child.status { throw Failure(description: "\(name) ended with \(status)") }
                return try answers().whenTrue
            }
        } catch {
            throw Failure(description: "\(error)\n\(child.output.suffix(2000))")
        }
    }

    func stop() {
        let all = children.withLock { children in
            defer { children = [:] }
            return children
        }
        for name in ["chromedriver", "agent", "mac-agent", "gateway", "lab", "canaille"] { all[name]?.stop() }
        for child in all.values where child.status == nil { child.stop() }
        forgetAuthorityInSystem()
        // What went wrong is in the logs, so whoever asks keeps them.
        guard ProcessInfo.processInfo.environment["GATEPOST_KEEP"] == nil else {
            print("end-to-end: everything is kept in \(folder.path)")
            return
        }
        try? FileManager.default.removeItem(at: folder)
    }
}

/// Where this build's programs are.
enum Programs {
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Python with the HTTP clients that scripts/bootstrap installs.
    static func httpClients() throws -> String {
        try python("GATEPOST_HTTP_CLIENTS", ".build/http-clients", "clients")
    }

    /// Python with Google's gRPC.
    static func vendorClients() throws -> String {
        try python("GATEPOST_VENDOR_CLIENTS", ".build/vendor-clients", "test")
    }

    private static func python(_ variable: String, _ standard: String, _ set: String) throws -> String {
        let folder =
            ProcessInfo.processInfo.environment[variable] ?? root.appending(path: standard).path
        guard FileManager.default.isExecutableFile(atPath: folder + "/bin/python") else {
            throw Failure(description: "nothing is installed in \(folder); next: scripts/bootstrap \(set)")
        }
        return folder + "/bin/python"
    }

    /// The folder that GATEPOST_BIN names, or the one that the same build put the tests in.
    static func folder() throws -> URL {
        if let named = ProcessInfo.processInfo.environment["GATEPOST_BIN"] { return URL(filePath: named) }
        var folder = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        for _ in 0..<4 {
            if FileManager.default.isExecutableFile(atPath: folder.appending(path: "gatepost").path) {
                return folder
            }
            folder = folder.deletingLastPathComponent()
        }
        let debug = root.appending(path: ".build/debug")
        guard FileManager.default.isExecutableFile(atPath: debug.appending(path: "gatepost").path) else {
            throw Failure(description: "the programs are not built; next: swift build")
        }
        return debug
    }
}
