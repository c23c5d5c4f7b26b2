/// The values that conditions about a person can tell apart: everything that is named, and for each way of being
/// something else one that is named nowhere.
enum PersonChoices {
    static func emails(_ conditions: [Condition], _ asked: String?) -> [CaseChoice] {
        var addresses: [String] = asked.map { [$0] } ?? []
        var domains: [String] = []
        for condition in conditions {
            if case .email(let asked) = condition { addresses += asked.addresses }
            if case .emailDomain(let asked) = condition { domains += asked.domains }
        }
        let local = fresh(
            "somebody", unlike: addresses.compactMap { $0.split(separator: "@").first.map(String.init) })
        let elsewhere = fresh("elsewhere", unlike: domains) + ".invalid"
        // Who is named nowhere comes first, since searches begin with the first values; but the one who is asked about
        // stands for all whom no condition tells from them.
        var emails: [String?] = asked.map { [$0] } ?? []
        emails.append("\(local)@\(elsewhere)")
        emails += addresses + domains.map { "\(local)@\($0)" } + [nil, local]
        return emails.map { .email($0) }
    }

    /// Seconds since the provider saw the person prove who they are.
    static func authenticated(_ conditions: [Condition]) -> [CaseChoice] {
        var ages: [Int64?] = [0]
        for case .authenticatedWithin(let asked) in conditions {
            ages += [asked.secondsMax, asked.secondsMax.sum(saturating: 1)]
        }
        ages += [nil, -Verdict.clockSkewSecondsMax - 1]
        return ages.map { .authenticated($0) }
    }

    /// What the claims of these names can be: each value that is named, other ones, and lists of them.
    static func claims(
        _ names: [String], _ conditions: [Condition], _ reading: AxisReading, max: Int
    ) -> [CaseChoice]? {
        var wanted: [ClaimValue] = []
        for condition in conditions {
            switch condition {
            case .claim(let asked): wanted += asked.values
            case .authenticationContext(let asked): wanted += asked.values.map(ClaimValue.text)
            case .authenticationMethod(let asked): wanted += asked.methods.map(ClaimValue.text)
            default: continue
            }
        }
        var combined: [[String: ClaimValue]] = [[:]]
        for name in names {
            let values = ClaimChoices.values(wanted) { value in
                reading.signature(of: .claims([name: value]))
            }
            var next = combined
            for claims in combined {
                for value in values { next.append(claims.merging([name: value]) { _, new in new }) }
            }
            combined = next
            if combined.count > max { return nil }
        }
        return combined.map { .claims($0) }
    }

    static func fresh(_ name: String, unlike others: [String]) -> String {
        var name = name
        while others.contains(where: { ExactText.isEqualFoldingASCII($0, name) }) { name += "-else" }
        return name
    }
}

/// The values of one claim, or of one fact of an agent, that comparisons with `wanted` can tell apart.
enum ClaimChoices {
    static func values<Signature: Hashable>(
        _ wanted: [ClaimValue], _ signature: (ClaimValue) -> Signature
    ) -> [ClaimValue] {
        var texts: [String] = []
        var values: [ClaimValue] = []
        var numbers: [Int64] = []
        for value in wanted {
            values.append(value)
            if case .text(let text) = value, !ExactText.contains(texts, text) { texts.append(text) }
            if case .integer(let number) = value { numbers.append(number) }
        }
        let other = PersonChoices.fresh("something-else", unlike: texts)
        let number = (numbers.max() ?? 0).sum(saturating: 1)
        values += [.text(other), .flag(true), .flag(false), .integer(number), .list([])]
        // A list meets a wanted text when it holds it, so lists differ by which of the texts they hold.
        var seen: Set<Signature> = []
        var lists: [[String]] = [[other]]
        seen.insert(signature(.list([other])))
        for text in texts {
            for list in lists where seen.insert(signature(.list(list + [text]))).inserted {
                lists.append(list + [text])
            }
        }
        values += lists.map(ClaimValue.list)
        var told: Set<Signature> = []
        return values.filter { told.insert(signature($0)).inserted }
    }
}
