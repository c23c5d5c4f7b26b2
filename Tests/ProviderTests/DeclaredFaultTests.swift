import Access
import JSON
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Every declared provider and every fault: what it does to a complete reading")
struct DeclaredFaultTests {
    static let fatal: [VendorFault] = [
        .throttle, .throttleDate, .loop, .twoCycle, .sameIDs, .malformed, .truncated, .htmlAnswer,
        .serverError,
        .badGateway, .unavailable, .gatewayTimeout, .down, .halfBody, .hugePage, .revokedSecret,
        .missingScope,
    ]

    @Test("absence proves nothing after any of these", arguments: VendorFixture.Setup.declared, fatal)
    func noProof(_ setup: VendorFixture.Setup, _ fault: VendorFault) async throws {
        let fixture = try VendorFixture(setup, page: 1)
        fixture.emulator.faults.activate(fault, retryAfterSeconds: 3_000)
        let result = await (try fixture.connector()).sync()
        #expect(!result.isComplete && result.failure != nil)
        #expect(fixture.fetcher.asked.count < 60)
        #expect(fixture.fetcher.urls.allSatisfy { $0.hasPrefix(fixture.emulator.address) })
    }

    @Test(
        "a page that lacks a device is noticed where the vendor counts",
        arguments: [VendorFixture.Setup.jamf, .sentinelOne, .fleet])
    func partial(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup)
        fixture.emulator.faults.activate(.partialPage)
        #expect(await (try fixture.connector()).sync().isComplete == false)
    }

    @Test("a list that is empty for no reason proves nothing", arguments: VendorFixture.Setup.declared)
    func empty(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup)
        fixture.emulator.faults.activate(.emptyPage)
        let result = await (try fixture.connector()).sync()
        #expect(!result.isComplete || result.records.count == 2)
    }

    @Test(
        "a short throttle is waited out, in every form of the hint", arguments: VendorFixture.Setup.declared,
        [VendorFault.throttle, .throttleDate, .throttleEpoch, .throttleEpochMilliseconds, .throttleSilent])
    func throttled(_ setup: VendorFixture.Setup, _ fault: VendorFault) async throws {
        let fixture = try VendorFixture(setup)
        fixture.emulator.faults.activate(fault, times: 1, retryAfterSeconds: 7)
        let result = await (try fixture.connector()).sync()
        #expect(result.isComplete)
        // With four calls for each, a published window may ask for a second more.
        #expect(fixture.clock.slept.first == (fault == .throttleSilent ? 0.5 : 7))
    }

    @Test("a token that ended in the middle is renewed once", arguments: [VendorFixture.Setup.jamf, .google])
    func expired(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup, page: 1)
        let emulator = fixture.emulator
        fixture.fetcher.before { number in if number == 2 { emulator.state.withLock { $0.tokens = [:] } } }
        #expect(await (try fixture.connector()).sync().isComplete)
        #expect(fixture.fetcher.urls.filter { $0.hasSuffix("/token") }.count == 2)
    }

    @Test(
        "two records with one serial number are both there: the match is ambiguous then",
        arguments: VendorFixture.Setup.declared)
    func doubled(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup)
        fixture.emulator.faults.activate(.duplicateSerial)
        let result = await (try fixture.connector()).sync()
        #expect(result.records.filter { $0.keys.contains { $0.value == VendorFixture.serial } }.count == 2)
    }

    @Test("a device that is gone is absent from a complete reading", arguments: VendorFixture.Setup.declared)
    func gone(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup)
        fixture.emulator.faults.activate(.deviceMissing)
        let result = await (try fixture.connector()).sync()
        #expect(result.isComplete && result.records.count == 1)
    }
}
