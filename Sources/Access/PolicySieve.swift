/// The policies of one application as one flat table, made once: what passes over policies of which nothing can
/// come, without touching them. Of fifty policies few concern a person, and reading the others, which lie all over
/// the heap, was most of what a residual cost.
///
/// It holds no meaning of its own. What a condition comes to is asked of the condition (`ConditionTerms.term`),
/// once for each different condition. Only where a condition compares names, and the facts hold none that could be
/// one of them, the same condition without names is asked instead (`Condition.naming`), so that all of them share an
/// answer. What is left of the policies that pass is made by `PolicyReading`, as it is for explain records.
struct PolicySieve: Sendable {
    /// One condition in its policy.
    struct Entry: Sendable {
        enum List: UInt8, Sendable { case include, require, exclude }
        /// What to ask: an index of `conditions`.
        var condition: Int32
        /// What to ask where none of the names can be among the facts'; -1: it compares no names.
        var nameless: Int32 = -1
        /// Where its names begin in `digests`; of a single name the digest itself, which saves a look-up.
        var digest: UInt32 = 0
        var nameCount: UInt32 = 0
        var list: List
        var harms: Bool
    }

    /// One policy.
    struct Line: Sendable {
        /// Where its entries end in `entries`; they begin where those of the line before end.
        var end: Int32
        var action: PolicyAction
        var limitsSession: Bool
    }

    /// In a class of constants, because applications are copied about.
    final class Table: Sendable {
        let lines: [Line]
        let entries: [Entry]
        let digests: [UInt32]
        /// Each that differs from the others once.
        let conditions: [Condition]
        /// Every condition of the device brings its class along, since a denied one meets none of them.
        let asksForDevice: Bool
        let asksForKey: Bool
        let asksForSignIn: Bool

        init(_ draft: Draft) {
            lines = draft.lines
            entries = draft.entries
            digests = draft.digests
            conditions = draft.conditions
            asksForDevice = draft.conditions.contains(where: \.isAboutDevice)
            asksForKey = draft.conditions.contains(where: \.isAboutKey)
            asksForSignIn = draft.conditions.contains(where: \.isAboutSignIn)
        }
    }

    let table: Table

    init(_ policies: [ApplicationPolicy]) {
        var draft = Draft()
        for policy in policies { draft.add(policy) }
        table = Table(draft)
    }
}

extension PolicySieve: Hashable {
    /// Two of the same policies are the same; the policies themselves are compared beside them.
    static func == (left: PolicySieve, right: PolicySieve) -> Bool { true }
    func hash(into hasher: inout Hasher) {}
}

extension PolicySieve {
    /// The table while it is being made.
    struct Draft {
        private(set) var lines: [Line] = []
        private(set) var entries: [Entry] = []
        private(set) var digests: [UInt32] = []
        private(set) var conditions: [Condition] = []
        private var places: [Condition: Int32] = [:]
        /// Of the first condition that asks the request: before there is one, all of them come to the same.
        private var requestPlace: Int32?

        mutating func add(_ policy: ApplicationPolicy) {
            let role: ConditionRole = policy.action == .block ? .harms : .helps
            for condition in policy.include { add(condition, .include, role) }
            for condition in policy.require { add(condition, .require, role) }
            for condition in policy.exclude { add(condition, .exclude, role.inverted) }
            lines.append(
                Line(
                    end: Int32(entries.count), action: policy.action,
                    limitsSession: policy.sessionSecondsMax != nil))
        }

        private mutating func add(_ condition: Condition, _ list: Entry.List, _ role: ConditionRole) {
            var entry = Entry(condition: place(of: condition), list: list, harms: role == .harms)
            if let naming = condition.naming {
                entry.nameless = place(of: naming.nameless)
                entry.nameCount = UInt32(naming.names.count)
                let asked = naming.names.map(NameTable.digest)
                if let only = asked.first, asked.count == 1 {
                    entry.digest = only
                } else {
                    entry.digest = UInt32(digests.count)
                    digests += asked
                }
            }
            entries.append(entry)
        }

        private mutating func place(of condition: Condition) -> Int32 {
            let place = Int32(conditions.count)
            if case .request = condition.asked {
                if let requestPlace { return requestPlace }
                requestPlace = place
            } else if let known = places[condition] {
                // Equal as `String` has it is not enough: other bytes are another name.
                let texts = conditions[Int(known)].contentTexts
                if ExactText.isEqual(texts, condition.contentTexts) { return known }
            } else {
                places[condition] = place
            }
            conditions.append(condition)
            return place
        }
    }
}

/// One evaluation's way through a sieve: every condition that differs is asked once.
struct PolicySieving {
    private let table: PolicySieve.Table
    private let facts: DecidedFacts
    private let names: NameTable
    /// Two for each condition, where it helps and where it harms.
    private var answers: [PolicySieveAnswer]
    /// Where the entries of the next line begin.
    private var start = 0

    init(_ sieve: PolicySieve, _ facts: DecidedFacts) {
        table = sieve.table
        self.facts = facts
        names = facts.names
        answers = Array(repeating: .none, count: sieve.table.conditions.count * 2)
    }

    /// Whether anything may come of a policy: a remainder, limits, or a reason why somebody is refused. Asks
    /// every condition of it, since what was read, and until when that holds, is part of the residual.
    ///
    /// - Parameters:
    ///   - line: the policy's index; to be asked in order, each once.
    ///   - asksWhy: no policy has given a reason yet.
    mutating func passes(_ line: Int, asksWhy: Bool, _ trace: inout Trace) -> Bool {
        let policy = table.lines[line]
        let (first, end) = (start, Int(policy.end))
        start = end
        // As `ConditionTerms.left` takes them, for its views `possible` and `hopeful`.
        var (included, required, excluded) = (
            PolicySieveAnswer.none, PolicySieveAnswer.every, PolicySieveAnswer.none
        )
        for index in first..<end {
            let entry = table.entries[index]
            let answer = answer(to: entry, &trace)
            switch entry.list {
            case .include: included.formUnion(answer)
            case .require: required.formIntersection(answer)
            case .exclude: excluded.formUnion(answer)
            }
        }
        let met = included.intersection(required)
        if met.contains(.possible), !excluded.contains(.certain) { return true }
        switch policy.action {
        case .block, .bypass: return false
        // A device could be shown that it asks for: that is a reason, as is a session that is too old for it.
        case .allow, .service:
            return met.contains(.hopeful) && !excluded.contains(.alwaysHopeful)
                && (asksWhy || policy.limitsSession)
        }
    }

    private mutating func answer(to entry: PolicySieve.Entry, _ trace: inout Trace) -> PolicySieveAnswer {
        var condition = Int(entry.condition)
        if entry.nameless >= 0, !isNamed(entry) { condition = Int(entry.nameless) }
        let place = condition * 2 + (entry.harms ? 1 : 0)
        if answers[place] != .none { return answers[place] }
        answers[place] = PolicySieveAnswer(
            ConditionTerms.term(
                table.conditions[condition], nil, entry.harms ? .harms : .helps, facts, &trace))
        return answers[place]
    }

    /// Whether one of the condition's names may be among the facts'.
    private func isNamed(_ entry: PolicySieve.Entry) -> Bool {
        if entry.nameCount == 1 { return names.mayContain(entry.digest) }
        var index = Int(entry.digest)
        let end = index + Int(entry.nameCount)
        while index < end {
            if names.mayContain(table.digests[index]) { return true }
            index += 1
        }
        return false
    }
}

/// What a sieve has to know of a term, in a byte.
private struct PolicySieveAnswer: OptionSet {
    let rawValue: UInt8

    /// Not asked yet.
    static let none = PolicySieveAnswer([])
    static let every = PolicySieveAnswer(rawValue: .max)
    static let asked = PolicySieveAnswer(rawValue: 1)
    /// It may hold.
    static let possible = PolicySieveAnswer(rawValue: 2)
    /// It holds whatever the request is.
    static let certain = PolicySieveAnswer(rawValue: 4)
    /// It may hold for a device that meets whatever is asked of it.
    static let hopeful = PolicySieveAnswer(rawValue: 8)
    /// It holds for such a device whatever the request is.
    static let alwaysHopeful = PolicySieveAnswer(rawValue: 16)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ term: ConditionTerms.Term) {
        self = .asked
        if term.possible != .never { insert(.possible) }
        if term.certain == .always { insert(.certain) }
        if term.hopeful != .never { insert(.hopeful) }
        if term.hopeful == .always { insert(.alwaysHopeful) }
    }
}
