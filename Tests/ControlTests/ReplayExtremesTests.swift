import Access
import Foundation
import JSON
import Testing

@testable import Control

@Suite("Numbers at the ends of their range are read, decided and explained like any")
struct ReplayExtremesTests {
    static let extremes: [Int64] = [.min, .min + 1, -1, 0, .max - 1, .max]

    @Test("times of providers, agents and sessions", arguments: extremes) func facts(_ time: Int64) throws {
        let changes: [(inout MadeDecision) -> Void] = [
            { $0.session?.createdAtSeconds = time }, { $0.session?.expiresAtSeconds = time },
            { $0.session?.person.authenticatedAtSeconds = time },
            { $0.device?.statement?.verifiedAtSeconds = time },
            { $0.device?.statement?.expiresAtSeconds = time },
            { $0.device?.statement?.openUntilSeconds = time },
            { $0.device?.statement?.lastSeenSeconds = time },
            { $0.device?.verdicts[0].observedAtSeconds = time },
            { $0.device?.verdicts[0].assessedAtSeconds = time },
            { $0.device?.verdicts[0].fetchedAtSeconds = time },
            { $0.device?.verdicts[0].expiresAtSeconds = time },
            { $0.device?.verdicts[0].graceUntilSeconds = time },
            {
                $0.device?.verdicts[0].score = Verdict.Score(
                    value: time, minimum: .min, maximum: .max, higherIsBetter: true)
            },
            { $0.atSeconds = time },
        ]
        for (index, change) in changes.enumerated() {
            let fixture = DecisionFixture()
            let recorder = DecisionRecorder(log: try fixture.log())
            var made = try fixture.made("vault", device: fixture.device())
            change(&made)
            let vault = try #require(made.policy.application(named: "vault"))
            made.residual = made.policy.residual(
                of: made.session, made.device, for: vault, atSeconds: made.atSeconds)
            made.open = nil
            let id = recorder.record(made)
            recorder.finish()
            let replay = try fixture.replay(candidate: DecisionFixture.policy)
            #expect(replay.isEqual, "change \(index): \(replay.problems) \(replay.differences.map(\.text))")
            #expect(
                try PastDecision.explain(id, in: fixture.files)["equal"] == .bool(true), "change \(index)")
        }
    }

    @Test("numbers of a log that somebody wrote", arguments: extremes) func lines(_ number: Int64) throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let id = recorder.record(try fixture.made("vault", device: fixture.device(statementSeconds: 300)))
        fixture.advance(3_600)
        _ = recorder.record(try fixture.made("vault", device: fixture.device(statementSeconds: 300)))
        recorder.finish()
        let text = fixture.text(fixture.files[0])
        let path = "\(fixture.folder)/changed.jsonl"
        for name in [
            "at", "created_at", "expires_at", "valid_until", "open_until", "observed_at", "fetched_at",
            "assessed_at", "grace_until", "renewals", "number", "version",
        ] {
            let changed = text.replacing(try Regex("\"\(name)\":-?[0-9]+"), with: "\"\(name)\":\(number)")
            try changed.write(toFile: path, atomically: true, encoding: .utf8)
            var replay = Replay(candidate: DecisionFixture.policy, keepsResiduals: true)
            try replay.add(path)
            let report = ReplayReport(
                replay: replay, requests: RequestReplay(replay), candidate: "c", seconds: 0,
                requestSeconds: 0,
                processorSeconds: 0)
            #expect(!report.text.isEmpty && !report.json.serialized().isEmpty, "\(name)")
            var events = DecisionEvents(files: [path], filter: DecisionEvents.Filter())
            var count = 0
            try events.read { _ in count += 1 }
            #expect(count > 0, "\(name)")
            _ = try? PastDecision.explain(id, in: [path])
        }
    }
}
