/// What a person does when a fact of the agent is not what policy asks: plain words, of the device's platform where the
/// way there differs.
///
/// Every fact that agents tell has a row (`FactRemedy.table`). A rule that asks for the opposite of what the words lead
/// to gets the general sentence: nobody is told how to switch a protection off.
struct FactRemedy: Sendable {
    /// How the value that policy asks follows the words.
    enum Asked: Sendable {
        /// Not at all: the words say it, or it means nothing to people.
        case unsaid
        case value
        case seconds
        case days
    }

    /// The flag that the words lead to; nil: the fact is no flag.
    var leadsTo: Bool?
    var words: String
    /// In place of the words, where the platform is known.
    var on: [Platform: String] = [:]
    var asked = Asked.unsaid

    init(_ words: String, on: [Platform: String] = [:], leadsTo: Bool? = nil, asked: Asked = .unsaid) {
        self.words = words
        self.on = on
        self.leadsTo = leadsTo
        self.asked = asked
    }

    /// The words for a rule that wants one of these values.
    ///
    /// - Parameter platform: the device's; nil: not known.
    static func text(_ fact: String, oneOf values: [ClaimValue], on platform: Platform?) -> String {
        let wanted = values.map(\.description).joined(separator: " or ")
        guard let row = table[fact], row.leadsTo == nil || values == row.leadsTo.map({ [.flag($0)] }) else {
            return "Set \(fact) on this device to \(wanted)."
        }
        return row.sentence(on: platform, asking: wanted)
    }

    /// The words for a rule that compares.
    static func text(
        _ fact: String, _ comparison: Comparison, _ value: String, on platform: Platform?
    ) -> String {
        guard let row = table[fact], row.leadsTo == nil else {
            return "Bring \(fact) of this device to \(comparison.rawValue) \(value)."
        }
        return row.sentence(on: platform, asking: "\(comparison.words) \(row.amount(value))")
    }

    private func sentence(on platform: Platform?, asking wanted: String) -> String {
        let words = platform.flatMap { on[$0] } ?? words
        return asked == .unsaid ? words : "\(words) Asked for: \(wanted)."
    }

    private func amount(_ value: String) -> String {
        switch asked {
        case .unsaid, .value: return value
        case .days: return "\(value) days"
        case .seconds:
            guard let seconds = Int64(value), seconds >= 60, seconds % 60 == 0 else {
                return "\(value) seconds"
            }
            return seconds == 60 ? "1 minute" : "\(seconds / 60) minutes"
        }
    }
}

extension Comparison {
    /// As people say it before a number.
    fileprivate var words: String {
        switch self {
        case .less: "less than"
        case .lessOrEqual: "at most"
        case .equal: "exactly"
        case .greaterOrEqual: "at least"
        case .greater: "more than"
        }
    }
}
