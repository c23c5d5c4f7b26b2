import Access
import JSON

/// Single checks of one record (providers.md 14.1), bounded; of two with one id the worse one counts.
struct CheckList: Sendable {
    static let countMax = 200
    private var byID: [String: Verdict.Check] = [:]

    /// Sorted by id.
    var checks: [Verdict.Check] { byID.values.sorted { $0.id < $1.id } }

    /// - Parameters:
    ///   - id: the vendor's own; none or an empty one is no check.
    ///   - title: for people; the id where there is none.
    mutating func add(_ id: String?, _ title: String?, _ state: Verdict.Check.State) {
        guard let id = id.map(RecordReading.shortened), !id.isEmpty else { return }
        let name = title.map(RecordReading.shortened) ?? id
        let check = Verdict.Check(id: id, title: name.isEmpty ? id : name, state: state)
        guard let old = byID[id] else {
            if byID.count < Self.countMax { byID[id] = check }
            return
        }
        if Self.rank(state) > Self.rank(old.state) { byID[id] = check }
    }

    /// A flag that is good when it is as `good` says; anything but a flag is not known.
    mutating func add(flag value: JSONValue?, _ id: String, _ title: String, good: Bool = true) {
        guard let value else { return }
        add(id, title, value.bool.map { $0 == good ? .pass : .fail } ?? .unknown)
    }

    /// A word that is good, bad, or not known; compared without case. No member is no check.
    mutating func add(
        word value: JSONValue?, _ id: String, _ title: String, good: Set<String>, bad: Set<String>
    ) {
        guard let value else { return }
        let word = value.string?.lowercased() ?? ""
        add(id, title, good.contains(word) ? .pass : bad.contains(word) ? .fail : .unknown)
    }

    private static func rank(_ state: Verdict.Check.State) -> Int {
        switch state {
        case .notApplicable: 0
        case .pass: 1
        case .unknown: 2
        case .fail: 3
        }
    }
}
