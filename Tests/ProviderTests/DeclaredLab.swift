import Access
import JSON
import Signatures
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

extension VendorFixture.Setup {
    static let jamf = VendorFixture.Setup(
        name: "jamf", texts: ["client-id": gatepost_lab.Jamf.clientID].at("base-url"),
        secrets: ["client-secret": gatepost_lab.Jamf.clientSecret])
    static let sentinelOne = VendorFixture.Setup(
        name: "sentinelone", texts: [:].at("console-url"),
        secrets: ["api-token": gatepost_lab.SentinelOne.token])
    static let kolide = VendorFixture.Setup(
        name: "kolide", texts: [:].at("base-url"), secrets: ["api-token": gatepost_lab.Kolide.token])
    static let kandji = VendorFixture.Setup(
        name: "kandji", texts: [:].at("api-url"), secrets: ["api-token": gatepost_lab.Kandji.token])
    static let fleet = VendorFixture.Setup(
        name: "fleet", texts: [:].at("base-url"), secrets: ["api-token": gatepost_lab.Fleet.token])
    static let google = VendorFixture.Setup(
        name: "google",
        texts: { address in
            [
                "service-account.email": gatepost_lab.GoogleDevices.account,
                "service-account.admin": gatepost_lab.GoogleDevices.admin, "base-url": address,
                "token-url": address + "/token",
            ]
        }, secrets: ["service-account.key": googleKey])

    /// One pair for the whole run; the lab knows its public half.
    static let googleKey: String = {
        guard let pair = try? GraphLab.certificate(), let certificate = try? Certificate(pem: pair.chain)
        else {
            return ""
        }
        gatepost_lab.GoogleDevices.registered.withLock { $0 = certificate.publicKey }
        return String(decoding: pair.key, as: UTF8.self)
    }()

    static let declared: [VendorFixture.Setup] = [.jamf, .sentinelOne, .kolide, .kandji, .google, .fleet]
}

extension [String: String] {
    /// These texts, and the emulator's address under a further name.
    func at(_ name: String) -> @Sendable (String) -> [String: String] {
        { address in merging([name: address]) { $1 } }
    }
}

extension VendorFixture {
    static let serial = "LAB-ALICE-0001"

    /// What the connector says of Alice's device after these members were changed at the vendor.
    func alice(_ members: JSONObject = [:], _ replaced: [String: String] = [:]) async throws -> Verdict? {
        change(members)
        let key = try #require(DeviceKey(.serial, Self.serial))
        guard case .records(let found) = await (try connector(replaced)).fetch([key]) else { return nil }
        return found.first?.verdict
    }
}

/// One row of a mapping table: what the vendor says, and what that is in our words.
struct MappingCase: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var members: JSONObject
    var texts: [String: String]
    var state: Verdict.State
    var label: String?

    init(
        _ name: String, _ members: JSONObject, _ state: Verdict.State, texts: [String: String] = [:],
        label: String? = nil
    ) {
        testDescription = name
        self.members = members
        self.texts = texts
        self.state = state
        self.label = label
    }

    /// Holds the row against a vendor's emulator.
    func check(_ setup: VendorFixture.Setup) async throws {
        let fixture = try VendorFixture(setup)
        let verdict = try #require(await fixture.alice(members, texts))
        #expect(verdict.state == state, "\(verdict.rawState)")
        #expect(verdict.labels.contains("compliant") == (state == .compliant || state == .grace))
        #expect(state == .compliant || !verdict.remedies.isEmpty, "a refused person reads what to do")
        if let label { #expect(verdict.labels.contains(label), "\(verdict.labels)") }
    }
}
