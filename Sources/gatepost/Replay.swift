import Access
import ArgumentParser
import CLinux
import Config
import Control
import Foundation
import Glibc
import JSON

struct ReplayLog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Decide a decision log again: bit for bit, or by a candidate policy.",
        discussion: """
            Exit status 0: every decision came to what the log says. 1: one did not, or a line is damaged;
            each is printed with its explanation. Persons who were erased are counted and change nothing. With
            --policy also says who would be blocked and who would be let in, in decisions. With --requests
            both are done for the requests of an access log as well. Equal inputs are decided once.
            """)
    @Argument(help: "Files or folders of a decision log; the configured folder when absent.")
    var logs: [String] = []
    @Option(help: "A candidate configuration: a file or a folder.") var policy: String?
    @Option(help: "An access log (JSON lines) with the requests that the decisions decided.") var requests:
        [String] = []
    @Flag(help: "Print the result as JSON.") var json = false
    @OptionGroup var config: ConfigOption

    func run() throws {
        let files = try LogFiles(paths: logs, config: config).files()
        let candidate = try policy.map {
            try ConfigurationFile(path: $0, readsFiles: false).loadOrReport().policy
        }
        let began = ContinuousClock.now
        var replay = Replay(candidate: candidate, keepsResiduals: !requests.isEmpty)
        for file in files { try LogFiles.orReport { () throws(ControlFailure) in try replay.add(file) } }
        let decisionSeconds = Self.seconds(ContinuousClock.now - began)
        let processorSeconds = Self.processorSeconds()
        var asked: RequestReplay?
        if !requests.isEmpty {
            var work = RequestReplay(replay)
            for file in requests { try LogFiles.orReport { () throws(ControlFailure) in try work.add(file) } }
            asked = work
        }
        let report = ReplayReport(
            replay: replay, requests: asked, candidate: candidate?.identity, seconds: decisionSeconds,
            requestSeconds: Self.seconds(ContinuousClock.now - began) - decisionSeconds,
            processorSeconds: processorSeconds)
        print(json ? report.json.serializedText() : report.text)
        guard replay.isEqual, asked?.isEqual ?? true else { throw ExitCode(1) }
    }

    /// Of this process since its start: a busy machine makes the clock on the wall say little.
    private static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}

struct Erase: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Erase what the decision log says of one person.",
        discussion: """
            Their lines lose what they say, in every file of the folder, also while the gateway runs. The
            decisions about them stay, under a pseudonym, and can no longer be explained or decided again.
            Somebody who is still signed in is written again when the next file begins: end their sessions
            first. Copies elsewhere are not touched.
            """)
    @Option(help: "The person's email address.") var user: String?
    @Option(parsing: .unconditional, help: "The person's pseudonym, as decision lines have it.")
    var person: String?
    @Option(help: "The folder of the decision log; the configured one when absent.") var log: String?
    @OptionGroup var config: ConfigOption

    func validate() throws {
        guard (user == nil) != (person == nil) else { throw ValidationError("Name --user or --person.") }
    }

    func run() throws {
        let folder = try log ?? LogFiles(paths: [], config: config).folder()
        let count = try LogFiles.orReport { () throws(ControlFailure) in
            try PersonErasure(folder: folder).erase(email: user, pseudonym: person)
        }
        print("\(count) lines erased")
    }
}
