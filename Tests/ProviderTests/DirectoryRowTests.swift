import Access
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("What the directory and Intune say of one device, side by side")
struct DirectoryRowTests {
    let lab: GraphLab
    init() throws { lab = try GraphLab() }

    private func service() async throws -> PostureService {
        let store = try GraphLab.store()
        try await store.upsert(
            StoredDevice(
                id: "device-1", ownerIssuer: "https://issuer.example", ownerSubject: "alice",
                ownerEmail: "alice@corp.example", platform: .windows, keyThumbprint: "thumbprint",
                certificateSerial: "01", enrolledAtSeconds: lab.clock.now,
                certificateNotAfterSeconds: lab.clock.now + 86_400,
                pinnedIDs: ["entra-device-id": GraphLab.alice]))
        let service = try PostureService(
            agents: [], providers: [lab.connection("intune"), lab.connection("entra")], ring: .ephemeral(),
            store: store, fetcher: lab.fetcher, clock: lab.clock.posture, random: { 0.5 })
        try await service.load()
        for name in ["intune", "entra"] { _ = await service.reconnect(integration: name) }
        return service
    }

    private func verdicts(_ service: PostureService) async throws -> [String: Verdict] {
        let facts = try #require(await service.deviceFacts(id: "device-1", statement: nil))
        return Dictionary(facts.verdicts.map { ($0.integration, $0) }) { first, _ in first }
    }

    @Test("001.10 the id of a Windows join finds the device in the directory and in Intune, strongly")
    func join()
        async throws
    {
        let verdicts = try await verdicts(try await service())
        for name in ["intune", "entra"] {
            let verdict = try #require(verdicts[name])
            #expect(verdict.state == .compliant && verdict.matchKey == "entra-device-id")
            #expect(verdict.matchStrength == .strong)
        }
    }

    @Test("002.9 both states are kept apart, with the threat that a partner reported") func apart()
        async throws
    {
        try lab.control(
            "POST", "devices/alice-laptop",
            ["complianceState": "compliant", "partnerReportedThreatState": "highSeverity"])
        _ = lab.graph.directory.withLock { $0.change(GraphLab.alice, ["isCompliant": false]) }
        let verdicts = try await verdicts(try await service())
        #expect(verdicts["intune"]?.state == .compliant && verdicts["intune"]?.risk == .high)
        #expect(verdicts["intune"]?.labels.contains("threat:highSeverity") == true)
        #expect(verdicts["entra"]?.state == .noncompliant && verdicts["entra"]?.risk == nil)
    }

    @Test(
        "002.19 what Configuration Manager keeps is delegated, with its own words; the directory's state stands beside it"
    )
    func delegated() async throws {
        try lab.control("POST", "devices/alice-laptop", ["complianceState": "configManager"])
        _ = lab.graph.directory.withLock { $0.change(GraphLab.alice, ["isCompliant": true]) }
        let verdicts = try await verdicts(try await service())
        #expect(verdicts["intune"]?.state == .delegated && verdicts["intune"]?.rawState == "configManager")
        #expect(verdicts["intune"]?.labels.contains("compliant") == false)
        #expect(verdicts["intune"]?.remedies.first?.contains("Software Center") == true)
        #expect(verdicts["entra"]?.state == .compliant)
    }

    @Test(
        "002.12 a person's own devices are asked for by what names the person, and by nothing that could be a path"
    )
    func ofPerson() async throws {
        let service = try await service()
        let upn = try #require(
            lab.graph.state.withLock { $0.devices[0].members["userPrincipalName"]?.string })
        let own = try await service.devices(ofPerson: upn, integration: "intune")
        #expect(!own.isEmpty && own.count < 5)
        #expect(own.allSatisfy { $0.integration == "intune" })
        #expect(try await service.devices(ofPerson: "nobody@corp.example", integration: "intune").isEmpty)
        #expect(try await service.devices(ofPerson: "x/../../devices", integration: "intune").isEmpty)
        for (person, name) in [
            ("", "intune"), (".", "intune"), ("..", "intune"), ("a b", "intune"), (upn, "entra"),
            (upn, "nobody"),
        ] {
            await #expect(throws: ConnectorFailure.self) {
                try await service.devices(ofPerson: person, integration: name)
            }
        }
        #expect(service.ownerAttribute(integration: "intune") == "email")
        #expect(service.ownerAttribute(integration: "entra") == nil)
    }

    @Test("002.10 every managed device is listed with its state, proven complete") func list() async throws {
        try lab.control("POST", "devices/bob-laptop", ["complianceState": "noncompliant"])
        let result = await (try lab.connector("intune")).sync()
        #expect(result.isComplete)
        let states = Set(result.records.map(\.verdict.rawState))
        #expect(states.isSuperset(of: ["compliant", "noncompliant"]) && result.records.count == 5)
    }

    @Test(
        "001.4 a device that nobody knows is explained with licence and assignment",
        arguments: ["intune", "entra"])
    func unknownDevice(_ name: String) async throws {
        let service = try await service()
        _ = lab.graph.directory.withLock { $0.remove(GraphLab.aliceObject, reason: "deleted") }
        lab.graph.state.withLock { $0.devices.removeAll { $0.members["deviceName"] == "alice-laptop" } }
        lab.clock.now += 1
        _ = await service.reconnect(integration: name)
        let verdict = try #require(try await verdicts(service)[name])
        #expect(verdict.state == .notFound)
        for word in ["licence", "assignment", "administrator"] {
            #expect(verdict.remedies.contains { $0.contains(word) }, "\(word)")
        }
    }

    @Test(
        "003.1 000.1 000.14 Intune's labels and the agent's facts decide together, on Windows and on macOS",
        arguments: [Platform.windows, .macos])
    func together(_ platform: Platform) async throws {
        let service = try await service()
        let policy = DevicePolicy(
            name: "good", platform: platform, priority: 10,
            rules: [
                .tags(integration: "intune", matchesAll: true, values: ["compliant", "registered"]),
                .agentFact(integration: "agents", name: "disk-encryption", values: [.flag(true)]),
            ], result: .compliant, onUnknown: .cap)
        let snapshot = PolicySnapshot(
            identity: "", devicePolicies: [policy], deviceDefaultNoMatch: .partial,
            deviceDefaultUnsupported: .partial, applications: [])
        func deviceClass(encrypted: Bool) async throws -> DeviceClass {
            let statement = AgentStatement(
                integration: "agents", verifiedAtSeconds: lab.clock.now,
                expiresAtSeconds: lab.clock.now + 900, lastSeenSeconds: lab.clock.now, isManaged: true,
                keyLevel: .software, agentVersion: "1.0.0", osVersion: "12",
                facts: ["disk-encryption": .flag(encrypted)])
            var facts = try #require(await service.deviceFacts(id: "device-1", statement: statement))
            facts.platform = platform
            return snapshot.deviceResult(
                of: facts, for: nil, owner: .any, atSeconds: lab.clock.now, recordingLines: false
            ).deviceClass
        }
        #expect(try await deviceClass(encrypted: true) == .compliant)
        #expect(try await deviceClass(encrypted: false) == .partial)
        try lab.control("POST", "devices/alice-laptop", ["complianceState": "noncompliant"])
        lab.clock.now += 2
        await service.priorityFetch(deviceID: "device-1")
        #expect(try await deviceClass(encrypted: true) == .partial)
    }

    @Test("000.10 on an integration that is pending nothing is decided: neither compliant nor non-compliant")
    func pending()
        async throws
    {
        lab.graph.consent.withLock { $0.roles = [] }
        let service = try await service()
        #expect(await service.integrationStatus().allSatisfy { $0.state == .pending })
        let facts = try #require(await service.deviceFacts(id: "device-1", statement: nil))
        #expect(facts.verdicts.isEmpty)
        let policy = DevicePolicy(
            name: "good", platform: .windows, priority: 10,
            rules: [.tags(integration: "intune", matchesAll: true, values: ["compliant"])],
            result: .compliant, onUnknown: .cap)
        let snapshot = PolicySnapshot(
            identity: "", devicePolicies: [policy], deviceDefaultNoMatch: .partial,
            deviceDefaultUnsupported: .partial, applications: [])
        let result = snapshot.deviceResult(
            of: facts, for: nil, owner: .any, atSeconds: lab.clock.now, recordingLines: true)
        #expect(result.deviceClass == .partial)
        #expect(result.lines.first { $0.rule == "good.rules[0]" }?.outcome == .indeterminate)
        #expect(snapshot.standing(of: facts, atSeconds: lab.clock.now) == nil)
    }
}
