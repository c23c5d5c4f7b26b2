import Access
import Fetch
import JSON
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

extension VendorFixture.Setup {
    static let tanium = VendorFixture.Setup(
        name: "tanium", texts: [:].with("api-url"), secrets: ["api-token": Tanium.apiToken],
        deviceAgeSecondsMax: 604_800)
}

@Suite("Tanium: the connector asks the emulator over HTTP")
struct TaniumTests {
    let fixture: VendorFixture
    init() throws { fixture = try VendorFixture(.tanium, page: 1) }

    private func fetch(_ connector: any Connector, _ kind: DeviceKey.Kind, _ value: String) async throws
        -> [Verdict]
    {
        let key = try #require(DeviceKey(kind, value))
        guard case .records(let found) = await connector.fetch([key]) else {
            Issue.record("no answer")
            return []
        }
        return found.map(\.verdict)
    }

    @Test("004.2 every endpoint with its score and risk, cursor by cursor, proven complete")
    func everything() async throws {
        let connector = try fixture.connector()
        #expect(await connector.probe() == nil)
        let result = await connector.sync()
        #expect(result.isComplete && result.failure == nil && result.records.count == 2)
        let alice = try #require(result.records.first { $0.verdict.nativeID == "MTo61001" }).verdict
        #expect(alice.state == .compliant && alice.isManaged == true && alice.risk == .low)
        #expect(alice.score == Verdict.Score(value: 210, minimum: 1, maximum: 1_000, higherIsBetter: false))
        #expect(alice.labels == ["managed", "risk:low"])
        #expect(
            alice.matchKey
                == "hardware-uuid=4c4c4544-0000-4000-8000-000000001001;mac=7c214a0c1001;serial=LAB-ALICE-0001;"
                + "tanium-computer-id=1001")
        #expect(await connector.status().missingPermissions.isEmpty)
    }

    @Test("an endpoint is found by computer id, serial number or hardware UUID") func oneEndpoint()
        async throws
    {
        let connector = try fixture.connector()
        for (kind, value) in [
            (DeviceKey.Kind.tanium, "1002"), (.serial, "lab-bob-0001"),
            (.hardware, "4C4C4544-0000-4000-8000-000000001002"),
        ] {
            #expect(try await fetch(connector, kind, value).map(\.nativeID) == ["MTo61002"])
        }
        #expect(try await fetch(connector, .serial, "NOBODY\"},op:EQ").isEmpty, "values are never spliced in")
    }

    @Test("the token travels in the session field and to no other host; it has no renewal")
    func token() async throws {
        let connector = try fixture.connector()
        _ = await connector.sync()
        for request in fixture.fetcher.asked {
            #expect(request.url == fixture.emulator.address + TaniumConnector.path)
            #expect(request.fields.contains { $0.0 == "session" && $0.1 == Tanium.apiToken })
        }
        fixture.emulator.faults.activate(.revokedSecret)
        let count = fixture.fetcher.asked.count
        let failure = try #require(await connector.probe())
        #expect(failure.kind == .authFailed && !failure.what.contains(Tanium.apiToken))
        #expect(failure.what.contains("expired"))
        #expect(fixture.fetcher.asked.count == count + 1, "one call is enough")
    }

    @Test("a cursor that ended begins the list anew, and what was read before counts for nothing")
    func staleCursor() async throws {
        let connector = try fixture.connector()
        let clock = fixture.clock
        fixture.fetcher.before { if $0 == 1 { clock.now += 300 } }
        let result = await connector.sync()
        #expect(result.isComplete && result.records.count == 2)
        #expect(fixture.fetcher.asked.count == 4, "first page, ended cursor, both pages again")
    }

    @Test("a cursor that lasts 299 s is good; one that ends every time ends the synchronisation")
    func cursorBoundary() async throws {
        let clock = fixture.clock
        fixture.fetcher.before { if $0 == 1 { clock.now += 299 } }
        #expect(await (try fixture.connector()).sync().isComplete)
        #expect(fixture.fetcher.asked.count == 2)
        fixture.fetcher.before { _ in clock.now += 300 }
        let result = await (try fixture.connector()).sync()
        #expect(!result.isComplete && result.failure?.kind == .malformedResponse)
        #expect(fixture.fetcher.asked.count == 2 + 2 * TaniumConnector.attemptsMax)
    }

    @Test("errors in an answer with status 200 are errors; beside data they make it a part") func errors()
        async throws
    {
        let connector = try fixture.connector()
        fixture.emulator.faults.activate(.errorInside, times: 1)
        let partial = await connector.sync()
        #expect(!partial.isComplete && partial.records.count == 1)
        #expect(partial.failure?.what == "Tanium: a module did not answer")
        let refused = await connector.fetch([])
        guard case .failed(let failure) = refused else {
            Issue.record("asked without an id")
            return
        }
        #expect(failure.kind == .notFound)
    }

    @Test("fields that this gateway does not have are left out, and administrators see which") func fields()
        async throws
    {
        fixture.emulator.state.withLock { $0.hiddenFields = ["risk", "computerID"] }
        let connector = try fixture.connector()
        let result = await connector.sync()
        #expect(result.isComplete && result.records.count == 2)
        #expect(result.records.allSatisfy { $0.verdict.risk == nil && $0.verdict.score == nil })
        #expect(
            await connector.status().missingPermissions
                == ["field computerID of endpoints", "field risk of endpoints"])
        let count = fixture.fetcher.asked.count
        _ = await connector.sync()
        #expect(fixture.fetcher.asked.count == count + 2, "not asked for again")
        fixture.emulator.state.withLock { $0.hiddenFields = ["eidLastSeen"] }
        #expect(await connector.sync().failure?.kind == .malformedResponse, "without it nothing can be said")
    }
}
