import Access
import ChildPrograms
import Foundation
import JSON
import Signatures
import Store
import Testing

@testable import Posture
@testable import gatepost_agent

@Suite("The vectors of statements, renewals, successions and attestations, judged by this project's gateway")
struct DeviceVectorTests {
    /// The gateway's word for each case; every case has its expected one.
    private static func judge(
        _ cases: JSONValue?, least: Int, by act: (JSONValue) throws(PostureRefusal) -> Void
    ) throws {
        let cases = cases?.array ?? []
        #expect(cases.count >= least)
        var words: Set<String> = []
        for value in cases {
            var said = "accepted"
            do throws(PostureRefusal) {
                try act(value)
            } catch {
                said = error.reason.rawValue
            }
            words.insert(said)
            #expect(said == value["expected"]?.string, "\(value["name"]?.string ?? "")")
        }
        #expect(words.contains("accepted") && words.count > 1)
    }

    /// What every one of them is judged with.
    private static func authority(_ file: JSONValue) throws -> EnrollmentAuthority {
        let der = try #require(Base64.decode(try VectorTests.text(file, "authority")))
        return try EnrollmentAuthority(certificatePEM: try Certificate(der: der).pem, keyPEM: nil)
    }

    @Test("statements: key in it and by thumbprint, older ones, 24 hours, wrong keys, the shared key")
    func statements() throws {
        let file = try VectorTests.file("statements.json")
        let origin = try VectorTests.text(file, "auth_origin")
        let challenge = try VectorTests.text(file, "challenge")
        let nonce = try #require(
            Base64URL.decode(try JWS(compact: challenge).payloadObject["nonce"]?.string ?? ""))
        let issued = IssuedChallenge(
            transaction: "t", transactionHash: "h",
            challengeHash: ChallengeIssuer.challengeHash(challenge), expiresAtSeconds: 1_900_000_060)
        let certificates = try (file["certificates"]?.array ?? []).map {
            try Certificate(der: try #require($0.string.flatMap(Base64.decode)))
        }
        let revoked = Set(
            (file["revoked"]?.array ?? []).compactMap(\.string).map { "statement:agents:\($0)" })
        let settings = HandshakeSettings(integration: "agents", authOrigin: origin)
        let issuer = try VectorTests.text(file, "issuer")
        let tenant = try VectorTests.text(file, "tenant")
        let verifiers = try [false, true].map { isShared in
            AssertionVerifier(
                settings: settings, authority: nil,
                statements: try StatementTrust(
                    certificates: certificates, issuer: issuer, tenant: tenant, allowsSharedKey: isShared))
        }
        try Self.judge(file["cases"], least: 60) { value throws(PostureRefusal) in
            let assertion = value["assertion"]?.string ?? ""
            let now = value["now"]?.integer ?? 0
            let verifier = verifiers[value["shared_key"] == true ? 1 : 0]
            let verified = try verifier.verify(
                assertion, statement: value["statement"]?.string, challenge: issued, nonce: nonce,
                nowSeconds: now
            ) { revoked.contains($0) }
            if let newest = value["newest"]?.integer, let made = verified.statement?.issuedAtSeconds {
                var times = StatementTimes([verified.deviceID: newest])
                try times.take(made, of: verified.deviceID, nowSeconds: now)
            }
            try verifier.verifyManaged(verified, nowSeconds: now)
        }
    }

    private static func enrollment(_ origin: String, _ authority: EnrollmentAuthority) throws -> (
        Enrollment, TemporaryFolder
    ) {
        let folder = try TemporaryFolder()
        let enrollment = Enrollment(
            settings: EnrollmentSettings(),
            handshake: HandshakeSettings(integration: "agents", authOrigin: origin), authority: authority,
            ring: .ephemeral(), store: try SQLiteStore(folder: folder.path))
        return (enrollment, folder)
    }

    @Test("renewals: the proof of the current key, its times, and a request for the same key")
    func renewals() throws {
        let file = try VectorTests.file("renewals.json")
        let (enrollment, folder) = try Self.enrollment(
            try VectorTests.text(file, "auth_origin"), try Self.authority(file))
        defer { withExtendedLifetime(folder) {} }
        try Self.judge(file["cases"], least: 30) { value throws(PostureRefusal) in
            let renewal = try enrollment.verifyRenewal(
                ["proof": value["proof"] ?? .null], nowSeconds: value["now"]?.integer ?? 0)
            // The service's two lines: what cannot be certified, and another key.
            let key: VerificationKey
            do throws(SignatureError) {
                key = try CertificateRequest.publicKey(of: renewal.csr)
            } catch { throw PostureRefusal(.requestMalformed, error.what) }
            guard key.thumbprint == renewal.thumbprint else {
                throw PostureRefusal(.signatureInvalid, "another key")
            }
        }
    }

    @Test("successions: the old key's word for the new one, for this token and request only")
    func successions() throws {
        let file = try VectorTests.file("successions.json")
        let origin = try VectorTests.text(file, "auth_origin")
        let request = try Enrollment.Request(["token": file["token"] ?? .null, "csr": file["csr"] ?? .null])
        try Self.judge(file["cases"], least: 15) { value throws(PostureRefusal) in
            let claim = try Succession.claim(
                value["predecessor"]?.string ?? "", request: request, authOrigin: origin)
            guard .string(claim.deviceID) == file["device"], .string(claim.thumbprint) == file["thumbprint"]
            else { throw PostureRefusal(.signatureInvalid, "another device") }
        }
    }

    @Test("attestations: the keys that a chip names, and what it says of the device key")
    func attestations() throws {
        let file = try VectorTests.file("attestations.json")
        try Self.judge(file["openings"], least: 20) { value throws(PostureRefusal) in
            _ = try KeyAttestation.Opening(value["attestation"] ?? .null)
        }
        func bytes(_ name: String) throws -> [UInt8] {
            try #require(file["attempt"]?[name]?.string.flatMap(Base64.decode))
        }
        let attempt = AttestationAttempts.Attempt(
            tokenDigest: [], attestation: try TPMPublicArea(try bytes("ak")), secret: try bytes("secret"),
            nonce: try bytes("nonce"), chipID: [1], makerProblem: nil, expiresAtSeconds: 300)
        let requested = try CertificateRequest.publicKey(of: try bytes("csr"))
        try Self.judge(file["cases"], least: 20) { value throws(PostureRefusal) in
            let standing = try KeyAttestation.verify(
                try KeyAttestation.Proof(value["attestation"] ?? .null), of: attempt, requested: requested,
                isMakerDemanded: false)
            guard standing.level == .attested else { throw PostureRefusal(.attestationInvalid, "") }
        }
    }

    @Test(
        "what this gateway seals for a chip, the implementation in Python opens; with a changed byte it does not"
    )
    func credential() async throws {
        let file = try VectorTests.file("attestations.json")
        let known = try #require(file["credential"])
        func bytes(_ name: String) throws -> [UInt8] {
            try #require(known[name]?.string.flatMap(Base64.decode), "\(name)")
        }
        let name = try bytes("name")
        let secret = Random.bytes(32)
        let sealed = try TPMCredential.make(
            for: try TPMPublicArea(try bytes("ek")), name: name, secret: secret)
        var changed = sealed.credential
        changed[changed.count - 1] ^= 1
        for (credential, expected) in [(sealed.credential, Base64.encode(secret) + "\n"), (changed, "")] {
            let question = JSONObject([
                ("credential", .string(Base64.encode(credential))),
                ("seed", .string(Base64.encode(sealed.seed))), ("name", .string(Base64.encode(name))),
            ])
            let judge = VectorTests.folder.appending(path: "judge.py").path
            let judged = try await ChildProgram(
                VectorTests.python, ["-B", judge, "--credential"], input: .bytes(question.serialized()),
                output: .kept
            ).outcome()
            #expect(judged.text == expected)
            #expect((judged.status == 0) == !expected.isEmpty)
        }
    }
}
