import Access
import Border
import Foundation
import Identity
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import Control

/// One person with one device, signed in at an application with 5 minutes, one with an hour, and one that asks for no
/// device.
final class RecheckHouse: Sendable {
    static let config =
        Gatehouse.config.replacing(
            "enrollment-ca: { certificate: certs/chain.pem, key: { file: certs/key.pem } }",
            with:
                "enrollment-ca: { certificate: certs/chain.pem, key: { file: certs/key.pem } }\n    max-age: 1h"
        ).replacing(
            "  vault:\n    host: vault.corp.example\n",
            with: "  vault:\n    host: vault.corp.example\n    posture: { max-age: 5m }\n"
        ) + """

              slow:
                host: slow.corp.example
                upstreams: [ "http://127.0.0.1:9" ]
                identity-providers: [ corp ]
                posture: { max-age: 1h }
                policies:
                  - { name: staff, action: allow, include: [ { email-domain: corp.example } ],
                      require: [ { device: compliant } ] }
            """

    let house: Gatehouse
    let globalID: String
    /// Of the auth host.
    let globalCookie: SessionCookie
    let cookies: [String: SessionCookie]
    let sessions: [String: StoredSession]

    var now: Int64 { house.now }
    var control: ControlPlane { house.control }

    init(
        _ config: String = RecheckHouse.config, applications: [String] = ["wiki", "vault", "slow"]
    ) async throws {
        house = try Gatehouse(config)
        let store = Sessions(store: house.store, ring: house.control.ring)
        let (global, cookie) = try await store.createGlobal(
            person: PersonFacts(
                issuer: "https://login.corp.example", subject: "ada@corp.example", email: "ada@corp.example",
                authenticatedAtSeconds: house.now),
            provider: "corp", host: "auth.corp.example", idToken: nil, nowSeconds: house.now,
            lifetimeSeconds: 86_400)
        globalID = global.id
        globalCookie = cookie
        var (cookies, sessions): ([String: SessionCookie], [String: StoredSession]) = ([:], [:])
        for name in applications {
            let settings = IdentityApplication(
                name: name, host: "\(name).corp.example", identityProviders: ["corp"],
                sessionSeconds: 86_400)
            let made = try await store.createApplication(settings, under: global, nowSeconds: house.now)
            (cookies[name], sessions[name]) = (made.1, made.0)
        }
        (self.cookies, self.sessions) = (cookies, sessions)
    }

    /// Writes a proof of this moment to the sign-in, of a device that needs no key of its own.
    func prove(
        _ mode: HandshakeMode? = .x5c, _ transport: HandshakeTransport? = .fetch, device: String = "laptop",
        isUnasked: Bool? = nil
    ) async throws {
        try await house.enroll(device)
        let now = now
        try await Sessions(store: house.store, ring: control.ring).change(globalID) {
            $0.deviceID = device
            $0.statement = AgentStatement(
                integration: "agents", verifiedAtSeconds: now, expiresAtSeconds: now + 3_600,
                openUntilSeconds: now + 3_660, lastSeenSeconds: now, isManaged: true, keyLevel: .software,
                agentVersion: "1.0.0", osVersion: "12", facts: [:], mode: mode, transport: transport,
                isUnasked: isUnasked)
        }
    }

    /// Newly decided, as for a reactor that knows nothing.
    func record(_ application: String) async throws -> SessionRecord {
        control.revocations.forgetRecords()
        let digest = try #require(cookies[application]).tokenDigest
        return try #require(await house.pulled(digest, application))
    }

    func request(
        _ application: String, _ path: String = "/page?q=1", _ fields: [Field] = [],
        purpose: ControlRequest.Purpose = .recheck, isNavigation: Bool = true
    ) throws -> ControlRequest {
        let cookie = try #require(cookies[application])
        return house.request(
            path, host: "\(application).corp.example", [Self.field(cookie)] + fields, purpose: purpose,
            isNavigation: isNavigation)
    }

    /// Where a page goes that is opened now; nil: it is simply opened.
    func detour(_ application: String) async throws -> String? {
        location(await control.recheckAnswer(try request(application)))
    }

    func location(_ answer: ControlResponse?) -> String? {
        answer?.fields.first { $0.name == "Location" }?.value
    }

    static func field(_ cookie: SessionCookie) -> Field {
        Field("cookie", String(cookie.setCookie.prefix { $0 != ";" }))
    }

    func mayOpen(_ record: SessionRecord, isOpen: Bool = false) -> Bool {
        let residual = isOpen ? record.openResidual ?? record.residual : record.residual
        let facts = RequestFacts(method: .get, client: NetworkAddress(v4: 1))
        let path: [UInt8] = [0x2f]
        if case .forward = residual.decide(facts, path: path.span, atSeconds: now) { return true }
        return false
    }
}

/// A device with a key of its own, as the agent would answer for it.
struct HouseAgent {
    var key: SigningKey
    var deviceID: String
    var chain: [JSONValue]

    init(_ house: Gatehouse) async throws {
        let posture = house.control.services.posture
        let token = try await posture.createEnrollmentToken(
            issuer: "https://login.corp.example", subject: "ada@corp.example", email: nil)
        key = SigningKey.generateP256()
        let csr = try CertificateRequest.make(key: key, commonName: "laptop")
        let answer = try await posture.enroll([
            "token": .string(token), "csr": .string(Base64.encode(csr)), "facts": ["platform": "linux"],
        ])
        deviceID = try #require(answer["device_id"]?.string)
        chain = try #require(answer["certificates"]?.array)
    }

    func assertion(for challenge: String, now: Int64, counter: Int64) throws -> String {
        let claims = try JWS(compact: challenge).payloadObject
        let payload = JSONObject([
            ("eat_profile", "urn:gatepost:posture:1"), ("iss", .string("urn:device:" + deviceID)),
            ("sub", .string(deviceID)), ("aud", claims["iss"] ?? .null), ("iat", .integer(now)),
            ("exp", .integer(now + 60)), ("jti", .string(Base64URL.encode(Random.bytes(16)))),
            ("eat_nonce", claims["nonce"] ?? .null),
            ("chh", .string(Base64URL.encode(Digest.sha256(Array(challenge.utf8))))),
            ("origin", claims["origin"] ?? .null), ("transport", "fetch"), ("version", 1),
            ("swname", "gatepost-agent"), ("swversion", "7.2.0"), ("key", "software"),
            ("counter", .integer(counter)), ("cnf", ["jkt": .string(key.publicKey.thumbprint)]),
            ("posture", ["platform": "linux"]),
        ])
        return JWS.sign(
            header: ["typ": "posture+jwt", "x5c": .array(chain)], payload: payload, with: key)
    }
}

/// The device-check page, as its script goes through it.
extension RecheckHouse {
    func post(_ path: String, _ body: JSONValue, _ cookie: Field) async -> ControlResponse {
        let fields = [
            Field("origin", "https://auth.corp.example:8443"), Field("x-gatepost-request", "1"),
            Field("content-type", "application/json"), cookie,
        ]
        return await control.answer(
            house.request(path, method: "POST", fields, body: body.serializedText()))
    }

    /// The transaction that a redirect to the device check names.
    func transaction(_ location: String?) throws -> String {
        let query = try #require(location?.split(separator: "?").last)
        return try #require(house.request("/x?\(query)").parameter("tx"))
    }

    func finish(
        _ transaction: String, _ agent: HouseAgent, counter: Int64, cookie: Field? = nil
    ) async throws -> ControlResponse {
        let cookie = cookie ?? Self.field(globalCookie)
        let asked = await post("/.gatepost/posture/challenge", ["tx": .string(transaction)], cookie)
        let challenge = try #require(try JSONValue(parsing: asked.body)["challenge"]?.string)
        return await post(
            "/.gatepost/posture/assert",
            [
                "tx": .string(transaction),
                "assertion": .string(try agent.assertion(for: challenge, now: now, counter: counter)),
            ], cookie)
    }

    /// The first proof of a session, by a page that was refused.
    func checkIn(_ agent: HouseAgent, counter: Int64) async throws -> ControlResponse {
        let refused = await control.answer(try request("vault", purpose: .refused(.deviceRequired)))
        return try await finish(try transaction(location(refused)), agent, counter: counter)
    }
}
