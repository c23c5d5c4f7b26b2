import Fetch
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("How long a provider wants us to wait is heeded, in every form and at every provider")
struct HintTests {
    static let setups: [VendorFixture.Setup] = [.crowdStrike, .defender, .tanium, .workspaceOne]

    @Test(
        "429 with seconds, a date, a point in time in seconds or milliseconds, or no hint", arguments: setups,
        [
            VendorFault.throttle, .throttleDate, .throttleEpoch, .throttleEpochMilliseconds, .throttleSilent,
            .unavailable,
        ])
    func waited(_ setup: VendorFixture.Setup, _ fault: VendorFault) async throws {
        let fixture = try VendorFixture(setup)
        fixture.emulator.faults.activate(fault, times: 1, retryAfterSeconds: 17)
        #expect(await (try fixture.connector()).sync().isComplete)
        #expect(fixture.clock.slept == [fault == .throttleSilent ? 0.5 : 17])
    }

    @Test(
        "nobody in front of a page waits for it: a longer hint ends the question at once", arguments: setups)
    func impatient(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup)
        let keys = FaultMatrixTests.keys[setup.name] ?? FaultMatrixTests.serials
        fixture.emulator.faults.activate(.throttle, times: 1, retryAfterSeconds: 4)
        let connector = try fixture.connector()
        guard case .failed(let failure) = await connector.fetch([try #require(keys.alice)]) else {
            Issue.record("answered")
            return
        }
        #expect(failure.kind == .throttled && failure.retryAfterSeconds == 4)
        #expect(fixture.clock.slept.isEmpty)
        let asked = fixture.fetcher.asked.count
        _ = await connector.fetch([try #require(keys.alice)])
        #expect(fixture.fetcher.asked.count == asked, "requests made while throttled count against us")
        fixture.clock.now += 4
        guard case .records(let found) = await connector.fetch([try #require(keys.alice)]) else {
            Issue.record("still waiting")
            return
        }
        #expect(found.count == 1)
    }

    @Test("a token that ends in the middle of a list is renewed, and nothing is lost", arguments: setups)
    func midway(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup, page: 1)
        let emulator = fixture.emulator
        fixture.fetcher.before { number in if number == 2 { emulator.state.withLock { $0.tokens = [:] } } }
        let result = await (try fixture.connector()).sync()
        #expect(result.isComplete && result.records.count == 2)
    }
}
