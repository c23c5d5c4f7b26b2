import Foundation
import Store
import Testing

@Suite("Sessions in any order of everything that begins and ends them", .serialized)
struct SessionModelTests {
    /// Stories of one run; `GATEPOST_MODEL_SEEDS` asks for more, `GATEPOST_MODEL_FIRST` for others.
    private static func number(_ name: String, else standard: UInt64) throws -> UInt64 {
        guard let text = ProcessInfo.processInfo.environment[name] else { return standard }
        return try #require(UInt64(text), "\(name)=\(text) is no number")
    }

    @Test(
        "a sign-in under way at a provider that a reload takes out leaves no session, also as its first")
    func takenOut() async throws {
        let story = try SessionStory(seed: 1)
        try await story.beginSignIn(0, "wiki", wanted: "partner")
        try await story.comeBack(0)
        #expect(story.house.provider.held == 1)
        try await story.take(ModelConfig(providers: ["corp", "managed"]), isRestart: false)
        story.say(.granted, to: 0)
        try await story.look()
        #expect(try await story.house.store.sessions(.all, limit: 10).isEmpty)
        await story.house.finish()
    }

    @Test(
        "what is open keeps its session past the idle time, and its sign-in when another one is idle",
        arguments: ["vault", "wiki"])
    func openIsUse(_ application: String) async throws {
        let story = try SessionStory(seed: 2)
        for name in ["wiki", "vault"] {
            try await story.beginSignIn(0, name, wanted: "corp")
            try await story.finishSignIn(0)
        }
        await story.openStream(0, application)
        try await story.advance(800, saying: .granted)
        try await story.look()
        // The other one is idle by now, where it has an idle time: asking for it must not take the sign-in.
        await story.openStream(0, application == "wiki" ? "vault" : "wiki")
        try await story.learnIdle()
        try await story.look()
        #expect(story.model.streams.values.contains(story.browsers[0].sessions[application] ?? ""))
        await story.house.finish()
    }

    @Test(
        "004.18 nobody is let in without a live session, nothing stays open past its end, nothing else ends"
    )
    func anyOrder() async throws {
        let first = try Self.number("GATEPOST_MODEL_FIRST", else: 1)
        let count = try Self.number("GATEPOST_MODEL_SEEDS", else: 120)
        let slices = UInt64(max(1, min(8, ProcessInfo.processInfo.activeProcessorCount)))
        let met = try await withThrowingTaskGroup(of: Met.self) { group in
            for slice in 0..<slices {
                group.addTask {
                    var met: Met = [:]
                    for seed in stride(from: first + slice, to: first + count, by: Int(slices)) {
                        let story = try SessionStory(seed: seed)
                        try await story.run(steps: 60)
                        met.merge(story.met, uniquingKeysWith: +)
                    }
                    return met
                }
            }
            var all: Met = [:]
            for try await some in group { all.merge(some, uniquingKeysWith: +) }
            return all
        }
        // A run that never met something has proven nothing about it.
        guard count >= 40 else { return }
        for what in [
            "let in", "not let in", "sign-in", "sign-in again", "session", "idle session", "sign-out",
            "sign-out everywhere", "back-channel logout", "front-channel logout", "session-end", "storm",
            "reload", "restart", "refresh granted", "refresh revoked", "refresh otherSubject",
            "machine let in", "machine not let in", "service-token-create", "service-token-rotate",
            "machine revoked", "device revoked", "signal", "store away", "refused for the store",
            "step-up", "step-up done", "sign-out during an exchange", "signed out under way",
            "tabs side by side", "sign-ins side by side", "clock set back during a refresh",
            "refresh under a new name", "refresh under an ended name",
            "refresh unreachable", "sign-in given up", "callback without sign-in", "handoff without session",
        ] { #expect(met[what, default: 0] > 0, "never met: \(what) in \(met)") }
        print("\(count) stories: \(met.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })")
    }
}

@Suite("The stories of sessions notice what they are told for")
struct NoticedFaultTests {
    @Test(
        "a gateway that breaks a law in one way is found out, whichever way it is",
        arguments: PlantedFault.allCases)
    func planted(_ fault: PlantedFault) async throws {
        var found: String?
        // Which of the tasks of a story goes first is no part of its seed, so the first one that notices differs.
        for seed in 1...1_000 where found == nil {
            let story = try SessionStory(seed: UInt64(seed), fault: fault)
            try await story.run(steps: 60)
            found = story.failure
        }
        let what = try #require(found, "no story noticed it")
        // By one of the laws, and not by something else that went wrong with it.
        let laws = [
            "is open past its end", "has ended and lets in", "was let in",
            "was ended while it was under way, and is there",
            // A name that was ended meanwhile.
            "is in the store until",
        ]
        #expect(laws.contains { what.contains($0) }, "\(what)")
    }
}
