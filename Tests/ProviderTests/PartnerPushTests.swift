import Access
import JSON
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Partner compliance: UEM tells Microsoft, and the gateway reads what the directory says then")
struct PartnerPushTests {
    let lab: GraphLab
    let entra: any Connector

    init() throws {
        lab = try GraphLab()
        entra = try lab.connector("entra")
    }

    /// What the directory says of Alice's device now.
    private func alice() async throws -> Verdict {
        let key = try #require(DeviceKey(.entra, GraphLab.alice))
        guard case .records(let found) = await entra.fetch([key]) else { throw NoAnswer() }
        return try #require(found.first?.verdict)
    }

    private struct NoAnswer: Error {}

    /// UEM's console.
    private func say(_ members: JSONObject) throws {
        let answer = try LabClient(port: lab.lab.servers[3].port).send(
            "POST", "/workspace-one/lab/devices/alice-laptop", body: JSONValue.object(members).serialized())
        try #require(answer.status == 200)
    }

    private func push(_ body: JSONValue, _ method: String = "POST") throws -> Int {
        try LabClient(port: lab.lab.servers[3].port)
            .send(method, "/workspace-one/lab/partner-push", body: method == "POST" ? body.serialized() : [])
            .status
    }

    @Test("001.3 it counts after the partner's delay to the second, whatever Intune says of the device")
    func delay() async throws {
        try say(["ComplianceStatus": "NonCompliant"])
        #expect(try await alice().state == .compliant, "UEM alone says nothing to the directory")
        #expect(try push(["device": "alice-laptop", "afterSeconds": 900]) == 200)
        lab.clock.now += 899
        #expect(try await alice().state == .compliant)
        lab.clock.now += 1
        let verdict = try await alice()
        #expect(verdict.state == .noncompliant && verdict.isManaged == true)
        // Each provider's word is kept apart.
        let intune = try lab.connector("intune")
        let key = try #require(DeviceKey(.entra, GraphLab.alice))
        guard case .records(let found) = await intune.fetch([key]) else { throw NoAnswer() }
        #expect(found.first?.verdict.state == .compliant)
        // And back, at once.
        try say(["ComplianceStatus": "Compliant"])
        #expect(try push(["device": "alice-laptop", "directoryDevice": .string(GraphLab.alice)]) == 200)
        #expect(try await alice().state == .compliant)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var record: JSONObject
        var state: Verdict.State
        var isManaged: Bool
        init(_ name: String, _ record: JSONObject, _ state: Verdict.State, isManaged: Bool = true) {
            (testDescription, self.record, self.state, self.isManaged) = (name, record, state, isManaged)
        }
    }

    static let rows: [Row] = [
        Row("compliant", [:], .compliant), Row("not", ["ComplianceStatus": "NonCompliant"], .noncompliant),
        Row("compromised", ["CompromisedStatus": true], .noncompliant),
        Row("not judged", ["ComplianceStatus": "NotAvailable"], .unknown),
        Row("a word that nobody knows", ["ComplianceStatus": "somethingNew"], .unknown),
        Row("no longer enrolled", ["EnrollmentStatus": "Unenrolled"], .noncompliant, isManaged: false),
    ]

    @Test("managed and compliant are told apart, and nothing is made up", arguments: rows)
    func words(_ row: Row) async throws {
        try say(row.record)
        #expect(try push(["device": "alice-laptop"]) == 200)
        let verdict = try await alice()
        #expect(verdict.state == row.state && verdict.isManaged == row.isManaged)
    }

    @Test("what was said last stands in the end, however it was delayed; and a delta tells it once")
    func order() async throws {
        let service = try await lab.service(entra, store: try GraphLab.store())
        await service.refreshDue()
        func state() async -> Verdict.State? {
            await service.deviceFacts(id: "device-1", statement: nil)?.verdicts.first?.state
        }
        #expect(await state() == .compliant)
        try say(["ComplianceStatus": "NonCompliant"])
        #expect(try push(["device": "alice-laptop", "afterSeconds": 1_000]) == 200)
        try say(["ComplianceStatus": "Compliant"])
        #expect(try push(["device": "alice-laptop", "afterSeconds": 1_000]) == 200)
        try say(["ComplianceStatus": "NonCompliant"])
        #expect(try push(["device": "alice-laptop", "afterSeconds": 3_000]) == 200)
        for expected in [Verdict.State.compliant, .noncompliant] {
            lab.clock.now += 1_800
            await service.refreshDue()
            #expect(await state() == expected)
        }
        #expect(lab.graph.directory.withLock { $0.baselines } == 1)
    }

    static let refusals: [(JSONValue, Int)] = [
        (["device": "mallory-laptop"], 404),
        (["device": "alice-laptop", "directoryDevice": "9d3e2c10-0000-4f0e-8f30-2b9b8a7c6d5e"], 404),
        (["device": "alice-laptop", "afterSeconds": -1], 400),
        (["device": "alice-laptop", "afterSeconds": .integer(PartnerPush.delaySecondsMax + 1)], 400),
        (["device": "alice-laptop", "afterSeconds": "soon"], 400), (["afterSeconds": 1], 400),
        (["device": 7], 400), ([], 400),
    ]

    @Test("what cannot be told is refused, and the directory stays as it was")
    func refused() async throws {
        try say(["ComplianceStatus": "NonCompliant"])
        for (body, status) in Self.refusals {
            #expect(try push(body) == status, "\(body.serializedText())")
        }
        #expect(try push([:], "GET") == 400)
        lab.clock.now += PartnerPush.delaySecondsMax + 2
        #expect(try await alice().state == .compliant)
        #expect(
            try push(["device": "alice-laptop", "afterSeconds": .integer(PartnerPush.delaySecondsMax)]) == 200
        )
        // Removed from the directory before the word arrives: it does not come back.
        _ = lab.graph.directory.withLock { $0.remove(GraphLab.alice, reason: "deleted") }
        lab.clock.now += PartnerPush.delaySecondsMax
        let key = try #require(DeviceKey(.entra, GraphLab.alice))
        guard case .records(let found) = await entra.fetch([key]) else { throw NoAnswer() }
        #expect(found.isEmpty)
    }
}
