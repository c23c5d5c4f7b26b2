import Access
import Config
import Fetch
import Foundation
import JSON
import Synchronization
import Testing

@testable import Control

/// Seconds of each pause, none of which is waited for, on a clock that only pauses move.
final class WebhookPauses: Sendable {
    private struct State {
        var all: [Double] = []
        var now: Int64 = 1_800_000_000
    }
    private let state = Mutex(State())
    var all: [Double] { state.withLock { $0.all } }
    var now: Int64 { state.withLock { $0.now } }

    func note(_ seconds: Double, goingOn: Bool) {
        state.withLock {
            $0.all.append(seconds)
            if goingOn { $0.now += Int64(seconds.rounded(.up)) }
        }
    }
}

/// What the tests of the webhook have in common.
enum WebhookCase {
    static func settings(_ url: String, _ authorization: String? = nil) -> DecisionWebhookSettings {
        DecisionWebhookSettings(
            url: url, authorization: authorization.map { Secret(Array($0.utf8)) }, allowsPlainHTTP: true)
    }

    static func line(_ number: Int, kind: String = "cut") -> [UInt8] {
        Array("{\"kind\":\"\(kind)\",\"at\":\(number)}\n".utf8)
    }

    static func lost(_ count: Int, at seconds: Int64 = 1_800_000_000) -> Substring {
        "{\"kind\":\"lost\",\"at\":\(seconds),\"where\":\"webhook\",\"entries\":\(count)}"
    }

    static func until(_ webhook: DecisionWebhook, _ isSo: @Sendable () -> Bool) async {
        // Some tests post hundreds of times, each a few turns of a thread pool that others use, too.
        let end = ContinuousClock.now.advanced(by: .seconds(300))
        while !isSo(), ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(5)) }
        #expect(isSo(), "\(String(describing: webhook.status))")
    }
}

/// Beside the suites that fetch (`scripts/test`): hundreds of exchanges over sockets.
@Suite("The decision log's lines at a receiver, which may be slow, away or hostile", .timeLimit(.minutes(10)))
struct WebhookFetchTests {
    let pauses = WebhookPauses()

    /// - Parameter isGoingOn: the clock goes on in pauses.
    private func webhook(
        _ url: String, authorization: String? = nil, milliseconds: Int = 60_000, isGoingOn: Bool = false
    ) -> DecisionWebhook {
        DecisionWebhook(
            WebhookCase.settings(url, authorization), fetcher: CurlFetcher(),
            nowSeconds: { [pauses] in pauses.now }, milliseconds: milliseconds,
            sleep: { [pauses] seconds in
                pauses.note(seconds, goingOn: isGoingOn)
                try? await Task.sleep(for: .milliseconds(1))
            }, random: { 0 })
    }

    private func line(_ number: Int, kind: String = "cut") -> [UInt8] { WebhookCase.line(number, kind: kind) }

    private func until(_ webhook: DecisionWebhook, _ isSo: @Sendable () -> Bool) async {
        await WebhookCase.until(webhook, isSo)
    }

    private func keys(_ receiver: LineReceiver) -> [Substring] {
        receiver.heads.compactMap { head in
            head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("idempotency-key: ") }
        }
    }

    @Test("002.21 lines are posted in order as lines of JSON, without persons and whole policies")
    func sent() async throws {
        let receiver = LineReceiver()
        let webhook = webhook(receiver.url, authorization: "Bearer siem-1")
        webhook.offer(line(1) + line(2, kind: "person") + line(3, kind: "policy") + line(4, kind: "decision"))
        webhook.offer(line(5, kind: "person"))
        webhook.offer(line(6))
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await until(webhook) { receiver.lines.count == 3 && webhook.status?.linesSent == 3 }
        #expect(
            receiver.lines == [
                #"{"kind":"cut","at":1}"#, #"{"kind":"decision","at":4}"#, #"{"kind":"cut","at":6}"#,
            ])
        let head = try #require(receiver.heads.first).lowercased()
        #expect(head.hasPrefix("post /lines http/1.1") && head.contains("content-type: application/x-ndjson"))
        #expect(head.contains("authorization: bearer siem-1"))
        #expect(webhook.status == DecisionWebhook.Status(linesSent: 3))
    }

    @Test(
        "a receiver that fails in any way gets the same lines again, and loses none",
        arguments: [
            LineReceiver.Behaviour.silent, .deaf, .closesAtOnce, .closesMidway, .halfAnswer, .endless,
            .answers(302, fields: "location: http://127.0.0.1:1/\r\n"), .answers(401), .answers(403),
            .answers(404), .answers(408), .answers(429), .answers(500), .answers(503),
        ])
    func hostile(_ behaviour: LineReceiver.Behaviour) async throws {
        let receiver = LineReceiver([behaviour, behaviour])
        // Short enough for those who never answer; whoever is slow for other reasons is asked again.
        let webhook = webhook(receiver.url, milliseconds: 2_000)
        webhook.offer(line(1) + line(2))
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await until(webhook) { webhook.status?.linesSent == 2 }
        #expect(receiver.lines.prefix(2) == [#"{"kind":"cut","at":1}"#, #"{"kind":"cut","at":2}"#])
        #expect(webhook.status == DecisionWebhook.Status(linesSent: 2))
        #expect(pauses.all.count >= 2 && pauses.all[0] == 0.5 && pauses.all[1] == 1)
        #expect(Set(keys(receiver)).count == 1, "the same post has the same name")
    }

    @Test(
        "what a receiver will never take is lost, counted and told, and the next lines go on",
        arguments: [400, 413, 415, 422])
    func refused(_ status: Int) async throws {
        let receiver = LineReceiver([.answers(status), .answers(status)])
        let webhook = webhook(receiver.url)
        webhook.offer(line(1) + line(2))
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await until(webhook) { webhook.status?.linesLost == 2 && webhook.status?.failure != nil }
        #expect(webhook.status?.failure == "HTTP \(status)" && webhook.status?.waitingBytes == 0)
        #expect(pauses.all.isEmpty && receiver.lines.isEmpty)
        let second = self.webhook(receiver.url)
        second.offer(line(1) + line(2))
        let sendingSecond = Task { await second.run() }
        defer { sendingSecond.cancel() }
        await until(second) { second.status?.linesLost == 2 }
        second.offer(line(3))
        await until(second) { second.status?.linesSent == 1 }
        #expect(receiver.lines == [WebhookCase.lost(2), #"{"kind":"cut","at":3}"#])
        #expect(second.status?.failure == nil)
        #expect(Set(keys(receiver)).count == 3, "each post has a name of its own")
    }

    @Test("a loss that was told in a post that was refused is told again") func toldAgain() async throws {
        let receiver = LineReceiver([.answers(400), .answers(413)])
        let webhook = webhook(receiver.url)
        webhook.offer(line(1))
        webhook.offer([UInt8](repeating: 0x62, count: DecisionWebhook.batchBytesMax))
        webhook.offer(line(2))
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await until(webhook) { webhook.status?.linesLost == 3 }
        webhook.offer(line(3))
        await until(webhook) { webhook.status?.linesLost == 4 }
        webhook.offer(line(4))
        await until(webhook) { webhook.status?.linesSent == 1 }
        #expect(receiver.lines == [WebhookCase.lost(4), #"{"kind":"cut","at":4}"#])
    }

    @Test("a post that breaks the receiver for an hour is given up, one that finds it away never is")
    func brokenByOne() async throws {
        // 0.5 + 1 + 2 + 4 + 8 + 16 s, then 30 s each, on a clock of whole seconds.
        let receiver = LineReceiver(Array(repeating: .answers(500), count: 200))
        let webhook = webhook(receiver.url, isGoingOn: true)
        webhook.offer(line(1))
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await until(webhook) { webhook.status?.linesLost == 1 }
        #expect(pauses.now - 1_800_000_000 >= DecisionWebhook.errorSecondsMax)
        #expect(pauses.now - 1_800_000_000 <= DecisionWebhook.errorSecondsMax + 30)
        receiver.recover()
        webhook.offer(line(2))
        await until(webhook) { webhook.status?.linesSent == 1 }
        #expect(receiver.lines.last == #"{"kind":"cut","at":2}"# && receiver.lines.count == 2)
        let away = LineReceiver(
            (0..<200).map { .answers($0 % 50 == 0 ? 500 : [401, 403, 404, 429, 502, 503][$0 % 6]) })
        let patient = self.webhook(away.url, isGoingOn: true)
        patient.offer(line(1))
        let sendingPatient = Task { await patient.run() }
        defer { sendingPatient.cancel() }
        await until(patient) { patient.status?.linesSent == 1 }
        #expect(patient.status?.linesLost == 0 && away.heads.count == 201)
    }

    /// Takes everything and keeps how it was asked.
    final class Notary: Fetcher {
        let asked = Mutex<[FetchRequest]>([])
        func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
            asked.withLock { $0.append(request) }
            return FetchResponse(status: 204)
        }
    }

    @Test("the receiver proves itself by the authorities that are configured; plain HTTP has to be asked for")
    func authorities() async throws {
        let notary = Notary()
        let webhook = DecisionWebhook(
            DecisionWebhookSettings(url: "https://siem.example/", authoritiesPEM: [1, 2, 3]), fetcher: notary,
            nowSeconds: { 0 })
        webhook.offer(line(1))
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await until(webhook) { webhook.status?.linesSent == 1 }
        let request = try #require(notary.asked.withLock { $0 }.first)
        #expect(request.authoritiesPEM == [1, 2, 3] && !request.allowsPlainHTTP)
        #expect(request.timeoutMilliseconds == 10_000 && request.bodyBytesMax <= 64 << 10)
        #expect(!request.fields.contains { $0.0 == "authorization" })
    }

    @Test("no TLS where it is demanded: nothing is sent in the clear, and everything waits") func noTLS()
        async throws
    {
        let receiver = LineReceiver(Array(repeating: .answers(400), count: 1_000))
        let webhook = webhook("https://127.0.0.1:\(receiver.port)/lines", milliseconds: 1_000)
        webhook.offer(line(1))
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await until(webhook) { pauses.all.count >= 3 }
        #expect(webhook.status?.failure != nil && webhook.status?.linesSent == 0)
        #expect(webhook.status?.waitingBytes == line(1).count && receiver.bodies.isEmpty)
    }

    @Test("Retry-After is waited for, up to five minutes; without it the pauses grow to a minute")
    func hints()
        async throws
    {
        let hints = ["17", "100000", "0", "-1", "soon"].map {
            LineReceiver.Behaviour.answers(503, fields: "retry-after: \($0)\r\n")
        }
        let receiver = LineReceiver(hints + Array(repeating: .answers(500), count: 4))
        let webhook = webhook(receiver.url)
        webhook.offer(line(1))
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await until(webhook) { webhook.status?.linesSent == 1 }
        #expect(pauses.all == [17, 300, 2, 4, 8, 16, 30, 30, 30])
    }

    @Test("what waits is bounded: what is too much is lost, counted and told") func bounded() async throws {
        let receiver = LineReceiver()
        let webhook = webhook(receiver.url)
        let longest = DecisionWebhook.batchBytesMax - DecisionWebhook.lostLineBytesMax
        func line(bytes: Int) -> [UInt8] {
            let head = Array("{\"kind\":\"cut\",\"x\":\"".utf8)
            return head + [UInt8](repeating: 0x61, count: bytes - head.count - 3) + Array("\"}\n".utf8)
        }
        webhook.offer(line(bytes: longest + 1))
        #expect(webhook.status == DecisionWebhook.Status(linesLost: 1), "a line that no post can hold")
        let fitting = DecisionWebhook.waitingBytesMax / longest
        for _ in 0..<(fitting + 5) { webhook.offer(line(bytes: longest)) }
        let rest = DecisionWebhook.waitingBytesMax - fitting * longest
        webhook.offer(line(bytes: rest + 1))
        webhook.offer(line(bytes: rest))
        webhook.offer(WebhookCase.line(1))
        #expect(webhook.status?.linesLost == 8)
        #expect(webhook.status?.waitingBytes == DecisionWebhook.waitingBytesMax)
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await until(webhook) { webhook.status?.linesSent == fitting + 1 }
        #expect(receiver.lines.first == WebhookCase.lost(8))
        #expect(receiver.lines.count { $0.contains("lost") } == 1)
        #expect(receiver.bodies.allSatisfy { $0.utf8.count <= DecisionWebhook.batchBytesMax })
        #expect(webhook.status?.waitingBytes == 0)
    }

    @Test("002.21 a receiver that never reads costs the log nothing, and gets its lines when it does")
    func log() async throws {
        let fixture = DecisionFixture()
        let receiver = LineReceiver(Array(repeating: .deaf, count: 1_000))
        let webhook = webhook(receiver.url)
        let log = try DecisionLog(
            DecisionFolder(fixture.settings), webhook: webhook, nowSeconds: { DecisionFixture.start })
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        for number in 0..<1_000 {
            log.append(
                .event(kind: "cut", atSeconds: DecisionFixture.start, [("number", .integer(Int64(number)))]))
        }
        log.flush(milliseconds: 60_000)
        #expect(log.status.entriesWritten == 1_000 && log.status.entriesLost == 0)
        #expect(fixture.lines("cut").count == 1_000 && webhook.status?.linesSent == 0)
        await until(webhook) { receiver.connections == 1 }
        receiver.recover()
        await until(webhook) { webhook.status?.linesSent == 1_001 }
        #expect(webhook.status?.linesLost == 0)
        let lines = receiver.lines.compactMap { try? JSONValue(parsing: Array($0.utf8)) }
        #expect(lines.compactMap { $0["number"]?.integer } == [1] + (0..<1_000).map { Int64($0) })
        #expect(lines.first?["kind"] == "file", "the line that a file begins with, whose number is 1")
    }

    @Test("002.21 decisions arrive with the words and digests that stand in the file, and nobody's name")
    func decisions() async throws {
        let fixture = DecisionFixture()
        let receiver = LineReceiver()
        let webhook = webhook(receiver.url)
        let log = try DecisionLog(
            DecisionFolder(fixture.settings), webhook: webhook, nowSeconds: { DecisionFixture.start })
        let recorder = DecisionRecorder(log: log)
        recorder.begin(DecisionFixture.policy)
        _ = recorder.record(try fixture.made("vault", device: fixture.device()))
        log.flush(milliseconds: 60_000)
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await until(webhook) { receiver.lines.contains { $0.hasPrefix("{\"kind\":\"decision\"") } }
        let written = fixture.files.flatMap { fixture.text($0).split(separator: "\n") }
        let kept = written.filter { $0.hasPrefix("{\"kind\":\"p") }
        #expect(kept.count == 2 && kept.contains { $0.contains("ada@corp.example") })
        #expect(receiver.lines == written.filter { !kept.contains($0) })
        #expect(receiver.lines.allSatisfy { !$0.contains("ada@") && !$0.contains("Ada") })
    }

    @Test(
        "what an administrator sees: nothing while it works; the reason, its age and losses while it does not"
    )
    func status() async throws {
        let fixture = DecisionFixture()
        let receiver = LineReceiver([.answers(413), .answers(403), .answers(403)])
        let webhook = webhook(receiver.url)
        let log = try DecisionLog(
            DecisionFolder(fixture.settings), webhook: webhook, nowSeconds: { DecisionFixture.start })
        let recorder = DecisionRecorder(log: log)
        func text() -> DecisionStatusText { DecisionStatusText(recorder, nowSeconds: 1_800_000_060) }
        #expect(text().lines.isEmpty && text().webhookJSON["lines_sent"] == 0)
        webhook.offer(line(1))
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await until(webhook) { webhook.status?.failure != nil }
        #expect(
            text().lines == [
                "decision webhook: 1 line lost",
                "decision webhook: fails for 60 s (HTTP 413); 0 bytes wait",
            ])
        webhook.offer(line(2))
        await until(webhook) { webhook.status?.linesSent == 1 && webhook.status?.failure == nil }
        #expect(text().lines == ["decision webhook: 1 line lost"])
        #expect(text().webhookJSON["failure"] == .null && text().webhookJSON["lines_lost"] == 1)
        let off = DecisionStatusText(DecisionRecorder(log: nil), nowSeconds: 0)
        #expect(off.webhookJSON == .null && off.lines.isEmpty)
    }
}
