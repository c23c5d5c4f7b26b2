import Access
import ChildPrograms
import Foundation
import JSON
import Signatures
import Testing

@testable import Posture
@testable import gatepost_agent

@Suite(
    "The vectors of PROTOCOL.md, each judged by this project's agent and gateway and by an implementation in Python"
)
struct VectorTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/gatepost-agent/Vectors")

    static func file(_ name: String) throws -> JSONValue {
        let bytes = Array(try Data(contentsOf: folder.appending(path: name)))
        return try JSONValue(parsing: bytes, limits: JSONLimits(bytesMax: 4 << 20))
    }

    static func text(_ value: JSONValue, _ name: String) throws -> String {
        try #require(value[name]?.string, "\(name)")
    }

    @Test("challenges: this agent says the expected word to each, good ones included") func challenges()
        throws
    {
        let file = try Self.file("challenges.json")
        let enrolment = try Self.enrolment(file)
        var words: Set<String> = []
        for value in file["cases"]?.array ?? [] {
            let expected = try Self.text(value, "expected")
            words.insert(expected)
            let now = try #require(value["now"]?.integer)
            var said = "accepted"
            do throws(AttestRefusal) {
                let challenge = try Challenge(
                    value["challenge"]?.string ?? "", enrolment: enrolment, nowSeconds: now)
                // The gate's own line, which knows the Origin field.
                if challenge.origin != .string(enrolment.authOrigin) { throw .originNotAllowed }
            } catch {
                said = error.rawValue
            }
            #expect(said == expected, "\(value["name"]?.string ?? "")")
        }
        #expect((file["cases"]?.array ?? []).count >= 70)
        #expect(
            words == [
                "accepted", "gateway-not-trusted", "audience-mismatch", "request-malformed", "clock-skew",
                "challenge-expired", "origin-not-allowed",
            ])
    }

    /// What an agent with the file's pins keeps.
    static func enrolment(_ file: JSONValue) throws -> Enrolment {
        let key = SigningKey.generateP256()
        let pair = try EnrollmentAuthority.generateSelfSigned(
            commonName: "Devices", nowSeconds: AgentSetting.now - 60)
        let leaf = try EnrollmentAuthority(certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM).issue(
            csrDER: try CertificateRequest.make(key: key, commonName: "x"), deviceID: "vector",
            validSeconds: 86_400, nowSeconds: AgentSetting.now)
        let stored = JSONObject([
            ("device_id", "vector"), ("auth_origin", file["auth_origin"] ?? nil),
            ("audience", file["audience"] ?? nil), ("port", 17472),
            ("certificates", [.string(Base64.encode(leaf.der))]),
            ("gateway_keys", file["gateway_keys"] ?? nil), ("root_keys", file["gateway_keys"] ?? nil),
            ("key_sequence", 2), ("renew_after_seconds", 86_400), ("renewed_at", 1),
            ("not_after", .integer(AgentSetting.now + 86_400)), ("users", []),
        ])
        return try Enrolment(stored: stored.serialized())
    }

    @Test("assertions: this gateway says the expected word to each, good ones included") func assertions()
        throws
    {
        let file = try Self.file("assertions.json")
        let origin = try Self.text(file, "auth_origin")
        let authorityDER = try #require(Base64.decode(try Self.text(file, "authority")))
        let authority = try EnrollmentAuthority(
            certificatePEM: try Certificate(der: authorityDER).pem, keyPEM: nil)
        let challenge = try Self.text(file, "challenge")
        let claims = try JWS(compact: challenge).payloadObject
        let nonce = try #require(Base64URL.decode(claims["nonce"]?.string ?? ""))
        let issued = IssuedChallenge(
            transaction: "t", transactionHash: "h",
            challengeHash: ChallengeIssuer.challengeHash(challenge), expiresAtSeconds: 1_900_000_060)
        let revoked = Set((file["revoked"]?.array ?? []).compactMap(\.string))
        let verifier = AssertionVerifier(
            settings: HandshakeSettings(integration: "agents", authOrigin: origin), authority: authority)
        for value in file["cases"]?.array ?? [] {
            let assertion = try Self.text(value, "assertion")
            let now = try #require(value["now"]?.integer)
            var said = "accepted"
            do throws(PostureRefusal) {
                let named = try AssertionClaims.nonce(ofUnverified: assertion)
                // The table's line: another nonce was never issued.
                guard named == nonce else { throw PostureRefusal(.nonceUnknown, "") }
                _ = try verifier.verify(assertion, challenge: issued, nonce: named, nowSeconds: now) {
                    revoked.contains($0)
                }
            } catch {
                said = error.reason.rawValue
            }
            #expect(said == value["expected"]?.string, "\(value["name"]?.string ?? "")")
        }
        #expect((file["cases"]?.array ?? []).count >= 60)
    }

    @Test("announcements of keys: followed or refused as expected") func announcements() throws {
        let file = try Self.file("announcements.json")
        let roots = try KeyAnnouncement.named(file["pinned"]?["roots"])
        let sequence = try #require(file["pinned"]?["seq"]?.integer)
        for value in file["cases"]?.array ?? [] {
            let texts = (value["texts"]?.array ?? []).compactMap(\.string)
            let followed = try? KeyAnnouncement(following: texts, roots: roots)
            let said = followed.map { $0.sequence > sequence } == true ? "accepted" : "refused"
            #expect(said == value["expected"]?.string, "\(value["name"]?.string ?? "")")
        }
    }

    static let python = folder.deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: ".build/vendor-clients/bin/python").path

    @Test("an implementation in Python, written from the document, agrees with every vector")
    func independent()
        async throws
    {
        let judge = Self.folder.appending(path: "judge.py").path
        let judged = try await ChildProgram(Self.python, ["-B", judge], output: .kept, errors: .shown)
            .outcome()
        #expect(judged.status == 0, "\(judged.text); scripts/bootstrap clients installs what it needs")
        #expect(judged.text.contains(" vectors judged, 0 disagree"))
    }

    @Test("the files are exactly what their generator makes") func reproducible() async throws {
        let generator = Self.folder.appending(path: "generate.py").path
        let checked = try await ChildProgram(
            Self.python, ["-B", generator, "--check"], output: .kept, errors: .kept
        ).outcome()
        #expect(checked.status == 0, "\(checked.text)")
    }

    @Test("what this agent says to a vector's challenge is accepted by the implementation in Python")
    func ownAnswer() async throws {
        let setting = try AgentSetting()
        let challenge = setting.challenge()
        let reply = setting.ask(challenge)
        let assertion = try #require(try JSONValue(parsing: reply.body)["assertion"]?.string)
        let question = JSONObject([
            ("challenge", .string(challenge)), ("assertion", .string(assertion)),
            ("authority", .string(Base64.encode(setting.authority.certificate.der))),
            ("now", .integer(AgentSetting.now)),
        ])
        let judge = Self.folder.appending(path: "judge.py").path
        let judged = try await ChildProgram(
            Self.python, ["-B", judge, "--answer"], input: .bytes(question.serialized()), output: .kept,
            errors: .shown
        ).outcome()
        #expect(judged.text == "accepted\n")
    }
}
