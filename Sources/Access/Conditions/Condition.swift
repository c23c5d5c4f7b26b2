/// The registry: adding a condition touches its own file, its test and one line here.
extension Condition {
    /// How a condition is settled.
    enum Asked {
        /// `everyone`: true of whoever asks.
        case nothing
        case decided(any SettledCondition)
        case request(any RequestCondition)
        case group(ConditionGroup)
    }

    var asked: Asked {
        switch self {
        case .everyone: .nothing
        case .email(let condition): .decided(condition)
        case .emailDomain(let condition): .decided(condition)
        case .group(let condition): .decided(condition)
        case .claim(let condition): .decided(condition)
        case .identityProvider(let condition): .decided(condition)
        case .authenticationContext(let condition): .decided(condition)
        case .authenticationMethod(let condition): .decided(condition)
        case .authenticatedWithin(let condition): .decided(condition)
        case .keyBound(let condition): .decided(condition)
        case .device(let condition): .decided(condition)
        case .check(let condition): .decided(condition)
        case .setting(let condition): .decided(condition)
        case .score(let condition): .decided(condition)
        case .risk(let condition): .decided(condition)
        case .verdictAge(let condition): .decided(condition)
        case .matchStrength(let condition): .decided(condition)
        case .deviceProof(let condition): .decided(condition)
        case .service(let condition): .decided(condition)
        case .token(let condition): .decided(condition)
        case .tag(let condition): .decided(condition)
        case .time(let condition): .decided(condition)
        case .until(let condition): .decided(condition)
        case .network(let condition): .request(condition)
        case .method(let condition): .request(condition)
        case .path(let condition): .request(condition)
        case .certificate(let condition): .request(condition)
        case .meets(let group): .group(group)
        }
    }

    /// What a condition says that does not ask the request. Concrete calls only: a residual settles some hundred of
    /// them, and an existential of each would be an allocation of each.
    ///
    /// - Returns: nil for what asks the request, and for groups.
    func outcome(of facts: DecidedFacts, _ role: ConditionRole, _ trace: inout Trace) -> Ternary? {
        switch self {
        case .email(let condition): condition.outcome(of: facts, role, &trace)
        case .emailDomain(let condition): condition.outcome(of: facts, role, &trace)
        case .group(let condition): condition.outcome(of: facts, role, &trace)
        case .claim(let condition): condition.outcome(of: facts, role, &trace)
        case .identityProvider(let condition): condition.outcome(of: facts, role, &trace)
        case .authenticationContext(let condition): condition.outcome(of: facts, role, &trace)
        case .authenticationMethod(let condition): condition.outcome(of: facts, role, &trace)
        case .authenticatedWithin(let condition): condition.outcome(of: facts, role, &trace)
        case .keyBound(let condition): condition.outcome(of: facts, role, &trace)
        case .device(let condition): condition.outcome(of: facts, role, &trace)
        case .check(let condition): condition.outcome(of: facts, role, &trace)
        case .setting(let condition): condition.outcome(of: facts, role, &trace)
        case .score(let condition): condition.outcome(of: facts, role, &trace)
        case .risk(let condition): condition.outcome(of: facts, role, &trace)
        case .verdictAge(let condition): condition.outcome(of: facts, role, &trace)
        case .matchStrength(let condition): condition.outcome(of: facts, role, &trace)
        case .deviceProof(let condition): condition.outcome(of: facts, role, &trace)
        case .service(let condition): condition.outcome(of: facts, role, &trace)
        case .token(let condition): condition.outcome(of: facts, role, &trace)
        case .tag(let condition): condition.outcome(of: facts, role, &trace)
        case .time(let condition): condition.outcome(of: facts, role, &trace)
        case .until(let condition): condition.outcome(of: facts, role, &trace)
        case .everyone: .yes
        case .network, .method, .path, .certificate, .meets: nil
        }
    }

    /// Conditions of which a policy often has many different ones, each a list of names of the person.
    ///
    /// The law that `PolicySieve` rests on: where none of the names is one that `NameTable` holds, the condition
    /// comes to what it comes to without any name; and it notes nothing in the trace.
    var naming: (names: [String], nameless: Condition)? {
        switch self {
        case .email(let condition): (condition.addresses, .email(EmailCondition(addresses: [])))
        case .group(let condition): (condition.groups, .group(GroupCondition(groups: [])))
        default: nil
        }
    }

    /// What conditions ask about.
    public struct Subjects: OptionSet, Sendable, Hashable {
        /// One bit for each member below.
        public let rawValue: UInt8
        /// Takes the bits as they are.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// The person and how they signed in.
        public static let person = Subjects(rawValue: 1)
        /// The device that the session has shown.
        public static let device = Subjects(rawValue: 2)
        /// The request's own facts.
        public static let request = Subjects(rawValue: 4)
        /// A service token or a bearer token.
        public static let service = Subjects(rawValue: 8)
        /// The moment.
        public static let time = Subjects(rawValue: 16)
    }

    /// Everything that this asks about; empty for what the application alone answers.
    public var subjects: Subjects {
        switch self {
        case .everyone, .tag: []
        case .email, .emailDomain, .group, .claim, .identityProvider, .authenticationContext,
            .authenticationMethod, .authenticatedWithin, .keyBound:
            .person
        case .device, .check, .setting, .score, .risk, .verdictAge, .matchStrength, .deviceProof: .device
        case .network, .method, .path, .certificate: .request
        case .service, .token: .service
        case .time, .until: .time
        case .meets(let group): group.all.reduce(into: []) { $0.formUnion($1.subjects) }
        }
    }

    /// Whether this asks for the device.
    var isAboutDevice: Bool { subjects.contains(.device) }

    /// Whether this, or anything in its group, asks for the key that a session is bound to.
    public var isAboutKey: Bool {
        switch self {
        case .keyBound: true
        case .meets(let group): group.all.contains(where: \.isAboutKey)
        case _: false
        }
    }

    /// Hot path: whether a request meets what `residual` left to ask. Concrete calls only: no existential, no
    /// allocation. What a residual never leaves to ask is false here, which grants nothing.
    func matches(_ request: RequestFacts, path: borrowing Span<UInt8>, _ role: ConditionRole) -> Bool {
        switch self {
        case .everyone: true
        case .network(let condition): condition.matches(request, path: path, role)
        case .method(let condition): condition.matches(request, path: path, role)
        case .path(let condition): condition.matches(request, path: path, role)
        case .certificate(let condition): condition.matches(request, path: path, role)
        case .meets(let group): group.matches(request, path: path, role)
        case .email, .emailDomain, .group, .claim, .identityProvider, .authenticationContext,
            .authenticationMethod, .authenticatedWithin, .keyBound, .device, .check, .setting, .score, .risk,
            .verdictAge, .matchStrength, .deviceProof, .service, .token, .tag, .time, .until:
            false
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
        case .group(let group): group.description
        }
    }
}
