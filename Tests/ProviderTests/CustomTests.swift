import Access
import JSON
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

extension VendorFixture.Setup {
    static let custom = VendorFixture.Setup(
        name: "custom", texts: { ["api-url": $0 + "/evaluate"] },
        secrets: ["api-token": gatepost_lab.Custom.token])
}

@Suite("A posture service of one's own: we say which devices, it says a score")
struct CustomTests {
    static func device(_ id: String = "device-1", serial: String = VendorFixture.serial) throws -> KnownDevice
    {
        KnownDevice(id: id, email: "alice@corp.example", keys: [try #require(DeviceKey(.serial, serial))])
    }

    private func answer(
        _ members: JSONObject, _ texts: [String: String] = [:]
    ) async throws -> (DeviceAnswer, VendorFixture) {
        let fixture = try VendorFixture(.custom)
        fixture.change(members)
        return (await (try fixture.connector(texts)).fetch(try Self.device()), fixture)
    }

    private func verdict(_ members: JSONObject, _ texts: [String: String] = [:]) async throws -> Verdict? {
        guard case .records(let found) = try await answer(members, texts).0 else { return nil }
        return found.first?.verdict
    }

    struct Row: Sendable {
        var members: JSONObject
        var limit: String?
        var state: Verdict.State
    }

    static let rows: [Row] = [
        Row(members: ["score": 100], state: .compliant), Row(members: ["score": 99], state: .noncompliant),
        Row(members: ["score": 0], state: .noncompliant),
        Row(members: ["score": 0], limit: "0", state: .compliant),
        Row(members: ["score": 80], limit: "80", state: .compliant),
        Row(members: ["score": 79], limit: "80", state: .noncompliant),
        Row(members: ["score": 5, "state": "compliant"], state: .compliant),
        Row(members: ["score": 100, "state": "noncompliant"], state: .noncompliant),
        Row(members: ["score": 100, "state": "not_managed"], state: .notManaged),
        Row(members: ["score": 100, "state": "error"], state: .error),
        Row(members: ["score": 100, "state": "somethingNew"], state: .unknown),
        Row(members: ["score": 100, "state": 1], state: .unknown),
    ]

    @Test("001.23 the score against the limit, or the service's own word", arguments: rows)
    func states(_ row: Row) async throws {
        let verdict = try #require(
            await verdict(row.members, row.limit.map { ["compliant-score": $0] } ?? [:]))
        #expect(verdict.state == row.state)
        #expect(verdict.score?.value == row.members["score"]?.integer && verdict.score?.maximum == 100)
    }

    @Test(
        "a score that is none is malformed for this device only: what was known stays",
        arguments: [JSONValue.integer(101), -1, 50.5, "80", .null, .bool(true), []])
    func badScore(_ score: JSONValue) async throws {
        let (answer, fixture) = try await answer(["score": score])
        guard case .failed(let failure) = answer else {
            Issue.record("\(score) was taken for a score")
            return
        }
        #expect(failure.kind == .malformedResponse)
        let known = [try Self.device(), try Self.device("device-2", serial: "LAB-BOB-0001")]
        let result = await (try fixture.connector()).sync(known: known)
        #expect(result.records.map(\.verdict.nativeID) == ["device-2"])
        #expect(result.failure?.kind == .malformedResponse && !result.isComplete)
    }

    @Test("a device that is not in the answer is not found; one that nobody asked for is nobody's")
    func missing() async throws {
        let fixture = try VendorFixture(.custom)
        let known = [try Self.device(), try Self.device("device-9", serial: "NOBODY")]
        let result = await (try fixture.connector()).sync(known: known)
        #expect(result.records.map(\.verdict.state) == [.compliant, .notFound] && result.failure == nil)
    }

    @Test(
        "a life that the service names is the longest; what is no life is none",
        arguments: [(60, 60), (3_600, 3_600), (3_601, 3_600), (0, 0), (-1, 0), ("x", 0)]
            as [(JSONValue, Int64)])
    func life(_ expires: JSONValue, _ seconds: Int64) async throws {
        let verdict = try #require(await verdict(["expires_in": expires]))
        #expect(verdict.expiresAtSeconds - verdict.fetchedAtSeconds == seconds)
    }

    @Test("reasons are shown to the person") func reasons() async throws {
        let verdict = try #require(await verdict(["score": 10, "reasons": ["disk not encrypted", 5]]))
        #expect(verdict.remedies == ["it says: disk not encrypted."])
    }

    @Test(
        "at most 1,000 devices in one question: exactly that many, and one more",
        arguments: [(1_000, 1), (1_001, 2)])
    func batches(_ devices: Int, _ calls: Int) async throws {
        let fixture = try VendorFixture(.custom)
        let known = try (0..<devices).map { try Self.device("device-\($0)", serial: "S\($0)") }
        let result = await (try fixture.connector()).sync(known: known)
        #expect(result.records.count == devices && fixture.calls("evaluate") == calls)
    }

    @Test("what is said of a device is its id, its owner's address and its serial number, the rest blank")
    func request() throws {
        #expect(
            EvaluationRequest([try Self.device()]).body == [
                "devices": [
                    [
                        "device_id": "device-1", "email": "alice@corp.example",
                        "serial_number": "LAB-ALICE-0001",
                        "mac_address": "", "virtual_ipv4": "", "hostname": "",
                    ]
                ]
            ])
    }

    @Test(
        "a fault teaches nothing",
        arguments: [
            VendorFault.malformed, .truncated, .htmlAnswer, .serverError, .down, .missingScope,
            .revokedSecret,
        ])
    func faults(_ fault: VendorFault) async throws {
        let fixture = try VendorFixture(.custom)
        fixture.emulator.faults.activate(fault)
        let connector = try fixture.connector()
        guard case .failed = await connector.fetch(try Self.device()) else {
            Issue.record("\(fault) was an answer")
            return
        }
        #expect(await connector.probe() != nil)
        #expect(await connector.sync(known: [try Self.device()]).records.isEmpty)
    }

    @Test(
        "001.23 an enrolled device gets its verdict from it, and a worse one when the score falls"
    )
    func service() async throws {
        let fixture = try VendorFixture(.custom)
        let store = try GraphLab.store()
        let service = try await ServiceSetting.service(
            try fixture.connector(), store: store, clock: fixture.clock,
            pinned: ["serial": VendorFixture.serial])
        await service.refreshDue()
        #expect(
            await service.deviceFacts(id: "device-1", statement: nil)?.verdicts.first?.state == .compliant)
        fixture.change(["score": 12])
        fixture.clock.now += 900
        await service.refreshDue()
        #expect(
            await service.deviceFacts(id: "device-1", statement: nil)?.verdicts.first?.state == .noncompliant)
    }
}
