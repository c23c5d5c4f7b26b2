import Access
import JSON

/// Whom a change concerns.
enum ChangeScope: Sendable, Hashable {
    case device(String)
    case everybody
}

/// What a change came to, counted while it is being decided.
struct ChangeTally: Sendable {
    private(set) var decided = 0
    private(set) var changed = 0
    private(set) var cut = 0
    private(set) var restored = 0
    private(set) var before: Set<String> = []
    private(set) var after: Set<String> = []
    private(set) var reasons: Set<String> = []

    mutating func note(
        letsIn: Bool, reason: Reason, _ marks: [VerdictMark],
        after old: (letsIn: Bool, verdicts: [VerdictMark], isOther: Bool)?
    ) {
        decided += 1
        after.formUnion(marks.map(\.id))
        reasons.insert(reason.rawValue)
        guard let old else { return }
        before.formUnion(old.verdicts.map(\.id))
        if old.isOther { changed += 1 }
        if old.letsIn, !letsIn { cut += 1 }
        if !old.letsIn, letsIn { restored += 1 }
    }

    /// The verdicts that were found and those that were there before, and what followed for the sessions.
    var members: [(String, JSONValue)] {
        [
            ("verdicts_before", .array(before.subtracting(after).sorted().map { .string($0) })),
            ("verdicts_after", .array(after.subtracting(before).sorted().map { .string($0) })),
            ("verdicts_same", .array(after.intersection(before).sorted().map { .string($0) })),
            ("sessions_decided", .integer(Int64(decided))), ("sessions_changed", .integer(Int64(changed))),
            ("sessions_cut", .integer(Int64(cut))), ("sessions_restored", .integer(Int64(restored))),
            ("reasons", .array(reasons.sorted().map { .string($0) })),
        ]
    }
}
