import Foundation
import Glibc
import JSON
import Synchronization

/// Every fact of the machine, read at most once a minute and off the way of requests, so that a handshake
/// costs one signature.
///
/// Each probe runs on a thread of its own. One that hangs costs nobody anything: after its patience its facts
/// are unknown, and it is not started again before it comes back.
final class FactCollector: Sendable {
    static let cacheSeconds: Int64 = 60

    /// What one probe said, and when.
    private struct Reading {
        var facts: [Fact]
        var atSeconds: Int64
    }

    private struct Slot {
        var reading: Reading?
        /// Monotonic; nil: it is not running.
        var startedAtMilliseconds: Int64?
    }

    private struct State {
        var slots: [Slot]
        var rules = LocalRules()
    }

    private let root: HostRoot
    private let commands: any CommandRunner
    private let probes: [any FactProbe]
    private let rulesPath: String
    private let clock: AgentClock
    private let state: Mutex<State>

    init(
        root: HostRoot, probes: [any FactProbe], commands: (any CommandRunner)? = nil,
        rulesPath: String = LocalRules.defaultPath, clock: AgentClock = .system
    ) {
        self.root = root
        self.commands = commands ?? (root.isThisMachine ? SpawningCommands() : NoCommands())
        self.probes = probes
        self.rulesPath = rulesPath
        self.clock = clock
        state = Mutex(State(slots: probes.map { _ in Slot() }))
    }

    /// A fact with where it comes from, for the person at the machine.
    struct Sourced: Sendable {
        var fact: Fact
        var atSeconds: Int64
    }

    /// The `posture` object and when its oldest part was read. Waits only for what nobody has read yet.
    ///
    /// - Parameter patience: as `sourced` has it.
    func facts(nowSeconds: Int64, patience: Int64 = 0) -> (facts: JSONObject, collectedAtSeconds: Int64) {
        let known = sourced(nowSeconds: nowSeconds, patience: patience)
        var facts = JSONObject()
        for entry in known where facts[entry.fact.name] == nil { facts[entry.fact.name] = entry.fact.value }
        return (facts, known.map(\.atSeconds).min() ?? nowSeconds)
    }

    /// Reads everything now.
    ///
    /// - Parameter patience: as `sourced` has it.
    func collect(nowSeconds: Int64, patience: Int64 = 0) -> JSONObject {
        state.withLock { state in
            for index in state.slots.indices { state.slots[index].reading = nil }
        }
        return facts(nowSeconds: nowSeconds, patience: patience).facts
    }

    /// What the machine's administrator permits of what is known, with sources and ages.
    ///
    /// - Parameter patience: for slow probes, milliseconds, where somebody wants all of them and has the time.
    func sourced(nowSeconds: Int64, patience: Int64 = 0) -> [Sourced] {
        start(nowSeconds: nowSeconds, beforeSeconds: 0)
        waitForAnswers(nowSeconds: nowSeconds, patience: patience)
        return state.withLock { state in
            probes.indices.flatMap { index -> [Sourced] in
                guard let reading = Self.usable(state.slots[index], probes[index], nowSeconds) else {
                    return []
                }
                return reading.facts.compactMap { fact in
                    state.rules.permitted(fact).map { Sourced(fact: $0, atSeconds: reading.atSeconds) }
                }
            }
        }
    }

    /// Whatever is wrong with the administrator's rules, in words.
    var problems: [String] { state.withLock { $0.rules.problems } }

    /// Names that some probe could have answered, and did not.
    func unknown(nowSeconds: Int64) -> [String] {
        let known = Set(sourced(nowSeconds: nowSeconds).map(\.fact.name))
        return probes.flatMap(\.names).filter { !known.contains($0) }
    }

    /// Starts again whatever gets old within the quarter of its life; called every few seconds it keeps all
    /// facts young enough that no request has to wait.
    func refresh(nowSeconds: Int64) { start(nowSeconds: nowSeconds, beforeSeconds: 4) }

    /// Reads everything once and then keeps it fresh on a thread of its own, until the process ends.
    func keepFresh() {
        _ = sourced(nowSeconds: clock.nowSeconds())
        let thread = Thread { [self] in
            while true {
                refresh(nowSeconds: clock.nowSeconds())
                Thread.sleep(forTimeInterval: 5)
            }
        }
        thread.stackSize = 512 << 10
        thread.start()
    }

    // Running

    /// - Parameter beforeSeconds: 0: what is too old; n: what gets too old within an n-th of its life.
    private func start(nowSeconds: Int64, beforeSeconds share: Int64) {
        let due = state.withLock { state in
            probes.indices.filter { index in
                guard state.slots[index].startedAtMilliseconds == nil else { return false }
                let early = share == 0 ? 0 : probes[index].lifeSeconds / share
                guard Self.usable(state.slots[index], probes[index], nowSeconds + early) == nil else {
                    return false
                }
                state.slots[index].startedAtMilliseconds = clock.nowMilliseconds()
                return true
            }
        }
        guard !due.isEmpty else { return }
        let rules = LocalRules(root, path: rulesPath)
        state.withLock { $0.rules = rules }
        let machine = Machine(root: root, commands: commands, nowSeconds: nowSeconds)
        for index in due {
            let thread = Thread { [self] in run(index, machine) }
            thread.stackSize = 512 << 10
            thread.start()
        }
    }

    private func run(_ index: Int, _ machine: Machine) {
        let facts = probes[index].read(machine)
        state.withLock { state in
            state.slots[index] = Slot(reading: Reading(facts: facts, atSeconds: machine.nowSeconds))
        }
    }

    /// Until every probe without a usable answer has one or has used up its patience.
    private func waitForAnswers(nowSeconds: Int64, patience: Int64) {
        // Looked at every now and then: a condition variable of Foundation waits by the clock on the wall,
        // which can be set back while somebody waits.
        while let milliseconds = patienceLeft(nowSeconds: nowSeconds, patience), milliseconds > 0 {
            poll(nil, 0, CInt(clamping: min(2, milliseconds)))
        }
    }

    /// nil: nobody needs to be waited for.
    private func patienceLeft(nowSeconds: Int64, _ patience: Int64) -> Int64? {
        let now = clock.nowMilliseconds()
        return state.withLock { state in
            probes.indices.compactMap { index -> Int64? in
                let slot = state.slots[index]
                guard let started = slot.startedAtMilliseconds,
                    Self.usable(slot, probes[index], nowSeconds) == nil
                else { return nil }
                return started + max(patience, probes[index].patienceMilliseconds) - now
            }.max()
        }
    }

    /// A clock that was set back makes an answer as worthless as age does.
    private static func usable(_ slot: Slot, _ probe: any FactProbe, _ nowSeconds: Int64) -> Reading? {
        guard let reading = slot.reading, nowSeconds >= reading.atSeconds,
            nowSeconds - reading.atSeconds < probe.lifeSeconds
        else { return nil }
        return reading
    }
}
