import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

@Suite("What a device key counts for, and enrolments under way")
struct KeyAttestationTests {
    private static func device(
        _ level: AgentStatement.KeyLevel, isMakerKnown: Bool = false
    ) -> StoredDevice {
        StoredDevice(
            id: "d", ownerIssuer: "i", ownerSubject: "s", keyThumbprint: "t", certificateSerial: "1",
            enrolledAtSeconds: 0, certificateNotAfterSeconds: 1, keyLevel: level,
            isChipMakerKnown: isMakerKnown)
    }

    @Test("a statement can say less than was proven and never more") func level() {
        let all = AgentStatement.KeyLevel.allCases
        for (index, proven) in all.enumerated() {
            for (other, stated) in all.enumerated() {
                let level = Self.device(proven).keyLevel(stated: stated, isMakerDemanded: false)
                #expect(level == all[min(index, other)], "\(proven) \(stated)")
            }
        }
    }

    @Test("once makers are demanded, a chip of an unknown one is claimed, a known one stays attested")
    func makers() {
        for (known, expected) in [(false, AgentStatement.KeyLevel.claimed), (true, .attested)] {
            let device = Self.device(.attested, isMakerKnown: known)
            #expect(device.keyLevel(stated: .attested, isMakerDemanded: true) == expected)
            #expect(device.keyLevel(stated: .software, isMakerDemanded: true) == .software)
        }
    }

    @Test("an agent's word alone is a claim at enrolment, and no more than software without it")
    func word() async throws {
        for (word, expected) in [
            ("claimed", AgentStatement.KeyLevel.claimed), ("attested", .software), ("software", .software),
            (nil, .software),
        ] {
            let setting = try Setting()
            var body = JSONObject(
                try EnrollmentTests.request(try await EnrollmentTests.token(setting)).object?.members ?? [])
            if let word { body["key"] = .string(word) }
            _ = try await setting.service.enroll(.object(body))
            #expect(await setting.service.devices().map(\.keyLevel) == [expected])
        }
    }

    @Test("a request that cannot be certified does not cost its token") func badRequest() async throws {
        let setting = try Setting()
        let token = try await EnrollmentTests.token(setting)
        let bodies: [JSONValue] = [
            ["token": .string(token), "csr": "AAAA"],
            ["token": .string(token), "csr": "AAAA", "attestation": [:]],
            ["token": .string(token), "attestation": ["ek": "AAAA", "ak": "AAAA"]],
            ["token": .string(token), "attestation": 7],
        ]
        for body in bodies {
            let reason = await EnrollmentTests.reason { () async throws(PostureRefusal) in
                try await setting.service.enroll(body)
            }
            #expect(reason == .requestMalformed || reason == .attestationInvalid)
        }
        _ = try await setting.service.enroll(try EnrollmentTests.request(token))
    }
}
