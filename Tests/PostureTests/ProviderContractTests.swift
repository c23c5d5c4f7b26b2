import Access
import Fetch
import JSON
import Synchronization
import Testing

@testable import Posture

/// Answers as it is told to, one after the other; the last one for ever.
private final class ToldFetcher: Fetcher {
    typealias Answer = Result<FetchResponse, FetchError>
    private struct State {
        var answers: [Answer]
        var asked: [FetchRequest] = []
    }
    private let state: Mutex<State>

    init(_ answers: [Answer]) { state = Mutex(State(answers: answers)) }

    var asked: [FetchRequest] { state.withLock { $0.asked } }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        let answer = state.withLock { state in
            state.asked.append(request)
            return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
        }
        return try answer.get()
    }
}

@Suite("Every provider's client keeps the contract: tries, waits, bounds and clocks (providers.md 1.1)")
struct ProviderContractTests {
    static let now = Setting.start

    private struct Client {
        let clock = TestClock(ProviderContractTests.now)
        let fetcher: ToldFetcher
        let client: ProviderClient

        init(_ answers: [ToldFetcher.Answer], random: Double = 1) {
            fetcher = ToldFetcher(answers)
            client = ProviderClient(
                api: ProviderAPI(
                    name: "Vendor", base: "https://api.vendor.example", credentials: .fixed([])),
                fetcher: fetcher, clock: clock.clock, random: { random })
        }

        func call(_ call: ProviderCall, waitSecondsMax: Double = 10_000) async -> Result<
            JSONValue, ConnectorFailure
        > {
            do throws(ConnectorFailure) {
                return .success(try await client.call(call, waitSecondsMax: waitSecondsMax))
            } catch {
                return .failure(error)
            }
        }

        func get() async -> Result<JSONValue, ConnectorFailure> {
            await call(ProviderCall(url: "https://api.vendor.example/devices"))
        }
    }

    private static func answer(
        _ status: Int, _ body: String = "{}", _ fields: [(name: String, value: String)] = []
    ) -> ToldFetcher.Answer {
        .success(FetchResponse(status: status, fields: fields, body: Array(body.utf8)))
    }

    private static func lost(_ kind: FetchError.Kind) -> ToldFetcher.Answer {
        .failure(FetchError(kind, "lost"))
    }

    /// What is tried again, and what becomes of it when it stays.
    struct Trouble: Sendable, CustomTestStringConvertible {
        var testDescription: String
        fileprivate var answer: ToldFetcher.Answer
        var kind: ConnectorFailure.Kind
        var isRetried: Bool
    }

    static let troubles: [Trouble] = [
        Trouble(testDescription: "500", answer: answer(500), kind: .unavailable, isRetried: true),
        Trouble(testDescription: "502", answer: answer(502), kind: .unavailable, isRetried: true),
        Trouble(testDescription: "503", answer: answer(503), kind: .unavailable, isRetried: true),
        Trouble(testDescription: "504", answer: answer(504), kind: .unavailable, isRetried: true),
        Trouble(testDescription: "429", answer: answer(429), kind: .throttled, isRetried: true),
        Trouble(testDescription: "reset", answer: lost(.unreachable), kind: .unavailable, isRetried: true),
        Trouble(testDescription: "timeout", answer: lost(.timedOut), kind: .timeout, isRetried: true),
        Trouble(testDescription: "TLS", answer: lost(.tlsFailed), kind: .tlsError, isRetried: true),
        Trouble(testDescription: "400", answer: answer(400), kind: .malformedResponse, isRetried: false),
        Trouble(testDescription: "401", answer: answer(401), kind: .authFailed, isRetried: false),
        Trouble(testDescription: "403", answer: answer(403), kind: .forbidden, isRetried: false),
        Trouble(testDescription: "404", answer: answer(404), kind: .notFound, isRetried: false),
        Trouble(testDescription: "422", answer: answer(422), kind: .malformedResponse, isRetried: false),
        Trouble(
            testDescription: "too large", answer: lost(.tooLarge), kind: .malformedResponse, isRetried: false),
        Trouble(
            testDescription: "no JSON", answer: answer(200, "<h1>"), kind: .malformedResponse,
            isRetried: false),
        Trouble(
            testDescription: "200, empty", answer: answer(200, ""), kind: .malformedResponse,
            isRetried: false),
    ]

    @Test("a read is tried four times at most, and once where trying again is no help", arguments: troubles)
    func tries(_ row: Trouble) async {
        let client = Client([row.answer])
        guard case .failure(let failure) = await client.get() else {
            Issue.record("answered")
            return
        }
        #expect(failure.kind == row.kind)
        #expect(client.fetcher.asked.count == (row.isRetried ? 4 : 1))
        // The ceilings of the waits before the second, third and fourth try.
        #expect(client.clock.slept == (row.isRetried ? [1, 2, 4] : []))
    }

    @Test("the fourth try counts, and after it the next read has four of its own")
    func lastTry() async {
        let bad = Self.answer(500)
        let client = Client([bad, bad, bad, Self.answer(200), bad, bad, bad, Self.answer(200)])
        for round in 1...2 {
            guard case .success = await client.get() else {
                Issue.record("failed")
                return
            }
            #expect(client.fetcher.asked.count == 4 * round)
        }
    }

    @Test("what may have been done is not done again, whatever went wrong", arguments: troubles)
    func notRepeated(_ row: Trouble) async {
        let client = Client([row.answer])
        let call = ProviderCall(
            method: "PATCH", url: "https://api.vendor.example/devices/1", body: [:], isIdempotent: false)
        guard case .failure(let failure) = await client.call(call) else {
            Issue.record("answered")
            return
        }
        #expect(failure.kind == row.kind)
        #expect(client.fetcher.asked.count == 1 && client.clock.slept.isEmpty)
    }

    @Test(
        "our verdict is written once: an unanswered PATCH is left to the queue, with what holds then",
        arguments: troubles)
    func published(_ row: Trouble) async throws {
        let token = Self.answer(
            200, #"{"access_token":"token","token_type":"Bearer","expires_in":3600}"#)
        let fetcher = ToldFetcher([token, row.answer])
        let clock = TestClock(Self.now)
        let connector = try EntraConnector(
            ProviderConnection(
                integration: "entra", provider: "entra",
                texts: [
                    "tenant": "corp.example", "client-id": "client", "publish-verdict": "true",
                    "login-url": "https://login.example", "graph-url": "https://graph.example",
                ], secrets: ["client-secret": "secret"]),
            ConnectorParts(fetcher: fetcher, clock: clock.clock, random: { 1 }))
        // As the queue does it: nobody waits, so there is patience for a retry.
        let failure = await ProviderClient.$isNobodyWaiting.withValue(true) {
            await connector.publish(
                PublishedState(isCompliant: false), objectID: "9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5e")
        }
        #expect(failure != nil)
        let patches = fetcher.asked.filter { $0.method == "PATCH" }
        #expect(patches.count == 1)
    }

    @Test("the back-off doubles from 1 s to 5 min and stays there; chance takes from all of it")
    func backOff() {
        let ceilings = (0...12).map { RetryHint.backOff(attempt: $0, random: 1) }
        #expect(ceilings == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300])
        #expect(RetryHint.backOff(attempt: .max, random: 1) == 300)
        for attempt in 0...12 {
            #expect(RetryHint.backOff(attempt: attempt, random: 0) == 0.05, "never at once")
            #expect(RetryHint.backOff(attempt: attempt, random: 0.5) == max(0.05, ceilings[attempt] / 2))
        }
    }

    @Test("a byte order mark is passed over, once, and only in front")
    func byteOrderMark() async throws {
        let mark = "\u{feff}"
        guard case .success(let answer) = await Client([Self.answer(200, mark + #"{"a":1}"#)]).get() else {
            Issue.record("refused")
            return
        }
        #expect(answer["a"] == 1)
        for body in [mark + mark + "{}", "{}" + mark, " " + mark + "{}", mark] {
            guard case .failure(let failure) = await Client([Self.answer(200, body)]).get() else {
                Issue.record("taken: \(Array(body.utf8))")
                continue
            }
            #expect(failure.kind == .malformedResponse)
        }
    }

    @Test("a provider's clock is known by its answers, and wrong beyond 5 min, not at 5 min")
    func clockSkew() async {
        // 2026-02-02T02:40:00Z is 1,770,000,000.
        for (offset, isSkewed) in [
            (0, false), (300, false), (301, true), (-300, false), (-301, true), (172_800, true),
        ] as [(Int64, Bool)] {
            let date = "Mon, 02 Feb 2026 02:40:00 GMT"
            let client = Client([Self.answer(200, "{}", [("date", date)])])
            client.clock.now = 1_770_000_000 - offset
            #expect(await client.client.status().serverOffsetSeconds == nil)
            _ = await client.get()
            let status = await client.client.status()
            #expect(status.serverOffsetSeconds == offset && status.isClockSkewed == isSkewed, "\(offset)")
        }
        // An answer without a date says nothing, a refusal says as much as an answer.
        let client = Client([
            Self.answer(200), Self.answer(403, "{}", [("date", "Mon, 02 Feb 2026 02:40:00 GMT")]),
            Self.answer(200, "{}", [("date", "yesterday")]),
        ])
        client.clock.now = 1_770_000_000 - 600
        for expected: Int64? in [nil, 600, 600] {
            _ = await client.get()
            #expect(await client.client.status().serverOffsetSeconds == expected)
        }
    }

    // MARK: Lists

    @Test("5,000 pages are read, the next one is a loop") func pages() throws {
        #expect(PageWalk.pagesMax == 5_000)
        var walk = PageWalk()
        for page in 0..<5_000 { try walk.turn(to: "page \(page)") }
        let failure = #expect(throws: ConnectorFailure.self) { try walk.turn(to: "page 5000") }
        #expect(failure?.kind == .pagingLoop)
    }

    private func record(_ value: JSONValue) -> (id: String, record: VerdictRecord)? {
        guard let id = value.string else { return nil }
        return (
            id,
            VerdictRecord(
                verdict: Verdict(
                    id: id, integration: "i", provider: "p", nativeID: id, state: .compliant,
                    observedAtSeconds: 1, fetchedAtSeconds: 1, expiresAtSeconds: 2, matchKey: "serial",
                    matchStrength: .strong), keys: [])
        )
    }

    @Test("a list of as many devices as the bound is read, one more is a malformed response") func records()
        throws
    {
        #expect(PageWalk.recordsMax == 1_000_000)
        var walk = PageWalk(recordsMax: 4)
        try walk.take(["a", "b"], hasNext: true, read: record)
        try walk.take(["c", "d", "a"], hasNext: true, read: record)
        #expect(walk.deviceCount == 4)
        let failure = #expect(throws: ConnectorFailure.self) {
            try walk.take(["e"], hasNext: false, read: record)
        }
        #expect(failure?.kind == .malformedResponse)
    }
}
