import Access
import JSON
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Jamf Pro: managed, and compliant by its word or by a smart group")
struct JamfTests {
    static let group = ["compliant-group": "Compliant Macs"]
    static let mappings: [MappingCase] = [
        .init("compliant", [:], .compliant, label: "encrypted"),
        .init("compliant in other letters", ["compliance": "compliant"], .compliant),
        .init("not compliant", ["compliance": "NON_COMPLIANT"], .noncompliant),
        .init("unknown", ["compliance": "UNKNOWN"], .unknown),
        .init("not managed", ["managed": false], .notManaged),
        .init(
            "not managed, and not compliant", ["managed": false, "compliance": "NON_COMPLIANT"], .notManaged),
        .init("managed or not is not said", ["managed": .null], .unknown),
        .init("member of the group", ["groups": ["Compliant Macs"]], .compliant, texts: group),
        .init("no member of the group", [:], .noncompliant, texts: group),
        .init(
            "member of a group with nearly that name", ["groups": ["compliant macs"]], .noncompliant,
            texts: group),
        .init(
            "member of the group, whatever Jamf's own state",
            ["groups": ["Compliant Macs"], "compliance": "UNKNOWN"],
            .compliant, texts: group, label: "group:Compliant Macs"),
    ]

    @Test("each answer has its state", arguments: mappings) func states(_ row: MappingCase) async throws {
        try await row.check(.jamf)
    }

    @Test(
        "without the privilege for compliance nothing is compliant, the privilege is named and asked for once"
    )
    func privilege() async throws {
        let fixture = try VendorFixture(.jamf, page: 1)
        let connector = try fixture.connector()
        let emulator = fixture.emulator
        fixture.fetcher.before { _ in
            emulator.faults.clear()
            if fixture.fetcher.urls.last?.contains("device-compliance-information") == true {
                emulator.faults.activate(.missingScope)
            }
        }
        let result = await connector.sync()
        #expect(result.isComplete && result.records.allSatisfy { $0.verdict.state == .unknown })
        #expect(await connector.status().missingPermissions == ["Read Device Compliance Information"])
        #expect(fixture.calls("device-compliance-information") == 1)
    }

    @Test("a group needs no call for each device") func groupCalls() async throws {
        let fixture = try VendorFixture(.jamf)
        #expect(await (try fixture.connector(Self.group)).sync().isComplete)
        #expect(fixture.calls("device-compliance-information") == 0)
    }

    @Test("a token of five minutes is renewed when a minute is left") func shortTokens() async throws {
        let fixture = try VendorFixture(.jamf)
        let connector = try fixture.connector()
        for (moved, tokens) in [(0, 1), (239, 1), (1, 2)] as [(Int64, Int)] {
            fixture.clock.now += moved
            #expect(await connector.probe() == nil)
            #expect(fixture.fetcher.urls.filter { $0.hasSuffix("/oauth/token") }.count == tokens)
        }
    }
}
