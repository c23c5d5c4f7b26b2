import Access
import Fetch
import JSON
import Signatures
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

extension VendorFixture.Setup {
    static let defender = VendorFixture.Setup(
        name: "defender",
        texts: ["tenant": Defender.tenant, "client-id": Defender.clientID].with("login-url", "api-url"),
        secrets: ["client-secret": Defender.clientSecret], deviceAgeSecondsMax: 172_800)
}

extension [String: String] {
    /// These texts, and the emulator's address under further names.
    func with(_ names: String...) -> @Sendable (String) -> [String: String] {
        { address in names.reduce(into: self) { $0[$1] = address } }
    }
}

@Suite("Defender for Endpoint: the connector asks the emulator over HTTP")
struct DefenderTests {
    static let alice = "a7c0d5e3b1f24968a0b7c4d2e9f80613572adc41"
    static let entra = "9d3e2c10-7f6a-4f0e-8f30-000000000001"

    let fixture: VendorFixture
    init() throws { fixture = try VendorFixture(.defender, page: 1) }

    private func fetch(_ connector: any Connector, _ value: String = entra) async throws -> [Verdict] {
        let key = try #require(DeviceKey(.entra, value))
        guard case .records(let found) = await connector.fetch([key]) else {
            Issue.record("no answer")
            return []
        }
        return found.map(\.verdict)
    }

    @Test("002.2 every machine with its risk and exposure, page by page, proven complete")
    func everything() async throws {
        let connector = try fixture.connector()
        #expect(await connector.probe() == nil)
        let result = await connector.sync()
        #expect(result.isComplete && result.failure == nil && result.records.count == 2)
        let alice = try #require(result.records.first { $0.verdict.nativeID == Self.alice }).verdict
        #expect(alice.state == .compliant && alice.risk == .low && alice.isSensorRunning == true)
        #expect(
            alice.labels == [
                "exposure:medium", "group:Finance", "health:active", "healthy", "onboarded", "tag:vip",
                "value:normal",
            ])
        #expect(alice.observedAtSeconds == fixture.clock.now - 300, "seven digits of fraction")
        #expect(result.records.contains { $0.verdict.state == .noncompliant && $0.verdict.risk == nil })
    }

    @Test("a token is asked for this API and no other; the number of a refusal is shown, the secret is not")
    func secret() async throws {
        let failure = await (try fixture.connector(["scope": "https://graph.microsoft.com/.default"])).probe()
        #expect(failure?.kind == .authFailed && failure?.what.contains("AADSTS70011") == true)
        fixture.emulator.faults.activate(.revokedSecret)
        let revoked = try #require(await fixture.connector().probe())
        #expect(revoked.kind == .authFailed && revoked.what.contains("AADSTS7000215"))
        #expect(!revoked.what.contains(Defender.clientSecret))
    }

    @Test(
        "002.6 a registered certificate is as good as a secret; another one, or none registered, is refused")
    func certificate() async throws {
        let pair = try GraphCredentialTests.pair.get()
        var connection = fixture.connection()
        connection.secrets = ["client-certificate.key": String(decoding: pair.key, as: UTF8.self)]
        connection.files = ["client-certificate.chain": pair.chain]
        let connector = try Posture.Vendor.connector(
            connection,
            ConnectorParts(fetcher: fixture.fetcher, clock: fixture.clock.posture, random: { 0.5 }))
        let refused = await connector.probe()
        #expect(refused?.kind == .authFailed && refused?.what.contains("AADSTS700027") == true)
        let other = try Certificate(pem: GraphCredentialTests.other.get().chain)
        fixture.emulator.certificate.withLock { $0 = other }
        #expect(await connector.probe()?.kind == .authFailed)
        let registered = try Certificate(pem: pair.chain)
        fixture.emulator.certificate.withLock { $0 = registered }
        #expect(await connector.probe() == nil)
        #expect(await connector.sync().isComplete)
        let forms = fixture.fetcher.asked.compactMap { $0.body.map { String(decoding: $0, as: UTF8.self) } }
        #expect(forms.allSatisfy { $0.contains("client_assertion=") && !$0.contains("client_secret") })
        connection.files = ["client-certificate.chain": try GraphCredentialTests.other.get().chain]
        #expect(throws: ConnectorFailure.self) {
            try Posture.Vendor.connector(
                connection,
                ConnectorParts(fetcher: fixture.fetcher, clock: fixture.clock.posture, random: { 0.5 }))
        }
    }

    @Test("404 is an empty list, and proves nothing unless the count says zero, too") func empty()
        async throws
    {
        fixture.emulator.state.withLock { $0.devices = [] }
        let connector = try fixture.connector()
        #expect(await connector.probe() == nil)
        let empty = await connector.sync()
        #expect(empty.records.isEmpty && empty.failure == nil && empty.isComplete)
        let fetcher = fixture.fetcher
        let emulator = fixture.emulator
        let count = fetcher.asked.count
        fetcher.before { if $0 > count { emulator.faults.activate(.missingScope) } }
        let unproven = await connector.sync()
        #expect(unproven.records.isEmpty && unproven.failure == nil && !unproven.isComplete)
    }

    @Test("a machine nobody knows is an answer; a 404 of something in between is none") func notFound()
        async throws
    {
        let connector = try fixture.connector()
        #expect(try await fetch(connector, "9d3e2c10-7f6a-4f0e-8f30-0000000000ff").isEmpty)
        let key = try #require(DeviceKey(.entra, Self.entra))
        guard
            case .failed(let failure) = await
                (try fixture.connector(["api-url": fixture.emulator.address + "/lab"]))
                .fetch([key])
        else {
            Issue.record("believed a 404 that is not the vendor's")
            return
        }
        #expect(failure.kind != .notFound, "nothing may be removed for it")
    }

    @Test("of several machines with one Entra id the one that reported last counts; the others name nobody")
    func reinstalled() async throws {
        let old = fixture.clock.now - 90_000
        fixture.emulator.state.withLock { state in
            var machine = Defender.machine(
                String(repeating: "b", count: 40), entra: Self.entra, name: "old", health: "Inactive",
                risk: "High")
            machine.record["lastSeen"] = .string(Defender.time(old))
            state.devices.append(machine)
            state.pageMax = nil
        }
        let connector = try fixture.connector()
        let result = await connector.sync()
        #expect(result.isComplete && result.records.count == 3)
        let key = try #require(DeviceKey(.entra, Self.entra))
        #expect(result.records.filter { $0.keys.contains(key) }.map(\.verdict.nativeID) == [Self.alice])
        let found = try await fetch(connector)
        #expect(found.count == 2 && found.filter { !$0.matchKey.isEmpty }.map(\.nativeID) == [Self.alice])
    }

    @Test("the connector keeps within 100 calls a minute and 1,500 an hour by itself") func windows()
        async throws
    {
        let connector = try fixture.connector()
        for _ in 0..<40 { _ = await connector.sync() }
        let calls = fixture.emulator.state.withLock { $0.calls }.values.reduce(0, +)
        #expect(calls == 120, "each synchronisation is two pages and the count")
        #expect(fixture.clock.slept == [60], "before the 101st")
        #expect(await connector.sync().isComplete, "the vendor never had to refuse")
    }

    @Test("the emulator counts both windows: the 101st call within a minute, the 1,501st within an hour")
    func emulatorWindows() async throws {
        fixture.emulator.state.withLock { [now = fixture.clock.now] in
            $0.callSeconds = Array(repeating: now - 61, count: 1_400) + Array(repeating: now, count: 99)
        }
        let connector = try fixture.connector()
        #expect(await connector.probe() == nil)
        #expect(await connector.probe()?.kind == .throttled)
    }

    @Test("a next link to another host is not followed, with or without credentials") func crossHost()
        async throws
    {
        fixture.emulator.faults.activate(.crossHostNext)
        let result = try await fixture.connector().sync()
        #expect(result.failure?.kind == .malformedResponse && !result.isComplete)
        let address = fixture.emulator.address
        #expect(fixture.fetcher.urls.allSatisfy { $0.hasPrefix(address + "/") })
    }
}
