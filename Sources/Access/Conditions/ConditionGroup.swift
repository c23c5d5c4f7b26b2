/// A named group of conditions, as a condition: the words are those of a policy.
///
/// In what a residual leaves to ask, an empty `include` is settled as true.
public struct ConditionGroup: Sendable, Codable, Hashable {
    /// The configured name.
    public var name: String
    /// At least one must hold (OR).
    public var include: [Condition]
    /// Every one must hold (AND).
    public var require: [Condition]
    /// None may hold (NOT).
    public var exclude: [Condition]
    /// Takes the members as they are; nothing is checked here.
    public init(
        name: String, include: [Condition], require: [Condition] = [], exclude: [Condition] = []
    ) {
        self.name = name
        self.include = include
        self.require = require
        self.exclude = exclude
    }
}

extension ConditionGroup: CustomStringConvertible {
    /// In words, for explain records.
    public var description: String { "meets: \(name)" }

    /// All conditions in it, at this level.
    var all: [Condition] { include + require + exclude }

    /// Hot path: what a residual left of the group.
    func matches(_ request: RequestFacts, path: borrowing Span<UInt8>, _ role: ConditionRole) -> Bool {
        var index = 0
        while index < require.count {
            if !require[index].matches(request, path: path, role) { return false }
            index += 1
        }
        index = 0
        while index < exclude.count {
            if exclude[index].matches(request, path: path, role.inverted) { return false }
            index += 1
        }
        if include.isEmpty { return true }
        index = 0
        while index < include.count {
            if include[index].matches(request, path: path, role) { return true }
            index += 1
        }
        return false
    }
}
