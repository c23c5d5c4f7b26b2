import Testing

@testable import Signatures

@Suite("Structures of a TPM are read strictly")
struct TPMStructureTests {
    typealias Attributes = TPMPublicArea.Attributes

    static let endorsement: Attributes = [.bornAndFixed, .adminWithPolicy, .restricted, .decrypt]
    static let attestation: Attributes = [.bornAndFixed, .userWithAuth, .restricted, .sign]
    static let device: Attributes = [.bornAndFixed, .userWithAuth, .sign]

    /// What one public area consists of.
    struct Area {
        var kind = TPMAlgorithm.ecc
        var nameAlgorithm = TPMAlgorithm.sha256
        var attributes = TPMStructureTests.device
        var policy: [UInt8] = []
        var symmetric: [UInt16] = [TPMAlgorithm.null]
        var scheme: [UInt16] = [TPMAlgorithm.ecdsa, TPMAlgorithm.sha256]
        var curve: [UInt16] = [TPMAlgorithm.curveP256, TPMAlgorithm.null]
        var numbers: [[UInt8]]

        init(_ key: SigningKey = .generateP256()) {
            guard case .ec(_, let x, let y) = key.publicKey.material else { preconditionFailure("P-256") }
            numbers = [x, y]
        }

        var bytes: [UInt8] {
            var writer = TPMWriter()
            writer.append(kind)
            writer.append(nameAlgorithm)
            writer.append(attributes.rawValue)
            writer.appendSized(policy)
            for word in symmetric + scheme + curve { writer.append(word) }
            for number in numbers { writer.appendSized(number) }
            return writer.bytes
        }

        static func endorsement() -> Area {
            var area = Area()
            area.attributes = TPMStructureTests.endorsement
            area.policy = TPMPublicArea.endorsementPolicy
            area.symmetric = [TPMAlgorithm.aes, 128, TPMAlgorithm.cfb]
            area.scheme = [TPMAlgorithm.null]
            return area
        }
    }

    static func refuses(_ bytes: [UInt8]) -> Bool { (try? TPMPublicArea(bytes)) == nil }

    @Test("an area cut anywhere, or followed by one byte, is refused") func cut() throws {
        for area in [Area().bytes, Area.endorsement().bytes] {
            #expect(!Self.refuses(area))
            for count in 0..<area.count { #expect(Self.refuses(Array(area.prefix(count))), "\(count)") }
            #expect(Self.refuses(area + [0]))
        }
        #expect(Self.refuses([UInt8](repeating: 0, count: 1025)))
    }

    @Test("unknown algorithms are refused, each by itself") func algorithms() {
        let changes: [(String, (inout Area) -> Void)] = [
            ("kind", { $0.kind = 0x25 }), ("name", { $0.nameAlgorithm = 4 }),
            ("symmetric", { $0.symmetric = [0x26, 128, TPMAlgorithm.cfb] }),
            ("key size", { $0.symmetric = [TPMAlgorithm.aes, 256, TPMAlgorithm.cfb] }),
            ("mode", { $0.symmetric = [TPMAlgorithm.aes, 128, 0x44] }),
            ("scheme", { $0.scheme = [0x1a, TPMAlgorithm.sha256] }),
            ("digest", { $0.scheme = [TPMAlgorithm.ecdsa, 0x0c] }),
            ("curve", { $0.curve = [4, TPMAlgorithm.null] }),
            ("derivation", { $0.curve = [TPMAlgorithm.curveP256, 0x20] }),
            ("no x", { $0.numbers[0] = [] }), ("long y", { $0.numbers[1] = [0] + $0.numbers[1] }),
            ("policy", { $0.policy = [UInt8](repeating: 1, count: 65) }),
        ]
        for (name, change) in changes {
            var area = Area()
            change(&area)
            #expect(Self.refuses(area.bytes), "\(name)")
        }
    }

    @Test("a point that is not on the curve makes no key") func point() throws {
        var area = Area()
        area.numbers[1][31] ^= 1
        let parsed = try TPMPublicArea(area.bytes)
        #expect(throws: SignatureError.self) { try parsed.verificationKey() }
    }

    @Test("each property of a role is demanded") func roles() throws {
        func passes(_ role: TPMPublicArea.Role, _ change: (inout Area) -> Void = { _ in }) throws -> Bool {
            var area = role == .endorsement ? Area.endorsement() : Area()
            if role == .attestation { area.attributes = Self.attestation }
            change(&area)
            return (try? TPMPublicArea(area.bytes).check(role)) != nil
        }
        for role in [TPMPublicArea.Role.endorsement, .attestation, .device] {
            #expect(try passes(role))
            for attribute in [Attributes.fixedTPM, .fixedParent, .sensitiveDataOrigin] {
                #expect(try !passes(role) { $0.attributes.remove(attribute) }, "\(role) \(attribute)")
            }
            #expect(try !passes(role) { $0.attributes.insert(.encryptedDuplication) })
            #expect(try !passes(role) { $0.attributes.formSymmetricDifference(.restricted) })
            #expect(try !passes(role) { $0.attributes.formSymmetricDifference(.decrypt) })
            #expect(try !passes(role) { $0.attributes.formSymmetricDifference(.sign) })
        }
        #expect(try !passes(.device) { $0.scheme = [TPMAlgorithm.null] })
        #expect(try !passes(.attestation) { $0.scheme = [TPMAlgorithm.null] })
        #expect(try !passes(.device) { $0.attributes.insert(.stClear) })
        #expect(try !passes(.endorsement) { $0.policy[0] ^= 1 })
        #expect(try !passes(.endorsement) { $0.attributes.insert(.userWithAuth) })
    }

    static func attest(
        name: [UInt8], nonce: [UInt8], magic: UInt32 = TPMCertification.magic,
        type: UInt16 = TPMCertification.certifyType
    ) -> [UInt8] {
        var writer = TPMWriter()
        writer.append(magic)
        writer.append(type)
        writer.appendSized([UInt8](repeating: 1, count: 34))
        writer.appendSized(nonce)
        writer.append([UInt8](repeating: 0, count: 25))
        writer.appendSized(name)
        writer.appendSized([UInt8](repeating: 2, count: 34))
        return writer.bytes
    }

    static func signature(_ key: SigningKey, _ bytes: [UInt8]) -> [UInt8] {
        let raw = key.sign(bytes)
        var writer = TPMWriter()
        writer.append(TPMAlgorithm.ecdsa)
        writer.append(TPMAlgorithm.sha256)
        writer.appendSized(Array(raw.prefix(32)))
        writer.appendSized(Array(raw.suffix(32)))
        return writer.bytes
    }

    @Test("a certification counts for its key, nonce and name, whole, and of no other kind") func certify()
        throws
    {
        let key = SigningKey.generateP256()
        let area = try TPMPublicArea(Area(key).bytes)
        let nonce = Random.bytes(32)
        let name = try TPMPublicArea(Area().bytes).name
        let attest = Self.attest(name: name, nonce: nonce)
        let signature = Self.signature(key, attest)
        func verify(_ attest: [UInt8], _ signature: [UInt8]) throws(SignatureError) {
            try TPMCertification(attest: attest, signature: signature)
                .verify(by: area, nonce: nonce, certifying: name)
        }
        try verify(attest, signature)
        for count in 0..<attest.count {
            #expect(throws: SignatureError.self) { try verify(Array(attest.prefix(count)), signature) }
        }
        for count in 0..<signature.count {
            #expect(throws: SignatureError.self) { try verify(attest, Array(signature.prefix(count))) }
        }
        #expect(throws: SignatureError.self) { try verify(attest, signature + [0]) }
        // Signed by the same key and well formed: only what it says is wrong.
        for (what, wrong) in [
            ("magic", Self.attest(name: name, nonce: nonce, magic: 0xff54_4348)),
            ("a quote", Self.attest(name: name, nonce: nonce, type: 0x8018)),
            ("nonce", Self.attest(name: name, nonce: Random.bytes(32))),
            ("no nonce", Self.attest(name: name, nonce: [])),
            ("name", Self.attest(name: try TPMPublicArea(Area().bytes).name, nonce: nonce)),
            ("bytes behind it", attest + [0]),
        ] {
            #expect(throws: SignatureError.self, "\(what)") { try verify(wrong, Self.signature(key, wrong)) }
        }
        let foreign = Self.signature(.generateP256(), attest)
        #expect(throws: SignatureError.self) { try verify(attest, foreign) }
    }

    @Test("changed bytes are read as something else or refused, and never trap", arguments: 1...200)
    func fuzz(_ seed: UInt64) throws {
        var state = seed &* 0x9e37_79b9_7f4a_7c15
        func next() -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(truncatingIfNeeded: state >> 40)
        }
        let good = [Area().bytes, Area.endorsement().bytes, Self.attest(name: [1], nonce: [2])]
        for bytes in good {
            var changed = bytes
            for _ in 0..<1 + next() % 4 {
                changed[next() % changed.count] = UInt8(truncatingIfNeeded: next())
            }
            if next() % 3 == 0 { changed.removeLast(next() % changed.count) }
            // The law: what is accepted is exactly what was given, so its name is the digest of it.
            if let area = try? TPMPublicArea(changed) {
                #expect(area.bytes == changed, "seed \(seed)")
                _ = try? area.verificationKey()
                for role in [TPMPublicArea.Role.endorsement, .attestation, .device] { try? area.check(role) }
            }
            let key = SigningKey.generateP256()
            let signature = Self.signature(key, changed)
            if let certification = try? TPMCertification(attest: changed, signature: signature) {
                #expect(throws: SignatureError.self, "seed \(seed)") {
                    try certification.verify(
                        by: TPMPublicArea(Area(key).bytes), nonce: [3], certifying: [4])
                }
            }
        }
    }

    @Test("a bundle of makers holds authorities only, one at least, and nothing that cannot be read")
    func bundle() throws {
        let first = try EnrollmentAuthority.generateSelfSigned(commonName: "A", nowSeconds: 1_900_000_000)
        let second = try EnrollmentAuthority.generateSelfSigned(commonName: "B", nowSeconds: 1_900_000_000)
        _ = try EndorsementAuthorities(pem: first.certificatePEM + second.certificatePEM)
        let authority = try EnrollmentAuthority(
            certificatePEM: first.certificatePEM, keyPEM: first.keyPEM)
        let leaf = try authority.issue(
            csrDER: try CertificateRequest.make(key: .generateP256(), commonName: "x"), deviceID: "d",
            validSeconds: 3600, nowSeconds: 1_900_000_000)
        let broken = Array("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".utf8)
        for pem in [
            [], first.keyPEM, leaf.pem, first.certificatePEM + leaf.pem, first.certificatePEM + broken,
        ] {
            #expect(throws: SignatureError.self) { try EndorsementAuthorities(pem: pem) }
        }
        let area = try TPMPublicArea(Area.endorsement().bytes)
        let makers = try EndorsementAuthorities(pem: first.certificatePEM)
        #expect(throws: SignatureError.self) {
            try makers.verify(certificate: leaf.der, of: area, nowSeconds: 1_900_000_000)
        }
    }
}
