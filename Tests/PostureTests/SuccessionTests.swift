import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

/// One enrolled laptop with every kind of id, and ways to enrol its machine again.
struct Laptop: Sendable {
    static let ids = JSONObject([
        ("intune_device_id", .string(GraphFake.id(1))), ("serial", "PF3"),
        ("hardware_uuid", "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"),
    ])

    let setting: Setting
    let old: FakeAgent

    init(_ setting: Setting, ids: JSONObject = Laptop.ids) async throws {
        self.setting = setting
        old = try await setting.enroll(ids)
    }

    struct Attempt: Sendable {
        var ids = Laptop.ids
        var subject = Setting.person.subject
        var issuer = Setting.person.issuer
        var tokenSerial: String?
        /// Whose key says that the new one takes its place.
        var signer: FakeAgent?
        var claimedID: String?
        var edit: @Sendable (inout JSONObject) -> Void = { _ in }
    }

    /// Enrols with a new key; the answer's device id, or the refusal.
    func enroll(_ attempt: Attempt) async throws -> (agent: FakeAgent?, refusal: Reason?) {
        let token = try await setting.service.createEnrollmentToken(
            issuer: attempt.issuer, subject: attempt.subject, email: nil, expectedSerial: attempt.tokenSerial)
        let key = SigningKey.generateP256()
        let csr = try CertificateRequest.make(key: key, commonName: "laptop")
        var body = JSONObject([
            ("token", .string(token)), ("csr", .string(Base64.encode(csr))),
            ("facts", ["platform": "linux", "device_ids": .object(attempt.ids)]),
        ])
        if let signer = attempt.signer {
            var payload = JSONObject([
                ("sub", .string(attempt.claimedID ?? signer.deviceID)), ("aud", .string(Setting.origin)),
                ("csr", .string(Base64URL.encode(Digest.sha256(csr)))),
                ("token", .string(Base64URL.encode(Digest.sha256(Array(token.utf8))))),
            ])
            attempt.edit(&payload)
            let header = JSONObject([
                ("typ", "succession+jwt"), ("jwk", .object(signer.key.publicKey.jwk)),
            ])
            body["predecessor"] = .string(JWS.sign(header: header, payload: payload, with: signer.key))
        }
        do throws(PostureRefusal) {
            let answer = try await setting.service.enroll(.object(body))
            let chain = (answer["certificates"]?.array ?? []).compactMap { $0.string.flatMap(Base64.decode) }
            return (FakeAgent(key: key, deviceID: answer["device_id"]?.string ?? "", chain: chain), nil)
        } catch {
            return (nil, error.reason)
        }
    }

    func isOldRevoked() async -> Bool {
        await setting.service.devices().first { $0.id == old.deviceID }?.isRevoked ?? false
    }

    func pins(of agent: FakeAgent?) async -> [String: String] {
        await setting.service.devices().first { $0.id == agent?.deviceID }?.pinnedIDs ?? [:]
    }
}

@Suite("A machine that enrols again takes its own place, and nobody else's")
struct SuccessionTests {
    @Test("the old key's word, or a token for this serial, moves the ids and revokes the old device")
    func takesOver() async throws {
        for byKey in [true, false] {
            let laptop = try await Laptop(try Setting())
            var attempt = Laptop.Attempt()
            if byKey { attempt.signer = laptop.old } else { attempt.tokenSerial = " pf3" }
            let (agent, refusal) = try await laptop.enroll(attempt)
            #expect(refusal == nil)
            #expect(await laptop.isOldRevoked())
            #expect(await laptop.pins(of: agent)["intune-device-id"] == GraphFake.id(1))
            #expect(await laptop.pins(of: agent).count == 3)
            let audit = try await laptop.setting.store.audit(limit: 100)
            let record = try #require(audit.first { $0.kind == "device-superseded" })
            #expect(record.json.contains(laptop.old.deviceID))
            #expect(record.json.contains(byKey ? "device-key" : "\"serial\""))
            #expect(!audit.contains { $0.kind == "device-id-conflict" })
            #expect(await laptop.setting.store.stored[laptop.old.deviceID]?.supersededBy == agent?.deviceID)
        }
    }

    @Test("the old key proves nothing any more, and the session goes on with the new one")
    func sessionGoesOn() async throws {
        let laptop = try await Laptop(try Setting())
        let bound = laptop.old.key.publicKey.thumbprint
        var changes = laptop.setting.service.changes.makeAsyncIterator()
        let fresh = try #require(try await laptop.enroll(.init(signer: laptop.old)).agent)
        #expect(await changes.next()?.deviceID == laptop.old.deviceID, "its sessions are decided again")
        let now = laptop.setting.clock.now
        let (first, challenge) = try await laptop.setting.challenge()
        let stale = try laptop.old.assertion(for: challenge, now: now, counter: 9)
        #expect(await laptop.setting.refusal(first, stale, bound: bound) == .certificateRevoked)
        let (second, again) = try await laptop.setting.challenge()
        let good = try fresh.assertion(for: again, now: now, counter: 1)
        #expect(await laptop.setting.refusal(second, good, bound: bound) == nil)
        let stranger = try await laptop.setting.enroll()
        let (third, last) = try await laptop.setting.challenge()
        let other = try stranger.assertion(for: last, now: now, counter: 1)
        #expect(await laptop.setting.refusal(third, other, bound: bound) == .sessionMismatch)
    }

    @Test(
        "ids that are only claimed move nothing: the device enrols, its match is ambiguous, somebody is told")
    func claimsAreNoProof() async throws {
        let laptop = try await Laptop(try Setting())
        let (agent, refusal) = try await laptop.enroll(.init())
        #expect(refusal == nil && agent != nil)
        #expect(await !laptop.isOldRevoked())
        #expect(await laptop.pins(of: agent) == [:])
        #expect(await laptop.setting.store.auditKinds().contains("device-id-conflict"))
    }

    enum NotTaken: String, CaseIterable, Sendable {
        case tokenOfAnotherPersonWithTheOldKey, tokenOfAnotherPersonForThisSerial, sameSubjectElsewhere
        case anotherSerialWithTheOldKey, anotherBoardWithThisSerial, idOfAThirdDevice, keyNeverEnrolled
        case revokedBefore

        func attempt(_ laptop: Laptop) async throws -> Laptop.Attempt {
            var attempt = Laptop.Attempt(signer: laptop.old)
            switch self {
            case .tokenOfAnotherPersonWithTheOldKey: attempt.subject = "bob"
            case .tokenOfAnotherPersonForThisSerial:
                attempt = Laptop.Attempt(subject: "bob", tokenSerial: "PF3")
            case .sameSubjectElsewhere: attempt.issuer = "https://else.example"
            case .anotherSerialWithTheOldKey: attempt.ids["serial"] = "PF4"
            case .anotherBoardWithThisSerial:
                attempt = Laptop.Attempt(tokenSerial: "PF3")
                attempt.ids["hardware_uuid"] = "6c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"
            case .idOfAThirdDevice:
                _ = try await laptop.setting.enroll(
                    JSONObject([("entra_device_id", .string(GraphFake.id(3)))]))
                attempt.ids["entra_device_id"] = .string(GraphFake.id(3))
            case .keyNeverEnrolled:
                attempt.signer = FakeAgent(key: .generateP256(), deviceID: laptop.old.deviceID, chain: [])
            case .revokedBefore: _ = try await laptop.revokeOld()
            }
            return attempt
        }
    }

    @Test("no place is taken by", arguments: NotTaken.allCases) func refused(_ what: NotTaken) async throws {
        let laptop = try await Laptop(try Setting())
        let attempt = try await what.attempt(laptop)
        let wasRevoked = await laptop.isOldRevoked()
        let before = await laptop.pins(of: laptop.old)
        _ = try await laptop.enroll(attempt)
        #expect(await laptop.isOldRevoked() == wasRevoked)
        #expect(await laptop.pins(of: laptop.old) == before)
        #expect(await !laptop.setting.store.auditKinds().contains("device-superseded"))
    }

    static let malformed: [(Reason, @Sendable (inout JSONObject) -> Void)] = [
        (.audienceMismatch, { $0["aud"] = "https://other.example" }),
        (.signatureInvalid, { $0["csr"] = .string(Base64URL.encode(Digest.sha256([1]))) }),
        (.signatureInvalid, { $0["token"] = .string(Base64URL.encode(Digest.sha256([1]))) }),
        (.signatureInvalid, { $0["token"] = nil }), (.signatureInvalid, { $0["sub"] = nil }),
    ]

    @Test("a proof made for something else refuses the request before the token is used up", arguments: 0..<5)
    func proofs(_ index: Int) async throws {
        let (reason, edit) = Self.malformed[index]
        let laptop = try await Laptop(try Setting())
        let (_, refusal) = try await laptop.enroll(.init(signer: laptop.old, edit: edit))
        #expect(refusal == reason)
        #expect(await laptop.setting.store.tokens.count == 1)
        #expect(await !laptop.isOldRevoked())
    }

    @Test("when the disk refuses, the old device is as it was, but for a revocation of its own")
    func storeFails() async throws {
        let laptop = try await Laptop(try Setting())
        let before = await laptop.pins(of: laptop.old)
        await laptop.setting.store.failDeviceWrites(true)
        #expect(try await laptop.enroll(.init(signer: laptop.old)).refusal == .storeUnavailable)
        #expect(await !laptop.isOldRevoked())
        #expect(await laptop.pins(of: laptop.old) == before)
        #expect(await laptop.setting.service.devices().count == 1)
        await laptop.setting.store.failDeviceWrites(false)
        #expect(try await laptop.enroll(.init(signer: laptop.old)).refusal == nil)
    }

    @Test("a revoked device's ids are free for the machine's next owner") func nextOwner() async throws {
        let laptop = try await Laptop(try Setting())
        _ = try await laptop.revokeOld()
        let (agent, _) = try await laptop.enroll(.init(subject: "bob"))
        #expect(await laptop.pins(of: agent)["serial"] == "PF3")
        #expect(await laptop.pins(of: laptop.old) == [:])
    }
}

extension Laptop {
    func revokeOld() async throws -> Bool { try await setting.service.revoke(deviceID: old.deviceID) }
}
