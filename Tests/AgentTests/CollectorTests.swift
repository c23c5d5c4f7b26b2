import Foundation
import Glibc
import JSON
import Synchronization
import Testing

@testable import gatepost_agent

/// A probe that waits until the test lets it go.
final class GatedProbe: FactProbe {
    let names = ["gated"]
    let patienceMilliseconds: Int64
    let runs = Mutex(0)
    private let gate = DispatchSemaphore(value: 0)

    init(patience: Int64) { patienceMilliseconds = patience }

    func read(_ machine: Machine) -> [Fact] {
        runs.withLock { $0 += 1 }
        gate.wait()
        return [Fact(name: "gated", value: true, source: "test")]
    }

    func open() { for _ in 0..<100 { gate.signal() } }
}

final class CountingProbe: FactProbe {
    let names = ["count"]
    let runs = Mutex<Int64>(0)

    func read(_ machine: Machine) -> [Fact] {
        let count = runs.withLock { count -> Int64 in
            count += 1
            return count
        }
        return [Fact(name: "count", value: .integer(count), source: "test")]
    }
}

@Suite("Collecting facts: off the way of requests, and never held up by one probe")
struct CollectorTests {
    static func collector(_ probes: [any FactProbe], clock: AgentClock = .system) throws -> FactCollector {
        FactCollector(root: HostRoot(try TemporaryFolder().path), probes: probes, clock: clock)
    }

    @Test("an answer is used for a minute, not a second longer, and never from a clock that was set back")
    func cache() throws {
        let probe = CountingProbe()
        let collector = try Self.collector([probe])
        let table: [(Int64, Int64)] = [
            (1_000, 1), (1_059, 1), (1_060, 2), (1_119, 2), (1_118, 2), (1_059, 3),
        ]
        for (now, expected) in table {
            let found = collector.facts(nowSeconds: now)
            #expect(found.facts["count"] == .integer(expected), "at \(now)")
        }
    }

    @Test("a probe that hangs is unknown after its patience, holds up nobody, and is not started twice")
    func hanging() throws {
        let (hanging, good) = (GatedProbe(patience: 30), CountingProbe())
        defer { hanging.open() }
        let collector = try Self.collector([hanging, good])
        #expect(collector.facts(nowSeconds: 1_000).facts == JSONObject([("count", 1)]))
        let began = AgentClock.system.nowMilliseconds()
        for now in Int64(1_001)...1_050 {
            #expect(collector.facts(nowSeconds: now).facts["gated"] == nil)
        }
        #expect(AgentClock.system.nowMilliseconds() - began < 5_000)
        #expect(hanging.runs.withLock { $0 } == 1)
    }

    @Test("patience is counted from when a probe was started, by the monotonic clock") func patience() throws
    {
        let milliseconds = Mutex<Int64>(0)
        let clock = AgentClock(nowSeconds: { 0 }, nowMilliseconds: { milliseconds.withLock { $0 } })
        let hanging = GatedProbe(patience: 3_600_000)
        let collector = try Self.collector([hanging], clock: clock)
        collector.refresh(nowSeconds: 1_000)
        // An hour of its own time later it is not waited for, though nobody has waited yet.
        milliseconds.withLock { $0 = 3_600_000 }
        #expect(collector.facts(nowSeconds: 1_000).facts.isEmpty)
        hanging.open()
    }

    @Test("who wants everything and has the time waits longer than a request would") func ownPatience() throws
    {
        let slow = GatedProbe(patience: 0)
        let collector = try Self.collector([slow])
        #expect(collector.sourced(nowSeconds: 1_000).isEmpty)
        slow.open()
        #expect(collector.sourced(nowSeconds: 1_000, patience: 60_000).map(\.fact.name) == ["gated"])
    }

    @Test("what comes late counts from then on") func late() throws {
        let slow = GatedProbe(patience: 20)
        let collector = try Self.collector([slow])
        #expect(collector.facts(nowSeconds: 1_000).facts.isEmpty)
        slow.open()
        let until = AgentClock.system.nowMilliseconds() + 20_000
        while collector.facts(nowSeconds: 1_000).facts.isEmpty, AgentClock.system.nowMilliseconds() < until {
            sched_yield()
        }
        #expect(collector.facts(nowSeconds: 1_000).facts["gated"] == true)
    }

    @Test("facts are read again in the last quarter of their life, so that no request waits") func early()
        throws
    {
        let probe = CountingProbe()
        let collector = try Self.collector([probe])
        _ = collector.facts(nowSeconds: 1_000)
        collector.refresh(nowSeconds: 1_044)
        #expect(collector.facts(nowSeconds: 1_044).facts["count"] == 1)
        collector.refresh(nowSeconds: 1_045)
        let until = AgentClock.system.nowMilliseconds() + 20_000
        while probe.runs.withLock({ $0 }) < 2, AgentClock.system.nowMilliseconds() < until { sched_yield() }
        #expect(probe.runs.withLock { $0 } == 2)
    }

    @Test("a FIFO in place of a fact and a command that sleeps leave only themselves unknown")
    func slowMachine()
        throws
    {
        let folder = try TemporaryFolder()
        try folder.put("/etc/os-release", "ID=debian\n")
        try HostileFile.fifo.put("/proc/sys/kernel/osrelease", in: folder)
        let rules = #"{"checks": {"sleeps": {"command": ["/bin/sleep", "600"], "timeout_ms": 20}}}"#
        try folder.put("/rules.json", rules)
        let collector = FactCollector(
            root: HostRoot(folder.path),
            probes: [OperatingSystemFact(), CustomChecksFact(rulesPath: "/rules.json")],
            commands: SpawningCommands(), rulesPath: "/rules.json")
        let facts = collector.facts(nowSeconds: 1_000).facts
        #expect(facts["os_name"] == "debian")
        #expect(facts["kernel_version"] == nil)
        #expect(facts["checks"] == ["sleeps": "unknown"])
    }

    @Test("every probe of this machine together costs at most the promised time, once warm") func cost()
        throws
    {
        let root = HostRoot()
        let probes = FactProbes.all(
            deviceIDsPath: "/nonexistent/ids", machineIDKey: [1], rulesPath: "/nonexistent/x"
        )
        .filter { $0.lifeSeconds == FactCollector.cacheSeconds }
        let machine = Machine(root: root, commands: NoCommands(), nowSeconds: AgentClock.system.nowSeconds())
        let began = AgentClock.system.nowMilliseconds()
        for probe in probes { _ = probe.read(machine) }
        // 100 ms is typical for an optimised build on an idle machine; this bound only catches disasters.
        #expect(AgentClock.system.nowMilliseconds() - began < 10_000)
    }
}
