import Access
import Border
import JSON
import Posture
import Store
import Testing

@testable import Control

@Suite("What the device-check page tells of itself")
struct DeviceReportTests {
    private static let path = "/.gatepost/posture/report"

    private func report(_ browser: CheckingBrowser, _ word: String) async -> ControlResponse {
        await browser.post(Self.path, ["tx": .string(browser.transaction), "reason": .string(word)])
    }

    @Test("004.5 every state that only the page knows is counted, written in one line and shown by its word")
    func words() async throws {
        let house = try Gatehouse()
        for reason in DeviceStates.pageWords {
            let browser = try await CheckingBrowser(house)
            let lines = try await heard("device-check-state") {
                #expect(await report(browser, reason.rawValue).status == 200)
            }
            let line = try #require(lines.first)
            #expect(lines.count == 1 && line["reason"] == .string(reason.rawValue))
            #expect(line["said_by"] == "page" && line["request_id"]?.string?.isEmpty == false)
            #expect(line["check"] == .string(String(browser.transaction.prefix(8))))
            house.advance(1)
        }
        let counts = house.control.deviceChecks.counts
        #expect(counts.map(\.word) == DeviceStates.pageWords.map(\.rawValue).sorted())
        #expect(counts.allSatisfy { $0.count == 1 })
        let status = await house.control.status()
        #expect(status["device_checks"]?["permission-denied"] == 1)
        #expect(status["text"]?.string?.contains("1 permission-denied") == true)
    }

    @Test("a word decides nothing: the check goes on, and no device is proven by it")
    func powerless() async throws {
        let house = try Gatehouse()
        let agent = try await TestAgent(house)
        let browser = try await CheckingBrowser(house)
        #expect(await report(browser, "agent-not-running").status == 200)
        #expect(try await house.store.session(id: browser.global.id)?.deviceID == nil)
        let assertion = try agent.assertion(for: try await browser.challenge(), transport: "fetch")
        let proven = await browser.post(
            "/.gatepost/posture/assert",
            ["tx": .string(browser.transaction), "assertion": .string(assertion)])
        #expect(proven.status == 200)
    }

    @Test(
        "words of the gateway's own, of nobody's and longer ones are refused",
        arguments: [
            "policy-allows", "session-mismatch", "certificate-revoked", "request-malformed",
            "device-required", "proven", "", "x", "<b>",
        ])
    func foreignWords(_ word: String) async throws {
        let house = try Gatehouse()
        let browser = try await CheckingBrowser(house)
        let lines = try await heard("device-check-state") {
            #expect(await report(browser, word).status == 400)
        }
        #expect(lines.isEmpty)
        #expect(house.control.deviceChecks.counts.isEmpty)
    }

    @Test("another site, another session, no session and a check that is none are refused")
    func strangers() async throws {
        let house = try Gatehouse()
        let browser = try await CheckingBrowser(house)
        let other = try await CheckingBrowser(house)
        let body: JSONValue = ["tx": .string(browser.transaction), "reason": "agent-not-running"]
        #expect(await other.post(Self.path, body).status == 403)
        #expect(await browser.post(Self.path, ["tx": "none", "reason": "agent-not-running"]).status == 403)
        let own = [
            Field("origin", "https://auth.corp.example:8443"), Field("x-gatepost-request", "1"),
            Field("content-type", "application/json"), browser.cookieField,
        ]
        for left in own.indices {
            let fields = own.enumerated().filter { $0.offset != left }.map(\.element)
            #expect(await browser.post(Self.path, body, fields: fields).status == 403)
        }
        let evil = [Field("origin", "https://evil.example")] + own.dropFirst()
        #expect(await browser.post(Self.path, body, fields: evil).status == 403)
        let long: JSONValue = [
            "tx": .string(browser.transaction), "reason": "agent-not-running",
            "more": .string(String(repeating: "x", count: 1_024)),
        ]
        #expect(await browser.post(Self.path, long).status == 403)
        #expect(house.control.deviceChecks.counts.isEmpty)
    }

    @Test("a page may say sixteen words, and not one more") func rate() async throws {
        let house = try Gatehouse()
        let browser = try await CheckingBrowser(house)
        for _ in 0..<PostureService.reportsMax {
            #expect(await report(browser, "permission-denied").status == 200)
        }
        #expect(await report(browser, "permission-denied").status == 429)
    }

    @Test("a second has twenty lines of what pages say; the rest is counted only") func lines() {
        let counts = DeviceCheckCounts()
        let written = (0..<25).filter { _ in counts.mayWrite(nowSeconds: 7) }
        #expect(written.count == 20)
        #expect(counts.mayWrite(nowSeconds: 8))
    }
}
