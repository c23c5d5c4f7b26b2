import Access
import Fetch
import JSON
import Synchronization
import Testing

@testable import Posture

@Suite("Many devices in one call to Microsoft Graph, each with an answer of its own (providers.md 2.6)")
struct GraphBatchTests {
    let fake = GraphFake()
    let clock = TestClock(Setting.start)
    let connector: IntuneConnector

    init() {
        fake.set { $0.devices = (0..<30).map { GraphFake.device($0) } }
        connector = IntuneTests.connector(fake, clock)
    }

    private func device(_ number: Int, _ kind: DeviceKey.Kind = .intune, _ value: String? = nil) throws
        -> KnownDevice
    {
        let key = try #require(DeviceKey(kind, value ?? GraphFake.id(number)))
        return KnownDevice(id: "device-\(number)", keys: [key])
    }

    private func states(_ answers: [DeviceAnswer]) -> [String] {
        answers.map { answer in
            switch answer {
            case .records(let records):
                records.map { String($0.verdict.nativeID.suffix(2)) }.joined(separator: ",")
            case .failed(let failure): failure.kind.rawValue
            }
        }
    }

    private var batches: Int { fake.calls.count { $0 == "https://graph.test/v1.0/$batch" } }

    @Test(
        "twenty devices take a call for their states and one for their settings, whatever order answers have")
    func twenty() async throws {
        let answers = await connector.fetch(together: try (0..<20).map { try device($0) })
        #expect(states(answers) == (0..<20).map { $0 < 10 ? "0\($0)" : "\($0)" })
        #expect(fake.calls.count == 2 && batches == 2)
        #expect(fake.state.withLock { $0.parts.count } == 40)
    }

    @Test("21 are never asked in one call") func bound() {
        #expect(GraphBatch.body(Array(repeating: "/v1.0/devices", count: 20))["requests"]?.array?.count == 20)
        #expect(connector.devicesPerQuestionMax == 20)
    }

    @Test("each device goes through its keys, and one without a usable key asks nothing") func keys()
        async throws
    {
        var first = try device(1, .intune, GraphFake.id(99))
        first.keys.append(try #require(DeviceKey(.serial, "SN4")))
        let answers = await connector.fetch(together: [
            first, try device(2, .entra, GraphFake.entra(5)), try device(3, .serial, "SN-NONE"),
            try device(4, .hardware, GraphFake.id(4)),
        ])
        #expect(states(answers) == ["04", "05", "", "not_found"])
        #expect(fake.calls.count == batches)
    }

    struct Spoiled: Sendable {
        var status: Int
        var code: String
        var expected: String
    }

    static let spoiled: [Spoiled] = [
        .init(status: 400, code: "BadRequest", expected: "malformed_response"),
        .init(status: 401, code: "InvalidAuthenticationToken", expected: "auth_failed"),
        .init(status: 403, code: "Forbidden", expected: "forbidden"),
        .init(status: 404, code: "ResourceNotFound", expected: ""),
        .init(status: 424, code: "FailedDependency", expected: "unavailable"),
        .init(status: 429, code: "TooManyRequests", expected: "throttled"),
        .init(status: 500, code: "InternalServerError", expected: "unavailable"),
        .init(status: 503, code: "serviceNotAvailable", expected: "unavailable"),
        .init(status: 302, code: "Moved", expected: "malformed_response"),
    ]

    @Test("a part that fails for good fails alone", arguments: spoiled)
    func alone(_ spoiled: Spoiled) async throws {
        let answer = GraphFake.error(spoiled.status, spoiled.code)
        fake.set { $0.partAnswers[GraphFake.id(1)] = Array(repeating: answer, count: 20) }
        let answers = await connector.fetch(together: try (0..<3).map { try device($0) })
        #expect(states(answers) == ["00", spoiled.expected, "02"])
    }

    @Test("a part that fails once is asked again, without the others", arguments: [401, 424, 429, 500, 503])
    func again(_ status: Int) async throws {
        fake.set { $0.partAnswers[GraphFake.id(1)] = [GraphFake.error(status, "x")] }
        let answers = await connector.fetch(together: try (0..<3).map { try device($0) })
        #expect(states(answers) == ["00", "01", "02"])
        let asked = fake.state.withLock { $0.parts }.filter { !$0.contains("PolicyStates") }
        #expect(asked.count == 4 && asked.last?.contains(GraphFake.id(1)) == true)
        #expect(fake.tokenRequests == (status == 401 ? 2 : 1))
    }

    @Test(
        "429 inside of a batch: its own Retry-After is waited for, by everybody, and told where it is too long"
    )
    func hints() async throws {
        fake.set {
            $0.partAnswers[GraphFake.id(1)] = [GraphFake.error(429, "TooManyRequests", retryAfter: "2")]
        }
        let before = clock.now
        #expect(states(await connector.fetch(together: [try device(0), try device(1)])) == ["00", "01"])
        #expect(clock.now == before + 2)
        fake.set {
            $0.partAnswers[GraphFake.id(1)] = [GraphFake.error(429, "TooManyRequests", retryAfter: "120")]
        }
        let answers = await connector.fetch(together: [try device(0), try device(1)])
        guard case .failed(let failure) = answers[1] else { return #expect(Bool(false), "not throttled") }
        #expect(failure.kind == .throttled && failure.retryAfterSeconds == 120)
        #expect(states(answers)[0] == "00", "what was learned stays")
        #expect(await connector.status().throttledUntilSeconds == clock.now + 120)
    }

    struct Envelope: Sendable {
        var name: String
        var answer: @Sendable (JSONValue, JSONValue) -> JSONValue
        /// For two devices.
        var expected: [String]
    }

    static let envelopes: [Envelope] = [
        .init(name: "in order", answer: { ["responses": [$0, $1]] }, expected: ["00", "01"]),
        .init(name: "in another order", answer: { ["responses": [$1, $0]] }, expected: ["00", "01"]),
        .init(
            name: "one is missing", answer: { one, _ in ["responses": [one]] },
            expected: ["00", "malformed_response"]),
        .init(
            name: "one is doubled", answer: { ["responses": [$0, $1, $1]] },
            expected: ["00", "malformed_response"]),
        .init(
            name: "a part without a status",
            answer: { one, _ in ["responses": [one, ["id": "2", "body": [:]]]] },
            expected: ["00", "malformed_response"]),
        .init(
            name: "a part without a document",
            answer: { one, _ in ["responses": [one, ["id": "2", "status": 200, "body": "x"]]] },
            expected: ["00", "malformed_response"]),
        .init(
            name: "a part about another device",
            answer: { one, _ in
                ["responses": [one, ["id": "2", "status": 200, "body": one["body"] ?? .null]]]
            },
            expected: ["00", "malformed_response"]),
    ]

    @Test(
        "parts are told apart by their ids alone; what is missing, doubled or another's fails alone",
        arguments: envelopes)
    func answeredIn(_ envelope: Envelope) async throws {
        func part(_ number: Int) -> JSONValue {
            ["id": .string("\(number + 1)"), "status": 200, "body": GraphFake.device(number)]
        }
        fake.set { $0.scripted[0] = GraphFake.json(envelope.answer(part(0), part(1))) }
        let answers = await connector.fetch(together: [try device(0), try device(1)])
        #expect(states(answers) == envelope.expected, "\(envelope.name)")
    }

    @Test(
        "what is no answer to the batch counts for none of its parts: each device is asked alone",
        arguments: [
            #"{"responses": 1}"#, #"{"value": []}"#,
            #"{"responses": [{"id": "3", "status": 200, "body": {}}]}"#,
            #"{"responses": [{"id": "01", "status": 200}]}"#, #"{"responses": [{"id": 1, "status": 200}]}"#,
            #"{"responses": [{"id": "1", "status": 200, "#, "<html>proxy</html>",
        ])
    func nonsense(_ text: String) async throws {
        fake.set { $0.scripted[0] = FetchResponse(status: 200, body: Array(text.utf8)) }
        let answers = await connector.fetch(together: [try device(0), try device(1)])
        #expect(states(answers) == ["00", "01"])
        #expect(batches == 1 && fake.state.withLock { $0.parts.isEmpty })
    }

    @Test("a batch that is refused as a whole spoils nobody's answer: each device is asked alone")
    func refused() async throws {
        fake.set { $0.scripted[0] = GraphFake.error(400, "BadRequest") }
        #expect(states(await connector.fetch(together: [try device(0), try device(1)])) == ["00", "01"])
        #expect(batches == 1)
    }

    @Test(
        "while nobody answers, nothing is learned of anybody",
        arguments: [FetchError.Kind.unreachable, .timedOut])
    func down(_ kind: FetchError.Kind) async throws {
        fake.set { for call in 0..<8 { $0.failures[call] = FetchError(kind, "down") } }
        let answers = await connector.fetch(together: [try device(0), try device(1)])
        let expected = kind == .timedOut ? "timeout" : "unavailable"
        #expect(states(answers) == [expected, expected])
    }

    @Test("every part counts against the published limit, and one window takes the rest") func windows() {
        var ledger = RateLedger([RateWindow(calls: 50, seconds: 20)])
        ledger.note(nowSeconds: 100, count: 20)
        ledger.note(nowSeconds: 105, count: 20)
        #expect(ledger.wait(nowSeconds: 105, count: 10) == 0)
        #expect(ledger.wait(nowSeconds: 105, count: 11) == 15)
        #expect(ledger.wait(nowSeconds: 119, count: 20) == 1)
        #expect(ledger.wait(nowSeconds: 120, count: 20) == 0)
        #expect(
            ledger.wait(nowSeconds: 120, count: 200) == 5, "what is larger than a window waits for all of it")
    }

    @Test(
        "003.2 devices that are due at once are asked together; one that fails is the only one that is not known"
    )
    func together() async throws {
        fake.set { $0.overview = 30 }
        let setting = try Setting(intune: [GraphFake.connection()], fetcher: fake)
        try await setting.service.load()
        var agents: [FakeAgent] = []
        for number in 0..<25 {
            agents.append(try await setting.enroll(["intune_device_id": .string(GraphFake.id(number))]))
        }
        await setting.service.refreshDue()
        setting.clock.now += 7_200
        fake.set { state in
            for number in 0..<25 {
                state.devices[number] = GraphFake.device(
                    number, state: "noncompliant", lastSync: setting.clock.now)
            }
            state.partAnswers[GraphFake.id(7)] = [GraphFake.error(400, "BadRequest")]
        }
        let calls = fake.calls.count
        await setting.service.refreshDue()
        #expect(fake.calls.dropFirst(calls).count { $0.hasSuffix("$batch") } == 4, "20 and 5, two steps each")
        var states: [Verdict.State?] = []
        for agent in agents {
            let facts = await setting.service.deviceFacts(id: agent.deviceID, statement: nil)
            states.append(facts?.verdicts.first?.state)
        }
        #expect(states.enumerated().allSatisfy { $1 == ($0 == 7 ? .compliant : .noncompliant) })
    }
}
