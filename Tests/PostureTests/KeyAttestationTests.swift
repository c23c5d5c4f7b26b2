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

    /// An attempt of one token; the key's own numbers do not matter here.
    private static func attempt(_ token: UInt8, ends: Int64 = 300) throws -> AttestationAttempts.Attempt {
        var area = TPMWriter()
        for word in [TPMAlgorithm.ecc, TPMAlgorithm.sha256, 0, 0, 0] { area.append(word) }
        for word in [TPMAlgorithm.null, TPMAlgorithm.null, TPMAlgorithm.curveP256, TPMAlgorithm.null] {
            area.append(word)
        }
        area.appendSized([1])
        area.appendSized([2])
        return AttestationAttempts.Attempt(
            tokenDigest: [token], attestation: try TPMPublicArea(area.bytes), secret: [1], nonce: [2],
            chipID: [3], makerProblem: nil, expiresAtSeconds: ends)
    }

    @Test("attempts count once, four per token, so many in all, and make room when they have ended")
    func attempts() throws {
        var table = AttestationAttempts(countMax: 6)
        for key in UInt8(1)...5 { try table.keep(try Self.attempt(1), as: [key], nowSeconds: 0) }
        #expect(table.count == 4)
        #expect(throws: PostureRefusal.self, "the fifth took its place") {
            try table.take([1], tokenDigest: [1], nowSeconds: 0)
        }
        _ = try table.take([2], tokenDigest: [1], nowSeconds: 299)
        #expect(throws: PostureRefusal.self) { try table.take([2], tokenDigest: [1], nowSeconds: 0) }
        #expect(throws: PostureRefusal.self, "its end") {
            try table.take([3], tokenDigest: [1], nowSeconds: 300)
        }
        #expect(throws: PostureRefusal.self) { try table.take([4], tokenDigest: [2], nowSeconds: 0) }
        #expect(throws: PostureRefusal.self, "used up by the stranger") {
            try table.take([4], tokenDigest: [1], nowSeconds: 0)
        }
        for token in UInt8(2)...6 { try table.keep(try Self.attempt(token), as: [token, 0], nowSeconds: 0) }
        #expect(table.count == 6)
        #expect(throws: PostureRefusal.self, "full") {
            try table.keep(try Self.attempt(9), as: [9, 9], nowSeconds: 299)
        }
        table.remove(tokenDigest: [2])
        #expect(table.count == 5)
        try table.keep(try Self.attempt(9, ends: 900), as: [9, 9], nowSeconds: 299)
        try table.keep(try Self.attempt(8, ends: 900), as: [8, 8], nowSeconds: 300)
        #expect(table.count == 2)
    }
}
