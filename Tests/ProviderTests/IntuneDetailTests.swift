import Access
import JSON
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Intune's settings and partners, against the lab's Graph")
struct IntuneDetailTests {
    static let bob = "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c12"
    static let alice = "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"
    let lab: GraphLab
    let connector: any Connector

    init() throws {
        lab = try GraphLab()
        connector = try lab.connector("intune")
    }

    private func verdict(_ id: String) async throws -> Verdict {
        let key = try #require(DeviceKey(.intune, id))
        guard case .records(let found) = await connector.fetch([key]) else { throw LabFailure.noAnswer }
        return try #require(found.first).verdict
    }

    enum LabFailure: Error { case noAnswer }

    @Test("002.13 a refused person reads which setting failed") func settings() async throws {
        let refused = try await verdict(Self.bob)
        #expect(refused.state == .noncompliant)
        #expect(refused.remedies.last == "Microsoft Intune asks for: Require a password.")
        #expect(
            refused.checks.map(\.title) == ["Require a password", "Require encryption", "Office baseline"])
        #expect(refused.checks.map(\.state) == [.fail, .pass, .fail])
        #expect(try await verdict(Self.alice).remedies.isEmpty, "nothing failed, so nothing is asked")
    }

    @Test("002.16 without the permission for settings the state is the same, and the permission is named")
    func refusedSettings() async throws {
        lab.graph.faults.activate(.missingSettingScope)
        let verdict = try await verdict(Self.bob)
        #expect(verdict.state == .noncompliant && verdict.remedies.count == 1)
        #expect(await connector.status().missingPermissions == [IntuneSettings.permission])
        lab.graph.faults.clear()
        _ = try await self.verdict(Self.bob)
        #expect(await connector.status().missingPermissions.isEmpty)
    }

    @Test(
        "settings that cannot be read say nothing",
        arguments: [
            "{}", #"{"value": 1}"#, #"{"value": [{"settingStates": "x"}]}"#,
            #"{"value": [{"settingStates": [{"settingName": "A", "state": "compliant"}]}]}"#,
            #"{"value": [{"settingStates": [{"settingName": "A", "state": "somethingNew"}]}]}"#,
            #"{"value": [{"settingStates": [{"settingName": "", "state": "error"}]}]}"#,
        ])
    func nonsense(_ text: String) throws {
        #expect(IntuneSettings.failed(try JSONValue(parsing: Array(text.utf8))).isEmpty)
    }

    @Test("five settings are named, the sixth is counted", arguments: [(5, ""), (6, " and 1 more")])
    func many(_ count: Int, _ tail: String) {
        let states = (0..<count).map {
            JSONValue.object(["settingName": .string("S\($0)"), "state": "nonCompliant"])
        }
        let sentence = IntuneSettings.failed(["value": [["settingStates": .array(states)]]])
        #expect(sentence == ["Microsoft Intune asks for: S0, S1, S2, S3, S4\(tail)."])
    }

    @Test(
        "002.13 each word for a setting has its state; of two policies the worse one counts",
        arguments: [
            (["compliant"], .pass), (["remediated"], .pass), (["nonCompliant"], .fail), (["error"], .fail),
            (["conflict"], .fail), (["notApplicable"], .notApplicable), (["notAssigned"], .notApplicable),
            (["unknown"], .unknown), (["somethingNew"], .unknown), (["compliant", "nonCompliant"], .fail),
            (["nonCompliant", "compliant"], .fail), (["notApplicable", "compliant"], .pass),
        ] as [([String], Verdict.Check.State)])
    func settingStates(_ words: [String], _ state: Verdict.Check.State) {
        let policies = words.map { word -> JSONValue in
            ["settingStates": [["setting": "A", "settingName": "Title", "state": .string(word)]]]
        }
        let checks = IntuneSettings.checks(["value": .array(policies)])
        #expect(checks == [Verdict.Check(id: "A", title: "Title", state: state)])
    }

    @Test("001.17 001.12 Intune's integration shows the partners, too") func partners() async throws {
        lab.graph.directory.withLock { $0.partners = [EntraTests.partner("unresponsive"), ["id": ""], "x"] }
        #expect(await connector.probe() == nil)
        let partners = await connector.status().partners
        #expect(partners.count == 1 && partners[0].hint?.hasPrefix("partner out of sync") == true)
    }
}
