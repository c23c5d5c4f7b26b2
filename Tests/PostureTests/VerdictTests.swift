import Access
import Fetch
import JSON
import Testing

@testable import Posture

@Suite("Verdicts: cached, ordered, matched, announced")
struct VerdictTests {
    static func setting(_ count: Int = 3) async throws -> (Setting, GraphFake, FakeAgent) {
        let fake = GraphFake()
        fake.set {
            $0.devices = (0..<count).map { GraphFake.device($0) }
            $0.overview = Int64(count)
        }
        let setting = try Setting(intune: [GraphFake.connection()], fetcher: fake)
        try await setting.service.load()
        let agent = try await setting.enroll(JSONObject([("intune_device_id", .string(GraphFake.id(1)))]))
        await setting.service.refreshDue()
        return (setting, fake, agent)
    }

    static func verdict(_ setting: Setting, _ agent: FakeAgent) async -> Verdict? {
        await setting.service.deviceFacts(id: agent.deviceID, statement: nil)?.verdicts.first
    }

    @Test("003.3 003.4 facts come from the cache: no provider is asked") func cached() async throws {
        let (setting, fake, agent) = try await Self.setting()
        let calls = fake.calls.count
        let verdict = await Self.verdict(setting, agent)
        #expect(verdict?.state == .compliant && verdict?.matchStrength == .strong)
        #expect(verdict?.matchKey == "intune-device-id")
        #expect(fake.calls.count == calls)
    }

    @Test("003.2 each device that enrolled is asked again within two hours") func polling() async throws {
        let (setting, fake, agent) = try await Self.setting()
        let calls = fake.calls.count
        setting.clock.now += 7200 - 721
        await setting.service.refreshDue()
        #expect(fake.calls.count == calls, "not before the jittered appointment")
        setting.clock.now += 721
        fake.set { $0.devices[1] = GraphFake.device(1, state: "noncompliant", lastSync: setting.clock.now) }
        await setting.service.refreshDue()
        // And once more for what failed, because something did.
        #expect(fake.calls.count == calls + 2)
        #expect(fake.calls.last?.hasSuffix("/deviceCompliancePolicyStates") == true)
        #expect(await Self.verdict(setting, agent)?.state == .noncompliant)
    }

    @Test("a flip is announced for exactly the devices that it is about") func announced() async throws {
        let (setting, fake, agent) = try await Self.setting()
        let other = try await setting.enroll(JSONObject([("intune_device_id", .string(GraphFake.id(2)))]))
        #expect(other.deviceID != agent.deviceID)
        var changes = setting.service.changes.makeAsyncIterator()
        #expect(await changes.next()?.deviceID == agent.deviceID, "first verdict")
        fake.set { $0.devices[1] = GraphFake.device(1, state: "noncompliant", lastSync: setting.clock.now) }
        setting.clock.now += 5
        await setting.service.priorityFetch(deviceID: agent.deviceID)
        await setting.service.priorityFetch(deviceID: other.deviceID)
        _ = try await setting.service.revoke(deviceID: other.deviceID)
        #expect(await changes.next()?.deviceID == agent.deviceID)
        #expect(
            await changes.next()?.deviceID == other.deviceID, "the unchanged device only by its revocation")
    }

    @Test(
        "absent from an incomplete synchronisation never changes a verdict; from a complete one it is not found"
    )
    func absence() async throws {
        let (second, other, laptop) = try await Self.setting()
        other.set { $0.devices.remove(at: 1) }
        let before = await Self.verdict(second, laptop)
        _ = await second.service.reconnect(integration: "intune")
        #expect(await Self.verdict(second, laptop) == before)
        other.set { $0.overview = 2 }
        second.clock.now += 1
        _ = await second.service.reconnect(integration: "intune")
        #expect(await Self.verdict(second, laptop)?.state == .notFound)
        other.set {
            $0.devices.append(GraphFake.device(1))
            $0.overview = 3
        }
        second.clock.now += 1
        _ = await second.service.reconnect(integration: "intune")
        #expect(await Self.verdict(second, laptop)?.state == .compliant)
    }

    @Test("an outage changes nothing: the verdict lasts to its own end and not one second longer")
    func outage() async throws {
        let (setting, fake, agent) = try await Self.setting()
        for call in 0..<500 { fake.set { $0.failures[call] = FetchError(.unreachable, "down") } }
        let end = try #require(await Self.verdict(setting, agent)?.expiresAtSeconds)
        setting.clock.now = end - 1
        await setting.service.refreshDue()
        let verdict = await Self.verdict(setting, agent)
        #expect(verdict?.state == .compliant && verdict?.expiresAtSeconds == end)
        let status = await setting.service.integrationStatus().first
        #expect(status?.state == .configured && status?.lastFailure?.kind == .unavailable)
    }

    @Test("an older report never replaces a newer one") func ordering() async throws {
        let (setting, fake, agent) = try await Self.setting()
        fake.set { $0.devices[1] = GraphFake.device(1, state: "noncompliant", lastSync: Setting.start - 601) }
        setting.clock.now += 2
        await setting.service.priorityFetch(deviceID: agent.deviceID)
        #expect(await Self.verdict(setting, agent)?.state == .compliant)
        fake.set { $0.devices[1] = GraphFake.device(1, state: "noncompliant", lastSync: Setting.start - 600) }
        setting.clock.now += 2
        await setting.service.priorityFetch(deviceID: agent.deviceID)
        #expect(
            await Self.verdict(setting, agent)?.state == .noncompliant, "equally old: the later fetch counts")
    }

    @Test("verdicts outlive a restart, with their reverse index") func restart() async throws {
        let (setting, _, agent) = try await Self.setting()
        let again = PostureService(
            agents: [AgentIntegration(handshake: setting.settings, authority: setting.authority)],
            intune: [GraphFake.connection()], ring: setting.ring, store: setting.store, fetcher: NoFetcher(),
            clock: setting.clock.clock, random: { 0.5 })
        #expect(await again.deviceFacts(id: agent.deviceID, statement: nil) == nil)
        try await again.load()
        let facts = await again.deviceFacts(id: agent.deviceID, statement: nil)
        #expect(facts?.verdicts.first?.state == .compliant)
        #expect(facts?.ownerSubject == "ada" && facts?.platform == .linux)
    }

    @Test("duplicate serial numbers are ambiguous") func duplicates() async throws {
        let (setting, fake, _) = try await Self.setting()
        fake.set {
            $0.devices = [GraphFake.device(5, serial: "PF3"), GraphFake.device(6, serial: "pf3 ")]
            $0.overview = 2
        }
        let agent = try await setting.enroll(JSONObject([("serial", "PF3")]))
        _ = await setting.service.reconnect(integration: "intune")
        let verdict = await Self.verdict(setting, agent)
        #expect(verdict?.state == .ambiguous && verdict?.labels == [])
    }

    @Test("a claimed id that is pinned to another device, or that changed, is ambiguous and alerted")
    func pinning() async throws {
        let (setting, _, honest) = try await Self.setting()
        let thief = try await setting.enroll(JSONObject([("intune_device_id", .string(GraphFake.id(2)))]))
        let posture = JSONObject([("device_ids", ["intune_device_id": .string(GraphFake.id(1))])])
        let (transaction, challenge) = try await setting.challenge()
        let assertion = try thief.assertion(
            for: challenge, now: setting.clock.now, counter: 1, posture: posture)
        let proof = try await setting.service.assert(
            transaction: transaction, assertion: assertion, globalSession: "session-a",
            issuer: Setting.person.issuer, subject: Setting.person.subject)
        let facts = await setting.service.deviceFacts(id: thief.deviceID, statement: proof.statement)
        #expect(facts?.verdicts.first?.state == .ambiguous)
        #expect(await Self.verdict(setting, honest)?.state == .compliant, "the honest device is untouched")
        #expect(await setting.store.auditKinds().contains("device-id-conflict"))
    }

    @Test("a refused secret makes the integration pending and its devices are not asked") func pending()
        async throws
    {
        let fake = GraphFake()
        fake.set { $0.tokenAnswer = GraphFake.json(["error": "invalid_client"], status: 401) }
        let setting = try Setting(intune: [GraphFake.connection()], fetcher: fake)
        try await setting.service.load()
        let agent = try await setting.enroll(JSONObject([("intune_device_id", .string(GraphFake.id(1)))]))
        await setting.service.refreshDue()
        await setting.service.priorityFetch(deviceID: agent.deviceID)
        let status = await setting.service.integrationStatus().first
        #expect(status?.state == .pending && status?.pendingReason != nil)
        #expect(fake.calls.isEmpty)
        fake.set {
            $0.tokenAnswer = nil
            $0.overview = 0
        }
        #expect(await setting.service.reconnect(integration: "intune")?.state == .configured)
    }
}
