import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

@Suite("Enrolment and renewal")
struct EnrollmentTests {
    static func request(
        _ token: String, key: SigningKey = SigningKey.generateP256(), serial: String? = nil
    ) throws -> JSONValue {
        let ids = JSONObject(serial.map { [("serial", JSONValue.string($0))] } ?? [])
        return [
            "token": .string(token),
            "csr": .string(Base64.encode(try CertificateRequest.make(key: key, commonName: "x"))),
            "facts": ["platform": "linux", "device_ids": .object(ids)],
        ]
    }

    static func reason(_ body: () async throws(PostureRefusal) -> JSONValue) async -> Reason? {
        do throws(PostureRefusal) {
            _ = try await body()
            return nil
        } catch {
            return error.reason
        }
    }

    static func token(_ setting: Setting, serial: String? = nil) async throws -> String {
        try await setting.service.createEnrollmentToken(
            issuer: Setting.person.issuer, subject: "ada", email: nil, expectedSerial: serial)
    }

    @Test("a token makes one certificate of our authority, and names every key to pin") func once()
        async throws
    {
        let setting = try Setting()
        let token = try await Self.token(setting)
        #expect(
            await setting.store.tokens[Digest.sha256(Array(token.utf8))] != nil, "only the digest is stored")
        let body = try Self.request(token)
        let answer = try await setting.service.enroll(body)
        let first = try #require(answer["certificates"]?.array?.first?.string.flatMap(Base64.decode))
        let (_, id) = try setting.authority.verify(chainDER: [first], nowSeconds: setting.clock.now)
        #expect(answer["device_id"]?.string == id)
        let texts = (answer["gateway_keys"]?.array ?? []).compactMap(\.string)
        let announced = try KeyAnnouncement(firstUseOf: texts)
        #expect(announced.keys.map(\.kid) == setting.ring.verificationKeys(.challenge).map(\.kid))
        #expect(announced.issuer == Setting.origin)
        #expect(answer["port"] == 17472 && answer["auth_origin"] == .string(Setting.origin))
        #expect(
            await Self.reason { () async throws(PostureRefusal) in try await setting.service.enroll(body) }
                == .enrollmentTokenInvalid)
    }

    @Test("a token lives 24 hours and not one second longer", arguments: [86_399, 86_400])
    func tokenEnd(_ age: Int64) async throws {
        let setting = try Setting()
        let body = try Self.request(try await Self.token(setting))
        setting.clock.now += age
        let reason = await Self.reason { () async throws(PostureRefusal) in
            try await setting.service.enroll(body)
        }
        #expect(reason == (age < 86_400 ? nil : .enrollmentTokenInvalid))
    }

    @Test("an expected serial must be stated, written however", arguments: [" pf3 ", "PF4", nil])
    func serial(_ stated: String?) async throws {
        let setting = try Setting()
        let body = try Self.request(try await Self.token(setting, serial: "PF3"), serial: stated)
        let reason = await Self.reason { () async throws(PostureRefusal) in
            try await setting.service.enroll(body)
        }
        #expect(reason == (stated == " pf3 " ? nil : .enrollmentTokenInvalid))
    }

    @Test("odd requests are refused and enrol nobody") func malformed() async throws {
        let setting = try Setting()
        let token = try await Self.token(setting)
        let bodies: [JSONValue] = [
            [:], ["token": .string(token)], ["token": .string(token), "csr": "%%%"],
            ["token": 7, "csr": "AA=="],
            ["token": "stranger", "csr": "AAAA"],
        ]
        for body in bodies {
            #expect(
                await Self.reason { () async throws(PostureRefusal) in try await setting.service.enroll(body)
                } != nil)
        }
        let body: JSONValue = ["token": .string(token), "csr": "AAAA"]
        #expect(
            await Self.reason { () async throws(PostureRefusal) in try await setting.service.enroll(body) }
                == .requestMalformed)
        #expect(await setting.service.devices().isEmpty)
    }

    @Test("a device that could not be stored is not enrolled") func storeFails() async throws {
        let setting = try Setting()
        let body = try Self.request(try await Self.token(setting))
        await setting.store.failDeviceWrites(true)
        #expect(
            await Self.reason { () async throws(PostureRefusal) in try await setting.service.enroll(body) }
                == .storeUnavailable)
        #expect(await setting.service.devices().isEmpty)
        await setting.store.failDeviceWrites(false)
        _ = try await setting.service.enroll(body)
        #expect(await setting.service.devices().count == 1, "the token was not burnt by the disk")
    }

    @Test("a key that is known already is refused with its own word, and the token stays good")
    func knownKey() async throws {
        let setting = try Setting()
        let key = SigningKey.generateP256()
        let first = try await setting.service.enroll(
            try Self.request(try await Self.token(setting), key: key))
        let token = try await Self.token(setting)
        let again = try Self.request(token, key: key)
        let reason = await Self.reason { () async throws(PostureRefusal) in
            try await setting.service.enroll(again)
        }
        #expect(reason == .deviceKeyKnown)
        // A revoked one has its key for good.
        _ = try await setting.service.revoke(deviceID: try #require(first["device_id"]?.string))
        let revoked = await Self.reason { () async throws(PostureRefusal) in
            try await setting.service.enroll(again)
        }
        #expect(revoked == .deviceKeyKnown)
        #expect(await setting.service.devices().count == 1)
        let fresh = try Self.request(token)
        _ = try await setting.service.enroll(fresh)
        #expect(await setting.service.devices().count == 2)
    }

    @Test("of ten enrolments with one key at once one counts, and nine tokens stay good")
    func sameKeyAtOnce() async throws {
        let setting = try Setting()
        let key = SigningKey.generateP256()
        var requests: [JSONValue] = []
        for _ in 0..<10 { requests.append(try Self.request(try await Self.token(setting), key: key)) }
        let reasons = await withTaskGroup(of: Reason?.self) { group in
            for request in requests {
                group.addTask {
                    await Self.reason { () async throws(PostureRefusal) in
                        try await setting.service.enroll(request)
                    }
                }
            }
            return await group.reduce(into: [Reason?]()) { $0.append($1) }
        }
        #expect(reasons.count { $0 == nil } == 1 && reasons.count { $0 == .deviceKeyKnown } == 9)
        #expect(await setting.service.devices().count == 1)
        #expect(await setting.store.tokens.count == 9)
    }

    static func proof(
        _ setting: Setting, _ agent: FakeAgent, next: SigningKey? = nil, signer: SigningKey? = nil,
        offset: Int64 = 0
    ) throws -> JSONValue {
        let csr = try CertificateRequest.make(key: next ?? agent.key, commonName: "x")
        let header = JSONObject([
            ("typ", "renewal+jwt"), ("x5c", .array(agent.chain.map { .string(Base64.encode($0)) })),
        ])
        let payload = JSONObject([
            ("aud", .string(Setting.origin)), ("iat", .integer(setting.clock.now &+ offset)),
            ("jti", .string(Base64URL.encode(Random.bytes(16)))), ("csr", .string(Base64.encode(csr))),
        ])
        return ["proof": .string(JWS.sign(header: header, payload: payload, with: signer ?? agent.key))]
    }

    @Test("renewal: by the current key, for the same key, once, in time, and not after revocation")
    func renewal() async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        func reason(_ body: JSONValue) async -> Reason? {
            await Self.reason { () async throws(PostureRefusal) in try await setting.service.renew(body) }
        }
        setting.clock.now += 86_400
        let good = try Self.proof(setting, agent)
        #expect(await reason(good) == nil)
        #expect(await reason(good) == .nonceUsed)
        #expect(
            await reason(try Self.proof(setting, agent, signer: SigningKey.generateP256()))
                == .signatureInvalid)
        #expect(
            await reason(try Self.proof(setting, agent, next: SigningKey.generateP256())) == .signatureInvalid
        )
        #expect(await reason(try Self.proof(setting, agent, offset: 121)) == .clockSkew)
        #expect(await reason(try Self.proof(setting, agent, offset: -120)) == nil)
        // Any enrolled device chooses this number: it must not be computed with before it is bounded.
        for end in [Int64.min, .max, -1, 1 << 53 + 1] {
            let offset = end &- setting.clock.now
            #expect(await reason(try Self.proof(setting, agent, offset: offset)) == .clockSkew, "iat \(end)")
        }
        #expect(await reason(["proof": "x"]) == .signatureInvalid)
        _ = try await setting.service.revoke(deviceID: agent.deviceID)
        #expect(await reason(try Self.proof(setting, agent)) == .certificateRevoked)
    }

    @Test("an expired certificate is called expired") func expired() async throws {
        let setting = try Setting(certificateSeconds: 3600)
        let agent = try await setting.enroll()
        setting.clock.now += 7200
        let (transaction, challenge) = try await setting.challenge()
        let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1)
        let reason = await setting.refusal(transaction, assertion)
        #expect(reason == .certificateExpired)
    }

    @Test("ids are normalised; placeholders and randomised addresses name nobody") func deviceKeys() {
        let table: [(DeviceKey.Kind, String, String?)] = [
            (.intune, "5C1D9B7E-0A0E-4D51-9A0F-8D7B7A0D1C11", "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"),
            (.entra, "00000000-0000-0000-0000-000000000000", nil), (.intune, "5c1d9b7e", nil),
            (.intune, " 5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11", nil), (.serial, " pf3abcde ", "PF3ABCDE"),
            (.serial, "To Be Filled By O.E.M.", nil), (.serial, "0", nil), (.serial, "", nil),
            (.serial, "a;b", nil),
            (.mac, "7C:21:4A:0B:1C:2D", "7c214a0b1c2d"), (.mac, "7e214a0b1c2d", nil),
            (.mac, "7d214a0b1c2d", nil),
            (.mac, "000000000000", nil),
        ]
        for (kind, raw, value) in table { #expect(DeviceKey(kind, raw)?.value == value, "\(kind) \(raw)") }
    }

    @Test("timestamps: any fraction and offset of RFC 3339, nothing else") func timestamps() {
        let table: [(String, Int64?)] = [
            ("2026-02-01T07:41:12Z", 1_769_931_672), ("2026-02-01T07:41:12.1234567Z", 1_769_931_672),
            ("2026-02-01T09:41:12+02:00", 1_769_931_672), ("1970-01-01T00:00:00Z", 0),
            ("0001-01-01T00:00:00Z", -62_135_596_800), ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("2026-02-29T00:00:00Z", nil), ("2026-02-01", nil), ("2026-02-01T07:41:12", nil),
            ("2026-13-01T07:41:12Z", nil), ("2026-02-01 07:41:12Z", nil), ("2026-02-01T07:41:12.Z", nil),
        ]
        for (text, seconds) in table { #expect(Timestamps.seconds(text) == seconds, "\(text)") }
    }
}
