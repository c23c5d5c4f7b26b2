import Foundation
public import JSON

/// What deciding again came to, for people and for programs.
public struct ReplayReport {
    private let replay: Replay
    private let requests: RequestReplay?
    private let candidate: String?
    private let seconds: Double
    private let requestSeconds: Double
    private let processorSeconds: Double

    /// - Parameters:
    ///   - candidate: the identity of the candidate policy, if there is one.
    ///   - seconds: reading and deciding the decision log took.
    ///   - requestSeconds: reading and deciding the access log took.
    ///   - processorSeconds: of the processor, reading and deciding the decision log took.
    public init(
        replay: Replay, requests: RequestReplay?, candidate: String?, seconds: Double,
        requestSeconds: Double, processorSeconds: Double
    ) {
        self.replay = replay
        self.requests = requests
        self.candidate = candidate
        self.seconds = seconds
        self.requestSeconds = requestSeconds
        self.processorSeconds = processorSeconds
    }

    /// Problems and differences first, then who would get something else, then the counts and rates.
    public var text: String {
        var lines = replay.problems + replay.differences.map { "\($0.text)\n" }
        lines += requests?.differences ?? []
        if candidate != nil { lines += changes }
        lines += summary
        return Table.printableLines(lines.joined(separator: "\n"))
    }

    private var changes: [String] {
        var lines: [String] = []
        for (word, title) in Self.titles {
            let rows = replay.changes.filter { $0.key.word == word }.sorted {
                ($1.value, $0.key.application, $0.key.person) < ($0.value, $1.key.application, $1.key.person)
            }.map { change, count in
                [
                    change.application, who(change.person), change.device ?? "-", change.before,
                    change.after, String(count),
                ]
            }
            guard !rows.isEmpty else { continue }
            let header = ["application", "person", "device", "now", "by the candidate", "decisions"]
            lines += ["\(title) by the candidate:", Table(header: header, rows: rows).text, ""]
        }
        for (word, title) in Self.titles {
            let rows = (requests?.changes ?? [:]).filter { $0.key.word == word }.sorted {
                ($1.value.count, $0.key.application) < ($0.value.count, $1.key.application)
            }.map { change, found in
                [
                    change.application, who(change.person), change.before, change.after,
                    String(found.count), found.example,
                ]
            }
            guard !rows.isEmpty else { continue }
            let header = ["application", "person", "now", "by the candidate", "requests", "for example"]
            lines += ["\(title), request by request:", Table(header: header, rows: rows).text, ""]
        }
        if lines.isEmpty {
            lines = ["the candidate \(candidate?.prefix(12) ?? "") changes nothing here", ""]
        }
        return lines
    }

    private static let titles = [
        (ShadowFinding.Word.wouldBlock.rawValue, "newly blocked"),
        (ShadowFinding.Word.wouldLetIn.rawValue, "newly let in"),
        (ShadowFinding.Word.differs.rawValue, "let in or refused as before, but otherwise"),
    ]

    private func who(_ pseudonym: String) -> String { replay.emails[pseudonym] ?? pseudonym }

    private var summary: [String] {
        let counts = replay.counts
        var lines = [
            "\(counts.decisions) decisions in \(counts.files) files: \(counts.different) different, "
                + "\(counts.erased) of erased persons, \(counts.missing) without all inputs"
        ]
        let odd = [
            (counts.malformed, "damaged lines"), (counts.doubled, "lines twice"),
            (counts.elsewhere, "renewals of decisions in earlier files"),
            (counts.truncatedFiles, "files cut short by a crash"),
            (counts.lost, "entries lost by the gateway"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        if !odd.isEmpty { lines.append(odd.joined(separator: ", ")) }
        lines.append(
            "\(counts.decided) decided, equal inputs once: \(rate(counts.decisions, seconds)) decisions/s "
                + "with reading; each for itself \(rate(counts.decided, seconds)) with reading, "
                + "\(rate(counts.decided, replay.decidingSeconds)) without")
        lines.append(
            "\(rate(counts.decisions, processorSeconds)) decisions per second of the processor, each for itself "
                + rate(counts.decided, processorSeconds))
        if let requests { lines.append(line(of: requests.counts)) }
        return lines
    }

    private func line(of counts: RequestReplay.Counts) -> String {
        "\(counts.requests) requests: \(counts.different) different, \(counts.undecided) undecided, "
            + "\(counts.unknown) by decisions that are not here, "
            + "\(counts.unnamedCertificates) not replayable because the log does not name the client certificate, "
            + "\(counts.cutPaths) not replayable because their path is cut short, "
            + "\(counts.malformed) damaged lines; \(counts.decided) decided, "
            + "\(rate(counts.requests, requestSeconds)) requests/s with reading"
    }

    private func rate(_ count: Int64, _ seconds: Double) -> String {
        guard seconds > 0, count > 0 else { return "-" }
        let perSecond = Double(count) / seconds
        return perSecond.isFinite && perSecond < 1e15 ? String(Int64(perSecond)) : "-"
    }

    /// The same for programs.
    public var json: JSONValue {
        let counts = replay.counts
        var members: [(String, JSONValue)] = [
            ("equal", .bool(replay.isEqual && requests?.isEqual ?? true)),
            ("decisions", .integer(counts.decisions)), ("decided", .integer(counts.decided)),
            ("different", .integer(counts.different)), ("erased", .integer(counts.erased)),
            ("missing", .integer(counts.missing)), ("malformed", .integer(counts.malformed)),
            ("doubled", .integer(counts.doubled)), ("truncated_files", .integer(counts.truncatedFiles)),
            ("lost", .integer(counts.lost)),
            ("microseconds", .integer(Int64(seconds * 1e6))),
            ("problems", .array(replay.problems.map { .string($0) })),
            ("differences", .array(replay.differences.map { .string($0.text) })),
        ]
        if let candidate {
            members.append(("candidate", .string(candidate)))
            members.append(("changes", .array(replay.changes.map { json($0.key, $0.value) })))
        }
        if let requests { members += json(requests) }
        return .object(JSONObject(members))
    }

    private func json(_ requests: RequestReplay) -> [(String, JSONValue)] {
        [
            ("requests", .integer(requests.counts.requests)),
            ("requests_different", .integer(requests.counts.different)),
            ("requests_unknown", .integer(requests.counts.unknown)),
            (
                "requests_not_replayable",
                [
                    "client-certificate-not-logged": .integer(requests.counts.unnamedCertificates),
                    "path-cut-short": .integer(requests.counts.cutPaths),
                ]
            ),
            ("request_differences", .array(requests.differences.map { .string($0) })),
            (
                "request_changes",
                .array(
                    requests.changes.map { change, found in
                        [
                            "change": .string(change.word), "application": .string(change.application),
                            "person": .string(change.person), "before": .string(change.before),
                            "after": .string(change.after), "requests": .integer(found.count),
                            "example": .string(found.example),
                        ]
                    })
            ),
        ]
    }

    private func json(_ change: Replay.Change, _ count: Int64) -> JSONValue {
        [
            "change": .string(change.word), "application": .string(change.application),
            "person": .string(change.person),
            "email": replay.emails[change.person].map { .string($0) } ?? .null,
            "device": change.device.map { .string($0) } ?? .null, "before": .string(change.before),
            "after": .string(change.after), "decisions": .integer(count),
        ]
    }
}
