import Foundation
import Testing

@testable import DataPlane

/// `GATEPOST_SIM_SEED=n` runs that one seed, `GATEPOST_SIM_TRACE=1` prints it; `GATEPOST_SIM_SEEDS=n` runs n of them from
/// GATEPOST_SIM_FIRST (1) on.
@Suite("A reactor on a simulated kernel, seed by seed")
struct SimulationTests {
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    /// Run side by side: each on a thread of its own.
    private static let lanes: UInt64 = 2

    @Test(
        "every request has one whole answer, its own, or a closed connection, and nothing is left behind",
        arguments: 0..<lanes)
    func seeds(lane: UInt64) {
        if let seed = Self.number("GATEPOST_SIM_SEED") {
            guard lane == 0 else { return }
            let problems = Simulation.problems(seed: seed)
            #expect(problems.isEmpty, "seed \(seed):\n\(problems.joined(separator: "\n"))")
            return
        }
        let first = Self.number("GATEPOST_SIM_FIRST") ?? 1
        let count = Self.number("GATEPOST_SIM_SEEDS") ?? 2_000
        var failed = 0
        for seed in stride(from: first + lane, to: first + count, by: Int(Self.lanes)) {
            let problems = Simulation.problems(seed: seed)
            guard !problems.isEmpty else { continue }
            failed += 1
            Issue.record("again with GATEPOST_SIM_SEED=\(seed):\n\(problems.joined(separator: "\n"))")
            if failed == 5 { return }
        }
    }

    @Test("reloads in a row lose no request", arguments: 1...UInt64(40))
    func reloads(seed: UInt64) {
        var profile = Profile.calm
        profile.reloadsOften = true
        let problems = Simulation.problems(seed: seed, profile: profile)
        #expect(problems.isEmpty, "seed \(seed):\n\(problems.joined(separator: "\n"))")
    }

    @Test("of 250 streams a turn ends two; in between others are served and the ended session is refused")
    func manyStreams() {
        var profile = Profile.calm
        profile.streams = 250
        profile.cutsPerTurn = 2
        var (forwarded, refused) = (0, 0)
        // Who asks in those turns is chance: as many as it takes to meet both.
        for seed in 1...UInt64(40) where seed <= 4 || forwarded == 0 || refused == 0 {
            let simulation = Simulation(seed: seed, profile: profile)
            let problems = simulation.problems()
            #expect(problems.isEmpty, "seed \(seed):\n\(problems.joined(separator: "\n"))")
            #expect(simulation.cuts.cutInOneTurnMax == 2, "seed \(seed)")
            // Some of the 250 have ended by themselves before: of forty seeds 99 to 111 turns were possible, and each
            // of them cut. A tenth is left to streams that end by themselves in between.
            let (cut, possible) = (simulation.cuts.turnsOfCutting, simulation.cuts.turnsPossible)
            #expect(possible >= 75 && cut * 10 >= possible * 9, "seed \(seed): \(cut) of \(possible)")
            forwarded += simulation.cuts.othersForwarded
            refused += simulation.cuts.refused
        }
        #expect(forwarded > 0 && refused > 0, "\(forwarded) of others, \(refused) of the session")
    }

    @Test("whoever revokes as fast as it is applied holds up no turn", arguments: 1...UInt64(3))
    func flood(seed: UInt64) {
        var profile = Profile.calm
        profile.floodsRevocations = true
        let simulation = Simulation(seed: seed, profile: profile)
        let problems = simulation.problems()
        #expect(problems.isEmpty, "seed \(seed):\n\(problems.joined(separator: "\n"))")
        #expect(simulation.floodTurns == 20, "seed \(seed)")
    }

    @Test("whoever is ready when a deadline passes is served first")
    func turnOrder() {
        var profile = Profile.calm
        profile.restsShortly = true
        profile.streams = 60
        var telling = 0
        for seed in 1...UInt64(20) {
            let simulation = Simulation(seed: seed, profile: profile)
            // Of requests some are lost.
            let problems = simulation.problems().filter {
                $0.contains("in front of") || $0.contains("behind newcomers")
            }
            #expect(problems.isEmpty, "seed \(seed):\n\(problems.joined(separator: "\n"))")
            telling += simulation.turns.telling
        }
        #expect(telling > 0, "no turn could tell")
    }

    @Test("a seed is the same run every time", arguments: 1...UInt64(12))
    func replay(seed: UInt64) throws {
        #expect(try Simulation.fingerprint(seed: seed) == Simulation.fingerprint(seed: seed), "seed \(seed)")
    }
}

@Suite("The simulation finds what is planted")
struct PlantedFaultTests {
    /// How many of 40 seeds are found guilty.
    private func found(_ profile: Profile?, losesEdges: Bool = false, saying words: String) -> Int {
        (1...UInt64(40)).count { seed in
            Simulation.problems(seed: seed, profile: profile, losesEdges: losesEdges).contains {
                $0.contains(words)
            }
        }
    }

    @Test("an edge that is lost leaves somebody waiting")
    func lostEdges() { #expect(found(.calm, losesEdges: true, saying: "nothing had happened to it") > 5) }

    @Test("a revocation that never comes is seen at the upstream")
    func withheldRevocations() {
        var profile = Profile.calm
        profile.revokes = true
        profile.withholdsRevocations = true
        #expect(found(profile, saying: "after its end") > 5)
    }

    @Test("a revocation that comes late is seen at the upstream")
    func lateRevocations() {
        var profile = Profile.calm
        profile.revokes = true
        profile.revocationsLateTurns = 30
        #expect(found(profile, saying: "after its end") > 5)
    }

    @Test("a revocation that is applied behind the turn's first call is seen")
    func lateInTheTurn() {
        var profile = Profile.calm
        profile.streams = 4
        profile.revocationsLateTurns = 1
        #expect(found(profile, saying: "served in front of a revocation") > 5)
    }

    @Test("streams of an ended session that go on are seen")
    func streamsGoOn() {
        var profile = Profile.calm
        profile.streams = 20
        profile.withholdsRevocations = true
        #expect(found(profile, saying: "move after its session's end") > 5)
        #expect(found(profile, saying: "answered on after its session's end") > 5)
        #expect(found(profile, saying: "more than a goodbye") > 5)
    }

    @Test("streams that are ended one turn late are seen")
    func streamsLate() {
        var profile = Profile.calm
        profile.streams = 20
        profile.revocationsLateTurns = 1
        #expect(found(profile, saying: "open after the turn") > 5)
    }

    @Test("a reactor that ends fewer streams in a turn than was promised is found")
    func fewCuts() {
        var profile = Profile.calm
        profile.streams = 20
        profile.cutsPerTurn = 4
        profile.cutsTooFew = true
        #expect(found(profile, saying: "open after the turn") > 5)
        profile.cutsTooFew = false
        #expect(found(profile, saying: "") == 0)
    }

    @Test("without either, the same seeds are clean")
    func control() {
        var profile = Profile.calm
        profile.revokes = true
        for seed in 1...UInt64(40) {
            for profile in [profile, .calm] {
                let problems = Simulation.problems(seed: seed, profile: profile)
                #expect(problems.isEmpty, "seed \(seed):\n\(problems.joined(separator: "\n"))")
            }
        }
    }
}
