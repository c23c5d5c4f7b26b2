import Config
import Fetch
import Foundation
import Identity
import JSON
import Synchronization
import Testing

@testable import Control

@Suite("Another receiver of the decision log's lines, while the gateway runs", .timeLimit(.minutes(10)))
struct WebhookReloadFetchTests {
    /// Pauses that only a cancellation ends.
    private func webhook(_ settings: DecisionWebhookSettings?, pauses: WebhookPauses) -> DecisionWebhook {
        DecisionWebhook(
            settings, fetcher: CurlFetcher(), nowSeconds: { 1_800_000_000 }, milliseconds: 60_000,
            sleep: { seconds in
                pauses.note(seconds, goingOn: false)
                try? await Task.sleep(for: .seconds(3_600))
            })
    }

    @Test("what waits goes to the new receiver at once, in its order, whatever pause the old one asked for")
    func other() async throws {
        let old = LineReceiver(
            Array(repeating: .answers(503, fields: "retry-after: 300\r\n"), count: 100))
        let new = LineReceiver()
        let pauses = WebhookPauses()
        let webhook = webhook(WebhookCase.settings(old.url), pauses: pauses)
        webhook.offer(WebhookCase.line(1))
        webhook.offer(WebhookCase.line(2))
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await WebhookCase.until(webhook) { pauses.all.count == 1 }
        webhook.offer(WebhookCase.line(3))
        webhook.take(WebhookCase.settings(new.url, "Bearer second"))
        await WebhookCase.until(webhook) { webhook.status?.linesSent == 3 }
        #expect(new.lines == (1...3).map { "{\"kind\":\"cut\",\"at\":\($0)}" })
        #expect(new.heads.allSatisfy { $0.lowercased().contains("authorization: bearer second") })
        #expect(old.heads.count == 1 && old.lines.isEmpty)
    }

    @Test("the same settings again change nothing: neither a pause nor what waits") func same() async throws {
        let receiver = LineReceiver(Array(repeating: .answers(503), count: 100))
        let pauses = WebhookPauses()
        let webhook = webhook(WebhookCase.settings(receiver.url), pauses: pauses)
        webhook.offer(WebhookCase.line(1))
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        await WebhookCase.until(webhook) { pauses.all.count == 1 }
        let before = webhook.status
        webhook.take(WebhookCase.settings(receiver.url))
        #expect(webhook.status == before && before?.failure == "HTTP 503")
        #expect(pauses.all.count == 1)
    }

    @Test("switched off it takes nothing and says nothing; switched on again it begins with what comes then")
    func off() async throws {
        let receiver = LineReceiver([.answers(503)])
        let pauses = WebhookPauses()
        let webhook = webhook(nil, pauses: pauses)
        webhook.offer(WebhookCase.line(1))
        #expect(webhook.status == nil)
        let sending = Task { await webhook.run() }
        defer { sending.cancel() }
        webhook.take(WebhookCase.settings(receiver.url))
        webhook.offer(WebhookCase.line(2))
        await WebhookCase.until(webhook) { pauses.all.count == 1 }
        webhook.take(nil)
        #expect(webhook.status == nil)
        webhook.offer(WebhookCase.line(3))
        webhook.take(WebhookCase.settings(receiver.url))
        #expect(webhook.status == DecisionWebhook.Status())
        webhook.offer(WebhookCase.line(4))
        await WebhookCase.until(webhook) { webhook.status?.linesSent == 1 }
        #expect(receiver.lines == [#"{"kind":"cut","at":4}"#])
        #expect(webhook.status == DecisionWebhook.Status(linesSent: 1))
    }

    private static func config(_ url: String) -> String {
        Gatehouse.config.replacing(
            "  store: sqlite:state\n",
            with: "  store: sqlite:state\n  decision-webhook: { url: \"\(url)\", unsafe-allow-http: true, "
                + "authorization: { file: secrets/push } }\n")
    }

    @Test("002.21 a running gateway posts its decisions, and another secret is used after a reload")
    func gateway() async throws {
        let receiver = LineReceiver()
        let house = try Gatehouse(Self.config(receiver.url))
        try await house.control.start()
        let webhook = try #require(house.control.decisions.log?.webhook)
        let (_, _, first) = try await house.signIn()
        #expect(await house.pulled(first.tokenDigest) != nil)
        let isDecision: @Sendable (Substring) -> Bool = { $0.hasPrefix("{\"kind\":\"decision\"") }
        await WebhookCase.until(webhook) { receiver.lines.contains(where: isDecision) }
        let before = receiver.heads.count
        #expect(receiver.lines.count(where: isDecision) == 1)
        #expect(
            receiver.heads.allSatisfy { $0.lowercased().contains("authorization: bearer push-secret-0001") })
        try Data("Bearer another".utf8).write(to: house.folder.appending(path: "secrets/push"))
        #expect(try await house.control.reload().changes == ["~ gateway"])
        let (_, _, second) = try await house.signIn("bob@corp.example")
        #expect(await house.pulled(second.tokenDigest) != nil)
        await WebhookCase.until(webhook) { receiver.lines.count(where: isDecision) == 2 }
        #expect(receiver.lines.count(where: isDecision) == 2)
        #expect(
            receiver.heads.dropFirst(before).last?.lowercased().contains("authorization: bearer another")
                == true)
        #expect(receiver.lines.allSatisfy { !$0.contains("bob@") && !$0.contains("ada@") })
        let shown = await house.control.execute(["command": "status"])["decision_webhook"]
        #expect(shown?["lines_lost"] == 0 && shown?["failure"] == .null)
        house.control.stop()
    }

    @Test("a reload that is refused changes no receiver") func refused() async throws {
        let receiver = LineReceiver()
        let house = try Gatehouse(Self.config(receiver.url))
        let webhook = try #require(house.control.decisions.log?.webhook)
        house.reactors.refuseConfigurations("no")
        try house.rewrite { $0.replacing("  decision-webhook", with: "  # decision-webhook") }
        await #expect(throws: ControlFailure.self) { try await house.control.reload() }
        #expect(webhook.status != nil)
        house.reactors.refuseConfigurations(nil)
        try await house.control.reload()
        #expect(webhook.status == nil)
        #expect(await house.control.execute(["command": "status"])["decision_webhook"] == .null)
    }
}
