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

@Suite("The device check of a device of which something is held")
struct HeldDeviceTests {
    /// A device with a key of its own, as the agent would answer for it.
    private struct Agent {
        var key: SigningKey
        var deviceID: String
        var chain: [JSONValue]

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
                ("posture", [:]),
            ])
            return JWS.sign(
                header: ["typ": "posture+jwt", "x5c": .array(chain)], payload: payload, with: key)
        }
    }

    private func enroll(_ house: Gatehouse) async throws -> Agent {
        let posture = house.control.services.posture
        let token = try await posture.createEnrollmentToken(
            issuer: "https://login.corp.example", subject: "ada@corp.example", email: nil)
        let key = SigningKey.generateP256()
        let csr = try CertificateRequest.make(key: key, commonName: "laptop")
        let answer = try await posture.enroll([
            "token": .string(token), "csr": .string(Base64.encode(csr)), "facts": ["platform": "linux"],
        ])
        return Agent(
            key: key, deviceID: try #require(answer["device_id"]?.string),
            chain: try #require(answer["certificates"]?.array))
    }

    private func post(
        _ house: Gatehouse, _ path: String, _ body: JSONValue, _ cookie: SessionCookie
    ) async -> ControlResponse {
        let fields = [
            Field("origin", "https://auth.corp.example:8443"), Field("x-gatepost-request", "1"),
            Field("content-type", "application/json"),
            Field("cookie", String(cookie.setCookie.prefix { $0 != ";" })),
        ]
        return await house.control.answer(
            house.request(path, method: "POST", fields, body: body.serializedText()))
    }

    /// One whole check, to its answer.
    private func check(
        _ house: Gatehouse, _ agent: Agent, counter: Int64
    ) async throws -> (response: ControlResponse, global: StoredSession?) {
        let (global, cookie) = try await house.globalSession()
        let id = try await house.control.services.posture.start(
            globalSession: global.id, application: "vault",
            returnPath: "https://vault.corp.example:8443/", issuer: global.issuer, subject: global.subject)
        let asked = await post(house, "/.gatepost/posture/challenge", ["tx": .string(id)], cookie)
        let challenge = try #require(try JSONValue(parsing: asked.body)["challenge"]?.string)
        let assertion = try agent.assertion(for: challenge, now: house.now, counter: counter)
        let response = await post(
            house, "/.gatepost/posture/assert", ["tx": .string(id), "assertion": .string(assertion)], cookie)
        return (response, try await house.store.session(id: global.id))
    }

    @Test("is refused while it is held, leaves nothing with the session, and works again afterwards")
    func refused() async throws {
        let house = try Gatehouse()
        let agent = try await enroll(house)
        let cause = HeldCause(kind: .absence(["health"]))
        let losses = (0..<12).map { index in
            SessionLoss(
                session: "s\(index)", person: "p\(index)", application: "vault",
                device: index == 0 ? agent.deviceID : "d\(index)", cause: cause)
        }
        let ruling = house.control.blast.radius { radius in
            radius.beginBatch()
            return radius.settle(losses, live: 12, nowSeconds: house.now)
        }
        #expect(ruling.held.count == 12)
        let held = try await check(house, agent, counter: 1)
        #expect(held.response.status == 403)
        #expect(try JSONValue(parsing: held.response.body)["reason"] == "change-held")
        #expect(held.global?.deviceID == nil && held.global?.statement == nil)
        house.control.blast.radius { for loss in losses { $0.drop(loss.session) } }
        let free = try await check(house, agent, counter: 2)
        #expect(free.response.status == 200, "\(String(decoding: free.response.body, as: UTF8.self))")
        #expect(free.global?.deviceID == agent.deviceID)
    }
}
