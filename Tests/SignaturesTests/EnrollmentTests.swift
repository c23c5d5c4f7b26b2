import JSON
import Signatures
import Testing

@Suite("Enrollment: what a device's certificate must be")
struct EnrollmentTests {
    static let now: Int64 = 1_800_000_000

    static func authority(_ file: JSONObject, _ name: String = "root") throws -> EnrollmentAuthority {
        let root = name == "narrow" ? file["narrow"]?["root"] : file[name]
        return try EnrollmentAuthority(
            certificatePEM: Certificate(der: VectorFile.bytes(root)).pem, keyPEM: nil)
    }

    static func issuing() throws -> EnrollmentAuthority {
        let made = try EnrollmentAuthority.generateSelfSigned(commonName: "Test Authority", nowSeconds: now)
        return try EnrollmentAuthority(certificatePEM: made.certificatePEM, keyPEM: made.keyPEM)
    }

    @Test func `chains that other implementations made are accepted with their device id`() throws {
        let file = try VectorFile.load("certificates.json")
        let authority = try Self.authority(file)
        for row in try #require(file["accepted"]?.array) {
            let title = row["title"]?.string ?? ""
            let chain = try VectorFile.chain(row)
            let verified = try authority.verify(chainDER: chain, nowSeconds: Self.now)
            #expect(verified.deviceID == row["device_id"]?.string, "\(title)")
            #expect(verified.leaf.der == chain[0], "\(title)")
        }
    }

    @Test func `chains that break one rule are refused`() throws {
        let file = try VectorFile.load("certificates.json")
        let authority = try Self.authority(file)
        let rows = try #require(file["refused"]?.array)
        #expect(rows.count >= 25)
        for row in rows {
            let title = row["title"]?.string ?? ""
            let chain = try VectorFile.chain(row)
            #expect(throws: SignatureError.self, "\(title)") {
                try authority.verify(chainDER: chain, nowSeconds: Self.now)
            }
        }
    }

    /// A row above proves nothing when it fails for another reason than its title says.
    @Test func `each refusal gives its own reason`() throws {
        let file = try VectorFile.load("certificates.json")
        let authority = try Self.authority(file)
        let reasons: [String: String] = [
            "another authority of the same name": "signature failure",
            "the intermediate is missing": "unable to get",
            "two intermediates: path of four": "unable to get|too long|path", "five certificates": "1 to 4",
            "the authority itself": "the path has 1", "an authority below it": "CA:TRUE",
            "CA:TRUE on a device": "CA:TRUE", "signed by another device": "invalid CA",
            "no extended key usage": "extended key usage", "only TLS client": "extended key usage",
            "any extended key usage": "extended key usage", "no key usage": "digitalSignature",
            "key usage without signatures": "digitalSignature", "no name": "urn:device:",
            "another name": "urn:device:",
            "an empty id": "urn:device:", "an id with a slash": "urn:device:",
            "two device names": "urn:device:",
            "not valid yet": "not yet valid", "expired": "expired", "SHA-1": "too weak",
            "a critical extension that nobody knows": "unhandled critical",
        ]
        for row in try #require(file["refused"]?.array) {
            guard let expected = reasons[row["title"]?.string ?? ""] else { continue }
            let chain = try VectorFile.chain(row)
            do throws(SignatureError) {
                _ = try authority.verify(chainDER: chain, nowSeconds: Self.now)
                Issue.record("accepted: \(expected)")
            } catch {
                let isExpected = expected.split(separator: "|").contains { error.what.contains($0) }
                #expect(isExpected, "\(row["title"]?.string ?? ""): \(error.what)")
            }
        }
    }

    @Test func `validity starts with its first second and ends with its last, which is refused`() throws {
        let file = try VectorFile.load("certificates.json")
        let authority = try Self.authority(file)
        let chain = try VectorFile.chain(file["boundary"])
        for (offset, isValid) in [(-1, false), (0, true), (59, true), (60, false), (61, false)]
            as [(Int64, Bool)]
        {
            let verified = try? authority.verify(chainDER: chain, nowSeconds: Self.now + offset)
            #expect((verified != nil) == isValid, "second \(offset)")
        }
    }

    @Test func `an expired authority verifies nothing and issues nothing`() throws {
        let made = try EnrollmentAuthority.generateSelfSigned(
            commonName: "Short", validSeconds: 3600, nowSeconds: Self.now)
        let authority = try EnrollmentAuthority(certificatePEM: made.certificatePEM, keyPEM: made.keyPEM)
        let request = try CertificateRequest.make(key: .generateP256(), commonName: "x")
        let issued = try authority.issue(
            csrDER: request, deviceID: "d", validSeconds: 86_400, nowSeconds: Self.now)
        #expect(issued.notAfterSeconds == Self.now + 3600)
        _ = try authority.verify(chainDER: [issued.der], nowSeconds: Self.now + 3599)
        #expect(throws: SignatureError.self) {
            try authority.verify(chainDER: [issued.der], nowSeconds: Self.now + 3600)
        }
        #expect(throws: SignatureError.self) {
            try authority.issue(csrDER: request, deviceID: "d", validSeconds: 60, nowSeconds: Self.now + 3600)
        }
    }

    @Test func `the authority's own path length holds`() throws {
        let file = try VectorFile.load("certificates.json")
        let chain = try VectorFile.chain(file["narrow"])
        let authority = try Self.authority(file, "narrow")
        #expect(throws: SignatureError.self) { try authority.verify(chainDER: chain, nowSeconds: Self.now) }
    }

    @Test func `an intermediate can be the configured authority, and nothing above it counts`() throws {
        let file = try VectorFile.load("certificates.json")
        let authority = try Self.authority(file, "middle")
        let rows = try #require(file["accepted"]?.array)
        let below = try VectorFile.chain(rows.first { $0["title"] == "below one intermediate" })
        #expect(try authority.verify(chainDER: below, nowSeconds: Self.now).deviceID == "laptop-7")
        let sibling = try VectorFile.chain(rows.first { $0["title"] == "directly below the authority" })
        #expect(throws: SignatureError.self) { try authority.verify(chainDER: sibling, nowSeconds: Self.now) }
    }

    @Test func `a chain is bounded to 8 KiB together`() throws {
        let authority = try Self.issuing()
        let request = try CertificateRequest.make(key: .generateP256(), commonName: "x")
        let leaf = try authority.issue(csrDER: request, deviceID: "d", validSeconds: 60, nowSeconds: Self.now)
        let filler = [UInt8](repeating: 0x30, count: 8192 - leaf.der.count + 1)
        let error = #expect(throws: SignatureError.self) {
            try authority.verify(chainDER: [leaf.der, filler], nowSeconds: Self.now)
        }
        #expect(error?.what.contains("8192 bytes") == true)
    }
}

@Suite("Enrollment: issuing")
struct IssuingTests {
    static let now = EnrollmentTests.now

    @Test func `what is issued carries the id and verifies`() throws {
        let authority = try EnrollmentTests.issuing()
        let key = SigningKey.generateP256()
        let request = try CertificateRequest.make(key: key, commonName: "ignored")
        let issued = try authority.issue(
            csrDER: request, deviceID: "D-1_a.b", validSeconds: 86_400, nowSeconds: Self.now)
        #expect(issued.subjectCommonName == "D-1_a.b")
        #expect(issued.uriNames == ["urn:device:D-1_a.b"])
        #expect(issued.publicKey.thumbprint == key.publicKey.thumbprint)
        #expect(issued.notBeforeSeconds == Self.now - 60)
        #expect(issued.notAfterSeconds == Self.now + 86_400)
        #expect(issued.serialHex.count == 32)
        let verifier = try EnrollmentAuthority(certificatePEM: authority.certificate.pem, keyPEM: nil)
        #expect(try verifier.verify(chainDER: [issued.der], nowSeconds: Self.now).deviceID == "D-1_a.b")
        #expect(!verifier.canIssue)
        #expect(throws: SignatureError.self) {
            try verifier.issue(csrDER: request, deviceID: "d", validSeconds: 60, nowSeconds: Self.now)
        }
        let stranger = try EnrollmentTests.issuing()
        #expect(throws: SignatureError.self) {
            try stranger.verify(chainDER: [issued.der], nowSeconds: Self.now)
        }
    }

    @Test func `requests of other implementations: only P-256 with its own signature`() throws {
        let authority = try EnrollmentTests.issuing()
        let requests = try #require(try VectorFile.load("certificates.json")["requests"])
        let good = try VectorFile.bytes(requests["good"])
        _ = try authority.issue(csrDER: good, deviceID: "d", validSeconds: 60, nowSeconds: Self.now)
        for name in ["broken_signature", "rsa", "p384", "ed25519"] {
            let request = try VectorFile.bytes(requests[name])
            #expect(throws: SignatureError.self, "\(name)") {
                try authority.issue(csrDER: request, deviceID: "d", validSeconds: 60, nowSeconds: Self.now)
            }
        }
        for broken in [[], good + [0], Array(good.dropLast()), [UInt8](repeating: 0x30, count: 8193)] {
            #expect(throws: SignatureError.self) {
                try authority.issue(csrDER: broken, deviceID: "d", validSeconds: 60, nowSeconds: Self.now)
            }
        }
    }

    @Test func `a request with any changed byte is refused or means the same key`() throws {
        let authority = try EnrollmentTests.issuing()
        let key = SigningKey.generateP256()
        let request = try CertificateRequest.make(key: key, commonName: "x")
        for index in request.indices {
            var changed = request
            changed[index] ^= 1
            #expect(throws: SignatureError.self, "byte \(index)") {
                try authority.issue(csrDER: changed, deviceID: "d", validSeconds: 60, nowSeconds: Self.now)
            }
        }
    }

    static let refusedIDs: [String] = [
        "", "a b", "a,DNS:x", "a/b", "a:b", "\u{E9}", "a\u{0}", "a\n", String(repeating: "a", count: 65),
    ]

    @Test(arguments: refusedIDs) func `an id that could mean more than itself is refused`(id: String) throws {
        let authority = try EnrollmentTests.issuing()
        let request = try CertificateRequest.make(key: .generateP256(), commonName: "x")
        #expect(throws: SignatureError.self) {
            try authority.issue(csrDER: request, deviceID: id, validSeconds: 60, nowSeconds: Self.now)
        }
    }

    @Test func `id and validity are accepted exactly at their bounds and refused one past`() throws {
        let made = try EnrollmentAuthority.generateSelfSigned(commonName: "Long", nowSeconds: Self.now)
        let authority = try EnrollmentAuthority(certificatePEM: made.certificatePEM, keyPEM: made.keyPEM)
        let request = try CertificateRequest.make(
            key: .generateP256(), commonName: String(repeating: "c", count: 64))
        let longest = String(repeating: "a", count: 64)
        for (seconds, isAccepted) in [(59, false), (60, true), (34_560_000, true), (34_560_001, false)]
            as [(Int64, Bool)]
        {
            let issued = try? authority.issue(
                csrDER: request, deviceID: longest, validSeconds: seconds, nowSeconds: Self.now)
            #expect((issued != nil) == isAccepted, "\(seconds) s")
        }
        #expect(throws: SignatureError.self) {
            try CertificateRequest.make(key: .generateP256(), commonName: String(repeating: "c", count: 65))
        }
        #expect(throws: SignatureError.self) {
            try CertificateRequest.make(key: .generateP256(), commonName: "")
        }
    }

    @Test func `an authority needs CA TRUE and its own key`() throws {
        let first = try EnrollmentAuthority.generateSelfSigned(commonName: "One", nowSeconds: Self.now)
        let second = try EnrollmentAuthority.generateSelfSigned(commonName: "One", nowSeconds: Self.now)
        #expect(throws: SignatureError.self) {
            try EnrollmentAuthority(certificatePEM: first.certificatePEM, keyPEM: second.keyPEM)
        }
        let authority = try EnrollmentAuthority(certificatePEM: first.certificatePEM, keyPEM: first.keyPEM)
        let key = SigningKey.generateP256()
        let request = try CertificateRequest.make(key: key, commonName: "x")
        let leaf = try authority.issue(csrDER: request, deviceID: "d", validSeconds: 60, nowSeconds: Self.now)
        #expect(throws: SignatureError.self) {
            try EnrollmentAuthority(certificatePEM: leaf.pem, keyPEM: key.pem)
        }
        #expect(throws: SignatureError.self) { try EnrollmentAuthority(certificatePEM: [], keyPEM: nil) }
    }
}
