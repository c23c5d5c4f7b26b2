import Access
import Border
import Config
import Foundation
import Identity
import JSON
import Store
import Testing

@testable import Control
@testable import Posture

@Suite("What was found and what followed is on record")
struct DecisionChangeTests {
    private func lines(_ house: Gatehouse, _ kind: String) -> [JSONValue] {
        house.control.decisions.log?.flush(milliseconds: 10_000)
        let folder = house.control.services.config.gateway.decisionLog?.folder ?? ""
        return DecisionFolder.files(in: folder).flatMap { file in
            ((try? String(contentsOfFile: file.path, encoding: .utf8)) ?? "").split(separator: "\n")
        }.compactMap { try? JSONValue(parsing: Array($0.utf8)) }.filter { $0["kind"]?.string == kind }
    }

    @Test("002.1 the record that a reactor gets names a decision that is on record")
    func named() async throws {
        let house = try Gatehouse()
        let (_, session, cookie) = try await house.signIn()
        let record = try #require(await house.pulled(cookie.tokenDigest))
        let id = try #require(record.decision)
        let line = try #require(lines(house, "decision").first)
        #expect(line["id"]?.string == id.text && line["session"]?.string == session.id)
        #expect(line["outcome"] == "forward" && line["reason"] == "policy-allows")
        house.advance(60)
        await house.control.renew(cookie.tokenDigest, "wiki")
        guard case .replace(let renewed)? = house.reactors.revocations.last?.effect else {
            Issue.record("no fresh record")
            return
        }
        #expect(renewed.decision == id)
        #expect(lines(house, "decision").count == 1)
    }

    @Test(
        "003.15 a device that changes leaves a line with the sessions that were decided and those that were cut"
    )
    func change() async throws {
        let house = try Gatehouse()
        try await house.enroll("d")
        let (global, _, cookie) = try await house.signIn(at: "vault", device: "d")
        let before = try #require(await house.pulled(cookie.tokenDigest, "vault"))
        #expect(before.residual.outcome.letsIn)
        try await house.change(global.id) { $0.statement?.isManaged = false }
        await house.control.deviceChanged("d", 0)
        let line = try #require(lines(house, "change").first)
        #expect(line["cause"] == "device" && line["device"] == "d")
        #expect(line["sessions_decided"] == 1 && line["sessions_cut"] == 1)
        #expect(lines(house, "decision").map { $0["cause"]?.string } == ["pull", "agent"])
        #expect(lines(house, "decision").last?["outcome"] == "refuse")
    }

    @Test("003.15 a change names the verdicts that were there before and those that came")
    func verdicts() throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        _ = recorder.record(try fixture.made("vault", device: fixture.device()))
        recorder.changeBegins(.device("device-1"))
        _ = recorder.record(
            try fixture.made(
                "vault", device: fixture.device(["registered"], verdict: "verdict-2", state: .noncompliant)))
        recorder.changeEnds(.device("device-1"), "device", atSeconds: fixture.now)
        recorder.finish()
        let line = try #require(fixture.lines("change").first)
        #expect(line["verdicts_before"] == ["verdict-1"] && line["verdicts_after"] == ["verdict-2"])
        #expect(line["sessions_changed"] == 1)
    }

    @Test func `a change that concerns no session leaves no line`() async throws {
        let house = try Gatehouse()
        await house.control.deviceChanged("unknown", 0)
        #expect(lines(house, "change").isEmpty)
    }

    @Test("003.15 a reload leaves a line with both policies and what it cut") func reload() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn()
        _ = await house.pulled(cookie.tokenDigest)
        let old = house.control.services.config.policy.identity
        try house.rewrite { $0.replacing("email-domain: corp.example", with: "email-domain: other.example") }
        try await house.control.reload()
        let line = try #require(lines(house, "change").first)
        #expect(line["cause"] == "reload" && line["policy_before"]?.string == old)
        #expect(line["policy_after"]?.string == house.control.services.config.policy.identity)
        #expect(line["sessions_cut"] == 1)
        #expect(lines(house, "policy").count == 2)
    }

    @Test("002.21 reads and failures of providers are events, in our own words and once")
    func integrations() {
        let events = IntegrationEvents()
        var status = IntegrationStatus(integration: "intune", provider: "intune", state: .pending)
        func news() -> [String] {
            events.news([status]).map { line in
                line.first { $0.0 == "event" }?.1.string ?? ""
            }
        }
        #expect(news() == ["state-changed"])
        #expect(news().isEmpty)
        status.noteConfigured(nowSeconds: 10)
        #expect(news() == ["state-changed", "read"])
        status.note(ConnectorFailure(.throttled, "secret words of a provider"), nowSeconds: 20)
        let line = events.news([status])
        #expect(line.count == 1)
        #expect(!JSONObject(line[0]).serialized().contains(Array("secret".utf8)))
        #expect(line[0].contains { $0.0 == "failure" && $0.1 == "throttled" })
    }

    @Test func `streams that were cut are on record`() throws {
        let house = try Gatehouse()
        house.control.handle(.cut(sequence: 7, reactor: 1, streams: 3, nanoseconds: 5_000_000))
        house.control.handle(.cut(sequence: 8, reactor: 1, streams: 0, nanoseconds: 5_000_000))
        let cuts = lines(house, "cut")
        #expect(cuts.count == 1 && cuts.first?["streams"] == 3 && cuts.first?["microseconds"] == 5_000)
    }
}

extension Gatehouse {
    /// Changes a session as the product does.
    func change(_ id: String, _ change: (inout StoredSession) -> Void) async throws {
        try await Sessions(store: store, ring: control.ring).change(id, change)
    }
}
