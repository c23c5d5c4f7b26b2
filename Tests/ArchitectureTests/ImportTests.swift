import Foundation
import Testing

/// The module table of ARCHITECTURE.md as data. The compiler does not guard it: an undeclared import passes in an
/// incremental build.
let moduleTable: [String: Set<String>] = [
    "Access": [],
    "JSON": [],
    "HTTP": [],
    "Border": ["Access"],
    "DataPlane": ["Access", "HTTP", "JSON", "Border", "COpenSSL", "CNghttp2", "CLinux"],
    "Signatures": ["JSON", "COpenSSL"],
    "Fetch": ["CCurl"],
    "Store": ["Access", "GRDB"],
    "Config": ["Access", "Yams"],
    "Identity": ["Access", "JSON", "Signatures", "Fetch", "Store"],
    "Posture": ["Access", "JSON", "Signatures", "Fetch", "Store"],
    "Control": [
        "Access", "JSON", "Border", "Config", "Identity", "Posture", "Store", "Signatures", "Fetch",
    ],
    "gatepost": ["DataPlane", "Control", "Border", "Config", "Access", "JSON", "CLinux", "ArgumentParser"],
    "gatepost-agent": ["HTTP", "JSON", "Signatures", "Fetch", "CLinux", "COpenSSL", "ArgumentParser"],
    "gatepost-lab": [
        "Access", "JSON", "HTTP", "Border", "Signatures", "Fetch", "Store", "Config", "Identity", "Posture",
        "Control", "CLinux", "COpenSSL", "ArgumentParser",
    ],
]

let everywhere: Set<String> = ["Glibc", "Synchronization", "Swift"]
let withCollections: Set<String> = [
    "Atomics", "Collections", "DequeModule", "HeapModule", "OrderedCollections",
]
let controlPlane: Set<String> = [
    "Fetch", "Store", "Config", "Identity", "Posture", "Control", "gatepost", "gatepost-agent",
    "gatepost-lab",
]

@Suite("The module table")
struct ImportTests {
    static func allowed(in module: String) -> Set<String> {
        var set = moduleTable[module] ?? []
        if module != "Access" && module != "JSON" {
            set.formUnion(everywhere)
            set.formUnion(withCollections)
        }
        if controlPlane.contains(module) {
            set.formUnion(["Foundation", "FoundationNetworking", "Dispatch", "Logging"])
        }
        return set
    }

    @Test func `no file imports a module that the table does not give it`() {
        var problems: [String] = []
        for file in SourceTree.swiftFiles(under: "Sources") {
            let module = file.path.split(separator: "/")[1]
            guard moduleTable[String(module)] != nil else {
                problems.append(
                    "\(file.path):1: error: module \(module) is not in the table; add it with its reason")
                continue
            }
            for (index, line) in file.lines.enumerated() {
                for name in ImportLine.modules(of: line)
                where !Self.allowed(in: String(module)).contains(name) {
                    problems.append(
                        "\(file.path):\(index + 1): error: \(module) may not import \(name); see ARCHITECTURE.md"
                    )
                }
            }
        }
        #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
    }

    @Test func `identity and posture never import each other, and deciding imports nothing`() {
        #expect(moduleTable["Access"] == [])
        #expect(moduleTable["Identity"]?.contains("Posture") == false)
        #expect(moduleTable["Posture"]?.contains("Identity") == false)
        #expect(
            moduleTable["DataPlane"]?.isDisjoint(with: ["Fetch", "Store", "Identity", "Posture"]) == true)
    }
}
