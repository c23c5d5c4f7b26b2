/// A dotted version such as `7.2` or `7.10.1`, compared number by number; a missing part is 0 (004.6).
struct AgentVersion: Comparable, Sendable {
    let parts: [Int]

    /// A part that is no number ends the version: `7.2-beta` counts as below `7.2`.
    init(_ text: String) {
        var parts: [Int] = []
        for part in text.split(separator: ".", omittingEmptySubsequences: false).prefix(4) {
            guard let number = Int(part), number >= 0 else {
                let digits = part.prefix { $0.isASCII && $0.isNumber }
                // A pre-release comes before its release.
                if let leading = Int(digits), digits.count < part.count {
                    parts.append(contentsOf: leading > 0 ? [leading - 1, Int.max] : [-1])
                }
                break
            }
            parts.append(number)
        }
        self.parts = parts
    }

    static func < (left: AgentVersion, right: AgentVersion) -> Bool { left.compare(right) < 0 }
    static func == (left: AgentVersion, right: AgentVersion) -> Bool { left.compare(right) == 0 }

    private func compare(_ other: AgentVersion) -> Int {
        for index in 0..<max(parts.count, other.parts.count) {
            let mine = index < parts.count ? parts[index] : 0
            let theirs = index < other.parts.count ? other.parts[index] : 0
            if mine != theirs { return mine < theirs ? -1 : 1 }
        }
        return 0
    }
}
