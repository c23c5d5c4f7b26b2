import Access
import Fetch
import JSON
import Signatures
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

extension VendorFixture.Setup {
    static let workspaceOne = VendorFixture.Setup(
        name: "workspace-one",
        texts: {
            [
                "api-url": $0 + "/API", "token-url": $0 + "/emea/connect/token",
                "client-id": WorkspaceOne.clientID,
            ]
        }, secrets: ["client-secret": WorkspaceOne.clientSecret])

    /// The same console, asked with an administrator's account.
    static let workspaceOneBasic = VendorFixture.Setup(
        name: "workspace-one", texts: { ["api-url": $0 + "/API", "username": WorkspaceOne.username] },
        secrets: ["password": WorkspaceOne.password, "tenant-code": WorkspaceOne.tenantCode])
}

@Suite("Workspace ONE: the connector asks the emulator over HTTP")
struct WorkspaceOneTests {
    let fixture: VendorFixture
    init() throws { fixture = try VendorFixture(.workspaceOne, page: 1) }

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

    @Test("a device enrolled again is its new record: the old one is unenrolled, as the console keeps it")
    func enrolledAgain() async throws {
        let store = try GraphLab.store()
        let connector = try fixture.connector()
        let service = PostureService(
            agents: [], connectors: [connector], ring: .ephemeral(), store: store,
            clock: fixture.clock.posture, random: { 0.5 })
        fixture.emulator.state.withLock { state in
            var old = WorkspaceOne.device(
                4_600, serial: "LAB-ALICE-0001", name: "alice-before", compliance: "NonCompliant")
            old.record["EnrollmentStatus"] = "Unenrolled"
            old.record["CompromisedStatus"] = false
            old.record["LastSeen"] = WorkspaceOne().members.time(fixture.clock.now - 86_400)
            state.devices.append(old)
        }
        _ = await service.reconnect(integration: "it")
        let key = try #require(DeviceKey(.serial, "LAB-ALICE-0001"))
        let verdict = await service.cache.verdicts(
            of: [VerdictMatching.Question(keys: [key])], by: [VerdictMatching.Source(connector)],
            nowSeconds: fixture.clock.now)[0].first
        #expect(verdict?.state == .compliant && verdict?.nativeID == "4711")
    }

    @Test(
        "every device, page by page, proven complete: with OAuth and with Basic",
        arguments: [VendorFixture.Setup.workspaceOne, .workspaceOneBasic])
    func everything(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup, page: 1)
        let connector = try fixture.connector()
        #expect(await connector.probe() == nil)
        let result = await connector.sync()
        #expect(result.isComplete && result.failure == nil)
        let states = Dictionary(
            uniqueKeysWithValues: result.records.map { ($0.verdict.nativeID, $0.verdict.state) })
        #expect(states == ["4711": .compliant, "4712": .noncompliant])
        let alice = try #require(result.records.first { $0.verdict.nativeID == "4711" }).verdict
        #expect(
            alice.labels == ["company", "enrolled", "supervised"] && alice.rawState == "Enrolled/Compliant")
        #expect(alice.observedAtSeconds == fixture.clock.now - 300, "no zone means UTC")
        let bob = try #require(result.records.first { $0.verdict.nativeID == "4712" }).verdict
        #expect(bob.remedies.count == 1 && bob.remedies[0].contains("It asks for: Encryption."))
    }

    @Test("times are the console's own: with its zone set they are right, summer and winter") func zone()
        async throws
    {
        fixture.change(["LastSeen": .string(WorkspaceOne.time(fixture.clock.now + 3_600 - 60))])
        let connector = try fixture.connector(["time-zone": "Europe/Berlin"])
        let record = await connector.sync().records.first { $0.verdict.nativeID == "4711" }
        #expect(record?.verdict.observedAtSeconds == fixture.clock.now - 60)
        let utc = await (try fixture.connector()).sync().records.first { $0.verdict.nativeID == "4711" }
        #expect(utc?.verdict.observedAtSeconds == 0, "taken for UTC it lies in the future")
    }

    @Test("a device is found by serial number and by UDID; one nobody knows is an answer") func oneDevice()
        async throws
    {
        let connector = try fixture.connector()
        #expect(try await fetch(connector, .serial, "LAB-BOB-0001").map(\.nativeID) == ["4712"])
        let udid = "4c4c4544-0000-4000-8000-000000004711"
        #expect(try await fetch(connector, .hardware, udid).map(\.nativeID) == ["4711"])
        #expect(try await fetch(connector, .serial, "NO BODY&id=1").isEmpty)
        guard case .failed(let failure) = await connector.fetch([]) else {
            Issue.record("asked without an id")
            return
        }
        #expect(failure.kind == .notFound)
    }

    @Test("204 is an empty answer and no error, and proves nothing") func empty() async throws {
        fixture.emulator.state.withLock { $0.devices = [] }
        let connector = try fixture.connector()
        #expect(await connector.probe() == nil)
        let result = await connector.sync()
        #expect(result.records.isEmpty && result.failure == nil && !result.isComplete)
    }

    @Test("an error document with status 200 is an error") func errorInside() async throws {
        let connector = try fixture.connector()
        fixture.emulator.faults.activate(.errorInside, times: 1)
        let result = await connector.sync()
        #expect(result.failure?.kind == .malformedResponse && !result.isComplete)
        #expect(result.failure?.what == "Workspace ONE: 1001 Something went wrong")
    }

    @Test("wrong credentials in such a document are an authentication failure: one new token, then no more")
    func refusedInside() async throws {
        struct Refusing: Fetcher {
            let asked = Asked()
            func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
                asked.urls.withLock { $0.append(request.url) }
                let token = "{\"access_token\":\"t\",\"expires_in\":3600}"
                let error = "{\"errorCode\":1005,\"message\":\"Invalid credentials\"}"
                let isToken = request.url.hasSuffix("/connect/token")
                return FetchResponse(status: 200, body: Array((isToken ? token : error).utf8))
            }
        }
        final class Asked: Sendable { let urls = Mutex<[String]>([]) }
        let fetcher = Refusing()
        let connector = try Vendor.connector(
            fixture.connection(),
            ConnectorParts(fetcher: fetcher, clock: fixture.clock.posture, random: { 0.5 }))
        #expect(await connector.sync().failure?.kind == .authFailed)
        #expect(fetcher.asked.urls.withLock { $0.count } == 4, "token, call, token, call")
    }

    @Test("a wrong API key is an authentication failure that shows neither key nor password") func apiKey()
        async throws
    {
        let fixture = try VendorFixture(
            VendorFixture.Setup(
                name: "workspace-one", texts: VendorFixture.Setup.workspaceOneBasic.texts,
                secrets: ["password": WorkspaceOne.password, "tenant-code": "another"]))
        let failure = try #require(await fixture.connector().probe())
        #expect(failure.kind == .authFailed && failure.what == "Workspace ONE: 401 1005 Invalid credentials")
        #expect(fixture.fetcher.asked.count == 1)
    }

    @Test("a client of another region is refused at the token endpoint, and nothing else is called")
    func region() async throws {
        let connector = try fixture.connector(["token-url": fixture.emulator.address + "/na/connect/token"])
        #expect(await connector.probe()?.kind == .authFailed)
        #expect(fixture.fetcher.urls == [fixture.emulator.address + "/na/connect/token"])
    }

    @Test("the interface's version is chosen by the accept field") func version() async throws {
        _ = await (try fixture.connector()).sync()
        let calls = fixture.fetcher.asked.filter { $0.url.contains("/API/") }
        #expect(!calls.isEmpty)
        for call in calls {
            #expect(call.fields.contains { $0.0 == "accept" && $0.1 == "application/json;version=1" })
        }
    }

    @Test("a connector without complete credentials is not made") func credentials() {
        for (texts, secrets) in [
            (["api-url": "http://127.0.0.1:1/API"], [:]),
            (["api-url": "http://127.0.0.1:1/API", "username": "a"], ["password": "b"]),
            (["api-url": "http://127.0.0.1:1/API", "client-id": "a", "region": "na"], [:]),
            (["api-url": "http://127.0.0.1:1/API", "client-id": "a"], ["client-secret": "b"]),
            (["client-id": "a", "region": "na"], ["client-secret": "b"]),
        ] as [([String: String], [String: String])] {
            let connection = ProviderConnection(
                integration: "it", provider: "workspace-one", texts: texts, secrets: secrets)
            let parts = ConnectorParts(
                fetcher: fixture.fetcher, clock: fixture.clock.posture, random: { 0.5 })
            #expect(throws: ConnectorFailure.self) { _ = try Vendor.connector(connection, parts) }
        }
    }
}
