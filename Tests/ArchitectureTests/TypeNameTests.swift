import Foundation
import Testing

@Suite("Names of types")
struct TypeNameTests {
    /// Whole words of a name that are said otherwise here, and what is said instead.
    static let banned: [(word: String, instead: String)] = [
        ("Utils", "name what it does"), ("Utilities", "name what it does"), ("Util", "name what it does"),
        ("Helper", "name what it does"), ("Helpers", "name what it does"), ("Manager", "name what it does"),
        ("Common", "name what they share"), ("Base", "name what it is"),
        ("Frontend", "downstream or listener"), ("Backend", "upstream"), ("Vhost", "application or route"),
        ("Auth", "session, sign-in or decision"),
    ]
    /// Whole names: parts of them are fine words by themselves.
    static let bannedNames: [(word: String, instead: String)] = [
        ("ServerBlock", "application or route"), ("VirtualHost", "application or route"),
        ("LoginStatus", "session"), ("CheckResult", "decision and reason"),
        ("CheckStatus", "decision and reason"),
        ("UserID", "subject"), ("ClientID", "device or agent, if it is one"),
    ]
    /// With the reason: nobody else may take them as an example.
    static let allowed: [String: String] = [
        "CommonPolicies": "policies that two configurations have in common is what it holds"
    ]

    private static let keywords = ["struct", "class", "enum", "actor", "protocol", "typealias"].map {
        Array($0.utf8)
    }

    /// The types that a line declares.
    static func declared(in line: Substring) -> [String] {
        guard !line.drop(while: { $0 == " " }).hasPrefix("//") else { return [] }
        // A regular expression is made anew for each line, and most lines declare nothing.
        let words = line.utf8.split { !($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7a) }
        guard words.contains(where: { word in keywords.contains { $0.elementsEqual(word) } }) else {
            return []
        }
        return line.matches(of: /\b(?:struct|class|enum|actor|protocol|typealias)\s+([A-Z]\w*)/).map {
            String($0.1)
        }
    }

    /// `HTTPHeadParser` is `HTTP`, `Head`, `Parser`.
    static func words(of name: String) -> [String] {
        name.matches(of: /[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+/).map { String($0.0) }
    }

    static func problem(with name: String) -> String? {
        guard allowed[name] == nil else { return nil }
        if let found = bannedNames.first(where: { $0.word == name }) { return found.instead }
        let words = words(of: name)
        return banned.first { words.contains($0.word) }?.instead
    }

    @Test func `no type in any file has a name that says nothing, or another word than everybody else's`() {
        var problems: [String] = []
        var seen: Set<String> = []
        for file in SourceTree.swiftFiles(under: "Sources") {
            let module = String(file.path.split(separator: "/")[1])
            for (index, line) in file.lines.enumerated() {
                for name in Self.declared(in: line) {
                    seen.insert(name)
                    let instead =
                        name == module ? "another name: it hides its module's" : Self.problem(with: name)
                    guard let instead else { continue }
                    problems.append("\(file.path):\(index + 1): error: type \(name); \(instead)")
                }
            }
        }
        #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
        #expect(seen.count > 1_000, "declarations are not found")
        for (name, reason) in Self.allowed { #expect(seen.contains(name), "\(name) (\(reason)) is gone") }
    }

    static let table: [(name: String, isGood: Bool)] = [
        ("SessionManager", false), ("BaseConnector", false), ("StringUtils", false), ("HTTPHelper", false),
        ("BackendPool", false), ("FrontendListener", false), ("CheckResult", false), ("UserID", false),
        ("AuthState", false), ("CommonKeys", false), ("Baseline", true), ("DatabaseFile", true),
        ("ManagedDevice", true), ("Author", true), ("ClientAuthorities", true), ("Base64URL", true),
    ]

    @Test(arguments: table) func `words count as wholes`(_ row: (name: String, isGood: Bool)) {
        #expect((Self.problem(with: row.name) == nil) == row.isGood)
    }

    @Test func `declarations are found with whatever stands before them, and in no comment`() {
        #expect(Self.declared(in: "    private final class Pool: Sendable {") == ["Pool"])
        #expect(
            Self.declared(in: "package indirect enum Shape: Sendable { struct Row {} }") == ["Shape", "Row"])
        #expect(Self.declared(in: "    /// Not a struct Pool.") == [])
        #expect(Self.declared(in: "    static func classOf(_ name: String) {") == [])
    }
}
