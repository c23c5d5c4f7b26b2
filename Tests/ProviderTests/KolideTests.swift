import Access
import Fetch
import JSON
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Kolide: its own four words")
struct KolideTests {
    static let mappings: [MappingCase] = [
        .init("good", ["auth_state": "Good"], .compliant, label: "type:mac"),
        .init("good in other letters", ["auth_state": "GOOD"], .compliant),
        .init("notified", ["auth_state": "Notified"], .grace, label: "in-grace"),
        .init("will block", ["auth_state": "Will Block"], .grace, label: "in-grace"),
        .init("blocked", ["auth_state": "Blocked"], .noncompliant, label: "noncompliant"),
        .init("another word", ["auth_state": "Goodish"], .unknown),
        .init("no word", ["auth_state": ""], .unknown),
    ]

    @Test("each word has its state", arguments: mappings) func states(_ row: MappingCase) async throws {
        try await row.check(.kolide)
    }

    @Test(
        "grace ends when the vendor will block, to the second; a time that cannot be read is over",
        arguments: [(60, 60), (3_600, 3_600), (3_601, 3_600)] as [(Int64, Int64)])
    func grace(_ ahead: Int64, _ life: Int64) async throws {
        let fixture = try VendorFixture(.kolide)
        let until = fixture.clock.now + ahead
        let verdict = try #require(
            await fixture.alice([
                "auth_state": "Will Block", "will_block_at": .string(Timestamp.rfc3339(until)),
            ]))
        #expect(verdict.graceUntilSeconds == until && verdict.expiresAtSeconds == fixture.clock.now + life)
        #expect(try await fixture.alice(["will_block_at": "soon"])?.expiresAtSeconds == 0)
    }

    @Test("the version of the contract is pinned with every call") func version() async throws {
        let fixture = try VendorFixture(.kolide)
        #expect(await (try fixture.connector()).probe() == nil)
        #expect(
            fixture.fetcher.asked.allSatisfy { request in
                request.fields.contains { $0.0 == "x-kolide-api-version" && $0.1 == "2026-04-07" }
            })
    }

    @Test("250 calls a minute, not one more: the vendor's limit is never met") func limit() async throws {
        let fixture = try VendorFixture(.kolide)
        let connector = try fixture.connector()
        for _ in 0..<250 { #expect(await connector.probe() == nil) }
        #expect(fixture.clock.slept.isEmpty)
        _ = await connector.sync()
        #expect(fixture.clock.slept == [60])
    }
}
