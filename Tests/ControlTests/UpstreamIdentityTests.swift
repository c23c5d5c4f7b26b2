import Access
import Border
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control

@Suite("What upstreams are told of who it is", .timeLimit(.minutes(10)))
struct UpstreamIdentityTests {
    /// An application that keeps the gateway's keys as long as it may.
    struct CachingVerifier {
        let house: Gatehouse
        var keys: JWKSet
        var readAtSeconds: Int64

        init(_ house: Gatehouse) async throws {
            self.house = house
            keys = try await Self.read(house)
            readAtSeconds = house.now
        }

        private static func read(_ house: Gatehouse) async throws -> JWKSet {
            try JWKSet(parsing: await house.control.answer(house.request("/.gatepost/jwks.json")).body)
        }

        mutating func takes(_ token: String) async throws -> Bool {
            if house.now - readAtSeconds >= 300 { self = try await CachingVerifier(house) }
            let jws = try JWS(compact: token)
            return keys.candidates(keyID: jws.keyID, algorithm: .es256).contains { jws.verify(with: $0) }
        }
    }

    static func token(_ record: SessionRecord?) throws -> String {
        let text = String(decoding: try #require(record).identityFields, as: UTF8.self)
        let line = try #require(text.split(separator: "\r\n").first { $0.hasPrefix("Gatepost-Assertion: ") })
        return String(line.dropFirst("Gatepost-Assertion: ".count))
    }

    @Test("the assertion says everything that it promises, for 120 s")
    func claims() async throws {
        let house = try Gatehouse()
        try await house.enroll("laptop")
        let (_, session, cookie) = try await house.signIn(at: "vault", device: "laptop")
        try await Sessions(store: house.store, ring: house.control.ring).change(session.id) {
            $0.groups = (0..<52).map { "g\($0)" }
        }
        let jws = try JWS(compact: try Self.token(await house.pulled(cookie.tokenDigest, "vault")))
        #expect(jws.header["typ"] == "gatepost-assertion+jwt" && jws.algorithm == .es256)
        let claims = try jws.payloadObject
        #expect(claims["iss"] == "https://auth.corp.example:8443")
        #expect(claims["aud"] == "vault")
        #expect(claims["sub"] == "ada@corp.example" && claims["email"] == "ada@corp.example")
        #expect(claims["idp"] == "corp" && claims["idp_iss"] == "https://login.corp.example")
        #expect(claims["sid"]?.string == session.id)
        #expect(claims["groups"]?.array?.count == 50 && claims["groups_omitted"] == 2)
        #expect(claims["iat"]?.integer == house.now && claims["exp"]?.integer == house.now + 120)
        #expect(claims["device"]?["id"] == "laptop" && claims["device"]?["class"] == "compliant")
        #expect(claims["device"]?["policy"] == "any-linux")
    }

    @Test("one signature a minute for a session at an application, however many reactors ask at once")
    func economy() async throws {
        let house = try Gatehouse()
        let (global, session, cookie) = try await house.signIn()
        let cache = house.control.services.assertion.cache
        func ask() async -> Set<String> {
            await withTaskGroup(of: Void.self) { group in
                for reactor in 0..<16 as Range<UInt16> {
                    group.addTask { _ = await house.pull(cookie.tokenDigest, reactor: reactor) }
                    group.addTask { await house.control.renew(cookie.tokenDigest, "wiki") }
                }
            }
            let records = house.reactors.sent.compactMap { sent -> SessionRecord? in
                if case .session(_, let record) = sent.message { record } else { nil }
            }
            return Set(records.compactMap { try? Self.token($0) })
        }
        #expect(await ask().count == 1)
        #expect(cache.signatureCount == 1)
        // A change that changes nothing of what is said needs no new one, and the record ends with the token.
        house.advance(59)
        try await house.control.globalChanged(global.id, .deviceCheck)
        #expect(cache.signatureCount == 1)
        let record = try #require(await house.pulled(cookie.tokenDigest))
        #expect(record.residual.validUntilSeconds == Gatehouse.start + 100)
        #expect(record.renewAtSeconds == Gatehouse.start + 60)
        house.advance(1)
        #expect(await ask().count == 2, "the one of the minute before, and one more")
        #expect(cache.signatureCount == 2)
        // What is said anew is signed anew, at once.
        try await Sessions(store: house.store, ring: house.control.ring).change(session.id) {
            $0.groups = ["staff"]
        }
        try await house.control.globalChanged(global.id, .deviceCheck)
        #expect(cache.signatureCount == 3)
    }

    @Test("a clock that jumps back is no reason to hand out yesterday's token")
    func clock() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn()
        _ = await house.pulled(cookie.tokenDigest)
        house.advance(-30)
        house.control.revocations.forgetRecords()
        let claims = try JWS(compact: try Self.token(await house.pulled(cookie.tokenDigest))).payloadObject
        #expect(claims["iat"]?.integer == house.now)
    }

    @Test("over rotations a verifier that caches the keys for five minutes takes every token")
    func rotation() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn()
        var verifiers = [try await CachingVerifier(house)]
        var old = try Self.token(await house.pulled(cookie.tokenDigest))
        var kids: Set<String> = []
        for turn in 0..<4 {
            // Exactly as often as verifiers must look: those that have just looked are the hardest.
            try house.control.ring.rotate(.assertion)
            house.control.revocations.forgetRecords()
            let new = try Self.token(await house.pulled(cookie.tokenDigest))
            kids.insert(try #require(try JWS(compact: new).keyID))
            verifiers.append(try await CachingVerifier(house))
            for index in verifiers.indices {
                #expect(try await verifiers[index].takes(new), "turn \(turn), verifier \(index): the new key")
                #expect(
                    try await verifiers[index].takes(old), "turn \(turn), verifier \(index): the one before")
            }
            old = new
            house.advance(300)
        }
        #expect(kids.count == 4)
        // Somebody else's key is never taken.
        let foreign = Assertion(ring: .ephemeral(), issuer: "https://auth.corp.example:8443")
        let (_, session, _) = try await house.signIn()
        let token = foreign.token(
            for: session, application: "wiki", deviceID: nil, device: nil, nowSeconds: house.now
        ).token
        for index in verifiers.indices { #expect(try await !verifiers[index].takes(token)) }
    }
}
