import ArgumentParser
import Foundation
import Glibc
import JSON
import Signatures

/// `gatepost-agent conformance`
struct ConformanceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "conformance",
        abstract: "Attacks an agent, this one or another, and says which guarantees of PROTOCOL.md it keeps.",
        discussion: """
            The runner is a gateway of its own: the agent under test enrols with it, which is why that agent \
            needs a state folder for this purpose. Without --enroll-with the runner prints address, token and \
            certificate, and waits until the agent has enrolled and listens.

            The commands get GATEPOST_URL, GATEPOST_TOKEN, GATEPOST_AUTHORITIES and GATEPOST_PORT in their \
            environment, the one of --statement-with also GATEPOST_STATEMENT. Exit status: 0 when every \
            guarantee holds, 1 when one does not, 2 when the agent \
            never enrolled or never listened.
            """)

    @Argument(help: ArgumentHelp("Where the agent listens.", valueName: "http://127.0.0.1:port"))
    var url: String

    @Option(
        help: ArgumentHelp("Port of the runner's own gateway; 0 takes a free one.", valueName: "port"))
    var gatewayPort: UInt16 = 0

    @Option(help: ArgumentHelp("Shell command that enrols the agent under test.", valueName: "command"))
    var enrollWith: String?

    @Option(
        help: ArgumentHelp(
            "Shell command that starts the agent once it is enrolled; stopped at the end.",
            valueName: "command"))
    var startWith: String?

    @Option(
        help: ArgumentHelp(
            "Shell command that gives the enrolled agent a management server's statement (profile stmt).",
            valueName: "command"))
    var statementWith: String?

    @Option(help: ArgumentHelp("How long to wait for the enrolment and the port.", valueName: "seconds"))
    var wait: Int = 300

    @Option(
        name: .customLong("only"),
        help: ArgumentHelp("Run only this check; may be repeated.", valueName: "name"))
    var only: [String] = []

    @Flag(help: "Leave out the checks that wait for the agent's deadlines.")
    var quick = false

    @Flag(help: "Print one JSON object instead of the table.")
    var json = false

    func validate() throws {
        guard Self.port(of: url) != nil else {
            throw ValidationError("\(url) is no http://127.0.0.1:PORT")
        }
        let known = Set(ConformanceCheck.all.map(\.name))
        for name in only where !known.contains(name) {
            throw ValidationError("there is no check \(name)")
        }
    }

    func run() async throws {
        let clock = AgentClock.system
        guard let port = Self.port(of: url) else { throw ExitCode(2) }
        signal(SIGPIPE, SIG_IGN)
        let server = try EnrollmentServer(port: gatewayPort, nowSeconds: clock.nowSeconds())
        let origin = "https://127.0.0.1:\(server.port)"
        let gateway = try ConformanceGateway(origin: origin, agentPort: port, clock: clock)
        server.start(gateway)
        defer { server.stop() }
        let authorities = try Self.authoritiesFile(server.certificatePEM)
        defer { unlink(authorities) }
        let environment = [
            "GATEPOST_URL": origin, "GATEPOST_TOKEN": gateway.token, "GATEPOST_AUTHORITIES": authorities,
            "GATEPOST_PORT": String(port),
        ]
        let probe = AgentProbe(address: 127 << 24 | 1, port: port, clock: clock)
        let agent = try await prepare(gateway, probe, environment)
        defer { agent?.stop() }
        var restart: (@Sendable () -> Bool)?
        if let agent { restart = { agent.restart(probe) } }
        let subject = ConformanceSubject(
            gateway: gateway, probe: probe, clock: clock,
            statement: try giveStatement(gateway, environment), restart: restart)
        let chosen = ConformanceCheck.all.filter { check in
            (only.isEmpty || only.contains(check.name)) && !(quick && check.isSlow)
        }
        let prints = !json
        let report = ConformanceReport(
            target: url,
            results: ConformanceRun(subject: subject, checks: chosen) { result in
                if prints { Self.write(ConformanceReport.line(result) + "\n") }
            }.results())
        Self.write(json ? report.json.serializedText() + "\n" : report.summary + "\n")
        if !report.isGood { throw ExitCode(1) }
    }

    /// Until the agent has enrolled and listens.
    private func prepare(
        _ gateway: ConformanceGateway, _ probe: AgentProbe, _ environment: [String: String]
    ) async throws -> StartedAgent? {
        if let enrollWith {
            let enrolling = try Self.shell(enrollWith, environment)
            enrolling.waitUntilExit()
            guard enrolling.terminationStatus == 0 else {
                throw AgentError("the command of --enroll-with failed", remedy: "run it by hand")
            }
        } else {
            Self.note(
                """
                enrol the agent under test with this gateway, for example:
                  gatepost-agent enroll --url \(gateway.origin) --token \(gateway.token) \
                --authorities \(environment["GATEPOST_AUTHORITIES"] ?? "") --state-dir FOLDER
                and let it listen at \(url); waiting \(wait) s

                """)
        }
        try await until("no agent enrolled") { gateway.device != nil }
        let started = try startWith.map { try StartedAgent(command: $0, environment) }
        do {
            try await until("nothing listens at \(url)") { probe.isListening }
        } catch {
            started?.stop()
            throw error
        }
        return started
    }

    private func until(_ problem: String, _ condition: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(wait)
        while !condition() {
            guard ContinuousClock.now < deadline else {
                Self.note("gatepost-agent: \(problem) within \(wait) s\n")
                throw ExitCode(2)
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Hands a statement to the agent under test.
    private func giveStatement(
        _ gateway: ConformanceGateway, _ environment: [String: String]
    ) throws -> String? {
        let statement = gateway.statement(nowSeconds: AgentClock.system.nowSeconds())
        guard let statementWith, let statement else { return nil }
        let giving = try Self.shell(
            statementWith, environment.merging(["GATEPOST_STATEMENT": statement]) { $1 })
        giving.waitUntilExit()
        guard giving.terminationStatus == 0 else {
            throw AgentError("the command of --statement-with failed", remedy: "run it by hand")
        }
        return statement
    }

    static func shell(_ command: String, _ environment: [String: String]) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        // `exec`, so that ending the shell ends the agent.
        process.arguments = ["-c", command]
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = FileHandle.standardError
        try process.run()
        return process
    }

    /// The runner's certificate as a file that an agent can be pointed at.
    private static func authoritiesFile(_ pem: [UInt8]) throws(AgentError) -> String {
        var template = Array(("/tmp/gatepost-conformance-" + String(repeating: "X", count: 6)).utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0, Glibc.write(descriptor, pem, pem.count) == pem.count else {
            throw AgentError("no file could be made in /tmp", remedy: "check its free space")
        }
        close(descriptor)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The port of `http://127.0.0.1:PORT` or `http://localhost:PORT`.
    static func port(of url: String) -> UInt16? {
        for prefix in ["http://127.0.0.1:", "http://localhost:"] where url.hasPrefix(prefix) {
            let rest = url.dropFirst(prefix.count)
            let digits = rest.hasSuffix("/") ? rest.dropLast() : rest
            guard let port = UInt16(digits), port > 0 else { return nil }
            return port
        }
        return nil
    }

    private static func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
    private static func note(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
