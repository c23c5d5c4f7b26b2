import Access
import JSON
import Synchronization

/// Whom the rules of device policies that only report (`strategy: report`, `warn-until`) would affect if they counted.
///
/// Counted are distinct devices and persons whose newest decision was made by that policy without the rule holding.
/// A device that was mended, or that another policy decides about, is no longer counted once it was decided again.
final class ReportedRules: Sendable {
    /// Device and person pairs kept of all rules; beyond, counts are lower bounds and say so.
    static let pairsMax = 200_000

    /// A rule as it is written: one that is changed counts from nothing.
    struct Rule: Sendable, Hashable {
        var policy: String
        var index: Int
        var condition: String
    }

    /// Digests under a key of this process: whoever reads its memory learns no names from them.
    private struct Pair: Hashable {
        var device: Int
        /// nil: a client without a person.
        var person: Int?
    }

    private struct State {
        var affected: [Rule: Set<Pair>] = [:]
        var pairs = 0
        var isCut = false
        var toldAtSeconds: Int64 = 0
        var told: JSONValue?
    }
    private let state = Mutex(State())
    private let pairsMax: Int

    init(pairsMax: Int = pairsMax) { self.pairsMax = pairsMax }

    /// Takes note of a decision; also of one that came to the same as before.
    func note(_ made: MadeDecision) {
        guard let device = made.device, let result = made.deviceResult else { return }
        state.withLock { state in
            guard !result.warnings.isEmpty || state.pairs > 0 else { return }
            let person = made.session.map { ["\($0.person.issuer)", "\($0.person.subject)"].hashValue }
            let pair = Pair(device: device.id.hashValue, person: person)
            let warned = Set(result.warnings.map(Rule.init))
            for rule in state.affected.keys where !warned.contains(rule) {
                if state.affected[rule]?.remove(pair) != nil { state.pairs -= 1 }
            }
            for rule in warned {
                guard state.pairs < pairsMax else {
                    state.isCut = state.isCut || state.affected[rule]?.contains(pair) != true
                    continue
                }
                if state.affected[rule, default: []].insert(pair).inserted { state.pairs += 1 }
            }
        }
    }

    /// Forgets the rules that are no longer written.
    func keep(_ policy: PolicySnapshot) {
        let written = Set(policy.devicePolicies.flatMap(Rule.all))
        state.withLock { state in
            state.affected = state.affected.filter { written.contains($0.key) }
            state.pairs = state.affected.values.reduce(0) { $0 + $1.count }
            state.isCut = state.isCut && state.pairs > 0
        }
    }

    /// What is shown of one rule.
    struct Count: Sendable, Hashable {
        var rule: Rule
        /// What it does once it counts; `report`: it never will, as it is written.
        var effect: CheckStrategy.Effect
        var untilSeconds: Int64?
        var devices: Int
        var persons: Int
        /// There may be more: `pairsMax` was reached.
        var isLeast: Bool
    }

    /// Every rule that only reports at this second, also those that would affect nobody.
    func counts(under policy: PolicySnapshot, atSeconds now: Int64) -> [Count] {
        state.withLock { state in
            policy.devicePolicies.flatMap { policy in
                Rule.all(of: policy).compactMap { rule in
                    let strategy = policy.strategy(ofRule: rule.index)
                    let isWaiting = strategy.warnsUntilSeconds.map { now < $0 } ?? false
                    guard strategy.effect == .report || isWaiting else { return nil }
                    let affected = state.affected[rule] ?? []
                    return Count(
                        rule: rule, effect: strategy.effect,
                        untilSeconds: strategy.effect == .report ? nil : strategy.warnsUntilSeconds,
                        devices: Set(affected.map(\.device)).count,
                        persons: Set(affected.compactMap(\.person)).count, isLeast: state.isCut)
                }
            }
        }
    }

    /// The counts for the log, when an hour has passed since they were told and they have changed.
    func report(under policy: PolicySnapshot, atSeconds now: Int64) -> [(String, JSONValue)]? {
        let counts = counts(under: policy, atSeconds: now)
        let value = JSONValue.array(counts.map(\.json))
        return state.withLock { state in
            let isNews = state.told.map { $0 != value } ?? !counts.isEmpty
            guard isNews, !(0..<3_600).contains(now - state.toldAtSeconds) else { return nil }
            state.toldAtSeconds = now
            state.told = value
            return [("rules", value)]
        }
    }
}

extension ReportedRules.Rule {
    init(_ warning: CheckWarning) {
        self.init(policy: warning.policy, index: warning.rule, condition: warning.condition)
    }

    fileprivate static func all(of policy: DevicePolicy) -> [Self] {
        policy.rules.enumerated().map {
            Self(policy: policy.name, index: $0.offset, condition: $0.element.description)
        }
    }
}

extension ReportedRules.Count {
    var json: JSONValue {
        [
            "policy": .string(rule.policy), "rule": .integer(Int64(rule.index)),
            "condition": .string(rule.condition), "effect": .string(effect.rawValue),
            "until": untilSeconds.map { .integer($0) } ?? .null, "devices": .integer(Int64(devices)),
            "persons": .integer(Int64(persons)), "at_least": .bool(isLeast),
        ]
    }
}
