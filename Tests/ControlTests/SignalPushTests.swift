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

@Suite("A pushed signal, from the reserved path to the reactors", .timeLimit(.minutes(10)))
struct SignalPushTests {
    static let issuer = "http://127.0.0.1:9/t1"
    static let caep = "https://schemas.openid.net/secevent/caep/event-type/"
    static let ada: JSONValue = ["format": "email", "email": "ada@corp.example"]
    static let laptop: JSONValue = ["format": "opaque", "id": "laptop"]

    let key: SigningKey
    let outside = Outside()
    let house: Gatehouse

    init() async throws {
        key = try SigningKey(pem: SigningKey.generateP256().pem, keyID: "k1")
        outside.answer(
            "http://127.0.0.1:9/.well-known/ssf-configuration/t1",
            #"{"issuer":"\#(Self.issuer)","jwks_uri":"http://127.0.0.1:9/keys"}"#)
        var jwk = key.publicKey.jwk
        jwk["kid"] = "k1"
        outside.answer(
            "http://127.0.0.1:9/keys", JSONValue.object(["keys": [.object(jwk)]]).serializedText())
        // Of what is known, `vault` asks the stream and `wiki` the group.
        house = try Gatehouse(
            SignalTests.config.replacingOccurrences(
                of: "include: [ { email-domain: corp.example } ] }",
                with: "include: [ { group: staff } ] }"), fetcher: outside)
        try await house.enroll("laptop", pinned: ["serial": "S-1"])
        try await house.control.start()
    }

    struct Token {
        var type = "session-revoked"
        var members: JSONObject = [:]
        var subject = SignalPushTests.ada
        var id: String
        var issuer = SignalPushTests.issuer
        var audience = "https://auth.corp.example/ssf"
    }

    private func push(_ token: Token, signedBy other: SigningKey? = nil) async -> ControlResponse {
        let claims: JSONObject = [
            "iss": .string(token.issuer), "aud": .string(token.audience), "jti": .string(token.id),
            "iat": .integer(house.now), "sub_id": token.subject,
            "events": .object(JSONObject([(Self.caep + token.type, .object(token.members))])),
        ]
        let compact = JWS.sign(
            header: ["typ": "secevent+jwt", "kid": "k1"], payload: claims, with: other ?? key)
        let fields = [
            Field("authorization", "Bearer push-secret-0001"),
            Field("content-type", "application/secevent+jwt"),
        ]
        return await house.control.answer(
            house.request("/.gatepost/signals/idp", method: "POST", fields, body: compact))
    }

    private func compliance(_ isCompliant: Bool, _ id: String) async -> Int {
        house.advance(1)
        let members: JSONObject = [
            "previous_status": isCompliant ? "not-compliant" : "compliant",
            "current_status": isCompliant ? "compliant" : "not-compliant",
        ]
        return await push(
            Token(type: "device-compliance-change", members: members, subject: Self.laptop, id: id)
        ).status
    }

    /// The first record of a session that reactors are told of and that is as asked for, from `index` on.
    private func told(
        _ session: String, from index: Int = 0, _ isMeant: @escaping @Sendable (SessionRecord) -> Bool
    ) async {
        await house.reactors.wait { revocations in
            revocations.dropFirst(index).contains { revocation in
                guard case .replace(let record) = revocation.effect else { return false }
                return record.session == session && isMeant(record)
            }
        }
    }

    @Test("001.24 session-revoked ends the sessions in the store and on the reactors, and nobody else's")
    func revoked() async throws {
        let (global, session, cookie) = try await house.signIn()
        let other = try await house.signIn("eve@corp.example")
        #expect(await push(Token(id: "r-1")).status == 202)
        #expect(house.reactors.revocations.map(\.effect) == [.endSession(session.id)])
        #expect(try await house.store.session(id: global.id) == nil)
        #expect(try await house.store.session(id: session.id) == nil)
        #expect(await house.pulled(cookie.tokenDigest) == nil)
        #expect(try await house.store.session(id: other.session.id) != nil)
        let audit = try #require(try await house.store.audit(limit: 1).first)
        #expect(audit.kind == "signal-applied" && audit.json.contains(#""jti":"r-1""#))
        house.control.stop()
    }

    @Test("001.24 a credential that changed ends the person's sessions; a new one ends none")
    func credential() async throws {
        let (global, session, _) = try await house.signIn()
        let created: JSONObject = ["credential_type": "fido2-platform", "change_type": "create"]
        #expect(await push(Token(type: "credential-change", members: created, id: "c-1")).status == 202)
        #expect(house.reactors.revocations.isEmpty)
        let deleted: JSONObject = ["credential_type": "fido2-platform", "change_type": "delete"]
        #expect(await push(Token(type: "credential-change", members: deleted, id: "c-2")).status == 202)
        #expect(house.reactors.revocations.map(\.effect) == [.endSession(session.id)])
        #expect(try await house.store.session(id: global.id) == nil)
        house.control.stop()
    }

    @Test("a certificate that its authority's issuer and serial number name is revoked, with its device")
    func certificate() async throws {
        let pair = try EnrollmentAuthority.generateSelfSigned(
            commonName: "Devices of Corp", nowSeconds: house.now - 60)
        let authority = try EnrollmentAuthority(certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM)
        await house.control.services.posture.take([
            AgentIntegration(
                handshake: HandshakeSettings(integration: "agents", authOrigin: "https://auth.corp.example"),
                authority: authority)
        ])
        let serial = "0a1b2c"
        try await house.store.upsert(
            StoredDevice(
                id: "phone", ownerIssuer: "https://login.corp.example", ownerSubject: "ada@corp.example",
                ownerEmail: "ada@corp.example", platform: .linux, keyThumbprint: "t-phone",
                certificateSerial: serial, enrolledAtSeconds: house.now,
                certificateNotAfterSeconds: house.now + 86_400))
        try await house.control.services.posture.load()
        func revoked(_ members: JSONObject, _ id: String) async throws -> Bool {
            var all: JSONObject = ["credential_type": "x509", "change_type": "revoke"]
            for member in members.members { all[member.name] = member.value }
            #expect(await push(Token(type: "credential-change", members: all, id: id)).status == 202)
            return try #require(await house.control.services.posture.devices().first { $0.id == "phone" })
                .isRevoked
        }
        let issuer: JSONValue = "cn=devices of corp"
        #expect(try await !revoked([:], "x-1"))
        #expect(try await !revoked(["x509_serial": .string(serial)], "x-2"), "whose serial number?")
        #expect(try await !revoked(["x509_serial": .string(serial), "x509_issuer": "CN=Public CA"], "x-3"))
        #expect(try await !revoked(["x509_serial": "no number", "x509_issuer": issuer], "x-4"))
        #expect(try await !revoked(["x509_serial": "0a1b2d", "x509_issuer": issuer], "x-5"))
        let (_, session, _) = try await house.signIn(device: "phone")
        #expect(try await revoked(["x509_serial": "0x0A:1B:2C", "x509_issuer": issuer], "x-6"))
        #expect(try await house.store.session(id: session.id) == nil)
        #expect(try await house.store.revokedSerials().contains(serial))
        house.control.stop()
    }

    @Test("001.24 a signal that names the ID token finds the session that was made with it, and no other")
    func token() async throws {
        let (global, session, _) = try await house.signIn()
        let records = Sessions(store: house.store, ring: house.control.ring)
        for id in [global.id, session.id] {
            _ = try await records.change(id) { $0.claims[StoredSession.tokenClaim] = .text("idt-8812") }
        }
        let stored = try #require(try await house.store.session(id: global.id))
        #expect(stored.facts.person.claims[StoredSession.tokenClaim] == nil, "policy never sees it")
        func named(_ issuer: String, _ id: String) -> JSONValue {
            ["format": "jwt_id", "iss": .string(issuer), "jti": .string(id)]
        }
        #expect(await push(Token(subject: named(global.issuer, "idt-8813"), id: "j-1")).status == 202)
        #expect(
            await push(Token(subject: named("https://other.example", "idt-8812"), id: "j-2")).status == 202)
        #expect(try await house.store.session(id: global.id) != nil)
        let claims: JSONObject = ["claims": ["groups": ["guests"]]]
        let change = Token(
            type: "token-claims-change", members: claims, subject: named(global.issuer, "idt-8812"), id: "j-3"
        )
        #expect(await push(change).status == 202)
        #expect(try await house.store.session(id: global.id)?.groups == ["guests"])
        #expect(await push(Token(subject: named(global.issuer, "idt-8812"), id: "j-4")).status == 202)
        #expect(try await house.store.session(id: global.id) == nil)
        #expect(try await house.store.session(id: session.id) == nil)
        house.control.stop()
    }

    @Test("001.24 003.6 changed claims are stored and decided with before they are acknowledged")
    func claims() async throws {
        let (_, session, cookie) = try await house.signIn()
        #expect(await house.pulled(cookie.tokenDigest)?.residual.policies.isEmpty == true)
        let members: JSONObject = ["claims": ["groups": ["staff"]]]
        #expect(await push(Token(type: "token-claims-change", members: members, id: "t-1")).status == 202)
        #expect(try await house.store.session(id: session.id)?.groups == ["staff"])
        guard case .replace(let record)? = house.reactors.revocations.last?.effect else {
            Issue.record("no reactor was told")
            return
        }
        #expect(record.session == session.id && record.residual.policies.map(\.name) == ["staff"])
        house.advance(1)
        let none: JSONObject = ["claims": ["groups": []]]
        #expect(await push(Token(type: "token-claims-change", members: none, id: "t-2")).status == 202)
        #expect(await house.pulled(cookie.tokenDigest)?.residual.policies.isEmpty == true)
        house.control.stop()
    }

    @Test("001.24 not-compliant cuts at once; compliant lifts only with the provider's own later answer")
    func device() async throws {
        let (_, session, cookie) = try await house.signIn(at: "vault", device: "laptop")
        _ = await house.pull(cookie.tokenDigest, "vault")
        #expect(await compliance(true, "d-1") == 202)
        await told(session.id) { !$0.residual.policies.isEmpty }
        var seen = house.reactors.revocations.count
        #expect(await compliance(false, "d-2") == 202)
        await told(session.id, from: seen) { $0.residual.policies.isEmpty }
        let stored = try await house.store.verdicts(integration: "idp")
        #expect(stored.map(\.rawState) == ["not-compliant"], "it survives a restart")
        #expect(await compliance(true, "d-3") == 202)
        await house.control.deviceChanged("laptop", 1)
        #expect(await house.pulled(cookie.tokenDigest, "vault")?.residual.policies.isEmpty == true)
        // The provider that confirms this stream answers, in a later second.
        house.advance(2)
        outside.answer("http://127.0.0.1:9/evaluate", #"{"result":{"laptop":{"score":100}}}"#)
        seen = house.reactors.revocations.count
        let answer = await house.control.execute(["command": "reconnect", "integration": "health"])
        #expect(answer["error"] == nil, "\(answer.serializedText())")
        await told(session.id, from: seen) { !$0.residual.policies.isEmpty }
        house.control.stop()
    }

    @Test("001.24 a wrong signature, another audience or issuer, and an id that came before change nothing")
    func refused() async throws {
        let (global, session, _) = try await house.signIn()
        let stranger = try SigningKey(pem: SigningKey.generateP256().pem, keyID: "k1")
        let forged = await push(Token(id: "x-1"), signedBy: stranger)
        #expect(forged.status == 400)
        #expect(try JSONValue(parsing: forged.body)["err"] == "authentication_failed")
        let elsewhere = await push(Token(id: "x-2", audience: "https://other.example/ssf"))
        #expect(elsewhere.status == 400)
        #expect(try JSONValue(parsing: elsewhere.body)["err"] == "invalid_audience")
        let foreign = await push(Token(id: "x-3", issuer: "http://127.0.0.1:9/t2"))
        #expect(try JSONValue(parsing: foreign.body)["err"] == "invalid_issuer")
        #expect(house.reactors.revocations.isEmpty)
        #expect(try await house.store.session(id: global.id) != nil)
        // The refused ids were not used up; the good one is, and its copy ends nobody who signed in since.
        #expect(await push(Token(id: "x-1")).status == 202)
        #expect(house.reactors.revocations.map(\.effect) == [.endSession(session.id)])
        let again = try await house.signIn()
        #expect(await push(Token(id: "x-1")).status == 202, "told once more, it is acknowledged once more")
        #expect(house.reactors.revocations.count == 1)
        #expect(try await house.store.session(id: again.session.id) != nil)
        house.control.stop()
    }
}
