/// Three-valued logic (Kleene): what is not known stays not known until something else settles the matter.
public enum Ternary: String, Sendable, Codable, Hashable, CaseIterable {
    case no, indeterminate, yes

    /// Settled.
    public init(_ isTrue: Bool) { self = isTrue ? .yes : .no }

    /// Kleene's and: one `no` settles it, whatever else is not known.
    public static func && (left: Ternary, right: Ternary) -> Ternary {
        if left == .no || right == .no { return .no }
        return left == .yes && right == .yes ? .yes : .indeterminate
    }

    /// Kleene's or: one `yes` settles it, whatever else is not known.
    public static func || (left: Ternary, right: Ternary) -> Ternary {
        if left == .yes || right == .yes { return .yes }
        return left == .no && right == .no ? .no : .indeterminate
    }

    /// Kleene's not: what is not known stays not known.
    public static prefix func ! (value: Ternary) -> Ternary {
        switch value {
        case .no: .yes
        case .indeterminate: .indeterminate
        case .yes: .no
        }
    }
}
