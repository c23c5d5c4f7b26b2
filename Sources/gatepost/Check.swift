import Access
import ArgumentParser
import Config
import Control
import Foundation
import Glibc

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration and report every problem at once.",
        discussion: """
            Each line reads "file:line: key: problem; remedy". Exit status: 0 nothing wrong, 1 problems found.
            Warnings name what is legal but probably not meant; they do not change the exit status.
            """)
    @OptionGroup var config: ConfigOption
    @Flag(help: "Do not read the certificates and secrets that the file names.")
    var withoutFiles = false

    func run() throws {
        let snapshot = try ConfigurationFile(path: config.path, readsFiles: !withoutFiles).loadOrReport()
        if let path = snapshot.gateway.shadowPolicy {
            // The gateway goes on without a shadow policy that it cannot read; here it is said.
            let shadow = try ConfigurationFile(path: path, readsFiles: false).loadOrReport()
            print("\(path): good; shadow policy \(shadow.policy.identity.prefix(12))")
        }
        let applications = snapshot.applications.map(\.name).joined(separator: ", ")
        print(
            "\(config.path): good; policy \(snapshot.policy.identity.prefix(12)), applications: \(applications)"
        )
    }
}

struct Schema: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the JSON Schema of the configuration, for editors.")
    func run() { print(ConfigSchema.json()) }
}

/// A configuration path as the commands use it: every problem goes to standard error.
struct ConfigurationFile {
    var path: String
    var readsFiles = true

    /// - Throws: exit status 1 after everything wrong was printed.
    func loadOrReport() throws -> ConfigSnapshot {
        do throws(ConfigFailure) {
            let snapshot = try ConfigurationLoader.load(path: path, readsFiles: readsFiles)
            for warning in snapshot.warnings { Self.report("warning: \(warning)") }
            return snapshot
        } catch {
            for problem in error.problems { Self.report("\(problem)") }
            Self.report(error.problems.count == 1 ? "1 problem" : "\(error.problems.count) problems")
            throw ExitCode(1)
        }
    }

    /// One line for the administrator. Where nobody can read it, nothing else happens.
    static func report(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
