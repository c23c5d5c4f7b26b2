import Fetch
import JSON
import Signatures
import Synchronization
import Testing

@testable import gatepost_agent

/// A gateway that answers every renewal with what the test prepared.
final class RenewingGateway: Fetcher {
    let answer = Mutex<JSONValue>(.null)

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        FetchResponse(status: 200, fields: [], body: answer.withLock { $0 }.serialized())
    }
}

@Suite("The agent follows its gateway's keys, and nobody else's")
struct KeyRotationTests {
    let setting: AgentSetting
    let gateway = RenewingGateway()

    init() throws { setting = try AgentSetting() }

    /// One renewal with this announcement; the enrolment on the disk afterwards, or what was refused.
    func renew(_ keys: [String], edit: (inout JSONObject) -> Void = { _ in }) async -> String? {
        var answer = AgentSetting.answer(setting.certificate, setting.ring).object ?? JSONObject()
        answer["gateway_keys"] = .array(keys.map { .string($0) })
        edit(&answer)
        let prepared = JSONValue.object(answer)
        gateway.answer.withLock { $0 = prepared }
        let clock = AgentClock(nowSeconds: { AgentSetting.now }, nowMilliseconds: { 0 })
        let loop = RenewalLoop(identity: setting.identity, clock: clock, fetcher: gateway)
        do throws(AgentError) {
            try await loop.step(nowSeconds: AgentSetting.now)
            return nil
        } catch {
            return error.what
        }
    }

    var announced: [String] {
        KeyAnnouncement.signed(
            by: setting.ring, issuer: AgentSetting.origin, audience: "urn:gatepost:agents:agents")
    }

    /// Whether a challenge by the ring's current key is answered.
    var answersCurrentKey: Bool {
        let (kid, key) = setting.ring.signingKey(.challenge)
        let challenge = setting.challenge(signer: key, header: { $0["kid"] = .string(kid) })
        return setting.ask(challenge).status == 200
    }

    @Test("after a rotation the next key was pinned before; after a renewal and another rotation too")
    func follows() async throws {
        #expect(answersCurrentKey)
        for _ in 0..<3 {
            try setting.ring.rotate(.challenge)
            #expect(answersCurrentKey, "announced ahead")
            #expect(await renew(announced) == nil)
            try setting.ring.rotate(.root)
            #expect(await renew(announced) == nil)
        }
        try setting.ring.rotate(.challenge)
        try setting.ring.rotate(.challenge)
        #expect(!answersCurrentKey, "two rotations without a renewal")
        #expect(await renew(announced) == nil)
        #expect(answersCurrentKey)
    }

    @Test("what was followed is on the disk") func persisted() async throws {
        let folder = setting.identity.folder
        try folder.write(DeviceIdentity.keyFileName, (setting.identity.key as? SigningKey)?.pem ?? [])
        try setting.ring.rotate(.challenge)
        try setting.ring.rotate(.root)
        #expect(await renew(announced) == nil)
        let again = try DeviceIdentity(folder: folder).enrolment
        #expect(again.keySequence == setting.identity.enrolment.keySequence && again.keySequence == 4)
        #expect(again.gatewayKeys.map(\.kid) == setting.identity.enrolment.gatewayKeys.map(\.kid))
        #expect(again.gatewayKeys.contains { $0.kid == setting.ring.signingKey(.challenge).kid })
        #expect(again.rootKeys.map(\.kid)[0] == setting.ring.signingKey(.root).kid)
    }

    @Test("unsigned, foreign, forged and older announcements change nothing") func refused() async throws {
        let before = setting.identity.enrolment
        let old = announced
        try setting.ring.rotate(.challenge)
        let payload = try JWS(compact: announced[0]).payloadObject
        let stranger = KeyRing.ephemeral()
        let foreign = KeyAnnouncement.signed(
            by: stranger, issuer: AgentSetting.origin, audience: "urn:gatepost:agents:agents")
        let challenge = setting.ring.signingKey(.challenge)
        let byChallengeKey = JWS.sign(
            header: JSONObject([("typ", "gateway-keys+jwt"), ("kid", .string(challenge.kid))]),
            payload: payload, with: challenge.key)
        let elsewhere = KeyAnnouncement.signed(
            by: setting.ring, issuer: "https://auth.evil.example", audience: "urn:gatepost:agents:agents")
        for keys in [[], foreign, [byChallengeKey], elsewhere] {
            #expect(await renew(keys)?.contains("keys are refused") == true)
        }
        #expect(await renew([], edit: { $0["gateway_keys"] = ["keys": []] }) != nil)
        #expect(setting.identity.enrolment.keySequence == before.keySequence)
        #expect(setting.identity.enrolment.gatewayKeys.map(\.kid) == before.gatewayKeys.map(\.kid))
        #expect(await renew(announced) == nil)
        #expect(await renew(old) == "the gateway's keys are refused: announcement 2 after 3", "rollback")
        #expect(answersCurrentKey)
    }

    @Test("a challenge that speaks of newer keys makes the renewal due at once; a stranger's does not")
    func announcedInChallenge() async throws {
        let clock = AgentClock(nowSeconds: { AgentSetting.now }, nowMilliseconds: { 0 })
        let loop = RenewalLoop(identity: setting.identity, clock: clock, fetcher: gateway)
        let now = AgentSetting.now
        #expect(!loop.isDue(nowSeconds: now))
        let forged = setting.challenge(signer: .generateP256(), payload: { $0["key_seq"] = 9 })
        #expect(setting.ask(forged).status == 401)
        #expect(setting.ask(setting.challenge(payload: { $0["key_seq"] = 2 })).status == 200)
        #expect(!loop.isDue(nowSeconds: now))
        try setting.ring.rotate(.challenge)
        let current = setting.ring.signingKey(.challenge).key
        let newer = setting.challenge(signer: current, payload: { $0["key_seq"] = 3 })
        #expect(setting.ask(newer).status == 200)
        #expect(loop.isDue(nowSeconds: now))
        #expect(await renew(announced) == nil)
        #expect(!loop.isDue(nowSeconds: now))
    }

    @Test("another set under the same number is refused: somebody else made it") func fork() async throws {
        let other = KeyRing.ephemeral()
        let root = setting.ring.signingKey(.root)
        var payload = try JWS(compact: announced[0]).payloadObject
        payload["keys"] = KeyAnnouncement.keySet(other.verificationKeys(.challenge))
        let header = JSONObject([("typ", "gateway-keys+jwt"), ("kid", .string(root.kid))])
        let forged = JWS.sign(header: header, payload: payload, with: root.key)
        #expect(await renew([forged]) == "the gateway's keys are refused: announcement 2 after 2")
        #expect(await renew(announced) == nil, "the same set again is fine")
    }
}
