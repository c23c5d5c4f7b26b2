import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

@Suite("Asking about many devices: who comes first, how many at once, and what one provider can answer")
struct RefreshPaceTests {
    /// A tenant, how long its provider takes, and what is expected of it.
    struct Tenant: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var pace: RefreshPace
        /// For each device of a step, as many at once as there are.
        var secondsPerDevice: Double
        var listSeconds: Double
        var readsList: Bool
    }

    static let devices = 100_000
    static let tenants: [Tenant] = [
        // Two answers of 150 ms for each, six at a time: 5,000 s for all, and half of ttl is 7,200 s.
        Tenant(
            testDescription: "Intune, six at a time",
            pace: RefreshPace(deviceSeconds: 7_200, fullSeconds: 86_400, ttlSeconds: 14_400),
            secondsPerDevice: 0.05, listSeconds: 300, readsList: false),
        Tenant(
            testDescription: "Intune, six times slower",
            pace: RefreshPace(deviceSeconds: 7_200, fullSeconds: 86_400, ttlSeconds: 14_400),
            secondsPerDevice: 0.3, listSeconds: 300, readsList: true),
        Tenant(
            testDescription: "a vendor that is asked each 15 minutes",
            pace: RefreshPace(deviceSeconds: 900, fullSeconds: 86_400, ttlSeconds: 3_600),
            secondsPerDevice: 0.025, listSeconds: 150, readsList: true),
    ]

    /// When each device was last heard of, while time goes by.
    private struct Simulation {
        var now = 1_000_000.0
        var heard: [Double]
        var oldest = 0.0
        var fullSyncs = 0

        mutating func hear(_ device: Int) {
            oldest = max(oldest, now - heard[device])
            heard[device] = now
        }
    }

    @Test(
        "no device of 100,000 loses what is known of it while the next answer is waited for",
        arguments: tenants)
    func nobodyExpires(_ tenant: Tenant) throws {
        var random = Seeded(state: 7)
        var schedule = RefreshSchedule()
        var run = Simulation(heard: Array(repeating: 1_000_000, count: Self.devices))
        let start = run.now
        schedule.add(integration: "i", nowSeconds: Int64(start))
        for number in 0..<Self.devices {
            schedule.add(
                device: String(number), integration: "i", pace: tenant.pace, nowSeconds: Int64(start),
                random: random.unit(), isOneOfAll: true)
        }
        let end = start + 1.6 * Double(tenant.pace.ttlSeconds)
        while run.now < end {
            let now = Int64(run.now)
            let work = schedule.takeDue("i", pace: tenant.pace, nowSeconds: now) { random.unit() }
            if work.isFullSync {
                run.fullSyncs += 1
                run.now += tenant.listSeconds
                for device in 0..<Self.devices { run.hear(device) }
            }
            run.now += Double(work.devices.count) * tenant.secondsPerDevice
            for device in work.devices { run.hear(try #require(Int(device))) }
            schedule.note(
                "i", answered: work.devices.count,
                seconds: Double(work.devices.count) * tenant.secondsPerDevice)
            if let next = schedule.nextDueSeconds("i"), Double(next) > run.now { run.now = Double(next) }
        }
        for device in 0..<Self.devices { run.hear(device) }
        #expect(run.oldest < Double(tenant.pace.ttlSeconds))
        let backlog = schedule.backlog("i", pace: tenant.pace, nowSeconds: Int64(run.now))
        #expect(backlog?.readsList == tenant.readsList)
        #expect(tenant.readsList ? run.fullSyncs >= 2 : run.fullSyncs == 1)
        #expect(backlog?.isLate == false)
    }

    @Test("1,000 devices are due and somebody is signed in from ten: these ten are asked first")
    func openFirst() {
        var schedule = RefreshSchedule()
        let pace = RefreshPace(deviceSeconds: 100, fullSeconds: 1_000, ttlSeconds: 500)
        func names(_ range: Range<Int>) -> Set<String> { Set(range.map { "d\(1_000 + $0)" }) }
        schedule.setOpen([ExactKey("d1990")])
        for device in names(0..<1_000).sorted() {
            schedule.add(device: device, integration: "i", pace: pace, nowSeconds: 0, random: 0)
        }
        schedule.setOpen(Set(names(980..<990).map { ExactKey($0) }))
        let first = schedule.takeDue("i", pace: pace, nowSeconds: 200) { 0 }
        #expect(first.devices.count == RefreshSchedule.batchMax)
        #expect(Set(first.devices.prefix(10)) == names(980..<990))
        #expect(Set(first.devices.dropFirst(10)) == names(0..<90), "then the longest due")
        var asked = Set(first.devices)
        while case let next = schedule.takeDue("i", pace: pace, nowSeconds: 200, random: { 0 }).devices,
            !next.isEmpty
        { asked.formUnion(next) }
        #expect(asked == names(0..<1_000), "everybody's turn comes")
        // Whoever signed out waits like everybody else.
        schedule.setOpen([])
        #expect(schedule.takeDue("i", pace: pace, nowSeconds: 300) { 0 }.devices.first == "d1000")
    }

    @Test("a device that the provider wants us to wait for is asked when it may be, and a revoked one never")
    func askedAgain() {
        var schedule = RefreshSchedule()
        let pace = RefreshPace(deviceSeconds: 100, fullSeconds: 1_000, ttlSeconds: 500)
        for device in ["a", "b"] {
            schedule.add(device: device, integration: "i", pace: pace, nowSeconds: 0, random: 0)
        }
        #expect(schedule.takeDue("i", pace: pace, nowSeconds: 100) { 0 }.devices == ["a", "b"])
        schedule.ask(device: "a", integration: "i", atSeconds: 117)
        schedule.ask(device: "unheard", integration: "i", atSeconds: 117)
        #expect(schedule.takeDue("i", pace: pace, nowSeconds: 116) { 0 }.devices.isEmpty)
        #expect(schedule.takeDue("i", pace: pace, nowSeconds: 117) { 0 }.devices == ["a"])
        schedule.setOpen([ExactKey("b")])
        schedule.remove(device: "b")
        #expect(schedule.takeDue("i", pace: pace, nowSeconds: 217) { 0 }.devices == ["a"])
    }

    @Test("who waits longer than a quarter of ttl is told of; exactly that long is not")
    func backlog() {
        var schedule = RefreshSchedule()
        let pace = RefreshPace(deviceSeconds: 100, fullSeconds: 1_000, ttlSeconds: 400)
        #expect(schedule.backlog("i", pace: pace, nowSeconds: 0) == nil)
        schedule.add(device: "a", integration: "i", pace: pace, nowSeconds: 0, random: 0)
        for (now, waiting, isLate) in [(99, 0, false), (100, 0, false), (200, 100, false), (201, 101, true)]
            as [(Int64, Int64, Bool)]
        {
            let backlog = schedule.backlog("i", pace: pace, nowSeconds: now)
            #expect(backlog?.waitingSeconds == waiting && backlog?.isLate == isLate, "\(now)")
        }
    }

    @Test("the pace is measured from many answers at once: half of ttl is not too long, one second more is")
    func measured() {
        let pace = RefreshPace(deviceSeconds: 100, fullSeconds: 1_000, ttlSeconds: 400)
        for (seconds, readsList) in [(200.0, false), (201.0, true)] {
            var schedule = RefreshSchedule()
            schedule.add(integration: "i", nowSeconds: 0)
            for number in 0..<100 {
                schedule.add(device: "d\(number)", integration: "i", pace: pace, nowSeconds: 0, random: 0)
            }
            #expect(schedule.takeDue("i", pace: pace, nowSeconds: 0) { 0 }.isFullSync)
            schedule.note("i", answered: RefreshSchedule.measuredBatchMin - 1, seconds: 9_000)
            schedule.note("i", answered: 100, seconds: seconds)
            #expect(schedule.takeDue("i", pace: pace, nowSeconds: 50) { 0 }.isFullSync == readsList)
            #expect(schedule.takeDue("i", pace: pace, nowSeconds: 150) { 0 }.isFullSync == readsList)
            #expect(schedule.backlog("i", pace: pace, nowSeconds: 150)?.readsList == readsList)
        }
    }

    @Test("six questions are under way at a time, each device is asked once, and a stop ends them")
    func atOnce() async throws {
        let clock = TestClock(Setting.start)
        let gated = GatedConnector("gated", clock)
        let store = MemoryStore()
        for number in 0..<20 {
            try await store.upsert(
                StoredDevice(
                    id: "d\(number)", ownerIssuer: "i", ownerSubject: "s", platform: .linux,
                    keyThumbprint: "t\(number)", certificateSerial: "\(number)", enrolledAtSeconds: 0,
                    certificateNotAfterSeconds: .max, pinnedIDs: ["serial": "PF\(number)"]))
        }
        let service = PostureService(
            agents: [], connectors: [gated], ring: .ephemeral(), store: store, clock: clock.clock,
            random: { 0 })
        try await service.load()
        await service.refreshDue()
        clock.now += 101
        gated.set(open: false)
        let round = Task { await service.refreshDue() }
        #expect(await eventually { gated.waiting == 6 })
        gated.set(open: true)
        await round.value
        #expect(gated.fetches == 20 && gated.runningMost == 6)
        clock.now += 101
        gated.set(open: false)
        let stopped = Task { await service.refreshDue() }
        #expect(await eventually { gated.waiting == 6 })
        stopped.cancel()
        await stopped.value
        #expect(gated.cancelled == 6 && gated.runningMost == 6)
    }

    @Test("questions that nobody waits for leave a tenth of a provider's window to people")
    func roomForPeople() {
        var ledger = RateLedger([RateWindow(calls: 20, seconds: 60)])
        for _ in 0..<17 { ledger.note(nowSeconds: 100) }
        #expect(ledger.wait(nowSeconds: 100, leavesRoom: true) == 0)
        ledger.note(nowSeconds: 100)
        #expect(ledger.wait(nowSeconds: 100, leavesRoom: true) == 60)
        #expect(ledger.wait(nowSeconds: 100) == 0)
        for _ in 0..<2 { ledger.note(nowSeconds: 101) }
        #expect(ledger.wait(nowSeconds: 101) == 59)
    }

    private struct Seeded {
        var state: UInt64
        mutating func unit() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) / Double(1 << 53)
        }
    }
}
