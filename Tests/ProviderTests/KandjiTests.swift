import Access
import JSON
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Kandji: managed, there, and every parameter passed")
struct KandjiTests {
    static func parameter(_ status: JSONValue) -> JSONObject {
        ["parameters": [["item_id": "p1", "name": "FileVault", "status": status]]]
    }

    static let mappings: [MappingCase] = [
        .init("passed", [:], .compliant, label: "tag:finance"),
        .init("remediated", parameter("REMEDIATED"), .compliant),
        .init("muted", parameter("muted"), .compliant),
        .init("failed", parameter("FAILED"), .noncompliant),
        .init("a status that is new", parameter("SOMETHING"), .noncompliant),
        .init("a status that is no text", parameter(.null), .noncompliant),
        .init("nothing to check", ["parameters": []], .compliant),
        .init("parameters that are no list", ["parameters": "x"], .unknown),
        .init("missing", ["is_missing": true], .noncompliant),
        .init("removed", ["is_removed": true], .noncompliant),
        .init("not managed", ["mdm_enabled": false], .notManaged),
        .init("without its agent", ["agent_installed": false], .noncompliant),
        .init("agent or not is not said", ["agent_installed": .null], .unknown),
        .init(
            "parameters are not asked for", parameter("FAILED"), .compliant,
            texts: ["check-parameters": "false"]),
    ]

    @Test("each answer has its state", arguments: mappings) func states(_ row: MappingCase) async throws {
        try await row.check(.kandji)
    }

    @Test("the parameter that did not pass is named to the person") func named() async throws {
        let fixture = try VendorFixture(.kandji)
        let verdict = try #require(await fixture.alice(Self.parameter("FAILED")))
        #expect(verdict.remedies.first?.contains("FileVault") == true)
        #expect(verdict.checks == [Verdict.Check(id: "p1", title: "FileVault", state: .fail)])
    }

    @Test("one call for each device, and none when they are not asked for") func calls() async throws {
        for (texts, calls) in [([:], 2), (["check-parameters": "false"], 0)] as [([String: String], Int)] {
            let fixture = try VendorFixture(.kandji)
            #expect(await (try fixture.connector(texts)).sync().isComplete)
            #expect(fixture.calls("/parameters") == calls)
        }
    }
}
