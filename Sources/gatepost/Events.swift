import ArgumentParser
import Control
import Foundation
import JSON

struct Events: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what was decided, what was found and what followed, from the decision log.",
        discussion: """
            Reads the log's files; the gateway need not run. Kinds: decision, change, cut, integration,
            shadow, lost, and on demand confirmed and file. Times: 2026-01-31T23:59:59Z, or seconds since
            1970.
            """)
    @Option(help: "Only of this application.") var application: String?
    @Option(parsing: .unconditional, help: "Only of this device id.") var device: String?
    @Option(parsing: .unconditional, help: "Only of this person: an email address or a pseudonym.")
    var person: String?
    @Option(help: "Only with this outcome (forward, partly, refuse, sign-in), reason or cause.")
    var result: String?
    @Option(help: "Only lines of this kind.") var kind: String?
    @Option(help: "Not before this time.") var since: String?
    @Option(help: "Before this time.") var until: String?
    @Option(help: "At most so many of the newest; all with --json.") var last = 200
    @Flag(help: "Go on with what comes.") var follow = false
    @Flag(help: "Print the lines as JSON.") var json = false
    @Argument(help: "Files or folders of a decision log; the configured folder when absent.")
    var logs: [String] = []
    @OptionGroup var config: ConfigOption

    func validate() throws {
        for time in [since, until].compactMap({ $0 }) where Moment.seconds(time) == nil {
            throw ValidationError("\(time) is no time; write 2026-01-31T23:59:59Z or seconds since 1970.")
        }
        guard (1...1_000_000).contains(last) else { throw ValidationError("--last takes 1 to 1000000.") }
        guard !follow || logs.count <= 1 else { throw ValidationError("--follow takes one folder.") }
    }

    func run() throws {
        var filter = DecisionEvents.Filter()
        filter.application = application
        filter.device = device
        filter.person = person
        filter.result = result
        filter.kind = kind
        filter.since = since.flatMap(Moment.seconds)
        filter.until = until.flatMap(Moment.seconds)
        let files = LogFiles(paths: logs, config: config)
        var events =
            follow
            ? DecisionEvents(folder: try logs.first ?? files.folder(), filter: filter)
            : DecisionEvents(files: try files.files(), filter: filter)
        var isFirst = true
        repeat {
            try show(&events, withHeader: isFirst)
            isFirst = false
            if follow { Thread.sleep(forTimeInterval: 0.5) }
        } while follow
    }

    private func show(_ events: inout DecisionEvents, withHeader: Bool) throws {
        var rows: [[String]] = []
        var isLeftOut = false
        try LogFiles.orReport { () throws(ControlFailure) in
            try events.read { event in
                if json { return Self.write(event.line.serializedText()) }
                // Twice as many before the older half goes: removing one by one would be quadratic.
                if rows.count >= 2 * last {
                    rows.removeFirst(last)
                    isLeftOut = true
                }
                rows.append(event.cells)
            }
        }
        guard !json, withHeader || !rows.isEmpty else { return }
        if isLeftOut || rows.count > last { Self.write("… older ones are left out; --last shows more") }
        let shown = Array(rows.suffix(last))
        Self.write(EventTable.text(header: withHeader ? DecisionEvents.header : nil, rows: shown))
    }

    /// Whole lines at once, also into a pipe: whoever follows sees them as they come.
    private static func write(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
}
