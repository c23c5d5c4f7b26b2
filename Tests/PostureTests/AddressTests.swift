import Access
import JSON
import Testing

@testable import Posture

@Suite("Devices that a provider knows by their network hardware's address alone")
struct AddressTests {
    static let address = "7C:21:4A:0B:1C:2D"
    static let written = "7C214A0B1C2D"

    struct House {
        var setting: Setting
        var fake: GraphFake
        var agent: FakeAgent
        var statement: AgentStatement

        func verdict(of other: AgentStatement? = nil) async -> Verdict? {
            await setting.service.deviceFacts(id: agent.deviceID, statement: other ?? statement)?.verdicts
                .first
        }
    }

    /// An enrolled device that states addresses, and an Intune that knows one device by its address.
    private func house(
        stating addresses: [String] = [address], ids: JSONObject = [:],
        devices: [JSONValue] = [Self.record(1)]
    ) async throws -> House {
        let (setting, fake, agent) = try await Setting.knowing(devices, enrolling: ids)
        let (transaction, challenge) = try await setting.challenge()
        let posture = JSONObject([("mac_addresses", .array(addresses.map { .string($0) }))])
        let assertion = try agent.assertion(
            for: challenge, now: setting.clock.now, counter: 1, posture: posture)
        let proof = try await setting.service.assert(
            transaction: transaction, assertion: assertion, globalSession: "session-a",
            issuer: Setting.person.issuer, subject: Setting.person.subject)
        return House(setting: setting, fake: fake, agent: agent, statement: proof.statement)
    }

    private static func record(
        _ number: Int, address: String = written, state: String = "compliant", serial: String? = ""
    ) -> JSONValue {
        guard var device = GraphFake.device(number, state: state, serial: serial).object else { return .null }
        device["wiFiMacAddress"] = .string(address)
        return .object(device)
    }

    @Test("003.8 the address of a signed statement finds the device, weakly, when no pinned id does")
    func weak() async throws {
        let house = try await house()
        let verdict = await house.verdict()
        #expect(verdict?.state == .compliant && verdict?.nativeID == GraphFake.id(1))
        #expect(verdict?.matchKey == "mac" && verdict?.matchStrength == .weak)
        let unproven = await house.setting.service.deviceFacts(id: house.agent.deviceID, statement: nil)
        #expect(unproven?.verdicts.isEmpty == true, "without a statement there is no address")
    }

    @Test(
        "003.8 a randomised address, a group's, and one that is none find nothing",
        arguments: ["7E:21:4A:0B:1C:2D", "7D:21:4A:0B:1C:2D", "7C:21:4A:0B:1C", "unknown"])
    func randomised(_ address: String) async throws {
        let written = address.replacing(":", with: "")
        let house = try await house(stating: [address], devices: [Self.record(1, address: written)])
        #expect(await house.verdict() == nil)
    }

    @Test("a pinned id goes first, and finding nothing by it leaves it to the address")
    func pinnedFirst() async throws {
        let known = try await house(
            ids: ["intune_device_id": .string(GraphFake.id(2))],
            devices: [Self.record(1), Self.record(2, address: "7C214A0B1C2E", state: "noncompliant")])
        #expect(await known.verdict()?.state == .noncompliant)
        #expect(await known.verdict()?.matchStrength == .strong)
        let absent = try await house(ids: ["serial": "SN-OWN"])
        #expect(await absent.verdict()?.matchStrength == .weak)
        #expect(await absent.verdict()?.state == .compliant)
    }

    @Test("two records of one address, or of two of the device's addresses, are ambiguous")
    func ambiguous() async throws {
        let shared = try await house(devices: [Self.record(1), Self.record(2)])
        #expect(await shared.verdict()?.state == .ambiguous)
        let several = try await house(
            stating: [Self.address, "7C:21:4A:0B:1C:2E"],
            devices: [Self.record(1), Self.record(2, address: "7C214A0B1C2E")])
        #expect(await several.verdict()?.state == .ambiguous)
    }

    @Test("nobody gets another device's verdict by stating its address")
    func borrowed() async throws {
        let house = try await house()
        let victim = try await house.setting.enroll(["intune_device_id": .string(GraphFake.id(1))])
        #expect(await house.verdict() == nil, "its record's id is pinned to its own device")
        let own = await house.setting.service.deviceFacts(id: victim.deviceID, statement: nil)
        #expect(own?.verdicts.first?.state == .compliant && own?.verdicts.first?.matchStrength == .strong)
        let other = try await self.house(ids: ["serial": "SN-OWN"], devices: [Self.record(1, serial: "SN-A")])
        #expect(await other.verdict()?.state == .notFound, "another serial number than the device's own")
    }

    @Test("a record that names its hardware is not about who is unknown by that name, nor a revoked device's")
    func named() async throws {
        let dock = try await house(devices: [Self.record(1, serial: "SN-A")])
        #expect(await dock.verdict() == nil, "this device has no serial number, the record has")
        let house = try await house()
        let lost = try await house.setting.enroll(["intune_device_id": .string(GraphFake.id(1))])
        #expect(try await house.setting.service.revoke(deviceID: lost.deviceID))
        #expect(await house.verdict() == nil, "the record was a revoked device's")
    }

    @Test("a statement that is over, in another session, hides no address from what is announced")
    func otherSession() async throws {
        let house = try await house()
        #expect(await house.verdict() != nil)
        var over = house.statement
        over.facts[StatementFacts.addressesFact] = .list([])
        _ = await house.verdict(of: over)
        let key = try #require(DeviceKey(.mac, Self.address))
        #expect(await house.setting.service.devices(named: [key]) == [ExactKey(house.agent.deviceID)])
    }

    @Test("addresses count as long as their statement, and not one second longer") func expired()
        async throws
    {
        let house = try await house()
        house.setting.clock.now = (house.statement.openUntilSeconds ?? house.statement.expiresAtSeconds) - 1
        #expect(await house.verdict()?.matchKey == "mac")
        house.setting.clock.now += 1
        #expect(await house.verdict() == nil)
    }

    @Test("a flip of such a record is announced for the device, and for none that was revoked")
    func announced() async throws {
        let house = try await house()
        #expect(await house.verdict() != nil)
        let key = try #require(DeviceKey(.mac, Self.address))
        #expect(await house.setting.service.devices(named: [key]) == [ExactKey(house.agent.deviceID)])
        #expect(try await house.setting.service.revoke(deviceID: house.agent.deviceID))
        #expect(await house.setting.service.devices(named: [key]).isEmpty)
        #expect(await house.verdict() == nil)
    }

    @Test("an agent that names one address among its ids has stated it, where it was asked for")
    func amongIDs() throws {
        let posture: JSONObject = ["device_ids": ["mac": .string(Self.address)]]
        let facts = StatementFacts.facts(posture, requested: ["mac-addresses"])
        #expect(facts["mac-addresses"] == .list([Self.address]))
        #expect(StatementFacts.facts(posture, requested: ["firewall"]).isEmpty)
    }

    @Test("a service of your own is told the device's address") func custom() throws {
        let serial = try #require(DeviceKey(.serial, "S1"))
        let mac = try #require(DeviceKey(.mac, Self.address))
        let request = EvaluationRequest([
            KnownDevice(id: "d", email: nil, keys: [serial], addresses: [mac]),
            KnownDevice(id: "e", email: nil, keys: [serial]),
        ])
        let devices = request.body["devices"]?.array
        #expect(devices?.map { $0["mac_address"] } == ["7c214a0b1c2d", ""])
    }
}
