import Border
import Identity
import JSON
import Posture
import Signatures
import Store
import Synchronization
import Testing

@testable import Control

/// An enrolled device of Ada's, and its answers as an agent makes them.
final class TestAgent: Sendable {
    let house: Gatehouse
    let key: SigningKey
    let deviceID: String
    private let chain: [JSONValue]
    private let counter = Mutex<Int64>(0)

    init(_ house: Gatehouse, owner: String = "ada@corp.example") async throws {
        self.house = house
        let posture = house.control.services.posture
        let token = try await posture.createEnrollmentToken(
            issuer: "https://login.corp.example", subject: owner, email: nil)
        key = SigningKey.generateP256()
        let csr = try CertificateRequest.make(key: key, commonName: "laptop")
        let answer = try await posture.enroll([
            "token": .string(token), "csr": .string(Base64.encode(csr)), "facts": ["platform": "linux"],
        ])
        deviceID = try #require(answer["device_id"]?.string)
        chain = try #require(answer["certificates"]?.array)
    }

    func assertion(
        for challenge: String, transport: String, chain other: [JSONValue]? = nil,
        change: (inout JSONObject) -> Void = { _ in }
    ) throws -> String {
        let claims = try JWS(compact: challenge).payloadObject
        let count = counter.withLock { count -> Int64 in
            count += 1
            return count
        }
        var payload = JSONObject([
            ("eat_profile", "urn:gatepost:posture:1"), ("iss", .string("urn:device:" + deviceID)),
            ("sub", .string(deviceID)), ("aud", claims["iss"] ?? .null), ("iat", .integer(house.now)),
            ("exp", .integer(house.now + 60)), ("jti", .string(Base64URL.encode(Random.bytes(16)))),
            ("eat_nonce", claims["nonce"] ?? .null),
            ("chh", .string(Base64URL.encode(Digest.sha256(Array(challenge.utf8))))),
            ("origin", transport == "fetch" ? claims["origin"] ?? .null : .null),
            ("transport", .string(transport)), ("version", 1), ("swname", "gatepost-agent"),
            ("swversion", "7.2.0"), ("key", "software"), ("counter", .integer(count)),
            ("cnf", ["jkt": .string(key.publicKey.thumbprint)]), ("posture", [:]),
        ])
        change(&payload)
        return JWS.sign(
            header: ["typ": "posture+jwt", "x5c": .array(other ?? chain)], payload: payload, with: key)
    }
}

/// Somebody's browser in the middle of a device check for the vault.
struct CheckingBrowser: Sendable {
    let house: Gatehouse
    let global: StoredSession
    let cookie: SessionCookie
    let transaction: String

    init(_ house: Gatehouse) async throws {
        self.house = house
        (global, cookie) = try await house.globalSession()
        transaction = try await house.control.services.posture.start(
            globalSession: global.id, application: "vault",
            returnPath: "https://vault.corp.example:8443/a?b", issuer: global.issuer, subject: global.subject)
    }

    var cookieField: Field { Field("cookie", String(cookie.setCookie.prefix { $0 != ";" })) }

    func post(_ path: String, _ body: JSONValue, fields: [Field]? = nil) async -> ControlResponse {
        let own = [
            Field("origin", "https://auth.corp.example:8443"), Field("x-gatepost-request", "1"),
            Field("content-type", "application/json"), cookieField,
        ]
        return await house.control.answer(
            house.request(path, method: "POST", fields ?? own, body: body.serializedText()))
    }

    func get(_ path: String, fields: [Field]? = nil) async -> ControlResponse {
        await house.control.answer(house.request(path, fields ?? [cookieField]))
    }

    func offer() async throws -> JSONValue {
        try JSONValue(
            parsing: await post("/.gatepost/posture/challenge", ["tx": .string(transaction)]).body)
    }

    func challenge() async throws -> String { try #require(try await offer()["challenge"]?.string) }
}
