import Border
import Fetch
import Identity
import JSON
import Posture
import Signatures
import Store
import Synchronization
import Testing

@testable import Control

/// A provider with one device that keeps everybody waiting while it is closed.
private final class GatedProvider: Fetcher {
    private struct State {
        var isOpen = true
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    var waiting: Int { state.withLock { $0.waiting.count } }

    func set(open: Bool) {
        let waiters = state.withLock { state in
            state.isOpen = open
            guard open else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiter in waiters { waiter.resume() }
    }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        await withCheckedContinuation { waiter in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(waiter) }
                return state.isOpen
            }
            if isOpen { waiter.resume() }
        }
        let device: JSONValue = [
            "id": "1", "serial": "S-ADA", "auth_state": "Good", "last_seen_at": "2027-01-15T07:00:00Z",
        ]
        let body: JSONValue = ["data": [device], "pagination": ["next_cursor": ""]]
        return FetchResponse(status: 200, body: body.serialized())
    }
}

/// Time that passes when a test says so.
private final class Alarm: Sendable {
    private struct State {
        var asked: [Int] = []
        var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    }
    private let state = Mutex(State())

    /// Milliseconds of every wait, in order.
    var asked: [Int] { state.withLock { $0.asked } }
    /// Waits that were neither rung for nor given up.
    var waiting: Int { state.withLock { $0.waiting.count } }

    func ring() {
        let waiters = state.withLock { state in
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait(_ milliseconds: Int) async {
        let number = state.withLock { state in
            state.asked.append(milliseconds)
            return state.asked.count
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let isOver = state.withLock { state in
                    if !Task.isCancelled { state.waiting[number] = waiter }
                    return Task.isCancelled
                }
                if isOver { waiter.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: number) }?.resume()
        }
    }
}

@Suite(
    "The device check waits for the providers' first word about a device, and no longer than first-contact",
    .timeLimit(.minutes(10)))
struct FirstContactTests {
    private let provider = GatedProvider()
    private let alarm = Alarm()

    private func house(_ gateway: String = "") async throws -> Gatehouse {
        let alarm = alarm
        let house = try Gatehouse(
            Gatehouse.config.replacing(
                "integrations:\n",
                with: "integrations:\n  kolide: { provider: kolide, api-token: { file: secrets/push } }\n"
            ).replacing("  store: sqlite:state\n", with: "  store: sqlite:state\n\(gateway)"),
            fetcher: provider, pause: { await alarm.wait($0) })
        #expect(await house.control.services.posture.reconnect(integration: "kolide")?.state == .configured)
        return house
    }

    /// A browser that comes back from its agent with a proof; what it is answered comes when it comes.
    private func comingBack(_ house: Gatehouse) async throws -> (Task<ControlResponse, Never>, TestAgent) {
        let agent = try await TestAgent(house)
        let browser = try await CheckingBrowser(house)
        let assertion = try agent.assertion(for: try await browser.challenge(), transport: "navigation") {
            $0["posture"] = ["device_ids": ["serial": "S-ADA"]]
        }
        let path = "/.gatepost/posture/return?tx=\(browser.transaction)&a=\(assertion)"
        return (Task { await browser.get(path) }, agent)
    }

    /// Until something holds; the suite's time limit is for what never does.
    private func until(_ holds: () async -> Bool) async throws {
        while await !holds() { try await Task.sleep(for: .milliseconds(2)) }
    }

    private func counts(_ house: Gatehouse) -> [String: Int64] {
        Dictionary(uniqueKeysWithValues: house.control.deviceChecks.counts.map { ($0.word, $0.count) })
    }

    private func verdict(_ house: Gatehouse, _ agent: TestAgent) async -> JSONValue? {
        let shown = await house.control.execute(["command": "verdicts", "device": .string(agent.deviceID)])
        return shown["verdicts"]?.array?.first
    }

    @Test("whoever is answered in time goes on with the answer, and nothing is counted")
    func inTime() async throws {
        let house = try await house()
        provider.set(open: false)
        let (answering, agent) = try await comingBack(house)
        try await until { provider.waiting > 0 && alarm.waiting > 0 }
        #expect(alarm.asked == [3_000])
        #expect(counts(house)["proven"] == nil, "the page waits")
        provider.set(open: true)
        #expect(await answering.value.status == 303)
        #expect(counts(house) == ["proven": 1])
        #expect(await verdict(house, agent)?["state"] == "compliant")
        try await until { alarm.waiting == 0 }
    }

    @Test(
        "at the bound the page goes on without an answer, which is counted; the question goes on by itself",
        arguments: [("", 3_000), ("  limits: { first-contact: 1s }\n", 1_000)])
    func tooLate(_ gateway: String, _ milliseconds: Int) async throws {
        let house = try await house(gateway)
        provider.set(open: false)
        let (answering, agent) = try await comingBack(house)
        try await until { provider.waiting > 0 && alarm.waiting > 0 }
        #expect(alarm.asked == [milliseconds])
        #expect(counts(house)["proven"] == nil)
        alarm.ring()
        #expect(await answering.value.status == 303)
        #expect(counts(house) == ["first-contact-expired": 1, "proven": 1])
        provider.set(open: true)
        try await until { await verdict(house, agent)?["state"] == "compliant" }
    }

    @Test("a device that was asked about a second ago is not waited for again")
    func askedBefore() async throws {
        let house = try await house()
        let agent = try await TestAgent(house)
        await house.control.services.posture.priorityFetch(deviceID: agent.deviceID)
        await house.control.firstContact(agent.deviceID)
        #expect(alarm.asked.isEmpty)
        house.advance(1)
        await house.control.firstContact(agent.deviceID)
        try await until { alarm.asked == [3_000] }
        #expect(counts(house).isEmpty)
    }
}
