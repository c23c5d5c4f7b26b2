import Access
public import Border
import Foundation
public import JSON

/// Explains a decision of the past from the log's files alone, with the lines that the live explanation has.
public enum PastDecision {
    /// - Parameters:
    ///   - id: as the access log names it.
    ///   - files: oldest first; the newest that has the decision counts.
    /// - Returns: what `gatepost explain` prints: `text`, `outcome`, `reason`, `lines`, and `decision`.
    /// - Throws: `ControlFailure` when no file has it, or not everything that it was made of.
    public static func explain(_ id: DecisionID, in files: [String]) throws(ControlFailure) -> JSONValue {
        for path in files.reversed() {
            var reader = DecisionFile()
            var found: (decision: LoggedDecision, inputs: Result<DecisionInputs, MissingInput>)?
            guard try holds(id, path) else { continue }
            try reader.read(path) { item, reader in
                guard case .decision(let moment) = item, moment.made.content.id == id else { return }
                found = (
                    moment.decision, Result { () throws(MissingInput) in try reader.inputs(of: moment) }
                )
            }
            guard let found else { continue }
            return try answer(found.decision, found.inputs)
        }
        throw ControlFailure(
            what: files.isEmpty
                ? "there is no decision log to look in"
                : "no file has decision \(id.text); \(files.count) files were searched, and older ones are removed"
        )
    }

    /// Looks at beginnings of lines only: most files do not have the decision, and need not be read for it.
    private static func holds(_ id: DecisionID, _ path: String) throws(ControlFailure) -> Bool {
        let mark = Array("{\"kind\":\"decision\",\"id\":\"\(id.text)\"".utf8)
        var feed = try LineFeed(path, lineBytesMax: DecisionFile.lineBytesMax)
        while let line = try feed.next() {
            if case .line(let bytes) = line, bytes.starts(with: mark) { return true }
        }
        return false
    }

    private static func answer(
        _ decision: LoggedDecision, _ inputs: Result<DecisionInputs, MissingInput>
    ) throws(ControlFailure) -> JSONValue {
        let inputs = try found(inputs, decision)
        guard let application = inputs.policy.application(named: decision.application) else {
            throw ControlFailure(what: "its policy has no application \(decision.application)")
        }
        let record = inputs.policy.explain(
            inputs.session, inputs.device, service: inputs.service, for: application,
            atSeconds: decision.atSeconds)
        let text = ExplainText(
            record: record, user: inputs.session?.person.email ?? decision.person,
            isSignedIn: record.residual.isSignedIn, nowSeconds: decision.atSeconds)
        let isEqual = DecisionLines.digest(of: record.residual) == decision.result
        let head =
            "decision \(decision.id.text), made \(time(decision.atSeconds)), cause: \(decision.cause)"
            + (isEqual ? "" : "\nthis program comes to another result than the log says")
        var members = text.answer.object?.members ?? []
        members.removeAll { $0.name == "text" }
        let shown: [(String, JSONValue)] = [
            ("text", .string(Table.printableLines("\(head)\n\(text.text)"))),
            ("decision", .string(decision.id.text)),
            ("at", .integer(decision.atSeconds)), ("cause", .string(decision.cause)),
            ("equal", .bool(isEqual)),
        ]
        return .object(JSONObject(shown + members.map { ($0.name, $0.value) }))
    }

    private static func found(
        _ inputs: Result<DecisionInputs, MissingInput>, _ decision: LoggedDecision
    ) throws(ControlFailure) -> DecisionInputs {
        do throws(MissingInput) {
            return try inputs.get()
        } catch {
            switch error {
            case .erased:
                throw ControlFailure(
                    what: "what was said of the person was erased; the decision came to \(decision.outcome) "
                        + "(\(decision.reason))")
            case .missing(let what):
                throw ControlFailure(what: "its \(what) is not in the file, which is damaged")
            }
        }
    }

    /// `2026-01-31T23:59:59Z`.
    static func time(_ seconds: Int64) -> String {
        // The years that RFC 3339 has; a damaged line may name any other.
        let bounded = min(max(-62_135_596_800, seconds), 253_402_300_799)
        return Date(timeIntervalSince1970: Double(bounded)).formatted(.iso8601)
    }
}
