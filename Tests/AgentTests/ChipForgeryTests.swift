import Access
import JSON
import Posture
import Signatures
import Testing

@testable import gatepost_agent

/// One machine's chip, driven command by command, and the gateway that it wants to enrol at.
private struct Forge {
    let chip: SoftwareTPM
    let gateway: GatewayInProcess
    let device: TPMDevice

    init(chip: SoftwareTPM, gateway: GatewayInProcess) throws {
        self.chip = chip
        self.gateway = gateway
        device = try TPMDevice(path: chip.path)
    }

    typealias Made = (handle: UInt32, area: [UInt8])

    /// A key below the storage key.
    func make(_ template: [UInt8]) throws -> Made {
        let (storage, _) = try device.createPrimary(TPMTemplates.storage, in: TPMDevice.ownerHierarchy)
        defer { device.flush(storage) }
        let key = try device.create(template, below: storage)
        return (try device.load(key, below: storage), key.publicArea)
    }

    func endorsement() throws -> Made {
        try device.createPrimary(TPMTemplates.endorsementCurve, in: TPMDevice.endorsementHierarchy)
    }

    func open(_ token: String, ek: [UInt8], ak: [UInt8]) async throws -> JSONValue {
        try await gateway.service.enroll([
            "token": .string(token),
            "attestation": ["ek": .string(Base64.encode(ek)), "ak": .string(Base64.encode(ak))],
        ])
    }

    func activate(_ answer: JSONValue, ak: Made, ek: Made) throws -> [UInt8] {
        try device.activate(
            TPMCredential.Sealed(
                credential: try bytes(answer, "credential"), seed: try bytes(answer, "seed")),
            for: ak.handle, by: ek.handle)
    }

    func bytes(_ value: JSONValue, _ name: String) throws -> [UInt8] {
        try #require(value[name]?.string.flatMap(Base64.decode))
    }

    func csr(_ key: Made) throws -> [UInt8] {
        let area = try TPMPublicArea(key.area)
        return try CertificateRequest.make(publicKey: try area.verificationKey(), commonName: "x") { bytes in
            try? device.sign(Digest.sha256(bytes), with: key.handle)
        }
    }
}

/// What a request of the second step is made of, changed by a test.
private struct Second {
    var attempt: [UInt8]
    var activated: [UInt8]
    var device: [UInt8]
    var certify: [UInt8]
    var signature: [UInt8]
    var csr: [UInt8]

    func body(_ token: String) -> JSONValue {
        [
            "token": .string(token), "csr": .string(Base64.encode(csr)), "key": "attested",
            "facts": ["platform": "linux"],
            "attestation": [
                "attempt": .string(Base64.encode(attempt)), "activated": .string(Base64.encode(activated)),
                "device": .string(Base64.encode(device)), "certify": .string(Base64.encode(certify)),
                "signature": .string(Base64.encode(signature)),
            ],
        ]
    }
}

@Suite("Enrolment believes no chip that does not prove it")
struct ChipForgeryTests {
    private func second(
        _ forge: Forge, _ token: String, deviceTemplate: [UInt8] = TPMTemplates.device
    ) async throws -> Second {
        let ak = try forge.make(TPMTemplates.attestation)
        let ek = try forge.endorsement()
        let answer = try await forge.open(token, ek: ek.area, ak: ak.area)
        let activated = try forge.activate(answer, ak: ak, ek: ek)
        forge.device.flush(ek.handle)
        let key = try forge.make(deviceTemplate)
        let (attest, signature) = try forge.device.certify(
            key.handle, by: ak.handle, nonce: try forge.bytes(answer, "nonce"))
        let csr = try forge.csr(key)
        forge.device.flush(key.handle)
        forge.device.flush(ak.handle)
        return Second(
            attempt: try forge.bytes(answer, "attempt"), activated: activated, device: key.area,
            certify: attest, signature: signature, csr: csr)
    }

    private func refusal(_ gateway: GatewayInProcess, _ body: JSONValue) async -> PostureRefusal? {
        do throws(PostureRefusal) {
            _ = try await gateway.service.enroll(body)
            return nil
        } catch {
            return error
        }
    }

    private func forge() throws -> Forge {
        try Forge(chip: try SoftwareTPM(), gateway: try GatewayInProcess())
    }

    @Test("a step brought twice enrols once, and the token is used up by the success only") func replayed()
        async throws
    {
        let forge = try forge()
        let token = try await forge.gateway.token()
        var wrong = try await second(forge, token)
        wrong.activated[0] ^= 1
        #expect(await refusal(forge.gateway, wrong.body(token))?.reason == .attestationInvalid)
        wrong.activated[0] ^= 1
        let used = await refusal(forge.gateway, wrong.body(token))
        #expect(used?.reason == .attestationInvalid && used?.detail.contains("used") == true)
        let good = try await second(forge, token)
        #expect(await refusal(forge.gateway, good.body(token)) == nil)
        #expect(await refusal(forge.gateway, good.body(token))?.reason == .enrollmentTokenInvalid)
        #expect(await forge.gateway.service.devices().count == 1)
    }

    @Test("of twenty that bring the same second step at once one enrols") func race() async throws {
        let forge = try forge()
        let token = try await forge.gateway.token()
        let body = try await second(forge, token).body(token)
        let gateway = forge.gateway
        let outcomes = await withTaskGroup(of: Reason?.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    do throws(PostureRefusal) {
                        _ = try await gateway.service.enroll(body)
                        return nil
                    } catch {
                        return error.reason
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.filter { $0 == nil }.count == 1)
        #expect(await gateway.service.devices().count == 1)
    }

    @Test("an attempt belongs to its token and ends after five minutes", arguments: [299, 300])
    func attemptEnd(_ age: Int64) async throws {
        let forge = try forge()
        let token = try await forge.gateway.token()
        let other = try await forge.gateway.token()
        let stolen = try await second(forge, token)
        #expect(await refusal(forge.gateway, stolen.body(other))?.reason == .attestationInvalid)
        let late = try await second(forge, token)
        forge.gateway.now += age
        #expect(
            await refusal(forge.gateway, late.body(token))?.reason == (age < 300 ? nil : .attestationInvalid))
    }

    @Test("a certification by another attestation key, for another nonce or about another key is refused")
    func foreignCertification() async throws {
        let forge = try forge()
        let token = try await forge.gateway.token()
        let first = try await second(forge, token)
        let other = try await second(forge, token)
        // Each part is good by itself: the other attempt's AK, its nonce, its key.
        var mixed = other
        (mixed.certify, mixed.signature) = (first.certify, first.signature)
        #expect(await refusal(forge.gateway, mixed.body(token))?.detail.contains("attestation key") == true)
        let ak = try forge.make(TPMTemplates.attestation)
        let ek = try forge.endorsement()
        let answer = try await forge.open(token, ek: ek.area, ak: ak.area)
        let activated = try forge.activate(answer, ak: ak, ek: ek)
        forge.device.flush(ek.handle)
        let key = try forge.make(TPMTemplates.device)
        let stale = try forge.device.certify(
            key.handle, by: ak.handle, nonce: [UInt8](repeating: 7, count: 32))
        var request = Second(
            attempt: try forge.bytes(answer, "attempt"), activated: activated, device: key.area,
            certify: stale.0, signature: stale.1, csr: try forge.csr(key))
        #expect(await refusal(forge.gateway, request.body(token))?.detail.contains("another nonce") == true)
        forge.device.flush(key.handle)
        forge.device.flush(ak.handle)
        request = try await second(forge, token)
        request.device = other.device
        #expect(await refusal(forge.gateway, request.body(token))?.detail.contains("another key") == true)
        request = try await second(forge, token)
        request.csr = try CertificateRequest.make(key: .generateP256(), commonName: "x")
        #expect(await refusal(forge.gateway, request.body(token))?.detail.contains("for another key") == true)
        #expect(await refusal(forge.gateway, try await second(forge, token).body(token)) == nil)
    }

    @Test("keys that may leave the chip or were brought into it are refused, though the chip certifies them")
    func movable() async throws {
        let forge = try forge()
        let token = try await forge.gateway.token()
        // A chip fixes both or neither below a fixed parent.
        let movable: TPMPublicArea.Attributes = [.sensitiveDataOrigin, .userWithAuth, .noDA, .sign]
        for attributes in [movable, movable.union(.encryptedDuplication)] {
            let request = try await second(
                forge, token, deviceTemplate: Templates.curve(attributes))
            let refused = await refusal(forge.gateway, request.body(token))
            #expect(refused?.detail.contains("properties of device keys") == true, "\(attributes)")
        }
        let ak = try forge.make(TPMTemplates.attestation)
        let ek = try forge.endorsement()
        let answer = try await forge.open(token, ek: ek.area, ak: ak.area)
        let activated = try forge.activate(answer, ak: ak, ek: ek)
        forge.device.flush(ek.handle)
        let imported = try ImportedKey.load(SigningKey.generateP256, forge.chip.path, forge.device)
        let (attest, signature) = try forge.device.certify(
            imported.handle, by: ak.handle, nonce: try forge.bytes(answer, "nonce"))
        let request = Second(
            attempt: try forge.bytes(answer, "attempt"), activated: activated, device: imported.area,
            certify: attest, signature: signature,
            csr: try CertificateRequest.make(key: imported.key, commonName: "x"))
        let refused = await refusal(forge.gateway, request.body(token))
        #expect(refused?.detail.contains("properties of device keys") == true)
        #expect(await forge.gateway.service.devices().isEmpty)
    }

    @Test("a credential opens in no other chip, and for no other key of the same chip") func credential()
        async throws
    {
        let forge = try forge()
        let token = try await forge.gateway.token()
        let thief = try Forge(chip: try SoftwareTPM(), gateway: forge.gateway)
        let ak = try forge.make(TPMTemplates.attestation)
        let ek = try forge.endorsement()
        // The thief names the victim's endorsement key and his own attestation key.
        let own = try thief.make(TPMTemplates.attestation)
        let answer = try await thief.open(token, ek: ek.area, ak: own.area)
        let foreign = try thief.endorsement()
        #expect(throws: TPMError.self) { try thief.activate(answer, ak: own, ek: foreign) }
        // He passes it to the victim: the victim's chip has no key of that name.
        #expect(throws: TPMError.self) { try forge.activate(answer, ak: ak, ek: ek) }
        let mine = try await forge.open(token, ek: ek.area, ak: ak.area)
        #expect(try forge.activate(mine, ak: ak, ek: ek).count == 32)
    }

    @Test("keys in the wrong role are refused before anything is made for them") func roles() async throws {
        let forge = try forge()
        let token = try await forge.gateway.token()
        // A chip holds three keys at once.
        let key = try forge.make(TPMTemplates.device)
        forge.device.flush(key.handle)
        let ak = try forge.make(TPMTemplates.attestation)
        let ek = try forge.endorsement()
        for (endorsement, attestation) in [
            (ak.area, ak.area), (ek.area, ek.area), (ek.area, key.area), (key.area, ak.area),
            (TPMTemplates.storage, ak.area), ([], ak.area), (ek.area, Array(ak.area.dropLast())),
            (ek.area, ak.area + [0]), ([UInt8](repeating: 0, count: 5000), ak.area),
        ] {
            do {
                _ = try await forge.open(token, ek: endorsement, ak: attestation)
                Issue.record("opened")
            } catch let refusal as PostureRefusal {
                #expect(refusal.reason == .attestationInvalid)
            }
        }
        let stranger = await refusal(
            forge.gateway,
            [
                "token": "nobody's",
                "attestation": [
                    "ek": .string(Base64.encode(ek.area)), "ak": .string(Base64.encode(ak.area)),
                ],
            ])
        #expect(stranger?.reason == .enrollmentTokenInvalid)
    }

    @Test("every part of the second step cut at every byte, and lengthened by one, is refused") func cut()
        async throws
    {
        let forge = try forge()
        let token = try await forge.gateway.token()
        let good = try await second(forge, token)
        let parts: [WritableKeyPath<Second, [UInt8]>] = [
            \.device, \.certify, \.signature, \.activated, \.attempt,
        ]
        for part in parts {
            for count in 0..<good[keyPath: part].count {
                var request = good
                request[keyPath: part] = Array(good[keyPath: part].prefix(count))
                // A shorter secret is well formed, but it is not the secret: it would use up the attempt.
                if part == \.activated, count > 0 { continue }
                #expect(await refusal(forge.gateway, request.body(token))?.reason == .attestationInvalid)
            }
            var request = good
            request[keyPath: part].append(0)
            #expect(await refusal(forge.gateway, request.body(token))?.reason == .attestationInvalid)
        }
        #expect(await refusal(forge.gateway, good.body(token)) == nil, "malformed ones used nothing up")
    }
}

/// Templates that this agent never uses.
private enum Templates {
    static func curve(_ attributes: TPMPublicArea.Attributes) -> [UInt8] {
        var bytes = TPMTemplates.device
        var number = TPMWriter()
        number.append(attributes.rawValue)
        bytes.replaceSubrange(4..<8, with: number.bytes)
        return bytes
    }
}

/// A key made in software and brought into a chip with TPM2_LoadExternal.
private enum ImportedKey {
    static func load(
        _ make: () -> SigningKey, _ path: String, _ device: TPMDevice
    ) throws -> (handle: UInt32, area: [UInt8], key: SigningKey) {
        let key = make()
        let jwk = key.publicKey.jwk
        let x = try #require(jwk["x"]?.string.flatMap(Base64URL.decode))
        let y = try #require(jwk["y"]?.string.flatMap(Base64URL.decode))
        var area = TPMWriter()
        area.append(Array(Templates.curve([.userWithAuth, .noDA, .sign]).dropLast(4)))
        area.appendSized(x)
        area.appendSized(y)
        // TPMT_SENSITIVE: kind, no password, no seed, the private number.
        var secret = TPMWriter()
        secret.append(TPMAlgorithm.ecc)
        secret.appendSized([])
        secret.appendSized([])
        secret.appendSized(try PrivateNumber.of(key))
        return (try device.loadExternal(secret.bytes, area.bytes), area.bytes, key)
    }
}

extension TPMDevice {
    /// TPM2_LoadExternal.
    fileprivate func loadExternal(_ secret: [UInt8], _ area: [UInt8]) throws -> UInt32 {
        var parameters = TPMWriter()
        parameters.appendSized(secret)
        parameters.appendSized(area)
        parameters.append(Self.nullHierarchy)
        return try run(0x167, [], [], parameters.bytes, handles: 1).handle
    }
}

/// The private number of a P-256 key, out of its PKCS#8: 32 bytes after "04 20" (RFC 5915 §3).
private enum PrivateNumber {
    static func of(_ key: SigningKey) throws -> [UInt8] {
        let text = String(decoding: key.pem, as: UTF8.self).split(separator: "\n").dropFirst().dropLast()
        let der = try #require(Base64.decode(text.joined()))
        let mark: [UInt8] = [0x02, 0x01, 0x01, 0x04, 0x20]
        let index = try #require((0..<der.count - 36).first { Array(der[$0..<$0 + 5]) == mark })
        return Array(der[index + 5..<index + 37])
    }
}
