/// The moment lies in a weekly window of a fixed offset from UTC. There are no time zones here: rules that shift
/// by law would change decisions without a change of policy.
///
/// Nobody's answer never depends on it: what is decided before anybody signs in holds for as long as the policy.
public struct TimeCondition: Sendable, Codable, Hashable {
    /// ISO 8601 order, Monday first.
    public enum Weekday: String, Sendable, Codable, CaseIterable { case mon, tue, wed, thu, fri, sat, sun }
    /// Any of them will do.
    public var days: [Weekday]
    /// Minutes since midnight, 0...1439; the window begins with this minute.
    public var fromMinute: Int
    /// Minutes since midnight, 1...1440; the window ends before this minute.
    public var untilMinute: Int
    /// East of Greenwich is positive.
    public var offsetMinutes: Int
    /// Takes the members as they are; nothing is checked here.
    public init(days: [Weekday], fromMinute: Int, untilMinute: Int, offsetMinutes: Int) {
        self.days = days
        self.fromMinute = fromMinute
        self.untilMinute = untilMinute
        self.offsetMinutes = offsetMinutes
    }
}

extension TimeCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String {
        "time is \(days.map(\.rawValue).joined(separator: ", ")) "
            + "\(Self.clock(fromMinute))-\(Self.clock(untilMinute)) UTC\(offset)"
    }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        guard facts.isKnown else { return .indeterminate }
        let (day, second) = local(facts.nowSeconds)
        return Ternary(
            days.contains(Self.weekday(ofDay: day)) && second >= Int64(fromMinute) * 60
                && second < Int64(untilMinute) * 60)
    }

    /// The next edge of the window or midnight, whichever comes first: between two of them nothing changes.
    func changes(in facts: DecidedFacts) -> Int64? {
        guard facts.isKnown else { return nil }
        let second = local(facts.nowSeconds).second
        let edges = [Int64(fromMinute) * 60, Int64(untilMinute) * 60, 86_400]
        return edges.filter { $0 > second }.min().map { facts.nowSeconds.sum(saturating: $0 - second) }
    }

    func observed(in facts: DecidedFacts) -> String {
        let (day, second) = local(facts.nowSeconds)
        return "\(Self.weekday(ofDay: day).rawValue) \(Self.clock(Int(second / 60))) UTC\(offset)"
    }

    func source(in facts: DecidedFacts) -> String { "clock" }
    func ageSeconds(in facts: DecidedFacts) -> Int64? { nil }
    func remedy(for facts: DecidedFacts) -> String { "Come back in the hours that this policy names." }

    private func local(_ nowSeconds: Int64) -> (day: Int64, second: Int64) {
        let seconds = nowSeconds.sum(saturating: Int64(offsetMinutes) * 60)
        let remainder = seconds % 86_400
        let second = remainder < 0 ? remainder + 86_400 : remainder
        return ((seconds - remainder) / 86_400 - (remainder < 0 ? 1 : 0), second)
    }

    /// 1970-01-01 was a Thursday.
    private static func weekday(ofDay day: Int64) -> Weekday {
        Weekday.allCases[Int(((day % 7) + 10) % 7)]
    }

    private var offset: String {
        (offsetMinutes < 0 ? "-" : "+") + Self.clock(abs(offsetMinutes))
    }

    private static func clock(_ minute: Int) -> String {
        func digits(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
        return "\(digits(minute / 60)):\(digits(minute % 60))"
    }
}
