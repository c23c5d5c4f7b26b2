import Access
import JSON
import Store
import Testing

@testable import Posture
@testable import gatepost_lab

/// Checks by id, for comparing.
private func states(_ verdict: Verdict) -> [String: Verdict.Check.State] {
    Dictionary(verdict.checks.map { ($0.id, $0.state) }, uniquingKeysWith: { first, _ in first })
}

extension PostureService {
    fileprivate func nextDue(_ integration: String) -> Int64? { schedule.nextDueSeconds(integration) }
}

@Suite("Single checks that vendors deliver, for rules that name one")
struct CheckTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var setup: VendorFixture.Setup
        var members: JSONObject
        var id: String
        var state: Verdict.Check.State?
        var testDescription: String { "\(setup.name) \(id): \(JSONValue.object(members).serializedText())" }
    }

    static let rows: [Row] = [
        Row(setup: .jamf, members: [:], id: "sipStatus", state: .pass),
        Row(setup: .jamf, members: [:], id: "fileVault2Status", state: .pass),
        Row(setup: .jamf, members: [:], id: "firewallEnabled", state: .pass),
        Row(setup: .jamf, members: [:], id: "gatekeeperStatus", state: nil),
        Row(setup: .sentinelOne, members: ["infected": true], id: "infected", state: .fail),
        Row(setup: .sentinelOne, members: ["infected": false], id: "infected", state: .pass),
        Row(setup: .sentinelOne, members: ["infected": .null], id: "infected", state: .unknown),
        Row(setup: .sentinelOne, members: ["activeThreats": 0], id: "activeThreats", state: .pass),
        Row(setup: .sentinelOne, members: ["activeThreats": 1], id: "activeThreats", state: .fail),
        Row(setup: .sentinelOne, members: ["activeThreats": "1"], id: "activeThreats", state: .unknown),
        Row(
            setup: .sentinelOne, members: ["operationalState": "fully_disabled"], id: "operationalState",
            state: .fail),
        Row(
            setup: .sentinelOne, members: ["operationalState": "fully_enabled_some_day"],
            id: "operationalState", state: .unknown),
        Row(setup: .kolide, members: ["auth_state": "Will Block"], id: "auth_state", state: .pass),
        Row(setup: .kolide, members: ["auth_state": "Blocked"], id: "auth_state", state: .fail),
        Row(setup: .kolide, members: ["auth_state": "Goodish"], id: "auth_state", state: .unknown),
        Row(
            setup: .google, members: ["encryptionState": "ENCRYPTED"], id: "encryptionState", state: .pass),
        Row(
            setup: .google, members: ["encryptionState": "NOT_ENCRYPTED"], id: "encryptionState",
            state: .fail),
        Row(
            setup: .google, members: ["encryptionState": "UNSUPPORTED_BY_DEVICE"], id: "encryptionState",
            state: .notApplicable),
        Row(
            setup: .google, members: ["encryptionState": "ENCRYPTION_STATE_UNSPECIFIED"],
            id: "encryptionState", state: .unknown),
        Row(
            setup: .google, members: ["compromisedState": "COMPROMISED"], id: "compromisedState",
            state: .fail),
    ]

    @Test(
        "002.13 each answer has its state; what is not said is no check, and a strange word is unknown",
        arguments: rows)
    func checks(_ row: Row) async throws {
        let fixture = try VendorFixture(row.setup)
        let verdict = try #require(await fixture.alice(row.members))
        #expect(states(verdict)[row.id] == row.state)
    }

    @Test("002.4 002.13 Intune's policies and settings are read by their names, with the permission for it")
    func intune() async throws {
        let lab = try GraphLab()
        let connector = try lab.connector("intune")
        let key = try #require(DeviceKey(.entra, GraphLab.alice))
        guard case .records(let found) = await connector.fetch([key]) else {
            Issue.record("no records")
            return
        }
        let titles = try #require(found.first).verdict.checks.map(\.title)
        #expect(titles.contains("Office baseline") && titles.contains("Require a password"))
        lab.graph.faults.activate(.missingSettingScope)
        guard case .records(let bare) = await connector.fetch([key]) else {
            Issue.record("no records without the permission")
            return
        }
        #expect(bare.first?.verdict.checks.isEmpty == true && bare.first?.verdict.state == .compliant)
        #expect(await connector.status().missingPermissions == [IntuneSettings.permission])
    }

    @Test(
        "a list takes no single check away, and a device that has reported since is asked for again at once")
    func carried() async throws {
        let lab = try GraphLab()
        let connector = try lab.connector("intune")
        let service = try await lab.service(connector, store: try GraphLab.store())
        let key = try #require(DeviceKey(.entra, GraphLab.alice))
        func checks() async -> [Verdict.Check] {
            await service.cache.records(of: "intune", key: key).first?.verdict.checks ?? []
        }
        try lab.control(
            "POST", "devices/alice-laptop", ["lastSyncDateTime": .string(Timestamp.rfc3339(lab.clock.now))])
        await service.refreshDue()
        await service.priorityFetch(deviceID: "device-1")
        let before = await checks()
        #expect(!before.isEmpty)
        lab.clock.now += 60
        await service.synchronise(connector)
        #expect(await checks() == before)
        let due = await service.nextDue("intune")
        #expect((due ?? 0) > lab.clock.now, "nothing new, nothing to ask")
        try lab.control(
            "POST", "devices/alice-laptop", ["lastSyncDateTime": .string(Timestamp.rfc3339(lab.clock.now))])
        await service.synchronise(connector)
        #expect(await checks() == before)
        #expect(await service.nextDue("intune") == lab.clock.now)
        // Without the permission the question about the device says so: what was carried ends with it.
        lab.graph.faults.activate(.missingSettingScope)
        await service.refreshDue()
        #expect(await checks().isEmpty)
        let labels = try #require(await service.integrationStatus().first).labels
        #expect(labels.contains("compliant") && labels.contains("registered"), "000.14 labels are offered")
    }

    @Test("single checks are kept for enrolled devices only") func kept() async throws {
        let sentinel = try VendorFixture(.sentinelOne)
        let agent = try sentinel.connector()
        let stranger = try await ServiceSetting.service(
            agent, store: try GraphLab.store(), clock: sentinel.clock, pinned: ["serial": "LAB-ALICE-0001"])
        _ = await stranger.reconnect(integration: agent.integration)
        let alice = try #require(DeviceKey(.serial, "LAB-ALICE-0001"))
        let bob = try #require(DeviceKey(.serial, "LAB-BOB-0001"))
        let (own, other) = (
            await stranger.cache.records(of: agent.integration, key: alice).first?.verdict,
            await stranger.cache.records(of: agent.integration, key: bob).first?.verdict
        )
        #expect(own?.checks.isEmpty == false && other?.checks.isEmpty == true)
    }

    @Test("of two checks with one id the worse counts, and there are at most two hundred") func list() {
        var list = CheckList()
        for state in [Verdict.Check.State.pass, .fail, .unknown, .notApplicable] { list.add("a", "A", state) }
        list.add("", "no id", .fail)
        list.add(nil, "no id", .fail)
        #expect(list.checks == [Verdict.Check(id: "a", title: "A", state: .fail)])
        for number in 0..<300 { list.add("n\(number)", nil, .pass) }
        #expect(list.checks.count == CheckList.countMax)
        list.add("a", "A again", .pass)
        list.add("n0", nil, .fail)
        #expect(list.checks.first == Verdict.Check(id: "a", title: "A", state: .fail))
        #expect(list.checks.contains(Verdict.Check(id: "n0", title: "n0", state: .fail)))
    }
}
