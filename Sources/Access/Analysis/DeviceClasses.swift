/// The classes of device policies as statements about devices; the same way that `DeviceRuling` walks.
extension DeviceSpace {
    /// For which devices the class is each of the three, on one side at one moment. Exactly one of them holds.
    struct Classes {
        var denied: Formulas.Node
        var partial: Formulas.Node
        var compliant: Formulas.Node

        func node(_ deviceClass: DeviceClass) -> Formulas.Node {
            switch deviceClass {
            case .denied: denied
            case .partial: partial
            case .compliant: compliant
            }
        }
    }

    /// One device policy of a platform: when it settles the class, before or after what.
    struct Settling {
        var policy: DevicePolicy
        /// Its rules hold, or its silence denies, and no earlier one has settled.
        var settles: Formulas.Node
        /// Its rules hold, whatever came before.
        var holds: Formulas.Node
    }

    /// - Parameter moment: strategies that only warn until then.
    mutating func classes(_ side: Side, atSeconds moment: Int64) -> Classes {
        let extensionSeconds = side.outage.extensionSeconds
        var classes = classesByPlatform(side, extensionSeconds, moment)
        if side.outage == .partial {
            // Silence alone denies nobody: what the last verdicts would have given counts for partial access.
            let last = classesByPlatform(side, OutageSetting.secondsMax, moment)
            let softened = formulas.all([classes.denied, formulas.not(last.denied)])
            classes.denied = formulas.all([classes.denied, last.denied])
            classes.partial = formulas.any([classes.partial, softened])
        }
        guard side.owner == .samePerson else { return classes }
        let isOwners = formulas.literal(owner) { $0 == 0 }
        return Classes(
            denied: formulas.any([formulas.not(isOwners), classes.denied]),
            partial: formulas.all([isOwners, classes.partial]),
            compliant: formulas.all([isOwners, classes.compliant]))
    }

    private mutating func classesByPlatform(
        _ side: Side, _ extensionSeconds: Int64, _ moment: Int64
    ) -> Classes {
        var (denied, partial, compliant): ([Formulas.Node], [Formulas.Node], [Formulas.Node]) = ([], [], [])
        let platforms = platforms
        for (index, name) in platforms.enumerated() {
            let isPlatform = formulas.literal(platform) { $0 == index }
            let classes = walk(side, name, extensionSeconds, moment).classes
            denied.append(formulas.all([isPlatform, classes.denied]))
            partial.append(formulas.all([isPlatform, classes.partial]))
            compliant.append(formulas.all([isPlatform, classes.compliant]))
        }
        return Classes(
            denied: formulas.any(denied), partial: formulas.any(partial), compliant: formulas.any(compliant))
    }

    /// The policies of one platform in the order in which they are asked.
    mutating func walk(
        _ side: Side, _ platform: Platform?, _ extensionSeconds: Int64, _ moment: Int64
    ) -> (classes: Classes, settlings: [Settling]) {
        let policies = side.devicePolicies.filter { $0.platform == platform }
            .sorted { ($0.priority, $0.name) < ($1.priority, $1.name) }
        guard !policies.isEmpty else { return (Self.certain(min(side.unsupported, .partial)), []) }
        var (denied, partial, compliant): ([Formulas.Node], [Formulas.Node], [Formulas.Node]) = ([], [], [])
        var settlings: [Settling] = []
        /// No policy has settled the class yet.
        var isOpen = Formulas.always
        /// No silence has capped it yet.
        var isUncapped = Formulas.always
        for policy in policies {
            let tally = tally(policy, extensionSeconds, moment)
            let settles = formulas.all([isOpen, tally.yes])
            let full = formulas.all([settles, isUncapped, formulas.not(tally.isLow)])
            switch policy.result {
            case .denied: denied.append(settles)
            case .partial:
                denied.append(formulas.all([settles, tally.isDenied]))
                partial.append(formulas.all([settles, formulas.not(tally.isDenied)]))
            case .compliant:
                compliant.append(full)
                denied.append(formulas.all([settles, tally.isDenied]))
                let lowered = formulas.any([formulas.not(isUncapped), tally.isLow])
                partial.append(formulas.all([settles, formulas.not(tally.isDenied), lowered]))
            }
            var settled = tally.yes
            if policy.result != .compliant {
                switch policy.onUnknown {
                case .unsafeIgnore: break
                case .cap: isUncapped = formulas.all([isUncapped, formulas.not(tally.unknown)])
                case .deny:
                    denied.append(formulas.all([isOpen, tally.unknown]))
                    settled = formulas.any([tally.yes, tally.unknown])
                }
            }
            settlings.append(
                Settling(policy: policy, settles: formulas.all([isOpen, settled]), holds: settled))
            isOpen = formulas.all([isOpen, formulas.not(settled)])
        }
        if min(side.noMatch, .partial) == .denied { denied.append(isOpen) } else { partial.append(isOpen) }
        let classes = Classes(
            denied: formulas.any(denied), partial: formulas.any(partial), compliant: formulas.any(compliant))
        return (classes, settlings)
    }

    private static func certain(_ deviceClass: DeviceClass) -> Classes {
        func node(_ other: DeviceClass) -> Formulas.Node {
            deviceClass == other ? Formulas.always : Formulas.never
        }
        return Classes(denied: node(.denied), partial: node(.partial), compliant: node(.compliant))
    }

    private struct Tally {
        var yes: Formulas.Node
        var unknown: Formulas.Node
        /// Rules with strategies of their own leave at most `partial`, or nothing.
        var isLow: Formulas.Node
        var isDenied: Formulas.Node
    }

    private mutating func tally(_ policy: DevicePolicy, _ extensionSeconds: Int64, _ moment: Int64) -> Tally {
        if policy.rules.isEmpty && policy.result == .compliant {
            return Tally(
                yes: Formulas.never, unknown: Formulas.always, isLow: Formulas.never, isDenied: Formulas.never
            )
        }
        var (yes, no, low, denied): ([Formulas.Node], [Formulas.Node], [Formulas.Node], [Formulas.Node]) =
            ([], [], [], [])
        for (index, rule) in policy.rules.enumerated() {
            let outcome = outcome(
                rule, strength: policy.matchStrengthMin, extensionSeconds: extensionSeconds)
            let isNotYes = formulas.not(outcome.yes)
            switch policy.strategy(ofRule: index).effect(atSeconds: moment) {
            case .require:
                yes.append(outcome.yes)
                no.append(outcome.no)
            case .report: continue
            case .partial: low.append(isNotYes)
            case .deny:
                low.append(policy.onUnknown == .unsafeIgnore ? outcome.no : isNotYes)
                denied.append(policy.onUnknown == .deny ? isNotYes : outcome.no)
            }
        }
        let (holds, fails) = (formulas.all(yes), formulas.any(no))
        let isNeither = [formulas.not(holds), formulas.not(fails)]
        return Tally(
            yes: holds, unknown: formulas.all(isNeither), isLow: formulas.any(low),
            isDenied: formulas.any(denied))
    }
}
