/// The canonical path, by whole segments: the prefix `/api` matches `/api` and `/api/x`, never `/apix`.
///
/// A prefix that ends in "/" matches only what lies below it. Bytes are compared exactly, case included.
public struct PathCondition: Sendable, Codable, Hashable {
    /// Each begins with "/".
    public var prefixes: [String]
    /// Each begins with "/" and is compared as a whole.
    public var exact: [String]
    /// Takes the members as they are; nothing is checked here.
    public init(prefixes: [String], exact: [String]) {
        self.prefixes = prefixes
        self.exact = exact
    }
}

extension PathCondition: RequestCondition {
    /// In words, for explain records.
    public var description: String {
        let below = prefixes.isEmpty ? [] : ["path is at or below: \(ExactText.list(prefixes))"]
        let equal = exact.isEmpty ? [] : ["path is exactly: \(ExactText.list(exact))"]
        return (below + equal).joined(separator: "; or ")
    }
    var remedy: String { "This policy is about other addresses of the application." }

    /// What keeps somebody out looks through segment parameters: an upstream may read `/admin;x` as `/admin`, so a rule
    /// that blocks or excludes `/admin` means it as well. What lets somebody in takes the path as it is written.
    func matches(_ request: RequestFacts, path: borrowing Span<UInt8>, _ role: ConditionRole) -> Bool {
        var index = 0
        while index < exact.count {
            if Self.end(of: exact[index], in: path, role) == path.count { return true }
            index += 1
        }
        return Self.isBelow(prefixes, path, role)
    }

    /// Whether `path` is one of the prefixes or lies below one, by whole segments.
    static func isBelow(
        _ prefixes: [String], _ path: borrowing Span<UInt8>, _ role: ConditionRole = .helps
    ) -> Bool {
        var index = 0
        while index < prefixes.count {
            if isBelow(prefixes[index], path, role) { return true }
            index += 1
        }
        return false
    }

    private static func isBelow(
        _ prefix: String, _ path: borrowing Span<UInt8>, _ role: ConditionRole
    ) -> Bool {
        let count = prefix.utf8.count
        let end = end(of: prefix, in: path, role)
        guard count > 0, end >= 0 else { return false }
        if path.count == end || prefix.utf8.span[count - 1] == 0x2f { return true }
        return path[end] == 0x2f
    }

    /// Where `prefix`, and the parameters of its last segment, end in the path; -1 when the path begins otherwise.
    private static func end(
        of prefix: String, in path: borrowing Span<UInt8>, _ role: ConditionRole
    ) -> Int {
        let bytes = prefix.utf8.span
        var at = 0
        var index = 0
        while index < bytes.count {
            if role == .harms { at = afterParameters(at, in: path) }
            guard at < path.count, bytes[index] == path[at] else { return -1 }
            index += 1
            at += 1
        }
        return role == .harms ? afterParameters(at, in: path) : at
    }

    /// The next byte that is no parameter: `;` and `%3B` begin one, and it lasts to the end of its segment.
    private static func afterParameters(_ start: Int, in path: borrowing Span<UInt8>) -> Int {
        guard start < path.count else { return start }
        let isEscaped =
            start + 2 < path.count && path[start] == 0x25 && path[start + 1] == 0x33
            && path[start + 2] | 0x20 == 0x62
        guard path[start] == 0x3b || isEscaped else { return start }
        var at = start
        while at < path.count, path[at] != 0x2f { at += 1 }
        return at
    }
}
