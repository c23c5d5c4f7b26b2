import Access
import JSON
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Every provider that is declared as data, against its emulator with pages of one")
struct DeclarativeTests {
    @Test("every page is read, and that it was all is proven", arguments: VendorFixture.Setup.declared)
    func complete(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup, page: 1)
        let connector = try fixture.connector()
        #expect(await connector.probe() == nil)
        let result = await connector.sync()
        #expect(result.isComplete && result.failure == nil)
        #expect(result.records.map(\.verdict.state) == [.compliant, .noncompliant])
        #expect(result.records.allSatisfy { $0.keys.contains { $0.kind == .serial } })
        #expect(
            result.records.allSatisfy { $0.verdict.provider == setup.name && $0.verdict.digest.count == 64 })
        #expect(fixture.fetcher.urls.allSatisfy { $0.hasPrefix(fixture.emulator.address) })
    }

    @Test(
        "one device by its serial number; a stranger is an answer, another's record is none",
        arguments: VendorFixture.Setup.declared)
    func oneDevice(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup)
        #expect(try await fixture.alice()?.state == .compliant)
        let connector = try fixture.connector()
        let stranger = try #require(DeviceKey(.serial, "NOBODY-1"))
        guard case .records(let none) = await connector.fetch([stranger]) else {
            Issue.record("not found is an answer")
            return
        }
        #expect(none.isEmpty)
        let falcon = try #require(DeviceKey(.falcon, String(repeating: "a", count: 32)))
        guard case .failed(let failure) = await connector.fetch([falcon]) else {
            Issue.record("a key that the vendor does not know was looked up")
            return
        }
        #expect(failure.kind == .notFound)
    }

    struct Age: Sendable {
        var seconds: Int64
        var isFresh: Bool
    }

    @Test(
        "a report counts until it is a day old; 300 s of the future are forgiven, 301 are not",
        arguments: VendorFixture.Setup.declared,
        [
            Age(seconds: 86_399, isFresh: true), Age(seconds: 86_400, isFresh: false),
            Age(seconds: -300, isFresh: true),
            Age(seconds: -301, isFresh: false),
        ])
    func ages(_ setup: VendorFixture.Setup, _ age: Age) async throws {
        let fixture = try VendorFixture(setup)
        let seen = JSONValue.string(Timestamp.rfc3339(fixture.clock.now - age.seconds))
        let verdict = try #require(await fixture.alice([fixture.emulator.vendor.members.lastSeen: seen]))
        #expect((verdict.expiresAtSeconds > fixture.clock.now) == age.isFresh)
    }

    @Test(
        "a device that never reported is never fresh", arguments: VendorFixture.Setup.declared,
        [JSONValue.null, "x", 5])
    func neverSeen(_ setup: VendorFixture.Setup, _ seen: JSONValue) async throws {
        let fixture = try VendorFixture(setup)
        let verdict = try #require(await fixture.alice([fixture.emulator.vendor.members.lastSeen: seen]))
        #expect(verdict.expiresAtSeconds <= fixture.clock.now)
    }

    @Test(
        "words and types that are not known are never compliant", arguments: VendorFixture.Setup.declared,
        [JSONValue.null, "somethingNew", 1, []])
    func unknownWords(_ setup: VendorFixture.Setup, _ word: JSONValue) async throws {
        let fixture = try VendorFixture(setup)
        let verdict = try #require(await fixture.alice([fixture.emulator.vendor.members.state: word]))
        #expect(verdict.state == .unknown && !verdict.labels.contains("compliant"))
    }

    @Test("a permission that is missing is named", arguments: VendorFixture.Setup.declared)
    func permission(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup)
        fixture.emulator.faults.activate(.missingScope)
        let connector = try fixture.connector()
        let failure = try #require(await connector.probe())
        let missing = await connector.status().missingPermissions
        #expect(failure.kind == .forbidden && missing.count == 1 && failure.what.contains(missing[0]))
    }

    @Test(
        "a refused credential is asked once more at most, and its secret is in no message",
        arguments: VendorFixture.Setup.declared)
    func revoked(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup)
        fixture.emulator.faults.activate(.revokedSecret)
        let failure = try #require(await (try fixture.connector()).probe())
        #expect(failure.kind == .authFailed && fixture.fetcher.asked.count <= 2)
        #expect(setup.secrets.values.allSatisfy { !failure.what.contains($0) })
    }

    @Test("a missing key of the configuration is named", arguments: VendorFixture.Setup.declared)
    func configuration(_ setup: VendorFixture.Setup) throws {
        let fixture = try VendorFixture(setup)
        var connection = fixture.connection()
        connection.secrets = [:]
        let parts = ConnectorParts(fetcher: fixture.fetcher, clock: fixture.clock.posture, random: { 0.5 })
        let failure = #expect(throws: ConnectorFailure.self) { try Vendor.connector(connection, parts) }
        #expect(failure?.kind == .configError && failure?.what.contains("integrations.it.") == true)
    }

    @Test(
        "a serial number with the vendor's own syntax in it finds nothing else",
        arguments: VendorFixture.Setup.declared)
    func injection(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup)
        for text in [
            "X\" OR SERIAL:\"LAB-ALICE-0001", "X&SERIAL_NUMBER=LAB-ALICE-0001", "../HOSTS", "A%00", "LAB",
        ] {
            let key = try #require(DeviceKey(.serial, text))
            if case .records(let found) = await (try fixture.connector()).fetch([key]) {
                #expect(found.isEmpty)
            }
        }
    }

    @Test("a device that a provider does not know is told so in the product's name") func absence() {
        for vendor in Vendor.all where vendor.name != "intune" {
            let text = ProviderRemedies.sentences(.notFound, provider: vendor.name).joined()
            #expect(vendor.title.map { text.contains($0) } == true, "\(vendor.name)")
        }
    }
}
