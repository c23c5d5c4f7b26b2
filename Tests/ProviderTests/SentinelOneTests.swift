import Access
import JSON
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("SentinelOne: agents and their threats")
struct SentinelOneTests {
    static let mappings: [MappingCase] = [
        .init("sound", [:], .compliant, label: "network:connected"),
        .init("infected", ["infected": true], .noncompliant, label: "infected"),
        .init(
            "exactly as many threats as allowed", ["activeThreats": 2], .compliant,
            texts: ["max-active-threats": "2"]),
        .init("one threat more", ["activeThreats": 3], .noncompliant, texts: ["max-active-threats": "2"]),
        .init("one threat, by default none is allowed", ["activeThreats": 1], .noncompliant),
        .init("how many threats is not said", ["activeThreats": .null], .unknown),
        .init("infected or not is not said", ["infected": .null], .unknown),
        .init("partially disabled", ["operationalState": "partially_disabled"], .noncompliant),
        .init("disabled by an error", ["operationalState": "disabled_error"], .noncompliant),
        .init("its database is broken", ["operationalState": "db_corruption"], .noncompliant),
        .init("a state of operation that is new", ["operationalState": "resting"], .unknown),
        .init("not active", ["isActive": false], .unknown),
        .init("not active, but infected", ["isActive": false, "infected": true], .noncompliant),
        .init(
            "in quarantine is a label", ["networkQuarantineEnabled": true], .compliant, label: "quarantined"),
    ]

    @Test("each answer has its state", arguments: mappings) func states(_ row: MappingCase) async throws {
        try await row.check(.sentinelOne)
    }

    @Test("the sensor runs when it is active and in order") func sensor() async throws {
        for (members, isRunning) in [
            ([:], true), (["isActive": false], false), (["operationalState": "fully_disabled"], false),
            (["isActive": .null], nil),
        ] as [(JSONObject, Bool?)] {
            #expect(try await (try VendorFixture(.sentinelOne)).alice(members)?.isSensorRunning == isRunning)
        }
    }

    @Test("a filter that finds longer serial numbers, too, finds only the one asked for") func contains()
        async throws
    {
        let fixture = try VendorFixture(.sentinelOne)
        fixture.change(["serialNumber": "LAB-ALICE-0001-B", "infected": true], of: "bob-laptop")
        #expect(try await fixture.alice()?.state == .compliant)
    }

    @Test("an error inside of a good answer is an error") func errorInside() async throws {
        let fixture = try VendorFixture(.sentinelOne)
        fixture.emulator.faults.activate(.errorInside)
        let result = await (try fixture.connector()).sync()
        #expect(!result.isComplete && result.failure?.kind == .malformedResponse)
    }
}
