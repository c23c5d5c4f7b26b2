import Access
import JSON
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Fleet: the critical policies of osquery")
struct FleetTests {
    static func policies(_ rows: (critical: Bool, response: JSONValue)...) -> JSONObject {
        let list = rows.enumerated().map { index, row -> JSONValue in
            [
                "id": .integer(Int64(index)), "name": .string("Policy \(index)"),
                "critical": .bool(row.critical),
                "response": row.response,
            ]
        }
        return ["policies": .array(list)]
    }

    static let mappings: [MappingCase] = [
        .init("critical passes, another fails", [:], .compliant, label: "status:online"),
        .init("critical fails", policies((true, "fail")), .noncompliant),
        .init("one of two critical fails", policies((true, "pass"), (true, "fail")), .noncompliant),
        .init("critical did not run yet", policies((true, "")), .unknown),
        .init("one passed, one did not run yet", policies((true, "pass"), (true, "")), .unknown),
        .init("an answer that is new", policies((true, "perhaps")), .unknown),
        .init("an answer that is none", policies((true, .null)), .unknown),
        .init("no critical policy", policies((false, "fail")), .compliant),
        .init("policies are not said", ["policies": .null], .unknown),
        .init("offline, but seen", ["status": "offline"], .compliant, label: "status:offline"),
        .init("missing", ["status": "missing"], .unknown),
        .init("new", ["status": "new"], .unknown),
        .init("offline, and failing", policies((true, "fail")).with("status", "offline"), .noncompliant),
    ]

    @Test("each answer has its state", arguments: mappings) func states(_ row: MappingCase) async throws {
        try await row.check(.fleet)
    }

    @Test("every policy is a check of its own, also one that does not decide") func checks() async throws {
        let rows = Self.policies((true, "pass"), (false, "fail"), (true, ""), (true, .null))
        let verdict = try #require(await (try VendorFixture(.fleet)).alice(rows))
        #expect(verdict.checks.map(\.title) == ["Policy 0", "Policy 1", "Policy 2", "Policy 3"])
        #expect(verdict.checks.map(\.state) == [.pass, .fail, .unknown, .unknown])
    }

    @Test("a host is looked up by uuid or serial number; the answer of another host's name is refused")
    func identifier() async throws {
        let fixture = try VendorFixture(.fleet)
        let uuid = try #require(DeviceKey(.hardware, "4C4C4544-0000-4000-8000-000000000041"))
        guard case .records(let found) = await (try fixture.connector()).fetch([uuid]) else {
            Issue.record("no answer")
            return
        }
        #expect(found.count == 1)
        fixture.change(["hostname": "HOSTNAME-7"])
        let name = try #require(DeviceKey(.serial, "HOSTNAME-7"))
        guard case .failed(let failure) = await (try fixture.connector()).fetch([name]) else {
            Issue.record("a host that merely has this name was taken")
            return
        }
        #expect(failure.kind == .malformedResponse)
    }
}

extension JSONObject {
    fileprivate func with(_ name: String, _ value: JSONValue) -> JSONObject {
        var changed = self
        changed[name] = value
        return changed
    }
}
