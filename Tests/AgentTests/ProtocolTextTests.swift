import Access
import Foundation
import JSON
import Signatures
import Testing

@testable import Posture
@testable import gatepost_agent

@Suite("PROTOCOL.md names everything that an agent for another system has to write or read")
struct ProtocolTextTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    static func text(_ path: String) throws -> String {
        try String(contentsOfFile: root + "/" + path, encoding: .utf8)
    }

    /// The part below a heading, up to the next one of the same depth or above.
    static func section(_ heading: String) throws -> String {
        let lines = try text("Sources/gatepost-agent/PROTOCOL.md").split(
            separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0.hasPrefix(heading) }, "\(heading)")
        let depth = heading.prefix { $0 == "#" }.count
        let rest = lines[(start + 1)...].prefix { line in
            let marks = line.prefix { $0 == "#" }.count
            return marks == 0 || marks > depth
        }
        return rest.joined(separator: "\n")
    }

    /// Cells of the tables' rows, by each name in backquotes of the first cell.
    static func rows(_ section: String) -> [String: [String]] {
        var rows: [String: [String]] = [:]
        for line in section.split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.dropFirst().split(separator: "|").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            for (index, name) in cells[0].split(separator: "`", omittingEmptySubsequences: false).enumerated()
            where index % 2 == 1 {
                rows[String(name)] = Array(cells.dropFirst())
            }
        }
        return rows
    }

    /// What a pattern's only group matches in a file of the project.
    static func names(_ pattern: String, in path: String) throws -> Set<String> {
        let source = try text(path)
        let expression = try NSRegularExpression(pattern: pattern)
        let whole = NSRange(source.startIndex..., in: source)
        return Set(
            expression.matches(in: source, range: whole).compactMap { match in
                Range(match.range(at: 1), in: source).map { String(source[$0]) }
            })
    }

    @Test("every fact that a gateway reads stands in section 12, in the type that it is read in")
    func facts() throws {
        let rows = Self.rows(try Self.section("## 12."))
        for (fact, shape) in StatementFacts.shapes {
            let name = String(fact.map { $0 == "-" ? "_" : $0 })
            #expect(rows[name]?.first == Self.type(shape), "\(name)")
        }
    }

    static func type(_ shape: StatementFacts.Shape) -> String {
        switch shape {
        case .flag: "flag"
        case .number(let range): "number \(grouped(range.lowerBound))…\(grouped(range.upperBound))"
        case .text(let bytes): "text \(bytes)"
        case .list(let count): "list \(count)"
        }
    }

    static func grouped(_ number: Int64) -> String {
        var digits = String(number)
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return ([digits] + groups).joined(separator: ",")
    }

    @Test("every fact that this agent tells stands in section 12") func told() throws {
        let rows = Self.rows(try Self.section("## 12."))
        let names = FactProbes.all(deviceIDsPath: "", machineIDKey: []).flatMap(\.names)
        #expect(names.count > 25)
        for name in names { #expect(rows[name] != nil, "\(name)") }
        let text = try Self.section("## 12.")
        for kind in DeviceKey.Kind.allCases where kind != .name && kind != .owner {
            #expect(text.contains("`\(kind.memberName)`"), "\(kind.memberName)")
        }
    }

    @Test("every member of both steps of an attestation stands in section 3.1") func attestation() throws {
        let rows = Self.rows(try Self.section("### 3.1"))
        let folder = "Sources/"
        let read = try Self.names(
            #"bytes\("([a-z_]+)", of: value"#, in: folder + "Posture/Devices/KeyAttestation.swift")
        let answered = try Self.names(
            #"try bytes\("([a-z_]+)"\)"#, in: folder + "gatepost-agent/Keys/TPMEnrolment.swift")
        #expect(
            read == [
                "ek", "ak", "ek_certificate", "attempt", "activated", "device", "certify", "signature",
            ])
        #expect(answered == ["attempt", "nonce", "credential", "seed"])
        for name in read.union(answered) { #expect(rows[name] != nil, "\(name)") }
        let text = try Self.section("### 3.1")
        #expect(text.contains("lives \(AttestationAttempts.lifeSeconds) s"))
        // Policy A in the groups of four digits that it is written in.
        let policy = TPMPublicArea.endorsementPolicy.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            .joined()
        #expect(text.filter { $0 != " " }.contains(policy))
    }

    @Test("every word that an enrolment or a renewal is refused with stands in section 3") func refusals()
        throws
    {
        let rows = Self.rows(try Self.section("## 3."))
        var cases: Set<String> = []
        for file in [
            "PostureService+Enrollment", "Devices/Enrollment", "Devices/KeyAttestation", "Devices/Succession",
        ] {
            cases.formUnion(
                try Self.names(
                    #"PostureRefusal\(\s*\.([A-Za-z]+)"#, in: "Sources/Posture/\(file).swift"))
        }
        // By the path of the old certificate, which handshakes share.
        let words = Set(
            Reason.allCases.filter { cases.contains("\($0)") }.map(\.rawValue)
                + [Reason.certificateUntrusted, .certificateExpired].map(\.rawValue))
        #expect(words.count >= 13)
        for word in words { #expect(rows[word] != nil, "\(word)") }
    }

    @Test("every member of an assertion and every word of a refusal stands in its section") func answers()
        throws
    {
        let claims = Self.rows(try Self.section("## 9."))
        let setting = try AgentSetting()
        let told = try AgentSetting.payload(setting.ask(setting.challenge()))
        #expect(told.names.count >= 20)
        for name in told.names where name != "oemboot" { #expect(claims[name] != nil, "\(name)") }
        let errors = Self.rows(try Self.section("## 10."))
        #expect(Set(errors.keys) == Set(AttestRefusal.allCases.map(\.rawValue)))
        for refusal in AttestRefusal.allCases {
            #expect(errors[refusal.rawValue]?.first == String(refusal.status))
        }
    }

    @Test("os_user is what section 9 says it is") func user() throws {
        let setting = try AgentSetting()
        let told = try AgentSetting.payload(setting.ask(setting.challenge()))
        // Computed as the text describes it: HMAC with the device id over "uid:" and the number.
        let mac = Digest.hmacSHA256(key: Array("device-1".utf8), Array("uid:1000".utf8))
        #expect(told["os_user"] == .string(Base64URL.encode(Array(mac.prefix(12)))))
    }
}
