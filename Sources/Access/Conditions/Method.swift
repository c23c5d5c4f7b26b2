/// The request's method is one of these. `other` is never matched by name, only by asking for nothing.
public struct MethodCondition: Sendable, Codable, Hashable {
    /// Any of them will do.
    public var methods: [RequestMethod]
    /// Takes the members as they are; nothing is checked here.
    public init(methods: [RequestMethod]) { self.methods = methods }
}

extension MethodCondition: RequestCondition {
    /// In words, for explain records.
    public var description: String { "method is one of: \(ExactText.list(methods.map(\.rawValue)))" }
    var remedy: String { "Only \(ExactText.list(methods.map(\.rawValue))) requests are meant here." }

    func matches(_ request: RequestFacts, path: borrowing Span<UInt8>, _ role: ConditionRole) -> Bool {
        Self.contains(methods, request.method)
    }

    /// A plain loop: a generic `contains` is specialised only when the optimiser likes.
    static func contains(_ methods: [RequestMethod], _ method: RequestMethod) -> Bool {
        if method == .other { return false }
        var index = 0
        while index < methods.count {
            if methods[index] == method { return true }
            index += 1
        }
        return false
    }
}
