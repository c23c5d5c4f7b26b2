import ArgumentParser
import Border
import Config
import Control
import Foundation
import JSON

struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say why somebody gets what they get at an application, now or at a decision of the past.",
        discussion: """
            Each line: rule, condition, outcome, observed value, source, age.
            With --path and --client the answer is also applied to that request; with --at it is that of another second,
            from what is known now. Without --user it is about somebody who is not signed in.
            With --decision it comes from the decision log alone; the gateway need not run.
            """)
    @Option(help: "The person's email address.") var user: String?
    @Option(help: "The application's name.") var application: String?
    @Option(
        parsing: .unconditional, help: "A device id; the device of the person's newest session when absent.")
    var device: String?
    @Option(help: "The request's path, as the access log has it.") var path: String?
    @Option(help: "The request's method; GET when absent.") var method: String?
    @Option(help: "The address that the request comes from.") var client: String?
    @Option(
        help:
            "Where that address is known from, as the access log's client_from has it; the connection when absent."
    )
    var clientFrom: String?
    @Option(help: "Another second than now: 2026-01-31T23:59:59Z, or seconds since 1970.") var at: String?
    @Option(parsing: .unconditional, help: "A decision of the past, as the access log names it.")
    var decision: String?
    @Option(help: "A file of the decision log, or its folder; the configured one when absent.") var log:
        String?
    @Flag(help: "Print the record as JSON.") var json = false
    @OptionGroup var gateway: SocketOption

    func validate() throws {
        let live = [user, application, device, path, method, client, clientFrom, at].compactMap { $0 }
        guard (decision == nil) != live.isEmpty else {
            throw ValidationError(
                "Name --application (and what else is asked about it), or --decision alone.")
        }
        guard decision != nil || application != nil else { throw ValidationError("Name --application.") }
        if let at, Moment.seconds(at) == nil {
            throw ValidationError("--at \(at) is no time; write 2026-01-31T23:59:59Z or seconds since 1970.")
        }
        if let decision, !decision.hasPrefix("policy-"), DecisionID(decision) == nil {
            throw ValidationError("A decision has 32 hexadecimal digits, as the access log shows it.")
        }
    }

    func run() throws {
        let answer = try decision.map(past) ?? live()
        print(json ? answer.serializedText() : answer["text"]?.string ?? "")
    }

    private func live() throws -> JSONValue {
        var command: [(String, JSONValue)] = [("command", "explain")]
        let texts = [
            ("user", user), ("application", application), ("device", device), ("path", path),
            ("method", method), ("client", client), ("client_from", clientFrom),
        ]
        for (name, text) in texts { if let text { command.append((name, .string(text))) } }
        if let seconds = at.flatMap(Moment.seconds) { command.append(("at", .integer(seconds))) }
        return try gateway.ask(.object(JSONObject(command)))
    }

    private func past(_ name: String) throws -> JSONValue {
        guard let id = DecisionID(name) else {
            ConfigurationFile.report(
                "\(name) is a policy's own answer for whoever is not signed in; ask for it without --user")
            throw ExitCode(1)
        }
        let files = try LogFiles(paths: log.map { [$0] } ?? [], config: gateway.config).files()
        return try LogFiles.orReport { () throws(ControlFailure) in try PastDecision.explain(id, in: files) }
    }
}

/// A time that somebody wrote.
enum Moment {
    /// Seconds since 1970, from such a number or RFC 3339; nil for anything else.
    static func seconds(_ text: String) -> Int64? {
        if let number = Int64(text) { return number }
        guard let date = try? Date(text, strategy: .iso8601) else { return nil }
        return Int64(date.timeIntervalSince1970)
    }
}

/// Files of a decision log: named ones, those of a folder, or those of the configured folder.
struct LogFiles {
    var paths: [String]
    var config: ConfigOption

    /// - Throws: exit status 1 after saying that there is no log.
    func files() throws -> [String] {
        let folder = paths.isEmpty ? try [folder()] : paths
        let files = folder.flatMap(Self.expanded)
        // Nothing to compare is not "everything is equal".
        guard files.isEmpty else { return files }
        ConfigurationFile.report("no file of a decision log in \(folder.joined(separator: ", "))")
        throw ExitCode(1)
    }

    /// The configured folder.
    func folder() throws -> String {
        let snapshot = try ConfigurationFile(path: config.path, readsFiles: false).loadOrReport()
        guard let log = snapshot.gateway.decisionLog else {
            ConfigurationFile.report("gateway.decision-log is off; name a file or a folder")
            throw ExitCode(1)
        }
        return log.folder
    }

    private static func expanded(_ path: String) -> [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            return [path]
        }
        return DecisionFiles.all(in: path)
    }

    /// - Throws: exit status 1 after the failure's own words.
    static func orReport<Value>(_ work: () throws(ControlFailure) -> Value) throws -> Value {
        do throws(ControlFailure) {
            return try work()
        } catch {
            ConfigurationFile.report(EventTable.printableLines(error.what))
            throw ExitCode(1)
        }
    }
}
