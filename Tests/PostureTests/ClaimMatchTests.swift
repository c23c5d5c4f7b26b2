import Access
import JSON
import Store
import Testing

@testable import Posture

@Suite("The Entra id that a sign-in's token gives a device (row 5 of the keys)")
struct ClaimMatchTests {
    struct House {
        var setting: Setting
        var fake: GraphFake
        var agent: FakeAgent

        func verdict(_ claimed: String?, of device: String? = nil) async -> Verdict? {
            let question = DeviceQuestion(
                id: device ?? agent.deviceID, statement: nil, claimedEntraID: claimed)
            return await setting.service.deviceFacts(of: [question])[0]?.verdicts.first
        }

        func conflicts() async -> Int {
            await setting.store.auditKinds().count { $0 == "device-id-conflict" }
        }
    }

    private func house(
        ids: JSONObject = [:], devices: [JSONValue] = [GraphFake.device(1, serial: "")]
    ) async throws -> House {
        let (setting, fake, agent) = try await Setting.knowing(devices, enrolling: ids)
        return House(setting: setting, fake: fake, agent: agent)
    }

    @Test("row 5: the token's id finds the record of a device that states none, with medium strength")
    func medium() async throws {
        let house = try await house()
        let verdict = await house.verdict(GraphFake.entra(1).uppercased())
        #expect(verdict?.state == .compliant && verdict?.nativeID == GraphFake.id(1))
        #expect(verdict?.matchKey == "entra-device-id" && verdict?.matchStrength == .medium)
        #expect(await house.verdict(nil) == nil, "another session's token is no word in this one")
        #expect(await house.conflicts() == 0)
    }

    @Test(
        "row 5: what is no id of a device finds nothing and contradicts nothing",
        arguments: [
            "", "00000000-0000-0000-0000-000000000000", "unknown", "9d3e2c107f6a4f0e8f30000000000001",
            " 9d3e2c10-7f6a-4f0e-8f30-000000000001", "9d3e2c10-7f6a-4f0e-8f30-000000000002",
        ])
    func nothing(_ claimed: String) async throws {
        let house = try await house()
        #expect(await house.verdict(claimed) == nil)
        #expect(await house.conflicts() == 0)
    }

    @Test("row 5: the device's own ids go first, and the same id by both is as strong as the device's own")
    func pinnedFirst() async throws {
        let house = try await house(
            ids: [
                "intune_device_id": .string(GraphFake.id(2)), "entra_device_id": .string(GraphFake.entra(2)),
            ],
            devices: [GraphFake.device(1), GraphFake.device(2, state: "noncompliant")])
        let verdict = await house.verdict(GraphFake.entra(2))
        #expect(verdict?.state == .noncompliant && verdict?.matchStrength == .strong)
        #expect(await house.conflicts() == 0)
    }

    @Test("row 5: a token that names another device than the one proven makes its verdicts count for nothing")
    func contradiction() async throws {
        let house = try await house(
            ids: ["entra_device_id": .string(GraphFake.entra(1))],
            devices: [GraphFake.device(1), GraphFake.device(2)])
        #expect(await house.verdict(GraphFake.entra(1))?.state == .compliant)
        for _ in 0..<3 { #expect(await house.verdict(GraphFake.entra(2))?.state == .ambiguous) }
        #expect(await house.verdict(nil)?.state == .compliant, "it is that session's matter alone")
        #expect(await eventually { await house.conflicts() == 1 })
        let other = try await house.setting.enroll(["serial": "SN2"])
        #expect(await house.verdict(GraphFake.entra(1), of: other.deviceID)?.state == .ambiguous)
        #expect(await eventually { await house.conflicts() == 2 })
    }

    @Test("row 5: a record of other hardware, or of a device that was revoked, is not about this one")
    func others() async throws {
        let house = try await house(ids: ["serial": "SN-OWN"], devices: [GraphFake.device(1, serial: "SN-A")])
        #expect(await house.verdict(GraphFake.entra(1))?.state == .notFound)
        let second = try await self.house()
        let lost = try await second.setting.enroll(["entra_device_id": .string(GraphFake.entra(1))])
        #expect(try await second.setting.service.revoke(deviceID: lost.deviceID))
        #expect(await second.verdict(GraphFake.entra(1)) == nil)
    }

    @Test("row 5: two current records of one id are ambiguous")
    func ambiguous() async throws {
        var copy = GraphFake.device(2, serial: "").object ?? [:]
        copy["azureADDeviceId"] = .string(GraphFake.entra(1))
        let house = try await house(devices: [GraphFake.device(1, serial: ""), .object(copy)])
        let verdict = await house.verdict(GraphFake.entra(1))
        #expect(verdict?.state == .ambiguous && verdict?.matchStrength == .weak)
    }

    @Test("row 5: the provider is asked by that id, and news of the record are news of the device")
    func asked() async throws {
        let house = try await house(devices: [])
        #expect(await house.verdict(GraphFake.entra(1)) == nil)
        house.fake.set { $0.devices = [GraphFake.device(1, serial: "")] }
        await house.setting.service.priorityFetch(deviceID: house.agent.deviceID)
        #expect(await house.verdict(GraphFake.entra(1))?.state == .compliant)
        let key = try #require(DeviceKey(.entra, GraphFake.entra(1)))
        #expect(await house.setting.service.devices(named: [key]) == [ExactKey(house.agent.deviceID)])
        #expect(try await house.setting.service.revoke(deviceID: house.agent.deviceID))
        #expect(await house.setting.service.devices(named: [key]).isEmpty)
    }
}
