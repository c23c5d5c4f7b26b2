import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

@Suite("Over the real store, a restart changes nothing that anybody was promised")
struct RestartTests {
    @Test("a device stays enrolled, with its owner, its ids and its platform") func device() async throws {
        let setting = try await DurableSetting()
        let agent = try await setting.enroll(JSONObject([("serial", "PF3")]))
        let before = await setting.service.devices()
        try await setting.restart()
        #expect(await setting.service.devices() == before && before.count == 1)
        #expect(before.first?.pinnedIDs == ["serial": "PF3"])
        #expect(try await setting.handshake(agent, counter: 1) == nil)
    }

    @Test("a counter never goes back, not even by one that was never stored twice") func counter()
        async throws
    {
        let setting = try await DurableSetting()
        let agent = try await setting.enroll()
        #expect(try await setting.handshake(agent, counter: 10) == nil)
        #expect(try await setting.handshake(agent, counter: 9) == nil, "another tab, in the same run")
        try await setting.restart()
        for counter: Int64 in [10, 9, 8, 1] {
            #expect(try await setting.handshake(agent, counter: counter) == .statementInvalid, "\(counter)")
        }
        #expect(try await setting.handshake(agent, counter: 11) == nil)
        #expect(try await setting.store.device(id: agent.deviceID)?.counter == 11)
    }

    @Test("a used challenge, an unused one and a device check from before are worth nothing") func nonces()
        async throws
    {
        let setting = try await DurableSetting()
        let agent = try await setting.enroll()
        let (used, first) = try await setting.challenge()
        let replayed = try agent.assertion(for: first, now: setting.clock.now, counter: 1)
        #expect(await setting.refusal(used, replayed) == nil)
        #expect(await setting.refusal(used, replayed) == .nonceUsed)
        let (open, second) = try await setting.challenge()
        let late = try agent.assertion(for: second, now: setting.clock.now, counter: 2)
        try await setting.restart()
        #expect(await setting.refusal(used, replayed) == .nonceUnknown)
        #expect(await setting.refusal(open, late) == .nonceUnknown)
    }

    @Test("a renewal is made once, and an enrolment token used once") func once() async throws {
        let setting = try await DurableSetting()
        let agent = try await setting.enroll()
        let csr = Base64.encode(try CertificateRequest.make(key: agent.key, commonName: "x"))
        let header = JSONObject([
            ("typ", "renewal+jwt"), ("x5c", .array(agent.chain.map { .string(Base64.encode($0)) })),
        ])
        let payload = JSONObject([
            ("aud", .string(Setting.origin)), ("iat", .integer(setting.clock.now)),
            ("jti", .string(Base64URL.encode(Random.bytes(16)))), ("csr", .string(csr)),
        ])
        let proof: JSONValue = ["proof": .string(JWS.sign(header: header, payload: payload, with: agent.key))]
        let enrolment: JSONValue = [
            "token": .string(try await setting.token()),
            "csr": .string(Base64.encode(try CertificateRequest.make(key: .generateP256(), commonName: "x"))),
        ]
        _ = try await setting.service.renew(proof)
        _ = try await setting.service.enroll(enrolment)
        let serial = await setting.service.devices().first { $0.id == agent.deviceID }?.certificateSerial
        try await setting.restart()
        let service = setting.service
        let second = await EnrollmentTests.reason { () async throws(PostureRefusal) in
            try await service.renew(proof)
        }
        #expect(second == .nonceUsed)
        let again = await EnrollmentTests.reason { () async throws(PostureRefusal) in
            try await service.enroll(enrolment)
        }
        #expect(again == .enrollmentTokenInvalid)
        let kept = await service.devices().first { $0.id == agent.deviceID }?.certificateSerial
        #expect(kept == serial, "the newest certificate's")
    }

    @Test("a token made before is good after, and the keys that agents pinned are the same")
    func tokenAndKeys() async throws {
        let setting = try await DurableSetting()
        let token = try await setting.token()
        let csr = Base64.encode(try CertificateRequest.make(key: .generateP256(), commonName: "x"))
        try await setting.restart()
        let answer = try await setting.service.enroll(["token": .string(token), "csr": .string(csr)])
        let first = (answer["gateway_keys"]?.array ?? []).compactMap(\.string)
        try await setting.restart()
        let agent = try await setting.enroll()
        let (_, challenge) = try await setting.challenge()
        let pinned = try KeyAnnouncement(firstUseOf: first)
        let kid = try JWS(compact: challenge).header["kid"]?.string
        #expect(pinned.keys.contains { $0.kid == kid } && !agent.deviceID.isEmpty)
    }

    @Test("a revocation stays, and so does a place that was taken") func revocation() async throws {
        let setting = try await DurableSetting()
        let first = try await setting.enroll()
        let second = try await setting.enroll()
        #expect(try await setting.service.revoke(deviceID: first.deviceID))
        try await setting.restart()
        #expect(try await setting.handshake(first, counter: 1) == .certificateRevoked)
        #expect(await setting.service.deviceFacts(id: first.deviceID, statement: nil) == nil)
        #expect(try await setting.handshake(second, counter: 1) == nil)
        let kinds = try await setting.store.audit(limit: 100).map(\.kind)
        #expect(kinds.contains("device-revoked") && kinds.contains("device-enrolled"))
    }

    @Test("an id of one device is a conflict for the next, before and after") func pins() async throws {
        let setting = try await DurableSetting()
        let honest = try await setting.enroll(JSONObject([("serial", "PF3")]))
        _ = try await setting.enroll(JSONObject([("serial", "PF3")]))
        try await setting.restart()
        let third = try await setting.enroll(JSONObject([("serial", "pf3")]))
        let pins = await setting.service.devices().map { ($0.id, $0.pinnedIDs) }
        #expect(pins.first { $0.0 == honest.deviceID }?.1 == ["serial": "PF3"])
        #expect(pins.first { $0.0 == third.deviceID }?.1 == [:])
    }

    @Test("003.3 verdicts and the end of the last complete synchronisation stay") func verdicts()
        async throws
    {
        let fake = GraphFake()
        fake.set {
            $0.devices = (0..<3).map { GraphFake.device($0) }
            $0.overview = 3
        }
        let setting = try await DurableSetting(intune: [GraphFake.connection()], fetcher: fake)
        let agent = try await setting.enroll(JSONObject([("intune_device_id", .string(GraphFake.id(1)))]))
        let absent = try await setting.enroll(JSONObject([("intune_device_id", .string(GraphFake.id(9)))]))
        await setting.service.refreshDue()
        let before = await setting.service.deviceFacts(id: agent.deviceID, statement: nil)?.verdicts
        #expect(before?.first?.state == .compliant)
        let calls = fake.calls.count
        try await setting.restart()
        #expect(await setting.service.deviceFacts(id: agent.deviceID, statement: nil)?.verdicts == before)
        let gone = await setting.service.deviceFacts(id: absent.deviceID, statement: nil)?.verdicts.first
        #expect(gone?.state == .notFound)
        #expect(fake.calls.count == calls, "nobody was asked")
    }

    @Test("what the store cannot keep is not acknowledged: no proof, no device, no renewal, no token")
    func storeGone() async throws {
        let setting = try await DurableSetting()
        let agent = try await setting.enroll()
        let token = try await setting.token()
        let before = await setting.service.devices().map(\.id)
        await setting.store.close()
        #expect(try await setting.handshake(agent, counter: 1) == .storeUnavailable)
        let csr = Base64.encode(try CertificateRequest.make(key: .generateP256(), commonName: "x"))
        let service = setting.service
        let refused = await EnrollmentTests.reason { () async throws(PostureRefusal) in
            try await service.enroll(["token": .string(token), "csr": .string(csr)])
        }
        #expect(refused == .storeUnavailable)
        let noToken = await EnrollmentTests.reason { () async throws(PostureRefusal) in
            .string(try await service.createEnrollmentToken(issuer: "i", subject: "s", email: nil))
        }
        #expect(noToken == .storeUnavailable)
        #expect(await setting.service.devices().map(\.id) == before)
        try await setting.restart()
        let answer = try await setting.service.enroll(["token": .string(token), "csr": .string(csr)])
        #expect(answer["device_id"]?.string != nil, "the token was not used up by the failure")
        #expect(try await setting.handshake(agent, counter: 1) == nil)
    }

    @Test("a machine that enrolled again keeps its new place") func succession() async throws {
        let setting = try await DurableSetting()
        let old = try await setting.enroll(JSONObject([("serial", "PF3")]))
        let token = try await setting.service.createEnrollmentToken(
            issuer: Setting.person.issuer, subject: Setting.person.subject, email: nil, expectedSerial: "PF3")
        let csr = Base64.encode(try CertificateRequest.make(key: .generateP256(), commonName: "x"))
        let answer = try await setting.service.enroll([
            "token": .string(token), "csr": .string(csr),
            "facts": ["platform": "linux", "device_ids": ["serial": "PF3"]],
        ])
        try await setting.restart()
        let devices = await setting.service.devices()
        let gone = try #require(devices.first { $0.id == old.deviceID })
        #expect(gone.isRevoked && gone.supersededBy == answer["device_id"]?.string && gone.pinnedIDs == [:])
        #expect(devices.first { $0.id == gone.supersededBy }?.pinnedIDs == ["serial": "PF3"])
        #expect(try await setting.store.audit(limit: 100).contains { $0.kind == "device-superseded" })
    }
}
