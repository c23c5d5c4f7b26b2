import Access
import JSON
import Store
import Testing

@testable import Posture

@Suite("Devices that a provider knows by the person who uses them alone (row 8 of the keys)")
struct OwnerMatchTests {
    static let person = Setting.person.subject

    struct House {
        var setting: Setting
        var fake: GraphFake
        var agent: FakeAgent

        func verdict(of device: String? = nil) async -> Verdict? {
            await setting.service.deviceFacts(id: device ?? agent.deviceID, statement: nil)?.verdicts.first
        }
    }

    /// An enrolled Linux device of `ada`, and an Intune that is asked about people.
    private func house(
        ids: JSONObject = [:], devices: [JSONValue] = [record(1)], isOn: Bool = true,
        attribute: String = "subject"
    ) async throws -> House {
        let fake = GraphFake()
        fake.set {
            $0.devices = devices
            $0.overview = Int64(devices.count)
        }
        var connection = GraphFake.connection()
        connection.matchesOwners = isOn
        connection.ownerAttribute = attribute
        let setting = try Setting(intune: [connection], fetcher: fake)
        try await setting.service.load()
        let agent = try await setting.enroll(ids)
        await setting.service.refreshDue()
        return House(setting: setting, fake: fake, agent: agent)
    }

    private static func record(
        _ number: Int, user: String = person, system: String? = "Linux", state: String = "compliant",
        serial: String? = ""
    ) -> JSONValue {
        guard var device = GraphFake.device(number, state: state, serial: serial).object else { return .null }
        device["userId"] = .string(user)
        device["operatingSystem"] = system.map { .string($0) } ?? .null
        return .object(device)
    }

    @Test("row 8: the owner's only device of the platform is found, weakly")
    func weak() async throws {
        let verdict = try await house().verdict()
        #expect(verdict?.state == .compliant && verdict?.nativeID == GraphFake.id(1))
        #expect(verdict?.matchKey == "owner" && verdict?.matchStrength == .weak)
        #expect(verdict?.labels.contains("platform:linux") == true)
    }

    @Test("row 8 is off unless an administrator asked for it, and a claim of the sign-in finds nothing")
    func off() async throws {
        let off = try await house(isOn: false)
        #expect(await off.verdict() == nil)
        #expect(!off.fake.calls.contains { $0.contains("operatingSystem") || $0.contains("/users/") })
        #expect(try await house(attribute: "oid").verdict() == nil)
        #expect(try await house(attribute: "email").verdict() == nil, "nothing is known of the address")
    }

    struct Others: Sendable {
        var name: String
        var devices: [JSONValue]
        var state: Verdict.State?
    }

    static let others: [Others] = [
        .init(
            name: "two of the platform are ambiguous", devices: [record(1), record(2)], state: .ambiguous),
        .init(
            name: "one of another platform does not count",
            devices: [record(1), record(2, system: "Windows")], state: .compliant),
        .init(
            name: "one of an unknown platform may be of this one",
            devices: [record(1), record(2, system: nil)], state: .ambiguous),
        .init(
            name: "one whose platform is not written is not this one", devices: [record(1, system: nil)],
            state: nil),
        .init(
            name: "one whose platform is a word that nobody knows is not this one",
            devices: [record(1, system: "Plan 9")], state: nil),
        .init(name: "another platform's only one", devices: [record(1, system: "macOS")], state: nil),
        .init(name: "somebody else's", devices: [record(1, user: "bob")], state: nil),
        .init(name: "nobody's", devices: [record(1, user: "")], state: nil),
        .init(
            name: "bad news counts as well", devices: [record(1, state: "noncompliant")],
            state: .noncompliant),
    ]

    @Test("row 8: what else the owner has decides whether there is a match", arguments: others)
    func counted(_ others: Others) async throws {
        let verdict = try await house(devices: others.devices).verdict()
        #expect(verdict?.state == others.state, "\(others.name)")
        #expect(verdict?.matchStrength ?? .weak == .weak)
    }

    @Test("row 8: a pinned id goes first, and one that contradicts the record finds nothing")
    func pinned() async throws {
        let known = try await house(
            ids: ["intune_device_id": .string(GraphFake.id(2))],
            devices: [Self.record(1), Self.record(2, user: "bob", state: "noncompliant")])
        #expect(await known.verdict()?.state == .noncompliant)
        #expect(await known.verdict()?.matchStrength == .strong)
        let other = try await house(ids: ["serial": "SN-OWN"], devices: [Self.record(1, serial: "SN-A")])
        #expect(await other.verdict()?.state == .notFound, "the record is of another serial number")
    }

    @Test(
        "rows 3 and 8: a serial number that board makers leave behind names nothing and contradicts nothing",
        arguments: ["", "To Be Filled By O.E.M.", "Default string", "0", "none", "System Serial Number"])
    func placeholders(_ serial: String) async throws {
        let house = try await house(
            ids: ["serial": .string(serial)], devices: [Self.record(1, serial: serial)])
        #expect(await house.verdict()?.matchKey == "owner", "not matched by \(serial)")
        let two = try await self.house(
            ids: ["serial": .string(serial)],
            devices: [Self.record(1, serial: serial), Self.record(2, user: "bob", serial: serial)])
        #expect(await two.verdict()?.nativeID == GraphFake.id(1))
    }

    @Test("row 8: nobody borrows the verdict of a device that is known here, or was revoked")
    func borrowed() async throws {
        let house = try await house()
        let own = try await house.setting.enroll(["intune_device_id": .string(GraphFake.id(1))])
        #expect(await house.verdict() == nil, "the person's only managed device is another one")
        #expect(await house.verdict(of: own.deviceID)?.matchStrength == .strong)
        #expect(try await house.setting.service.revoke(deviceID: own.deviceID))
        #expect(await house.verdict() == nil, "the record was a revoked device's")
    }

    @Test("row 8: a person whose second device is known here has none that could be told from it")
    func second() async throws {
        let house = try await house(devices: [Self.record(1), Self.record(2)])
        _ = try await house.setting.enroll(["intune_device_id": .string(GraphFake.id(1))])
        #expect(await house.verdict()?.state == .ambiguous)
    }

    @Test("row 8: the provider is asked about the owner, and news of the record are news of the device")
    func asked() async throws {
        let house = try await house(devices: [])
        #expect(await house.verdict() == nil)
        house.fake.set { $0.devices = [Self.record(1)] }
        await house.setting.service.priorityFetch(deviceID: house.agent.deviceID)
        #expect(await house.verdict()?.state == .compliant)
        #expect(house.fake.calls.contains { $0.contains("/users/\(Self.person)/managedDevices?") })
        let key = try #require(DeviceKey(.owner, Self.person))
        #expect(await house.setting.service.devices(named: [key]) == [ExactKey(house.agent.deviceID)])
        let stranger = try #require(DeviceKey(.owner, "bob"))
        #expect(await house.setting.service.devices(named: [stranger]).isEmpty)
        #expect(try await house.setting.service.revoke(deviceID: house.agent.deviceID))
        #expect(await house.setting.service.devices(named: [key]).isEmpty)
    }

    @Test("row 8: an owner of whom the provider knows nothing changes nothing that is known")
    func unknownOwner() async throws {
        let house = try await house()
        house.fake.set { $0.devices = [] }
        house.setting.clock.now += 60
        await house.setting.service.priorityFetch(deviceID: house.agent.deviceID)
        #expect(await house.verdict()?.state == .compliant)
        house.setting.clock.now += 14_400
        #expect(await house.verdict()?.isFresh(atSeconds: house.setting.clock.now) == false)
    }
}
