import Access
import Fetch
import JSON
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

extension VendorFixture.Setup {
    static let crowdStrike = VendorFixture.Setup(
        name: "crowdstrike", texts: { ["cloud": "us-1", "client-id": Falcon.clientID, "base-url": $0] },
        secrets: ["client-secret": Falcon.clientSecret])
}

@Suite("CrowdStrike: the connector asks the emulator over HTTP")
struct CrowdStrikeTests {
    static let alice = "4f1d2c3b4a5968778695a4b3c2d1e0f1"
    static let bob = "4f1d2c3b4a5968778695a4b3c2d1e0f2"

    let fixture: VendorFixture
    init() throws { fixture = try VendorFixture(.crowdStrike, page: 1) }

    private func fetch(_ kind: DeviceKey.Kind, _ value: String, _ connector: any Connector) async throws
        -> [VerdictRecord]
    {
        let key = try #require(DeviceKey(kind, value))
        guard case .records(let found) = await connector.fetch([key]) else {
            Issue.record("no answer")
            return []
        }
        return found
    }

    @Test("000.18 every host with its score from 1 to 100, higher is better, page by page, proven complete")
    func everything() async throws {
        let connector = try fixture.connector()
        #expect(await connector.probe() == nil)
        let result = await connector.sync()
        #expect(result.isComplete && result.failure == nil)
        let scores = Dictionary(
            uniqueKeysWithValues: result.records.map { ($0.verdict.nativeID, $0.verdict.score) })
        #expect(
            scores[Self.alice] == Verdict.Score(value: 83, minimum: 1, maximum: 100, higherIsBetter: true))
        #expect(scores[Self.bob]??.value == 41)
        #expect(fixture.calls("devices/combined") == 2, "one page per host")
        #expect(fixture.calls("oauth2/token") == 0, "tokens are answered before anybody is counted")
        #expect(fixture.fetcher.urls.count { $0.hasSuffix("/oauth2/token") } == 1)
    }

    @Test("a host is found by its agent id and by its serial number; a host nobody knows is an answer, too")
    func oneHost() async throws {
        let connector = try fixture.connector()
        #expect(
            try await fetch(.falcon, Self.bob.uppercased(), connector).map(\.verdict.nativeID) == [Self.bob])
        #expect(try await fetch(.serial, "LAB-ALICE-0001", connector).map(\.verdict.nativeID) == [Self.alice])
        #expect(try await fetch(.falcon, String(repeating: "a", count: 32), connector).isEmpty)
        #expect(try await fetch(.serial, "no'such\\serial", connector).isEmpty)
        guard case .failed(let failure) = await connector.fetch([]) else {
            Issue.record("asked without an id")
            return
        }
        #expect(failure.kind == .notFound)
    }

    @Test("000.24 the sensor runs when the host was seen lately, or is online at this moment")
    func sensor() async throws {
        let connector = try fixture.connector()
        fixture.change(["last_seen": .string(Timestamp.rfc3339(fixture.clock.now - 3_600))])
        #expect(try await fetch(.falcon, Self.alice, connector)[0].verdict.isSensorRunning == false)
        fixture.change(["online": "online"])
        #expect(try await fetch(.falcon, Self.alice, connector)[0].verdict.isSensorRunning == false, "cached")
        fixture.clock.now += 60
        #expect(try await fetch(.falcon, Self.alice, connector)[0].verdict.isSensorRunning == true)
        #expect(fixture.calls("online-state") == 2, "for a minute the last answer is good")
    }

    @Test("000.22 a missing scope is named: hosts first, then assessments")
    func scopes() async throws {
        let connector = try fixture.connector()
        fixture.emulator.faults.activate(.missingScope, times: 1)
        let hosts = await connector.probe()
        #expect(hosts?.kind == .forbidden && hosts?.what.contains("Hosts: read") == true)
        #expect(await connector.status().missingPermissions == ["Hosts: read"])
        let fetcher = fixture.fetcher
        let emulator = fixture.emulator
        let count = fetcher.asked.count
        fetcher.before { if $0 == count + 1 { emulator.faults.activate(.missingScope, times: 1) } }
        let scores = await connector.probe()
        #expect(scores?.what.contains("Zero Trust Assessment: read") == true)
        #expect(await connector.status().missingPermissions == ["Zero Trust Assessment: read"])
        #expect(await connector.probe() == nil)
        #expect(await connector.status().missingPermissions.isEmpty)
    }

    @Test("000.21 the secret goes to the token endpoint only, and appears in no failure")
    func secret() async throws {
        let connector = try fixture.connector()
        _ = await connector.sync()
        for request in fixture.fetcher.asked {
            let text = String(decoding: request.body ?? [], as: UTF8.self)
            #expect(text.contains(Falcon.clientSecret) == request.url.hasSuffix("/oauth2/token"))
            #expect(!request.url.contains(Falcon.clientSecret))
        }
        fixture.emulator.faults.activate(.revokedSecret)
        fixture.emulator.state.withLock { $0.tokens = [:] }
        let failure = try #require(await connector.probe())
        #expect(failure.kind == .authFailed)
        #expect(failure.what.contains("403") && !failure.what.contains(Falcon.clientSecret))
    }

    @Test("a token of another cloud is a mistake in the configuration that names the right cloud")
    func wrongCloud() async throws {
        fixture.emulator.faults.activate(.wrongCloud)
        let failure = try #require(await fixture.connector().probe())
        #expect(failure.kind == .configError)
        #expect(failure.what.contains("us-2"))
        #expect(fixture.fetcher.asked.count == 1, "no call with that token")
    }

    @Test("a dead token is renewed once and then let be: the vendor locks out who goes on")
    func deadToken() async throws {
        let connector = try fixture.connector()
        _ = await connector.sync()
        fixture.emulator.state.withLock { $0.tokens = [:] }
        #expect(await connector.sync().isComplete)
        #expect(fixture.fetcher.urls.count { $0.hasSuffix("/oauth2/token") } == 2)
        let emulator = fixture.emulator
        fixture.fetcher.before { _ in emulator.state.withLock { $0.tokens = [:] } }
        let before = fixture.fetcher.asked.count
        #expect(await connector.sync().failure?.kind == .authFailed)
        #expect(fixture.fetcher.asked.count - before == 3, "call, token, call")
    }

    @Test(
        "429: the hint counts as seconds since 1970, in milliseconds or not",
        arguments: [VendorFault.throttleEpoch, .throttleEpochMilliseconds])
    func throttled(_ fault: VendorFault) async throws {
        let connector = try fixture.connector()
        fixture.emulator.faults.activate(fault, times: 1, retryAfterSeconds: 17)
        #expect(await connector.sync().isComplete)
        #expect(fixture.clock.slept == [17])
    }

    @Test("partial answers spoil the proof: what came with errors proves no absence")
    func partial() async throws {
        fixture.emulator.faults.activate(.errorInside, times: 1)
        let result = try await fixture.connector().sync()
        #expect(!result.isComplete && result.failure?.kind == .malformedResponse)
        #expect(result.failure?.what.contains("500 partial failure, trace d000ce63") == true)
    }

    @Test("a host that was never assessed has no score, and none is made up for it")
    func notAssessed() async throws {
        fixture.emulator.state.withLock { state in
            let bare = Falcon.host("4f1d2c3b4a5968778695a4b3c2d1e0f3", serial: "S3", name: "c", overall: nil)
            state.devices.append(bare)
        }
        let result = try await fixture.connector().sync()
        #expect(result.isComplete && result.records.count == 3)
        let verdict = try #require(result.records.first { $0.verdict.nativeID.hasSuffix("f3") }).verdict
        #expect(verdict.score == nil && verdict.labels == ["not-assessed"])
    }
}
