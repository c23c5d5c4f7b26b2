import Access

/// Values that policy compares with claims and facts.
enum ClaimValues {
    /// One value or a list of at least one; quoted values are texts, plain `true` and whole numbers are not.
    static func read(_ node: ConfigNode, _ reader: SectionReader, _ name: String) -> [ClaimValue] {
        guard case .sequence(let items) = node.content else {
            return one(node, reader, name).map { [$0] } ?? []
        }
        if items.isEmpty { reader.problem(name, at: node.place, "list is empty", "name at least one value") }
        return items.enumerated().compactMap { one($0.element, reader, "\(name)[\($0.offset)]") }
    }

    private static func one(_ node: ConfigNode, _ reader: SectionReader, _ name: String) -> ClaimValue? {
        guard let (text, isPlain) = reader.scalar(node, name) else { return nil }
        guard isPlain else { return .text(text) }
        if text == "true" || text == "false" { return .flag(text == "true") }
        if let number = Int64(text), String(number) == text { return .integer(number) }
        return .text(text)
    }
}
