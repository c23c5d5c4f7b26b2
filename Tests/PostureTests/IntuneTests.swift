import Access
import Fetch
import JSON
import Testing

@testable import Posture

@Suite("Intune through Microsoft Graph, with a Graph that misbehaves")
struct IntuneTests {
    static func connector(_ fake: GraphFake, _ clock: TestClock) -> IntuneConnector {
        IntuneConnector(
            connection: GraphFake.connection(), fetcher: fake, clock: clock.clock, random: { 0.5 })
    }

    static func setting(_ count: Int, pageSize: Int = 2) -> (GraphFake, TestClock, IntuneConnector) {
        let fake = GraphFake()
        fake.set {
            $0.devices = (0..<count).map { GraphFake.device($0) }
            $0.pageSize = pageSize
            $0.overview = Int64(count)
        }
        let clock = TestClock(Setting.start)
        return (fake, clock, connector(fake, clock))
    }

    @Test("002.6 002.8 002.10 client credentials, then every page, proven complete") func complete() async {
        let (fake, _, connector) = Self.setting(5)
        let result = await connector.sync()
        #expect(result.isComplete && result.failure == nil)
        #expect(Set(result.records.map(\.verdict.nativeID)) == Set((0..<5).map(GraphFake.id)))
        #expect(fake.tokenRequests == 1)
    }

    @Test("000.2 the tags compliant and registered are always derived") func tags() async {
        let (_, _, connector) = Self.setting(1)
        let labels = await connector.sync().records[0].verdict.labels
        #expect(labels == ["company", "compliant", "encrypted", "registered", "threat:secured"])
    }

    struct Mapping: Sendable {
        var word: String
        var state: Verdict.State
        var isCompliant: Bool
    }

    static let mappings: [Mapping] = [
        .init(word: "compliant", state: .compliant, isCompliant: true),
        .init(word: "COMPLIANT", state: .compliant, isCompliant: true),
        .init(word: "inGracePeriod", state: .grace, isCompliant: true),
        .init(word: "noncompliant", state: .noncompliant, isCompliant: false),
        .init(word: "conflict", state: .error, isCompliant: false),
        .init(word: "error", state: .error, isCompliant: false),
        .init(word: "configManager", state: .delegated, isCompliant: false),
        .init(word: "unknown", state: .unknown, isCompliant: false),
        .init(word: "unknownFutureValue", state: .unknown, isCompliant: false),
        .init(word: "compliantish", state: .unknown, isCompliant: false),
        .init(word: "", state: .unknown, isCompliant: false),
    ]

    @Test(
        "every compliance word, also unknown ones, has its state; only two carry the tag", arguments: mappings
    )
    func enums(_ mapping: Mapping) async {
        let (fake, _, connector) = Self.setting(1)
        fake.set { $0.devices = [GraphFake.device(0, state: mapping.word)] }
        let verdict = await connector.sync().records[0].verdict
        #expect(verdict.state == mapping.state)
        #expect(verdict.labels.contains("compliant") == mapping.isCompliant)
        #expect(verdict.rawState == mapping.word)
    }

    @Test("003.5 both ages are kept, and the earlier end counts") func ages() async {
        let (fake, clock, connector) = Self.setting(1)
        let fresh = await connector.sync().records[0].verdict
        #expect(fresh.observedAtSeconds == clock.now - 600 && fresh.fetchedAtSeconds == clock.now)
        #expect(fresh.expiresAtSeconds == clock.now + 14_400)
        fake.set { $0.devices = [GraphFake.device(0, lastSync: clock.now - 86_000)] }
        #expect(await connector.sync().records[0].verdict.expiresAtSeconds == clock.now + 400)
        let grace = GraphFake.date(clock.now + 60)
        fake.set { $0.devices = [GraphFake.device(0, state: "inGracePeriod", grace: grace)] }
        #expect(await connector.sync().records[0].verdict.expiresAtSeconds == clock.now + 60)
    }

    @Test("a report from the future is never fresh: 300 s are forgiven, 301 are not", arguments: [300, 301])
    func future(_ ahead: Int64) async {
        let (fake, clock, connector) = Self.setting(1)
        fake.set { $0.devices = [GraphFake.device(0, lastSync: clock.now + ahead)] }
        let verdict = await connector.sync().records[0].verdict
        #expect((verdict.expiresAtSeconds > clock.now) == (ahead == 300))
    }

    enum Fault: String, CaseIterable, Sendable {
        case sameLink, crossHost, otherPort, userInfo, plainHTTP, partialThen500, malformed, html, truncated
        case noValue, huge, wrongCount, recordWithoutID, unreachable, tls
    }

    @Test(
        "absence proves nothing after any fault: the synchronisation is not complete",
        arguments: Fault.allCases)
    func faults(_ fault: Fault) async {
        let (fake, _, connector) = Self.setting(5)
        let page = "https://graph.test/v1.0/deviceManagement/managedDevices?$skiptoken=2"
        fake.set { state in
            func script(_ response: FetchResponse) { for call in 1..<12 { state.scripted[call] = response } }
            switch fault {
            case .sameLink: state.nextLink = page
            case .crossHost: state.nextLink = "https://graph.test.evil/v1.0/x"
            case .otherPort: state.nextLink = "https://graph.test:8443/v1.0/x"
            case .userInfo: state.nextLink = "https://graph.test@evil.test/v1.0/x"
            case .plainHTTP: state.nextLink = "http://graph.test/v1.0/x"
            case .partialThen500: script(GraphFake.error(500, "serverError"))
            case .malformed: script(FetchResponse(status: 200, body: Array("{\"value\":[1,}".utf8)))
            case .html: script(FetchResponse(status: 200, body: Array("<html>oops</html>".utf8)))
            case .truncated: script(FetchResponse(status: 200, body: Array("{\"value\":[{\"id\":\"5c".utf8)))
            case .noValue: script(GraphFake.json(["value": "x"]))
            case .huge: for call in 1..<12 { state.failures[call] = FetchError(.tooLarge, "page") }
            case .wrongCount: state.overview = 6
            case .recordWithoutID: state.devices[3] = ["id": "none"]
            case .unreachable: for call in 1..<12 { state.failures[call] = FetchError(.unreachable, "down") }
            case .tls: for call in 1..<12 { state.failures[call] = FetchError(.tlsFailed, "certificate") }
            }
        }
        let result = await connector.sync()
        #expect(!result.isComplete)
        #expect(!fake.calls.contains { !$0.hasPrefix("https://graph.test/") }, "no foreign host was asked")
        #expect(fake.calls.count < 40)
    }

    @Test("two pages in a row with the same devices end the synchronisation") func sameDevices() async {
        let (fake, _, connector) = Self.setting(1)
        for call in 0..<20 {
            let link = "https://graph.test/v1.0/deviceManagement/managedDevices?$skiptoken=x\(call)"
            fake.set {
                $0.scripted[call] = GraphFake.json([
                    "value": [GraphFake.device(0)], "@odata.nextLink": .string(link),
                ])
            }
        }
        #expect(await connector.sync().failure?.kind == .pagingLoop)
        #expect(fake.calls.count == 2)
    }

    @Test("429 with a hint waits as long as asked; without one it backs off") func throttling() async {
        let (fake, clock, connector) = Self.setting(1)
        fake.set { $0.scripted[0] = GraphFake.error(429, "TooManyRequests", retryAfter: "7") }
        #expect(await connector.sync().isComplete)
        #expect(clock.slept == [7])
        let (second, other, next) = Self.setting(1)
        second.set { $0.scripted[0] = GraphFake.error(429, "TooManyRequests") }
        #expect(await next.sync().isComplete)
        #expect(other.slept == [0.5])
    }

    @Test("Retry-After: seconds, date, clamped; nonsense counts as absent") func hints() {
        let now: Int64 = 1_900_000_000
        let table: [(String?, Int64?)] = [
            ("7", 7), ("1", 1), ("3600", 3600), ("3601", 3600), ("0", nil), ("-5", nil), ("soon", nil),
            (nil, nil),
            ("Sun, 17 Mar 2030 17:46:50 GMT", 10), ("Sun, 17 Mar 2030 17:46:30 GMT", nil),
        ]
        for (text, seconds) in table {
            #expect(RetryHint.seconds(text, nowSeconds: now) == seconds, "\(text ?? "nil")")
        }
    }

    @Test("401 once takes a new token; a second 401 is an authentication failure") func expiredToken() async {
        let (fake, _, connector) = Self.setting(1)
        fake.set { $0.scripted[0] = GraphFake.error(401, "InvalidAuthenticationToken") }
        #expect(await connector.sync().isComplete)
        #expect(fake.tokenRequests == 2)
        let (second, _, next) = Self.setting(1)
        second.set {
            for call in 0..<9 { $0.scripted[call] = GraphFake.error(401, "InvalidAuthenticationToken") }
        }
        #expect(await next.sync().failure?.kind == .authFailed)
        #expect(second.calls.count == 2)
    }

    @Test("the token is renewed ahead of its end, and one renewal serves all who wait") func renewal() async {
        let (fake, clock, connector) = Self.setting(3, pageSize: 1)
        _ = await connector.sync()
        clock.now += 3239
        _ = await connector.sync()
        #expect(fake.tokenRequests == 1, "exactly a tenth of its life is left")
        clock.now += 1
        _ = await connector.sync()
        #expect(fake.tokenRequests == 2)
        clock.now += 3599
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<10 { group.addTask { _ = await connector.sync() } }
        }
        #expect(fake.tokenRequests == 3)
    }

    @Test("000.9 a missing required permission is named; a missing optional one degrades") func permissions()
        async
    {
        let (fake, _, connector) = Self.setting(1)
        fake.set { $0.refusedPath = "complianceManagementPartners" }
        #expect(await connector.probe() == nil)
        #expect(await connector.status().missingPermissions == ["DeviceManagementServiceConfig.Read.All"])
        fake.set { $0.refusedPath = "managedDevices" }
        let failure = await connector.probe()
        #expect(failure?.kind == .forbidden)
        #expect(failure?.what.contains("DeviceManagementManagedDevices.Read.All") == true)
    }

    @Test("a revoked secret is an authentication failure that names the number and not the secret")
    func secret() async {
        let (fake, _, connector) = Self.setting(1)
        fake.set {
            $0.tokenAnswer = GraphFake.json(
                ["error": "invalid_client", "error_description": "s+ecret&", "error_codes": [7_000_215]],
                status: 401)
        }
        let failure = await connector.probe()
        #expect(failure?.kind == .authFailed)
        #expect(failure?.what.contains("AADSTS7000215") == true)
        #expect(failure?.what.contains("s+ecret") == false)
    }

    @Test("one device: by Intune id, by Entra id, by serial; an answer about another device is refused")
    func oneDevice() async {
        let (fake, _, connector) = Self.setting(3)
        for (kind, value) in [
            (DeviceKey.Kind.intune, GraphFake.id(1)), (.entra, GraphFake.entra(1)), (.serial, "SN1"),
        ] {
            guard let key = DeviceKey(kind, value), case .records(let found) = await connector.fetch([key])
            else {
                Issue.record("\(kind)")
                continue
            }
            #expect(found.map(\.verdict.nativeID) == [GraphFake.id(1)])
        }
        guard let key = DeviceKey(.intune, GraphFake.id(2)) else { return }
        let count = fake.calls.count
        fake.set { $0.scripted[count] = GraphFake.json(GraphFake.device(0)) }
        if case .failed(let failure) = await connector.fetch([key]) {
            #expect(failure.kind == .malformedResponse)
        } else {
            Issue.record("a lying answer was believed")
        }
        guard let stranger = DeviceKey(.intune, GraphFake.id(99)),
            case .records(let none) = await connector.fetch([stranger])
        else {
            Issue.record("not found is an answer")
            return
        }
        #expect(none.isEmpty)
    }
}
