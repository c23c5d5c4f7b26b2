import Foundation
import Testing

@Suite("Words and names")
struct WordTests {
    /// What may not stand in the product's code, and what to write instead.
    static let banned: [(word: String, instead: String)] = [
        ("TODO", "finish it, or say in ARCHITECTURE.md why it is not there"),
        ("FIXME", "fix it"),
        ("XXX", "say what is wrong in a sentence"),
        ("HACK", "say why the obvious thing is wrong"),
        ("try!", "handle the error; programmer errors are preconditions"),
        ("as!", "use as? and handle the other case"),
        ("fatalError(", "throw, refuse, or use precondition with a message"),
        ("nginx-style", "name the behaviour"),
        ("NSRegularExpression", "typed matches: exact, prefix by segment, range, set"),
    ]

    /// What may not stand in tests either.
    static let bannedEverywhere: [(word: String, instead: String)] = [
        (
            "Process()",
            "in tests ChildProgram of Tests/ChildPrograms, in the product posix_spawn(3): Foundation's may crash "
                + "where more than a thousand descriptors are open"
        )
    ]

    /// Where one of them may stand, and why.
    static let excepted: [String: String] = [
        "Sources/gatepost-agent/ConformanceCommand.swift":
            "for authors of agents; it has a handful of descriptors",
        "Tests/ArchitectureTests/WordTests.swift": "the table itself",
    ]

    private static func problems(
        in folder: String, _ words: [(word: String, instead: String)]
    ) -> [String] {
        var problems: [String] = []
        for file in SourceTree.swiftFiles(under: folder) {
            for (index, line) in file.lines.enumerated() {
                for (word, instead) in words where Self.contains(line, word) {
                    problems.append("\(file.path):\(index + 1): error: \"\(word)\"; \(instead)")
                }
            }
        }
        return problems
    }

    @Test func `no banned word stands in the sources`() {
        let problems = Self.problems(in: "Sources", Self.banned)
        #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
    }

    @Test func `what neither product nor tests may use stands only where it is excepted`() {
        let problems = ["Sources", "Tests"].flatMap { Self.problems(in: $0, Self.bannedEverywhere) }
        let others = problems.filter { Self.excepted[String($0.prefix { $0 != ":" })] == nil }
        #expect(others.isEmpty, "\(others.joined(separator: "\n"))")
        for path in Self.excepted.keys {
            #expect(problems.contains { $0.hasPrefix(path + ":") }, "\(path) is no exception any more")
        }
    }

    @Test func `every reason word is described in docs slash reasons`() throws {
        let reasons = try #require(SourceTree.text("Sources/Access/Reason.swift"))
        let document = try #require(SourceTree.text("docs/reasons.md"))
        let words = reasons.split(separator: "\"").enumerated().filter { $0.offset % 2 == 1 }.map {
            $0.element
        }
        #expect(words.count > 40)
        for word in words {
            #expect(
                document.contains("`\(word)`"),
                "docs/reasons.md: `\(word)` is missing; describe it and its remedy")
        }
    }

    @Test func `the changelog has the shape that administrators rely on`() throws {
        let text = try #require(SourceTree.text("CHANGELOG.md"))
        #expect(text.hasPrefix("# Changelog"))
        #expect(text.contains("## Unreleased"))
        #expect(text.contains("### Added"))
    }

    /// Whole words only: "as!" is not in "has!".
    private static func contains(_ line: Substring, _ word: String) -> Bool {
        guard let range = line.range(of: word) else { return false }
        guard let first = word.first, first.isLetter, range.lowerBound > line.startIndex else { return true }
        return !line[line.index(before: range.lowerBound)].isLetter
    }
}
