import Access
import Foundation
import JSON
import Testing

@testable import Posture

@Suite("A device of Workspace ONE becomes a verdict")
struct WorkspaceOneMappingTests {
    static let now = Setting.start
    static let connection = ProviderConnection(integration: "uem", provider: "workspace-one")

    /// As the console writes times: no zone.
    static func time(_ seconds: Int64) -> JSONValue { .string(GraphFake.date(seconds).dropLast() + ".120") }

    static func device(_ replaced: [String: JSONValue?] = [:]) -> JSONValue {
        var device: JSONObject = [
            "Id": ["Value": 4_711], "SerialNumber": "C02XYZ", "MacAddress": "7C214A0B1C2D",
            "Udid": "00008110-0000",
            "EnrollmentStatus": "Enrolled", "ComplianceStatus": "Compliant", "CompromisedStatus": false,
            "LastSeen": time(now - 60), "LastComplianceCheckOn": time(now - 600), "Ownership": "E",
        ]
        for (name, value) in replaced { device[name] = value }
        return .object(device)
    }

    static func verdict(_ replaced: [String: JSONValue?] = [:], zone: String = "UTC") throws -> Verdict {
        let zone = try #require(TimeZone(identifier: zone))
        return try #require(WorkspaceOneDevice(device(replaced), zone: zone))
            .record(of: connection, nowSeconds: now).verdict
    }

    struct Row: Sendable {
        var enrollment: JSONValue = "Enrolled"
        var compliance: JSONValue = "Compliant"
        var compromised: JSONValue = false
        var state: Verdict.State
    }

    static let rows: [Row] = [
        Row(state: .compliant), Row(enrollment: "ENROLLED", compliance: "compliant", state: .compliant),
        Row(compliance: "NonCompliant", state: .noncompliant),
        Row(compliance: "NotAvailable", state: .unknown),
        Row(compliance: "Compliantish", state: .unknown), Row(compliance: .null, state: .unknown),
        Row(compromised: true, state: .noncompliant),
        Row(enrollment: "Unenrolled", compromised: true, state: .noncompliant),
        Row(compromised: .null, state: .unknown), Row(compromised: "false", state: .unknown),
        Row(compliance: "NonCompliant", compromised: .null, state: .noncompliant),
        Row(enrollment: "Unenrolled", state: .notManaged),
        Row(enrollment: "EnterpriseWipePending", state: .notManaged),
        Row(enrollment: "DeviceWipePending", state: .notManaged),
        Row(enrollment: "Discovered", state: .unknown),
        Row(enrollment: "Registered", state: .unknown), Row(enrollment: .null, state: .unknown),
    ]

    @Test(
        "compliant is enrolled, compliant and known not to be compromised; nothing else is", arguments: rows)
    func states(_ row: Row) throws {
        let verdict = try Self.verdict([
            "EnrollmentStatus": row.enrollment, "ComplianceStatus": row.compliance,
            "CompromisedStatus": row.compromised,
        ])
        #expect(verdict.state == row.state)
        #expect(verdict.labels.contains("compromised") == (row.compromised == true))
    }

    @Test("seen within a day: a second less is fresh, exactly a day and the future are not") func age() throws
    {
        for (age, isFresh) in [
            (86_399, true), (86_400, false), (-300, true), (-301, false),
        ] as [(Int64, Bool)] {
            #expect(
                try Self.verdict(["LastSeen": Self.time(Self.now - age)]).isFresh(atSeconds: Self.now)
                    == isFresh,
                "\(age)")
        }
    }

    @Test("the year 1, null and nonsense mean: never seen") func never() throws {
        for value: JSONValue in ["0001-01-01T00:00:00.000", "0001-01-01T00:00:00", .null, "never", 5] {
            let verdict = try Self.verdict(["LastSeen": value])
            #expect(verdict.observedAtSeconds == 0 && !verdict.isFresh(atSeconds: Self.now))
        }
    }

    @Test("times are in the console's zone, with its summer; a zone in the text counts first") func zones()
        throws
    {
        // 2025-07-01T12:00:00Z and 2026-01-01T12:00:00Z.
        let table: [(String, String, Int64)] = [
            ("UTC", "2025-07-01T12:00:00.000", 1_751_371_200),
            ("Europe/Berlin", "2025-07-01T14:00:00.000", 1_751_371_200),
            ("Europe/Berlin", "2026-01-01T13:00:00", 1_767_268_800),
            ("America/New_York", "2026-01-01T07:00:00", 1_767_268_800),
            ("America/New_York", "2026-01-01T12:00:00Z", 1_767_268_800),
        ]
        for (zone, text, seconds) in table {
            #expect(
                try Self.verdict(["LastComplianceCheckOn": .string(text)], zone: zone).assessedAtSeconds
                    == seconds)
        }
    }

    @Test("serial, UDID in the form of a UUID, and MAC name the device; ownership is a label") func keys()
        throws
    {
        #expect(try Self.verdict().matchKey == "mac=7c214a0b1c2d;serial=C02XYZ")
        #expect(
            try Self.verdict(["Udid": "4C4C4544-0000-4000-8000-000000000001"]).matchKey
                == "hardware-uuid=4c4c4544-0000-4000-8000-000000000001;mac=7c214a0b1c2d;serial=C02XYZ")
        for (letter, label) in [("C", "company"), ("e", "personal"), ("S", "shared")] {
            #expect(try Self.verdict(["Ownership": .string(letter)]).labels == [label, "enrolled"].sorted())
        }
        #expect(try Self.verdict(["Ownership": "U"]).labels == ["enrolled"])
    }

    @Test("a person reads what to do: enrol, sync, the failed policies, a broken device") func remedies()
        throws
    {
        #expect(try Self.verdict().remedies.isEmpty)
        #expect(try Self.verdict(["EnrollmentStatus": "Unenrolled"]).remedies[0].contains("enrol it"))
        #expect(try Self.verdict(["ComplianceStatus": "NotAvailable"]).remedies[0].contains("not evaluated"))
        #expect(try Self.verdict(["CompromisedStatus": true]).remedies[0].contains("jailbroken"))
        let failed = try Self.verdict([
            "ComplianceStatus": "NonCompliant",
            "ComplianceSummary": [
                "DeviceCompliance": [
                    ["CompliantStatus": false, "PolicyName": "Encryption"],
                    ["CompliantStatus": true, "PolicyName": "Passcode"],
                ]
            ],
        ]).remedies[0]
        #expect(failed.contains("It asks for: Encryption.") && !failed.contains("Passcode"))
    }
}
