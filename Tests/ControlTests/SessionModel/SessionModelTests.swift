import Foundation
import Testing

@Suite("Sessions in any order of everything that begins and ends them", .serialized)
struct SessionModelTests {
    /// Stories of one run; `GATEPOST_MODEL_SEEDS` asks for more, `GATEPOST_MODEL_FIRST` for others.
    private static func number(_ name: String, else standard: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) } ?? standard
    }

    @Test(
        "004.18 nobody is let in without a live session of an accepted provider, nothing stays open past its end, nothing else ends, nothing comes back"
    )
    func anyOrder() async throws {
        let first = Self.number("GATEPOST_MODEL_FIRST", else: 1)
        let count = Self.number("GATEPOST_MODEL_SEEDS", else: 100)
        var met: Met = [:]
        for seed in first..<first + count {
            let story = try SessionStory(seed: seed)
            try await story.run(steps: 60)
            met.merge(story.met, uniquingKeysWith: +)
        }
        // A run that never met something has proven nothing about it.
        guard count >= 50 else { return }
        for what in [
            "let in", "not let in", "sign-in", "sign-in again", "session", "idle session", "sign-out",
            "sign-out everywhere", "back-channel logout", "front-channel logout", "session-end", "storm",
            "reload", "restart", "refresh granted", "refresh revoked", "refresh otherSubject",
            "refresh unreachable", "callback without sign-in", "handoff without session",
        ] { #expect(met[what, default: 0] > 0, "never met: \(what) in \(met)") }
        print("\(count) stories: \(met.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })")
    }
}
