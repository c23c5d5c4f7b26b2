import Access

/// Every case that the policies of one application can tell apart: one choice per dimension. Finite, because a
/// policy compares with listed values only.
struct PolicyWorlds {
    /// Some condition over the choices of a world.
    indirect enum Formula {
        case constant(Bool)
        case test(Dimension, Set<Int>)
        case any([Formula])
        case all([Formula])
        case not(Formula)
    }

    /// What is told apart; its choices are numbered from 0.
    enum Dimension: Hashable {
        case method, client, path, email, session, device
        case score(String)
        case risk(String)
        /// Yes or no, for what knows no better.
        case fact(Condition)
    }

    /// More than this many worlds are not enumerated.
    static let countMax = 100_000
    /// Choices 0 of `session` and `device`: nobody, and no device.
    static let none = 0

    private(set) var sizes: [Dimension: Int] = [:]
    private var methods: [RequestMethod] = []
    private var ranges: [NetworkRange] = []
    private var points: [String] = []
    private var emails: [String] = []
    private var domains: [String] = []
    private var providers: [String] = []
    private var scores: [String: [Int64]] = [:]

    /// - Parameter providers: whose sessions count at the application.
    init(_ policies: [ApplicationPolicy], providers: [String]) {
        self.providers = providers
        sizes[.session] = providers.count + 1
        for policy in policies {
            for condition in policy.include + policy.require + policy.exclude { learn(condition) }
        }
        sizes[.method] = methods.isEmpty ? nil : methods.count + 1
        sizes[.client] = ranges.isEmpty ? nil : ranges.count + 1
        sizes[.path] = points.isEmpty ? nil : points.count
        sizes[.email] = emails.isEmpty && domains.isEmpty ? nil : emails.count + domains.count + 1
        for (name, values) in scores { sizes[.score(name)] = values.count }
    }

    private mutating func learn(_ condition: Condition) {
        if condition.subjects.contains(.device) { sizes[.device] = DeviceClass.allCases.count + 1 }
        switch condition {
        case .everyone, .tag, .identityProvider, .device: break
        case .email(let asked): emails += asked.addresses.filter { !emails.contains($0) }
        case .emailDomain(let asked): domains += asked.domains.filter { !domains.contains($0) }
        case .method(let asked): methods += asked.methods.filter { !methods.contains($0) }
        case .network(let asked): ranges += asked.ranges.filter { !ranges.contains($0) }
        case .path(let asked):
            // The path itself and one below it; the rest of the application is one more point.
            let new = ["/~~"] + asked.exact + asked.prefixes.flatMap { [$0, $0 == "/" ? "/~" : $0 + "/~"] }
            points += new.filter { !points.contains($0) }
        case .score(let asked):
            let new = [asked.value - 1, asked.value, asked.value + 1]
            scores[asked.integration, default: []] += new.filter {
                scores[asked.integration]?.contains($0) != true
            }
        case .risk(let asked): sizes[.risk(asked.integration)] = Verdict.Risk.allCases.count
        case .meets(let group): for inner in group.include + group.require + group.exclude { learn(inner) }
        case .group, .claim, .authenticationContext, .authenticationMethod, .authenticatedWithin, .service,
            .time, .until, .check, .setting, .verdictAge, .matchStrength, .certificate:
            for part in condition.parts { sizes[.fact(part)] = 2 }
        }
    }

    /// nil: more than `countMax`.
    var count: Int? {
        var count = 1
        for size in sizes.values {
            count *= size
            if count > Self.countMax { return nil }
        }
        return count
    }

    /// Calls `body` with each world in turn.
    func forEach(_ body: ([Dimension: Int]) -> Void) {
        let dimensions = sizes.map { ($0.key, $0.value) }
        var world = sizes.mapValues { _ in 0 }
        while true {
            body(world)
            var index = 0
            while index < dimensions.count {
                let next = (world[dimensions[index].0] ?? 0) + 1
                world[dimensions[index].0] = next < dimensions[index].1 ? next : 0
                if next < dimensions[index].1 { break }
                index += 1
            }
            if index == dimensions.count { return }
        }
    }

    /// What a condition asks of a world.
    func formula(_ condition: Condition) -> Formula {
        var formula = plain(condition)
        if case .meets = condition { return formula }
        if condition.subjects.contains(.person) { formula = .all([isSomebody, formula]) }
        if condition.subjects.contains(.device) {
            formula = .all([isSomebody, .not(.test(.device, [Self.none])), formula])
        }
        return formula
    }

    /// A session counts.
    var isSomebody: Formula { .not(.test(.session, [Self.none])) }

    private func plain(_ condition: Condition) -> Formula {
        switch condition {
        case .everyone: .constant(true)
        case .email(let asked):
            .test(.email, Set(emails.indices.filter { asked.addresses.contains(emails[$0]) }))
        case .emailDomain(let asked): .test(.email, mails(in: asked.domains))
        case .identityProvider(let asked):
            .test(
                .session, Set(providers.indices.filter { asked.names.contains(providers[$0]) }.map { $0 + 1 })
            )
        case .method(let asked):
            .test(.method, Set(methods.indices.filter { asked.methods.contains(methods[$0]) }))
        case .network(let asked):
            .test(
                .client,
                Set(ranges.indices.filter { index in asked.ranges.contains { $0.holds(ranges[index]) } }))
        case .path(let asked): .test(.path, Set(points.indices.filter { asked.holds(points[$0]) }))
        case .device(let asked):
            .test(
                .device,
                Set(
                    DeviceClass.allCases.indices.filter { asked.classes.contains(DeviceClass.allCases[$0]) }
                        .map { $0 + 1 }))
        case .score(let asked):
            .test(
                .score(asked.integration),
                choices(scores[asked.integration] ?? [], asked.comparison, asked.value))
        case .risk(let asked):
            .test(
                .risk(asked.integration),
                choices(
                    Verdict.Risk.allCases.indices.map(Int64.init), asked.comparison,
                    Int64(Verdict.Risk.allCases.firstIndex(of: asked.level) ?? 0)))
        case .meets(let group):
            .all(
                [.any(group.include.map(formula))] + group.require.map(formula)
                    + group.exclude.map { .not(formula($0)) })
        case .tag, .group, .claim, .authenticationContext, .authenticationMethod, .authenticatedWithin,
            .service, .time, .until, .check, .setting, .verdictAge, .matchStrength, .certificate:
            .any(condition.parts.map { .test(.fact($0), [1]) })
        }
    }

    private func mails(in wanted: [String]) -> Set<Int> {
        let addresses = emails.indices.filter { index in wanted.contains { emails[index].hasSuffix("@\($0)") }
        }
        let others = domains.indices.filter { wanted.contains(domains[$0]) }.map { $0 + emails.count }
        return Set(addresses + others)
    }

    private func choices(_ values: [Int64], _ comparison: Comparison, _ value: Int64) -> Set<Int> {
        Set(values.indices.filter { comparison.isTrue(values[$0], value) })
    }
}

extension PolicyWorlds.Formula {
    func holds(in world: [PolicyWorlds.Dimension: Int]) -> Bool {
        switch self {
        case .constant(let value): value
        case .test(let dimension, let choices): world[dimension].map(choices.contains) ?? false
        case .any(let parts): parts.contains { $0.holds(in: world) }
        case .all(let parts): parts.allSatisfy { $0.holds(in: world) }
        case .not(let part): !part.holds(in: world)
        }
    }
}

extension Condition {
    /// One condition for each listed value, where any of several will do; itself otherwise.
    fileprivate var parts: [Condition] {
        switch self {
        case .group(let asked): asked.groups.map { .group(GroupCondition(groups: [$0])) }
        case .claim(let asked): asked.values.map { .claim(ClaimCondition(name: asked.name, values: [$0])) }
        case .authenticationContext(let asked):
            asked.values.map { .authenticationContext(AuthenticationContextCondition(values: [$0])) }
        case .authenticationMethod(let asked):
            asked.methods.map { .authenticationMethod(AuthenticationMethodCondition(methods: [$0])) }
        case .service(let asked): asked.names.map { .service(ServiceCondition(names: [$0])) }
        case _: [self]
        }
    }
}

extension Comparison {
    func isTrue(_ left: Int64, _ right: Int64) -> Bool {
        switch self {
        case .less: left < right
        case .lessOrEqual: left <= right
        case .equal: left == right
        case .greaterOrEqual: left >= right
        case .greater: left > right
        }
    }
}

extension PathCondition {
    /// Whether the path is one of these, by whole segments.
    func holds(_ path: String) -> Bool {
        exact.contains(path)
            || prefixes.contains { $0 == "/" || path == $0 || path.hasPrefix($0 + "/") }
    }
}

extension NetworkRange {
    /// Whether every address of the other lies in this one.
    func holds(_ other: NetworkRange) -> Bool { other.prefixLength >= prefixLength && contains(other.base) }
}
