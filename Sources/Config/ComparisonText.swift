import Access

/// `>= 60`, `<= low`: a comparison and what it compares with.
enum ComparisonText {
    static func risk(_ text: String, _ key: String, _ reader: SectionReader) -> (Comparison, Verdict.Risk)? {
        guard let (comparison, word) = split(key, text, reader, of: "a risk") else { return nil }
        if let risk = Verdict.Risk(rawValue: word) { return (comparison, risk) }
        let words = Verdict.Risk.allCases.map(\.rawValue).joined(separator: ", ")
        reader.problem(key, "\"\(word)\" is no risk", "use one of \(words)")
        return nil
    }

    static func score(
        _ text: String, _ range: ClosedRange<Int64>, _ key: String, _ reader: SectionReader
    ) -> (Comparison, Int64)? {
        guard let (comparison, number) = split(key, text, reader, of: "a number") else { return nil }
        do { return (comparison, try Quantity.integer(number, in: range)) } catch {
            reader.problem(key, error.problem, error.remedy)
            return nil
        }
    }

    /// Reported when there is no comparison.
    private static func split(
        _ key: String, _ text: String, _ reader: SectionReader, of what: String
    ) -> (Comparison, String)? {
        let operators = Comparison.allCases.map(\.rawValue).sorted { $0.count > $1.count }
        guard let sign = operators.first(where: { text.hasPrefix($0) }),
            let comparison = Comparison(rawValue: sign)
        else {
            reader.problem(
                key, "\"\(text)\" does not begin with a comparison",
                "write one of <, <=, =, >=, > and \(what)")
            return nil
        }
        return (comparison, String(text.dropFirst(sign.count).drop { $0 == " " }))
    }
}
