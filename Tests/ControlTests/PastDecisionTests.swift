import Access
import Border
import Foundation
import Identity
import JSON
import Testing

@testable import Control

@Suite("A decision is explained afterwards, and a request before it is made")
struct PastDecisionTests {
    @Test func `a past decision has the lines that the live explanation had`() async throws {
        let house = try Gatehouse()
        try await house.enroll("d")
        let (_, _, cookie) = try await house.signIn(at: "vault", device: "d")
        let record = try #require(await house.pulled(cookie.tokenDigest, "vault"))
        let id = try #require(record.decision)
        let live = await house.control.execute([
            "command": "explain", "user": "ada@corp.example", "application": "vault",
        ])
        house.advance(5_000)
        house.control.decisions.log?.flush(milliseconds: 10_000)
        let file = try #require(house.control.decisions.log?.status.file)
        let past = try PastDecision.explain(id, in: [file])
        #expect(past["equal"] == .bool(true) && past["cause"] == "pull")
        #expect(past["at"]?.integer == Gatehouse.start)
        // The live question is about the person's session at the auth host, the decision about the application's.
        func lines(_ value: JSONValue) -> [String] {
            (value["lines"]?.array ?? []).filter { $0["rule"]?.string != "session" }.map {
                $0.serializedText()
            }
        }
        #expect(!lines(past).isEmpty && lines(past) == lines(live))
        #expect(past["outcome"] == live["outcome"] && past["reason"] == live["reason"])
        #expect(past["text"]?.string?.contains("ada@corp.example at vault: forward (policy-allows)") == true)
    }

    @Test func `somebody else's device is explained without a name`() throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let id = recorder.record(try fixture.made("vault", device: fixture.device(owner: "bob@corp.example")))
        recorder.finish()
        let past = try PastDecision.explain(id, in: fixture.files)
        #expect(past["equal"] == .bool(true) && past["device_class"] == "denied")
        let owner = past["lines"]?.array?.first { $0["rule"] == "device-owner" }
        #expect(owner?["observed"]?.string?.hasPrefix("pseudonym ") == true)
    }

    @Test func `a decision that is in no file, or of an erased person, is said so`() throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let id = recorder.record(try fixture.made())
        recorder.finish()
        func refusal(_ id: DecisionID, _ files: [String]) -> String {
            do throws(ControlFailure) {
                _ = try PastDecision.explain(id, in: files)
                return ""
            } catch {
                return error.what
            }
        }
        #expect(refusal(DecisionID(high: 1, low: 2), fixture.files).contains("1 files were searched"))
        #expect(refusal(id, []).contains("no decision log"))
        try PersonErasure(folder: fixture.folder).erase(email: "ada@corp.example")
        #expect(refusal(id, fixture.files).contains("erased; the decision came to forward (policy-allows)"))
    }

    @Test func `a file that somebody wrote into cannot command the terminal`() throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let id = recorder.record(try fixture.made())
        recorder.finish()
        let text = fixture.text(fixture.files[0])
            .replacingOccurrences(of: "\"cause\":\"", with: "\"cause\":\"\\u001b[2J")
        try text.write(toFile: fixture.files[0], atomically: true, encoding: .utf8)
        let past = try PastDecision.explain(id, in: fixture.files)
        #expect(past["text"]?.string?.contains("cause: \u{fffd}[2Jpull\n") == true)
    }

    @Test(
        "a request that somebody asks about is decided as the gateway would",
        arguments: [
            ("GET", "/", "10.0.0.1", "forward", "policy-allows"),
            ("POST", "/", "10.0.0.1", "refuse", "restricted-method"),
            ("GET", "/", "10.0.0.2", "refuse", "policy-blocks"),
        ])
    func request(_ method: String, _ path: String, _ client: String, _ outcome: String, _ reason: String)
        async throws
    {
        let house = try Gatehouse(
            Gatehouse.config.replacing(
                "- { name: staff, action: allow, include: [ { email-domain: corp.example } ] }",
                with: "- { name: outside, action: block, include: [ { everyone: true } ], "
                    + "exclude: [ { network: 10.0.0.1/32 } ] }\n      - { name: staff, action: allow, "
                    + "include: [ { email-domain: corp.example } ], restrict: { methods: [ GET ] } }"))
        _ = try await house.signIn()
        let answer = await house.control.execute([
            "command": "explain", "user": "ada@corp.example", "application": "wiki",
            "method": .string(method), "path": .string(path), "client": .string(client),
        ])
        #expect(answer["request"]?["outcome"]?.string == outcome, "\(answer.serializedText())")
        #expect(answer["request"]?["reason"]?.string == reason)
        #expect(answer["text"]?.string?.contains("\(method) \(path) from \(client): \(outcome)") == true)
    }

    @Test func `another second than now is asked about with the facts of now`() async throws {
        let house = try Gatehouse()
        _ = try await house.signIn(seconds: 600)
        func reason(_ at: Int64) async -> String? {
            await house.control.execute([
                "command": "explain", "user": "ada@corp.example", "application": "wiki", "at": .integer(at),
            ])["reason"]?.string
        }
        #expect(await reason(house.now + 599) == "policy-allows")
        #expect(await reason(house.now + 600) == "session-ended")
    }
}
