/// The registry: adding a condition touches its own file, its test and one line here.
extension Condition {
    /// How a condition is settled.
    enum Asked {
        /// `everyone`: true of whoever asks.
        case nothing
        case decided(any DecidedCondition)
        case request(any RequestCondition)
    }

    var asked: Asked {
        switch self {
        case .everyone: .nothing
        case .email(let condition): .decided(condition)
        case .emailDomain(let condition): .decided(condition)
        case .group(let condition): .decided(condition)
        case .claim(let condition): .decided(condition)
        case .identityProvider(let condition): .decided(condition)
        case .device(let condition): .decided(condition)
        case .network(let condition): .request(condition)
        case .method(let condition): .request(condition)
        case .path(let condition): .request(condition)
        }
    }

    /// Whether this asks for the device's class.
    var isAboutDevice: Bool {
        if case .device = self { true } else { false }
    }

    /// Hot path: whether a request meets what `residual` left to ask. Concrete calls only: no existential, no
    /// allocation. What a residual never leaves to ask is false here, which grants nothing.
    func matches(_ request: RequestFacts, path: borrowing Span<UInt8>, _ role: ConditionRole) -> Bool {
        switch self {
        case .everyone: true
        case .network(let condition): condition.matches(request, path: path, role)
        case .method(let condition): condition.matches(request, path: path, role)
        case .path(let condition): condition.matches(request, path: path, role)
        case .email, .emailDomain, .group, .claim, .identityProvider, .device: false
        }
    }
}

extension Condition: CustomStringConvertible {
    /// As in explain records: `email domain is one of: corp.example`.
    public var description: String {
        switch asked {
        case .nothing: "everyone"
        case .decided(let condition): condition.description
        case .request(let condition): condition.description
        }
    }
}
