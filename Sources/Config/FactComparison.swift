import Access

/// `">= 6.1"`: a fact that is a number or a version, compared with one.
enum FactComparison {
    /// No fact has a value that begins so.
    static func isComparison(_ text: String) -> Bool {
        Comparison.allCases.contains { text.hasPrefix($0.rawValue) }
    }

    static func read(_ text: String, _ entry: ConfigNode.Entry, _ reader: SectionReader) -> (
        Comparison, String
    )? {
        let signs = Comparison.allCases.map(\.rawValue).sorted { $0.utf8.count > $1.utf8.count }
        guard let sign = signs.first(where: { text.hasPrefix($0) }),
            let comparison = Comparison(rawValue: sign)
        else { return nil }
        let value = String(text.dropFirst(sign.count).drop { $0 == " " })
        let parts = value.split(separator: ".", omittingEmptySubsequences: false)
        let isVersion =
            (1...4).contains(parts.count)
            && parts.allSatisfy {
                (1...9).contains($0.utf8.count) && $0.utf8.allSatisfy { (48...57).contains($0) }
            }
        if isVersion { return (comparison, value) }
        reader.problem(
            "facts.\(entry.name)", at: entry.value.place, "\"\(value)\" is no number and no version",
            "write one to four numbers with dots, for example \">= 6.1\"")
        return nil
    }
}
