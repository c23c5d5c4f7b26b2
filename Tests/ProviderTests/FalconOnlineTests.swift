import Access
import Fetch
import JSON
import Signatures
import Store
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("CrowdStrike: a host that is known by its connection alone")
struct FalconOnlineTests {
    static let alice = CrowdStrikeTests.alice

    let fixture: VendorFixture
    init() throws { fixture = try VendorFixture(.crowdStrike) }

    /// Says when Alice's host was seen and whether it is connected.
    private func say(seen ago: Int64, _ word: String) {
        fixture.change([
            "last_seen": .string(Timestamp.rfc3339(fixture.clock.now - ago)), "online": .string(word),
        ])
    }

    private func fetched(_ connector: any Connector) async throws -> Verdict {
        let key = try #require(DeviceKey(.falcon, Self.alice))
        guard case .records(let found) = await connector.fetch([key]) else {
            throw ConnectorFailure(.unavailable, "no answer")
        }
        return try #require(found.first).verdict
    }

    private func listed(_ connector: any Connector) async throws -> Verdict {
        let all = await connector.sync()
        try #require(all.isComplete)
        return try #require(all.records.first { $0.verdict.nativeID == Self.alice }).verdict
    }

    @Test(
        "000.24 offline or unknown takes nothing from a report within the hour, and gives nothing after it",
        arguments: ["offline", "unknown", "OFFLINE", "", "connected"])
    func offline(_ word: String) async throws {
        let connector = try fixture.connector()
        say(seen: 3_599, word)
        #expect(try await fetched(connector).isSensorRunning == true)
        fixture.clock.now += 1
        #expect(try await fetched(connector).isSensorRunning == false)
        fixture.clock.now += 60
        #expect(try await fetched(connector).isSensorRunning == false)
        say(seen: 7_200, "online")
        fixture.clock.now += 60
        #expect(try await fetched(connector).isSensorRunning == true)
        say(seen: 7_200, word)
        fixture.clock.now += 60
        #expect(try await fetched(connector).isSensorRunning == false, "the newest word counts")
    }

    @Test("a list neither asks who is connected nor forgets it: what was said counts to its end")
    func lists() async throws {
        let connector = try fixture.connector()
        say(seen: 7_200, "online")
        let asked = fixture.clock.now
        #expect(try await listed(connector).isSensorRunning == false)
        #expect(try await fetched(connector).expiresAtSeconds == asked + 300)
        fixture.clock.now = asked + 299
        let last = try await listed(connector)
        #expect(last.isSensorRunning == true && last.expiresAtSeconds == asked + 300)
        fixture.clock.now = asked + 300
        #expect(try await listed(connector).isSensorRunning == false)
        #expect(fixture.calls("online-state") == 1)
    }

    @Test("when nobody can be asked, what was said counts to its end and no longer")
    func unanswered() async throws {
        let connector = try fixture.connector()
        say(seen: 7_200, "online")
        let asked = fixture.clock.now
        #expect(try await fetched(connector).expiresAtSeconds == asked + 300)
        let emulator = fixture.emulator
        let fetcher = fixture.fetcher
        fetcher.before { number in
            guard fetcher.asked[number].url.contains("online-state") else { return }
            emulator.faults.activate(.missingScope, times: 1)
        }
        for (seconds, isRunning) in [(60, true), (299, true), (300, false)] as [(Int64, Bool)] {
            fixture.clock.now = asked + seconds
            let verdict = try await fetched(connector)
            #expect(verdict.isSensorRunning == isRunning, "\(seconds)")
            if isRunning { #expect(verdict.expiresAtSeconds == asked + 300, "\(seconds)") }
        }
        #expect(fixture.calls("online-state") == 4)
    }

    @Test("a device with an open session is asked about again before that ends, others are not")
    func openSessions() async throws {
        let store = try GraphLab.store()
        try await store.upsert(
            StoredDevice(
                id: "device-1", ownerIssuer: "https://issuer.example", ownerSubject: "alice",
                platform: .windows, keyThumbprint: "thumbprint", certificateSerial: "01",
                enrolledAtSeconds: fixture.clock.now, certificateNotAfterSeconds: fixture.clock.now + 86_400,
                pinnedIDs: ["falcon-aid": Self.alice]))
        let service = PostureService(
            agents: [], connectors: [try fixture.connector()], ring: .ephemeral(), store: store,
            clock: fixture.clock.posture, random: { 0.5 })
        try await service.load()
        say(seen: 7_200, "online")
        await service.refreshDue()
        await service.priorityFetch(deviceID: "device-1")
        #expect(fixture.calls("online-state") == 1)
        func verdict() async throws -> Verdict? {
            let key = try #require(DeviceKey(.falcon, Self.alice))
            return await service.cache.verdicts(
                of: [VerdictMatching.Question(keys: [key])],
                by: [VerdictMatching.Source(try fixture.connector())], nowSeconds: fixture.clock.now)[0].first
        }
        let first = try #require(try await verdict())
        #expect(first.isSensorRunning == true && first.expiresAtSeconds == fixture.clock.now + 300)
        // Nobody is signed in from it.
        fixture.clock.now += 60
        await service.note(openDevices: [])
        await service.refreshDue()
        #expect(fixture.calls("online-state") == 1)
        // Somebody is, for a quarter of an hour: it never ends.
        for minute in 1...15 {
            await service.note(openDevices: ["device-1", "device-nobody-knows"])
            await service.refreshDue()
            let verdict = try #require(try await verdict())
            #expect(verdict.isSensorRunning == true, "\(minute)")
            #expect(verdict.expiresAtSeconds == fixture.clock.now + 300, "\(minute)")
            fixture.clock.now += 60
        }
        #expect(fixture.calls("online-state") == 16)
        // The sensor is stopped.
        say(seen: 7_200, "offline")
        await service.note(openDevices: ["device-1"])
        await service.refreshDue()
        let stopped = try #require(try await verdict())
        #expect(stopped.isSensorRunning == false)
        // A verdict that lasts is not asked about out of turn.
        let calls = fixture.calls("online-state")
        fixture.clock.now += 60
        await service.note(openDevices: ["device-1"])
        await service.refreshDue()
        #expect(fixture.calls("online-state") == calls)
    }
}
