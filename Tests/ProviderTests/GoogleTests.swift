import Access
import JSON
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Google endpoint verification: approved and not compromised")
struct GoogleTests {
    static let mappings: [MappingCase] = [
        .init("approved", [:], .compliant, label: "company"),
        .init("the other spelling of not compromised", ["compromisedState": "NOT_COMPROMISED"], .compliant),
        .init("compromised", ["compromisedState": "COMPROMISED"], .noncompliant),
        .init(
            "not said whether compromised", ["compromisedState": "COMPROMISED_STATE_UNSPECIFIED"], .unknown),
        .init("blocked", ["managementState": "BLOCKED"], .noncompliant),
        .init("being wiped", ["managementState": "WIPING"], .noncompliant),
        .init("wiped", ["managementState": "WIPED"], .noncompliant),
        .init("pending", ["managementState": "PENDING"], .unknown),
        .init("not provisioned", ["managementState": "UNPROVISIONED"], .notManaged),
        .init("not specified", ["managementState": "MANAGEMENT_STATE_UNSPECIFIED"], .unknown),
        .init("somebody's own", ["ownerType": "BYOD"], .compliant, label: "personal"),
        .init("encryption is a label", ["encryptionState": "NOT_ENCRYPTED"], .compliant),
    ]

    @Test("each answer has its state", arguments: mappings) func states(_ row: MappingCase) async throws {
        try await row.check(.google)
    }

    @Test(
        "another administrator, account or key gets no token",
        arguments: ["service-account.email", "service-account.admin"])
    func refused(_ key: String) async throws {
        let fixture = try VendorFixture(.google)
        let failure = await (try fixture.connector([key: "mallory@corp.example"])).probe()
        #expect(failure?.kind == .authFailed && failure?.what.contains("invalid_grant") == true)
    }

    @Test("a key that is none is no configuration") func badKey() throws {
        let fixture = try VendorFixture(.google)
        var connection = fixture.connection()
        connection.secrets["service-account.key"] = "x"
        let parts = ConnectorParts(fetcher: fixture.fetcher, clock: fixture.clock.posture, random: { 0.5 })
        #expect(throws: ConnectorFailure.self) { try Vendor.connector(connection, parts) }
    }
}
