import Foundation
import Testing

@Suite("The module table is the same in every place where it stands")
struct ModuleTableTests {
    static let products = ["yams": "Yams", "grdb": "GRDB", "arguments": "ArgumentParser"]
    /// Linked for what it does by being there, and imported by nobody.
    static let linkedOnly: [String: Set<String>] = ["Fetch": ["COpenSSLInit"]]

    /// Package.swift's own words: module → what it depends on.
    static func declared() throws -> [String: Set<String>] {
        let text = try #require(SourceTree.text("Package.swift"))
        var found: [String: Set<String>] = [:]
        for match in text.matches(of: /\b(?:module|program)\(\s*"([^"]+)",\s*\[([^\]]*)\]/) {
            let names = match.2.split(separator: ",").map { name in
                let name = name.trimmingCharacters(in: .whitespacesAndNewlines)
                return name.hasPrefix("\"") ? String(name.dropFirst().dropLast()) : products[name] ?? name
            }
            found[String(match.1)] = Set(names.filter { !$0.isEmpty })
        }
        return found
    }

    @Test func `Package.swift declares every module, and gives none more than the table does`() throws {
        let declared = try Self.declared()
        #expect(Set(declared.keys) == Set(moduleTable.keys), "add it to moduleTable, or remove it there")
        for (module, dependencies) in declared.sorted(by: { $0.key < $1.key }) {
            let more = dependencies.subtracting(moduleTable[module] ?? [])
                .subtracting(Self.linkedOnly[module] ?? [])
            #expect(
                more.isEmpty, "Package.swift: \(module) depends on \(more.sorted()); remove it from there")
        }
    }

    @Test func `what a file imports is declared: the compiler would let it pass, and break in a clean build`()
        throws
    {
        let declared = try Self.declared()
        // What no package has to declare.
        let known = everywhere.union(withCollections).union([
            "Foundation", "FoundationNetworking", "Dispatch", "Logging",
        ])
        var problems: [String] = []
        for file in SourceTree.swiftFiles(under: "Sources") {
            let module = String(file.path.split(separator: "/")[1])
            for (index, line) in file.lines.enumerated() {
                for name in ImportLine.modules(of: line)
                where !known.contains(name) && declared[module]?.contains(name) != true {
                    problems.append(
                        "\(file.path):\(index + 1): error: \(name) is no dependency of \(module); declare it"
                    )
                }
            }
        }
        #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
    }

    @Test func `the life of a request in ARCHITECTURE.md names every stage, and only what is there`() throws {
        let text = try #require(SourceTree.text("ARCHITECTURE.md"))
        let sections = text.components(separatedBy: "\n## ")
        let section = try #require(sections.first { $0.hasPrefix("Life of a request\n") })
        let named = Set(section.matches(of: /`(?:[A-Za-z]+\/)*([A-Za-z]+Stage)`/).map { String($0.1) })
        let stages = SourceTree.swiftFiles(under: "Sources/DataPlane/Stages").map {
            String($0.path.split(separator: "/").last?.dropLast(".swift".count) ?? "")
        }
        #expect(!stages.isEmpty && named == Set(stages.filter { $0.hasSuffix("Stage") }))
    }

    @Test func `ARCHITECTURE.md has a row for every module, and each row says what the table says`() throws {
        let text = try #require(SourceTree.text("ARCHITECTURE.md"))
        var rows: [String: String] = [:]
        for match in text.matches(of: /(?m)^\| `([\w-]+)` \| [^|]+ \| ([^|]+) \|$/) {
            rows[String(match.1)] = String(match.2)
        }
        #expect(Set(rows.keys) == Set(moduleTable.keys))
        for (module, row) in rows {
            let table = moduleTable[module] ?? []
            let words = row.split(separator: ", ").map { $0.trimmingCharacters(in: ["`", " "]) }
            if row.hasPrefix("anything but ") {
                let left = words.map { $0.replacing("anything but `", with: "") }
                #expect(table.isDisjoint(with: left), "ARCHITECTURE.md: \(module)")
            } else {
                let expected = words == ["nothing"] ? [] : Set(words)
                #expect(table == expected, "ARCHITECTURE.md: the row of \(module) differs from moduleTable")
            }
        }
    }

    static let lines: [(line: String, modules: [String])] = [
        ("import Foundation", ["Foundation"]),
        ("public import Access", ["Access"]),
        ("@testable import Config", ["Config"]),
        ("@preconcurrency import Fetch", ["Fetch"]),
        ("@_exported public import Store", ["Store"]),
        ("@_spi(Internals) @preconcurrency internal import Posture", ["Posture"]),
        ("    import struct Fetch.FetchRequest", ["Fetch"]),
        ("private import func Glibc.write", ["Glibc"]),
        ("import Access; import Identity", ["Access", "Identity"]),
        ("import protocol Store.GatewayStore // why", ["Store"]),
        ("/// import nothing", []),
        ("let important = imports", []),
        ("// import Posture", []),
        ("#if canImport(Fetch)", []),
    ]

    @Test(arguments: lines) func `an import is seen whatever stands before it`(
        _ row: (line: String, modules: [String])
    ) {
        #expect(ImportLine.modules(of: Substring(row.line)) == row.modules)
    }
}
