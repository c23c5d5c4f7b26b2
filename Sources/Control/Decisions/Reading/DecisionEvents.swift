import Border
import Foundation
import Identity
public import JSON

/// Reads what a decision log tells as events: what was decided, what was found and what followed.
public struct DecisionEvents {
    /// What to show; nil members ask for nothing.
    public struct Filter: Sendable, Hashable {
        public var application: String?
        public var device: String?
        /// An email address or a pseudonym.
        public var person: String?
        /// An outcome (`forward`, `partly`, `refuse`, `sign-in`), a reason or a cause.
        public var result: String?
        /// The line's kind; nil: every kind but `file` and `confirmed`.
        public var kind: String?
        /// Not before this second.
        public var since: Int64?
        /// Before this second.
        public var until: Int64?
        /// Shows everything.
        public init() {}
    }

    /// One event.
    public struct Event: Sendable {
        /// The line as it stands in the log, with `email` where the person is known.
        public var line: JSONValue
        /// Cells of the readable table, in the order of `header`.
        public var cells: [String]
    }

    /// The readable table's heading.
    public static let header = [
        "time", "kind", "application", "person", "device", "result", "reason", "what",
    ]

    private let folder: String?
    private let files: [String]
    private let filter: Filter
    private var reader = DecisionFile()
    private var place = DecisionFile.Place()
    private var current: String?

    /// The files of one folder, also those that come later.
    public init(folder: String, filter: Filter) {
        self.folder = folder
        files = []
        self.filter = filter
    }

    /// These files, oldest first.
    public init(files: [String], filter: Filter) {
        folder = nil
        self.files = files
        self.filter = filter
    }

    /// Visits everything that came since the last call, oldest first.
    ///
    /// - Throws: `ControlFailure` when a file cannot be read. One that was removed meanwhile is passed over.
    public mutating func read(_ visit: (Event) -> Void) throws(ControlFailure) {
        let all = folder.map { DecisionFiles.all(in: $0) } ?? files
        // Nothing was read yet, or what was read has been removed: everything that is there is new.
        let first = current.flatMap(all.firstIndex) ?? all.startIndex
        for path in all[first...] {
            if path != current {
                current = path
                place = DecisionFile.Place()
            }
            do {
                let filter = filter
                try reader.read(path, from: &place) { item, reader in
                    if let event = Self.event(item, reader, filter) { visit(event) }
                }
            } catch {
                guard folder != nil, !FileManager.default.fileExists(atPath: path) else { throw error }
            }
        }
    }

    private static func event(
        _ item: DecisionFile.Item, _ reader: DecisionFile, _ filter: Filter
    ) -> Event? {
        switch item {
        // The last line of a file that is being written may be on its way; a doubled one was shown.
        case .truncated, .doubled: return nil
        case .problem(let what):
            guard filter == Filter() else { return nil }
            return Event(
                line: ["kind": "damaged", "what": .string(what)],
                cells: ["-", "damaged", "-", "-", "-", "-", "-", what])
        case .decision, .confirmed, .confirmedElsewhere, .event:
            return event(of: reader.line, item, reader, filter)
        }
    }

    private static func event(
        of line: JSONValue, _ item: DecisionFile.Item, _ reader: DecisionFile, _ filter: Filter
    ) -> Event? {
        let kind = line["kind"]?.string ?? ""
        guard filter.kind.map({ $0 == kind }) ?? !["file", "confirmed"].contains(kind) else { return nil }
        let at = line["at"]?.integer ?? 0
        if let since = filter.since, at < since { return nil }
        if let until = filter.until, at >= until { return nil }
        var decision: LoggedDecision?
        switch item {
        case .decision(let found), .confirmed(let found, _): decision = found.decision
        case .event, .confirmedElsewhere, .problem, .truncated, .doubled: break
        }
        let application = decision?.application ?? line["application"]?.string
        let device = decision?.device ?? line["device"]?.string
        let email = decision.flatMap { reader.emails[$0.person] }
        if let wanted = filter.application, application != wanted { return nil }
        if let wanted = filter.device, device != wanted { return nil }
        if let wanted = filter.person, EmailAddress.folded(wanted) != email, wanted != decision?.person {
            return nil
        }
        let result = decision?.outcome ?? line["event"]?.string ?? line["cause"]?.string
        let reasons =
            [decision?.reason, decision?.cause, line["failure"]?.string].compactMap { $0 }
            + (line["reasons"]?.array ?? []).compactMap(\.string)
        if let wanted = filter.result, wanted != result, !reasons.contains(wanted) { return nil }
        var shown = line.object ?? JSONObject()
        if let email { shown["email"] = .string(email) }
        return Event(
            line: .object(shown),
            cells: [
                PastDecision.time(at), kind, application ?? "-", email ?? decision?.person ?? "-",
                device ?? "-", result ?? "-", decision?.reason ?? line["failure"]?.string ?? "-",
                EventText(line: line).text,
            ])
    }
}

/// What a line of a decision log says beside the columns.
struct EventText {
    var line: JSONValue

    var text: String {
        switch line["kind"]?.string {
        case "decision": decision
        case "confirmed": "\(number("renewals")) renewals of \(word("id"))"
        case "change": change
        case "cut":
            "\(number("streams")) streams cut in \(number("microseconds")) µs by reactor \(number("reactor"))"
        case "integration": integration
        case "shadow": shadow
        case "lost": "\(number("entries")) entries were lost"
        case _: ""
        }
    }

    private func number(_ name: String) -> Int64 { line[name]?.integer ?? 0 }
    private func word(_ name: String) -> String { line[name]?.string ?? "-" }
    private func words(_ name: String) -> String {
        (line[name]?.array ?? []).compactMap(\.string).joined(separator: " ")
    }

    private var decision: String {
        var parts = ["\(word("id")) by \(word("cause"))"]
        if let verdicts = line["verdicts"]?.array, !verdicts.isEmpty {
            parts.append(
                verdicts.map { "\($0["integration"]?.string ?? "?") \($0["state"]?.string ?? "?")" }
                    .joined(separator: ", "))
        }
        if let shadow = line["shadow"]?.string, shadow != "agrees" {
            parts.append("candidate \(shadow) (\(word("shadow_reason")))")
        }
        return parts.joined(separator: "; ")
    }

    private var change: String {
        var parts = [
            "\(number("sessions_decided")) sessions decided, \(number("sessions_changed")) changed, "
                + "\(number("sessions_cut")) cut, \(number("sessions_restored")) restored"
        ]
        if !words("verdicts_before").isEmpty || !words("verdicts_after").isEmpty {
            parts.append("verdicts \(words("verdicts_before")) → \(words("verdicts_after"))")
        }
        if let before = line["policy_before"]?.string {
            parts.append("policy \(before.prefix(12)) → \(word("policy_after").prefix(12))")
        }
        return parts.joined(separator: "; ")
    }

    private var integration: String {
        switch line["event"]?.string {
        case "state-changed": "\(word("integration")): \(word("before")) → \(word("state"))"
        case "read": "\(word("integration")): \(number("devices")) devices known"
        case "failed": "\(word("integration")): \(number("failures")) times, last at \(number("failed_at"))"
        case _: word("integration")
        }
    }

    private var shadow: String {
        (line["applications"]?.object?.members ?? []).map { name, counts in
            let told = (counts.object?.members ?? []).compactMap { word, count in
                count.integer.flatMap { $0 == 0 ? nil : "\($0) \(word)" }
            }
            return "\(name): \(told.joined(separator: ", "))"
        }.joined(separator: "; ")
    }
}
