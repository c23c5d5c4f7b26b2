import Access
import Fetch
import Foundation
import JSON
import Signatures
import Store

@testable import Posture

/// An agent that lies exactly as a test tells it to.
struct FakeAgent: Sendable {
    var key: SigningKey
    var deviceID: String
    var chain: [[UInt8]]

    /// An assertion for a challenge, changed in header and payload, signed by `signer` or by its own key.
    func assertion(
        for challenge: String, now: Int64, counter: Int64, posture: JSONObject = JSONObject(),
        signer: SigningKey? = nil, header change: (inout JSONObject) -> Void = { _ in },
        payload edit: (inout JSONObject) -> Void = { _ in }
    ) throws -> String {
        let claims = try JWS(compact: challenge).payloadObject
        var header = JSONObject([
            ("typ", "posture+jwt"), ("x5c", .array(chain.map { .string(Base64.encode($0)) })),
        ])
        var payload = JSONObject([
            ("eat_profile", "urn:gatepost:posture:1"), ("iss", .string("urn:device:" + deviceID)),
            ("sub", .string(deviceID)), ("aud", claims["iss"] ?? .null), ("iat", .integer(now)),
            ("exp", .integer(now + 60)), ("jti", .string(Base64URL.encode(Random.bytes(16)))),
            ("eat_nonce", claims["nonce"] ?? .null),
            ("chh", .string(Base64URL.encode(Digest.sha256(Array(challenge.utf8))))),
            ("origin", claims["origin"] ?? .null), ("transport", "fetch"), ("version", 1),
            ("swname", "gatepost-agent"), ("swversion", "7.2.0"), ("key", "software"),
            ("counter", .integer(counter)),
            ("cnf", ["jkt": .string(key.publicKey.thumbprint)]), ("posture", .object(posture)),
        ])
        change(&header)
        edit(&payload)
        return JWS.sign(header: header, payload: payload, with: signer ?? key)
    }
}

/// A service with one agent integration, one enrolled device and a session of its owner.
struct Setting: Sendable {
    static let start: Int64 = 1_900_000_000
    static let origin = "https://auth.corp.example"
    static let person = (issuer: "https://idp.example", subject: "ada")

    let clock = TestClock(Setting.start)
    let store = MemoryStore()
    let ring = KeyRing.ephemeral()
    let authority: EnrollmentAuthority
    let service: PostureService
    var settings: HandshakeSettings

    init(
        minimumVersion: String? = nil, lastSeenSecondsMax: Int64 = 604_800, intune: [IntuneConnection] = [],
        fetcher: any Fetcher = NoFetcher(), certificateSeconds: Int64 = 14 * 86_400
    ) throws {
        let pair = try EnrollmentAuthority.generateSelfSigned(
            commonName: "Devices", nowSeconds: Self.start - 86_400)
        authority = try EnrollmentAuthority(certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM)
        settings = HandshakeSettings(
            integration: "agents", authOrigin: Self.origin, lastSeenSecondsMax: lastSeenSecondsMax,
            minimumVersion: minimumVersion)
        service = PostureService(
            agents: [
                AgentIntegration(
                    handshake: settings,
                    enrollment: EnrollmentSettings(certificateSeconds: certificateSeconds),
                    authority: authority)
            ], intune: intune, ring: ring, store: store, fetcher: fetcher, clock: clock.clock, random: { 0.5 }
        )
    }

    func enroll(_ ids: JSONObject = JSONObject(), subject: String = Setting.person.subject) async throws
        -> FakeAgent
    {
        let token = try await service.createEnrollmentToken(
            issuer: Self.person.issuer, subject: subject, email: nil)
        let key = SigningKey.generateP256()
        let csr = try CertificateRequest.make(key: key, commonName: "laptop")
        let answer = try await service.enroll([
            "token": .string(token), "csr": .string(Base64.encode(csr)),
            "facts": ["platform": "linux", "device_ids": .object(ids)],
        ])
        let chain = (answer["certificates"]?.array ?? []).compactMap { $0.string.flatMap(Base64.decode) }
        return FakeAgent(key: key, deviceID: answer["device_id"]?.string ?? "", chain: chain)
    }

    func challenge(session: String = "session-a") async throws -> (transaction: String, challenge: String) {
        let transaction = try await service.start(
            globalSession: session, application: "wiki", returnPath: "/x")
        let value = try await service.challenge(transaction: transaction, globalSession: session)
        return (transaction, value["challenge"]?.string ?? "")
    }

    /// The refusal of one assertion, nil when it passed.
    func refusal(
        _ transaction: String, _ assertion: String, session: String = "session-a",
        subject: String = Setting.person.subject, bound: String? = nil
    ) async -> Reason? {
        do throws(PostureRefusal) {
            _ = try await service.assert(
                transaction: transaction, assertion: assertion, globalSession: session,
                issuer: Self.person.issuer,
                subject: subject, boundThumbprint: bound)
            return nil
        } catch {
            return error.reason
        }
    }
}

struct NoFetcher: Fetcher {
    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        throw FetchError(.unreachable, "no network in this test")
    }
}
