import Access
import JSON
import Signatures
import Store

@testable import Posture

/// A service that accepts both modes, a device of each, and a management server that says whatever a test wants.
struct ModeSetting: Sendable {
    static let issuer = "https://management.corp.example"
    static let now = Setting.start

    let clock = TestClock(ModeSetting.now)
    let store = MemoryStore()
    let ring = KeyRing.ephemeral()
    let authorityKey: SigningKey
    let authority: EnrollmentAuthority
    /// Signs statements; its certificate is good from a day ago for ten years.
    let management: SigningKey
    let trust: StatementTrust
    let service: PostureService
    /// Of both devices.
    let key = SigningKey.generateP256()

    init(
        modes: [HandshakeProfile] = [.certificate, .statement], shared: Bool = false, tenant: String? = nil,
        certificates: [Certificate]? = nil, management: SigningKey? = nil, authorities: [[UInt8]] = [],
        revocation: RevocationSettings? = nil, authority other: (key: SigningKey, pem: [UInt8])? = nil
    ) throws {
        let pair = try EnrollmentAuthority.generateSelfSigned(
            commonName: "Devices", nowSeconds: Self.now - 86_400)
        authorityKey = try other?.key ?? SigningKey(pem: pair.keyPEM)
        authority = try EnrollmentAuthority(
            certificatePEM: other?.pem ?? pair.certificatePEM, keyPEM: authorityKey.pem,
            furtherPEM: authorities)
        let signer = management ?? SigningKey.generateP256()
        self.management = signer
        let certificate = try Certificate(
            der: try CertificateBench.authority(
                for: signer, named: "Management", by: .init(key: signer, der: nil), from: Self.now - 86_400,
                until: Self.now + 315_360_000))
        trust = try StatementTrust(
            certificates: certificates ?? [certificate], issuer: Self.issuer, tenant: tenant,
            allowsSharedKey: shared)
        service = PostureService(
            agents: [
                AgentIntegration(
                    handshake: HandshakeSettings(
                        integration: "agents", authOrigin: Setting.origin, minimumVersion: "7.2", modes: modes
                    ),
                    authority: authority, revocation: revocation, statements: trust)
            ], connectors: [], ring: ring, store: store, clock: clock.clock, random: { 0.5 })
    }

    /// What is wrong with one answer; a nil member is as it should be.
    struct Answer: Sendable {
        var signer: SigningKey?
        var chain: [[UInt8]]?
        var counter: Int64 = 1
        var assertion: (@Sendable (String) -> String)?
        var header: @Sendable (inout JSONObject) -> Void = { _ in }
        var payload: @Sendable (inout JSONObject) -> Void = { _ in }
        /// Mode A: there is a statement.
        var isStated = false
        var statementSigner: SigningKey?
        var statementText: (@Sendable (String) -> String)?
        var statementHeader: @Sendable (inout JSONObject) -> Void = { _ in }
        var statement: @Sendable (inout JSONObject) -> Void = { _ in }
        var session = "session-a"
        var subject = Setting.person.subject
        var email: String? = "ada@corp.example"
        var bound: String?
        var owner = DeviceOwner.samePerson
    }

    func statement(_ answer: Answer = Answer()) -> String {
        var header = JSONObject([("typ", "device-statement+jwt")])
        var payload = JSONObject([
            ("iss", .string(Self.issuer)), ("sub", "d1"), ("iat", .integer(clock.now - 60)),
            ("exp", .integer(clock.now + 3_600)), ("managed", true), ("last_seen", .integer(clock.now - 60)),
            ("cnf", ["jwk": .object(key.publicKey.jwk)]),
            ("owner", ["iss": .string(Setting.person.issuer), "sub": .string(Setting.person.subject)]),
        ])
        answer.statementHeader(&header)
        answer.statement(&payload)
        let text = JWS.sign(header: header, payload: payload, with: answer.statementSigner ?? management)
        return answer.statementText?(text) ?? text
    }

    /// The certificate of this setting's key, as enrolment issues it.
    func leaf(_ extensions: CertificateBench.Extensions = .init()) throws -> [UInt8] {
        try CertificateBench.certificate(
            for: key, by: .init(key: authorityKey, der: authority.certificate.der), from: clock.now - 3_600,
            until: clock.now + 86_400, extensions)
    }

    /// The device of mode B, whose id is the one that all certificates here name.
    func enroll() async throws {
        let leaf = try Certificate(der: try leaf())
        let device = StoredDevice(
            id: "d1", ownerIssuer: Setting.person.issuer, ownerSubject: Setting.person.subject,
            keyThumbprint: key.publicKey.thumbprint, certificateSerial: leaf.serialHex,
            enrolledAtSeconds: clock.now, certificateNotAfterSeconds: leaf.notAfterSeconds)
        try await store.upsert(device)
        try await service.load()
    }

    func assertion(_ answer: Answer, for challenge: String) throws -> String {
        let claims = try JWS(compact: challenge).payloadObject
        var header = JSONObject([("typ", "posture+jwt")])
        if !answer.isStated {
            header["x5c"] = .array(try (answer.chain ?? [leaf()]).map { .string(Base64.encode($0)) })
        }
        let now = clock.now
        var payload = JSONObject([
            ("sub", "d1"), ("aud", claims["iss"] ?? .null), ("iat", .integer(now)),
            ("exp", .integer(now + 60)), ("eat_nonce", claims["nonce"] ?? .null),
            ("chh", .string(Base64URL.encode(Digest.sha256(Array(challenge.utf8))))),
            ("origin", claims["origin"] ?? .null), ("transport", "fetch"), ("version", 1),
            ("swname", "gatepost-agent"), ("swversion", "7.2.0"), ("key", "software"),
            ("counter", .integer(answer.counter)), ("cnf", ["jkt": .string(key.publicKey.thumbprint)]),
            ("posture", ["platform": "linux"]),
        ])
        answer.header(&header)
        answer.payload(&payload)
        let text = JWS.sign(header: header, payload: payload, with: answer.signer ?? key)
        return answer.assertion?(text) ?? text
    }

    func challenge(_ answer: Answer = Answer()) async throws -> (transaction: String, challenge: String) {
        let transaction = try await service.start(
            globalSession: "session-a", application: "wiki", returnPath: "/x", deviceOwner: answer.owner)
        let value = try await service.challenge(transaction: transaction, globalSession: "session-a")
        return (transaction, value["challenge"]?.string ?? "")
    }

    /// One whole handshake: nil when it passed.
    func refusal(_ answer: Answer) async throws -> PostureRefusal? {
        let (transaction, challenge) = try await challenge(answer)
        let text = try assertion(answer, for: challenge)
        return await judge(transaction, text, answer.isStated ? statement(answer) : nil, answer)
    }

    func judge(
        _ transaction: String, _ assertion: String, _ statement: String?, _ answer: Answer
    ) async -> PostureRefusal? {
        do throws(PostureRefusal) {
            _ = try await service.assert(
                transaction: transaction, assertion: assertion, statement: statement,
                globalSession: answer.session, issuer: Setting.person.issuer, subject: answer.subject,
                email: answer.email, boundThumbprint: answer.bound)
            return nil
        } catch {
            return error
        }
    }

    static func stated(
        _ statement: @escaping @Sendable (inout JSONObject) -> Void = { _ in }
    ) -> Answer {
        var answer = Answer()
        answer.isStated = true
        answer.statement = statement
        return answer
    }

    static func certified(
        header: @escaping @Sendable (inout JSONObject) -> Void = { _ in },
        _ payload: @escaping @Sendable (inout JSONObject) -> Void = { _ in }
    ) -> Answer {
        var answer = Answer()
        answer.header = header
        answer.payload = payload
        return answer
    }
}
