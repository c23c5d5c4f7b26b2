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

    func matches(_ request: RequestFacts, path: borrowing Span<UInt8>) -> Bool {
        var index = 0
        while index < exact.count {
            if exact[index].utf8.count == path.count && Self.starts(path, exact[index]) { return true }
            index += 1
        }
        return Self.isBelow(prefixes, path)
    }

    /// Whether `path` is one of the prefixes or lies below one, by whole segments.
    static func isBelow(_ prefixes: [String], _ path: borrowing Span<UInt8>) -> Bool {
        var index = 0
        while index < prefixes.count {
            if isBelow(prefixes[index], path) { return true }
            index += 1
        }
        return false
    }

    private static func isBelow(_ prefix: String, _ path: borrowing Span<UInt8>) -> Bool {
        let count = prefix.utf8.count
        guard count > 0, starts(path, prefix) else { return false }
        if path.count == count || prefix.utf8.span[count - 1] == 0x2f { return true }
        return path[count] == 0x2f
    }

    private static func starts(_ path: borrowing Span<UInt8>, _ prefix: String) -> Bool {
        let bytes = prefix.utf8.span
        guard path.count >= bytes.count else { return false }
        var index = 0
        while index < bytes.count {
            if bytes[index] != path[index] { return false }
            index += 1
        }
        return true
    }
}
