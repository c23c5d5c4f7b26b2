/// What a sign-in has to bring so that a policy lets somebody in: the question that goes to the identity provider
/// which made the session.
public struct StepUp: Sendable, Codable, Hashable {
    /// Authentication contexts (`acr`, `acrs`): of every list at least one.
    public var contexts: [[String]]
    /// Authentication methods (`amr`): of every list at least one.
    public var methods: [[String]]
    /// The person proved who they are at most so long ago; nil: whenever.
    public var ageSecondsMax: Int64?
    /// The age is what is missing now, so that the provider has to ask the person again.
    public var isAgeShort: Bool

    /// Takes the members as they are; nothing is checked here.
    public init(
        contexts: [[String]] = [], methods: [[String]] = [], ageSecondsMax: Int64? = nil,
        isAgeShort: Bool = false
    ) {
        self.contexts = contexts
        self.methods = methods
        self.ageSecondsMax = ageSecondsMax
        self.isAgeShort = isAgeShort
    }

    /// Whether nothing is asked.
    public var isEmpty: Bool { contexts.isEmpty && methods.isEmpty && ageSecondsMax == nil }

    /// One thing that was asked and did not come, in words for the person.
    public struct Shortfall: Sendable, Codable, Hashable {
        /// What policy asks.
        public var asked: String
        /// What the provider said.
        public var came: String
        /// Takes the members as they are.
        public init(asked: String, came: String) {
            self.asked = asked
            self.came = came
        }
    }

    /// What of it a person's sign-in does not bring, by the same conditions that policy asks.
    ///
    /// - Parameter nowSeconds: seconds since 1970-01-01T00:00:00Z.
    /// - Returns: empty when everything is there.
    public func unmet(by person: PersonFacts, atSeconds nowSeconds: Int64) -> [Shortfall] {
        let session = SessionFacts(
            id: "", identityProvider: "", person: person, createdAtSeconds: nowSeconds,
            expiresAtSeconds: .max)
        let facts = DecidedFacts(session: session, tags: [], nowSeconds: nowSeconds)
        var unmet: [Shortfall] = []
        for values in contexts {
            let condition = AuthenticationContextCondition(values: values)
            if condition.outcome(of: facts, .helps) != .yes { unmet.append(Self.shortfall(condition, facts)) }
        }
        for values in methods {
            let condition = AuthenticationMethodCondition(methods: values)
            if condition.outcome(of: facts, .helps) != .yes { unmet.append(Self.shortfall(condition, facts)) }
        }
        if let ageSecondsMax {
            let condition = AuthenticatedWithinCondition(secondsMax: ageSecondsMax)
            if condition.outcome(of: facts, .helps) != .yes {
                let seconds = condition.ageSeconds(in: facts)
                let came = seconds.map { "authenticated \($0) s ago" } ?? condition.observed(in: facts)
                unmet.append(Shortfall(asked: condition.description, came: came))
            }
        }
        return unmet
    }

    private static func shortfall(
        _ condition: some DecidedCondition, _ facts: DecidedFacts
    ) -> Shortfall {
        Shortfall(asked: condition.description, came: condition.observed(in: facts))
    }

    /// A session as if its provider had brought exactly this; everything else stays as it is.
    func supposed(of session: SessionFacts, atSeconds nowSeconds: Int64) -> SessionFacts {
        var session = session
        if !contexts.isEmpty {
            session.person.claims["acr"] = nil
            session.person.claims["acrs"] = .list(contexts.compactMap(\.first))
        }
        if !methods.isEmpty { session.person.claims["amr"] = .list(methods.compactMap(\.first)) }
        if ageSecondsMax != nil { session.person.authenticatedAtSeconds = nowSeconds }
        return session
    }

    // Putting two together

    /// More lists or bytes than this do not travel through a browser's cookie; no real policy comes near.
    static let listsMax = 8
    static let bytesMax = 256

    /// Both; nil where that is more than can be asked.
    func adding(_ other: StepUp) -> StepUp? {
        var sum = self
        for list in other.contexts where !sum.contexts.contains(list) { sum.contexts.append(list) }
        for list in other.methods where !sum.methods.contains(list) { sum.methods.append(list) }
        if let age = other.ageSecondsMax { sum.ageSecondsMax = min(sum.ageSecondsMax ?? age, age) }
        let texts = (sum.contexts + sum.methods).joined()
        guard sum.contexts.count + sum.methods.count <= Self.listsMax,
            texts.reduce(0, { $0 + $1.utf8.count + 3 }) <= Self.bytesMax
        else { return nil }
        return sum
    }

    /// What can stand in a space-separated parameter, a quoted string and a page alike.
    static func isAskable(_ value: String) -> Bool {
        !value.isEmpty
            && value.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != 0x22 && $0 != 0x5c }
    }
}

extension Condition {
    /// What would have to be asked of the provider so that this holds. nil: no provider can be asked for it, and an
    /// empty one: it is not about the sign-in.
    fileprivate var asksOfSignIn: StepUp? {
        switch self {
        case .authenticationContext(let condition):
            let values = condition.values.filter(StepUp.isAskable)
            return values.isEmpty ? nil : StepUp().adding(StepUp(contexts: [values]))
        case .authenticationMethod(let condition):
            let values = condition.methods.filter(StepUp.isAskable)
            return values.isEmpty ? nil : StepUp().adding(StepUp(methods: [values]))
        case .authenticatedWithin(let condition): return StepUp(ageSecondsMax: condition.secondsMax)
        case .everyone, .email, .emailDomain, .group, .claim, .identityProvider, .network, .device, .method,
            .path, .tag, .service, .token, .time, .until, .check, .setting, .score, .risk, .verdictAge,
            .matchStrength, .deviceProof, .certificate, .keyBound, .meets:
            return StepUp()
        }
    }

    /// Whether it, or anything in its group, is about how somebody signed in.
    var isAboutSignIn: Bool {
        switch self {
        case .authenticationContext, .authenticationMethod, .authenticatedWithin: true
        case .meets(let group): group.all.contains(where: \.isAboutSignIn)
        case .everyone, .email, .emailDomain, .group, .claim, .identityProvider, .network, .device, .method,
            .path, .tag, .service, .token, .time, .until, .check, .setting, .score, .risk, .verdictAge,
            .matchStrength, .deviceProof, .certificate, .keyBound:
            false
        }
    }
}

/// The ways in which conditions about the sign-in could be met. Everything that a policy asks of a sign-in is in a way,
/// also what is met now: a provider that is asked for one context may drop the other.
enum StepUpWays {
    /// More ways are not looked at; a policy with more alternatives of sign-ins than this offers the first.
    static let waysMax = 16

    static func ways(of application: Application) -> [(policy: String, stepUp: StepUp)] {
        var found: [(policy: String, stepUp: StepUp)] = []
        var blocks: [StepUp] = [StepUp()]
        for policy in application.policies {
            switch policy.action {
            case .block:
                // A block is lifted by any of its exceptions; most need none, so that comes first.
                let lifted = [StepUp()] + policy.exclude.flatMap(ways(of:)).filter { !$0.isEmpty }
                blocks = product(blocks, lifted)
            case .allow:
                let own = ways(include: policy.include, require: policy.require)
                for way in product(blocks, own) where !way.isEmpty && found.count < waysMax {
                    found.append((policy.name, way))
                }
            case .bypass, .service: break
            }
        }
        return found
    }

    private static func ways(include: [Condition], require: [Condition]) -> [StepUp] {
        let required = require.reduce([StepUp()]) { product($0, ways(of: $1)) }
        var included: [StepUp] = []
        for way in include.flatMap(ways(of:)) where !included.contains(way) { included.append(way) }
        // The alternative that asks for nothing first: most often it holds already.
        return product(required, included.filter(\.isEmpty) + included.filter { !$0.isEmpty })
    }

    private static func ways(of condition: Condition) -> [StepUp] {
        if case .meets(let group) = condition, condition.isAboutSignIn {
            return ways(include: group.include, require: group.require)
        }
        return condition.asksOfSignIn.map { [$0] } ?? []
    }

    private static func product(_ left: [StepUp], _ right: [StepUp]) -> [StepUp] {
        var all: [StepUp] = []
        for one in left {
            for other in right where all.count < waysMax {
                if let sum = one.adding(other), !all.contains(sum) { all.append(sum) }
            }
        }
        return all
    }
}
