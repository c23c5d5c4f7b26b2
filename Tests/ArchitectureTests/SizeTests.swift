import Testing

@Suite("Sizes that keep files readable")
struct SizeTests {
    static let linesMax = 500
    static let columnsMax = 120
    static let functionLinesMax = 70

    @Test func `no file is longer than 500 lines and no line wider than 120 columns`() {
        var problems: [String] = []
        for file in SourceTree.swiftFiles(under: "Sources") + SourceTree.swiftFiles(under: "Tests") {
            if file.lines.count > Self.linesMax {
                problems.append(
                    "\(file.path):1: error: \(file.lines.count) lines; split it by responsibility")
            }
            guard file.path.hasPrefix("Sources") else { continue }
            for (index, line) in file.lines.enumerated() where line.count > Self.columnsMax {
                problems.append("\(file.path):\(index + 1): error: \(line.count) columns; wrap the line")
            }
        }
        #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
    }

    @Test func `no function is longer than 70 lines`() {
        var problems: [String] = []
        for file in SourceTree.swiftFiles(under: "Sources") {
            for (start, length) in Self.functions(file.lines) where length > Self.functionLinesMax {
                problems.append(
                    "\(file.path):\(start + 1): error: function of \(length) lines; split it by step")
            }
        }
        #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
    }

    /// Functions as (first line, length), found by the indentation of `func` or `init` and of their closing brace:
    /// the formatter puts both in one column.
    static func functions(_ lines: [Substring]) -> [(Int, Int)] {
        var found: [(Int, Int)] = []
        for (start, line) in lines.enumerated() {
            let body = line.drop { $0 == " " }
            let indent = line.count - body.count
            guard Self.isDeclaration(body) else { continue }
            guard !body.hasSuffix("}") else { continue }
            let closing = String(repeating: " ", count: indent) + "}"
            guard
                let end = lines[(start + 1)...].firstIndex(where: {
                    $0.hasPrefix(closing) && !$0.hasPrefix(closing + ",")
                })
            else { continue }
            found.append((start, end - start + 1))
        }
        return found
    }

    private static let modifiers: Set<Substring> = [
        "public", "package", "private", "fileprivate", "internal", "static", "mutating", "consuming",
        "borrowing",
        "override", "convenience", "required", "nonisolated", "@inlinable", "@inline(__always)",
        "@discardableResult",
    ]

    /// `func` or `init` as the first word that is no modifier: calls such as `self.init(` are none.
    private static func isDeclaration(_ line: Substring) -> Bool {
        let words = line.split(separator: " ")
        guard let first = words.first(where: { !modifiers.contains($0) }) else { return false }
        return first == "func" || first.hasPrefix("init(") || first.hasPrefix("init?(")
            || first.hasPrefix("init<")
    }
}
