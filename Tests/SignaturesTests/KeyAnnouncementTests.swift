import JSON
import Signatures
import Testing

@Suite("The announcement of gateway keys")
struct KeyAnnouncementTests {
    static let issuer = "https://auth.corp.example"

    static func texts(_ ring: KeyRing) -> [String] {
        KeyAnnouncement.signed(by: ring, issuer: issuer, audience: "urn:a")
    }

    static func refusal(_ texts: [String], roots: [KeyAnnouncement.Named]) -> String? {
        do throws(SignatureError) {
            _ = try KeyAnnouncement(following: texts, roots: roots)
            return nil
        } catch {
            return error.what
        }
    }

    @Test func `the next challenge key is announced before it is used`() throws {
        let ring = KeyRing.ephemeral()
        let pinned = try KeyAnnouncement(firstUseOf: Self.texts(ring))
        try ring.rotate(.challenge)
        #expect(pinned.keys.contains { $0.kid == ring.signingKey(.challenge).kid })
        let next = try KeyAnnouncement(following: Self.texts(ring), roots: pinned.roots)
        #expect(next.sequence == pinned.sequence + 1)
        #expect(!KeyAnnouncement.isSame(next.keys, pinned.keys))
        #expect(KeyAnnouncement.isSame(next.roots, pinned.roots))
    }

    @Test func `one and two rotations of the root are followed, three are not`() throws {
        let ring = KeyRing.ephemeral()
        let pinned = try KeyAnnouncement(firstUseOf: Self.texts(ring))
        for rotation in 1...3 {
            try ring.rotate(.root)
            let refusal = Self.refusal(Self.texts(ring), roots: pinned.roots)
            #expect((refusal == nil) == (rotation < 3), "\(rotation)")
        }
    }

    @Test func `a root that was given up is pinned no more, but still leads to the next`() throws {
        let ring = KeyRing.ephemeral()
        let pinned = try KeyAnnouncement(firstUseOf: Self.texts(ring))
        try ring.rotate(.root)
        let next = try KeyAnnouncement(following: Self.texts(ring), roots: pinned.roots)
        #expect(!next.roots.contains { $0.kid == pinned.roots[0].kid })
        #expect(next.roots[0].kid == pinned.roots[1].kid)
    }

    @Test func `an announcement signed by a challenge key, a stranger or nobody is refused`() throws {
        let ring = KeyRing.ephemeral()
        let pinned = try KeyAnnouncement(firstUseOf: Self.texts(ring))
        let payload = try JWS(compact: Self.texts(ring)[0]).payloadObject
        let challenge = ring.signingKey(.challenge).key
        func forged(_ key: SigningKey, kid: String, type: String = "gateway-keys+jwt") -> String {
            JWS.sign(
                header: JSONObject([("typ", .string(type)), ("kid", .string(kid))]), payload: payload,
                with: key)
        }
        let root = pinned.roots[0].kid
        let refused = [
            [], Self.texts(.ephemeral()), [forged(challenge, kid: ring.signingKey(.challenge).kid)],
            [forged(challenge, kid: root)], [forged(.generateP256(), kid: root)],
            [forged(ring.signingKey(.root).key, kid: root, type: "jwt")],
            Array(repeating: Self.texts(ring)[0], count: 5),
            [Self.texts(ring)[0].split(separator: ".").dropLast().joined(separator: ".") + "."], ["x"],
        ]
        for (index, texts) in refused.enumerated() {
            #expect(Self.refusal(texts, roots: pinned.roots) != nil, "\(index)")
        }
        #expect(Self.refusal([forged(ring.signingKey(.root).key, kid: root)], roots: pinned.roots) == nil)
    }

    @Test func `a set with no key, too many, doubled names or another curve is refused`() throws {
        let ring = KeyRing.ephemeral()
        let root = ring.signingKey(.root)
        let good = try #require(try JWS(compact: Self.texts(ring)[0]).payloadObject["keys"]?["keys"]?.array)
        var nameless = try #require(good[0].object)
        nameless["kid"] = nil
        let sets: [[JSONValue]] = [
            [], Array(repeating: good[0], count: 9), [good[0], good[0]], [.object(nameless)], ["x"],
            [["kty": "oct", "k": "AA", "kid": "a"]],
        ]
        for set in sets {
            var payload = try JWS(compact: Self.texts(ring)[0]).payloadObject
            payload["keys"] = .object(JSONObject([("keys", .array(set))]))
            let header = JSONObject([("typ", "gateway-keys+jwt"), ("kid", .string(root.kid))])
            let text = JWS.sign(header: header, payload: payload, with: root.key)
            #expect(Self.refusal([text], roots: ring.verificationKeys(.root)) != nil)
        }
    }

    @Test func `key names are compared byte for byte`() throws {
        let ring = KeyRing.ephemeral()
        let root = ring.signingKey(.root)
        let payload = try JWS(compact: Self.texts(ring)[0]).payloadObject
        let header = JSONObject([("typ", "gateway-keys+jwt"), ("kid", "cle\u{301}")])
        let text = JWS.sign(header: header, payload: payload, with: root.key)
        #expect(Self.refusal([text], roots: [("cl\u{e9}", root.key.publicKey)]) != nil)
        #expect(Self.refusal([text], roots: [("cle\u{301}", root.key.publicKey)]) == nil)
    }

    @Test func `the sequence grows with every rotation of either key and survives a restart`() throws {
        let ring = KeyRing.ephemeral()
        var last = try KeyAnnouncement(firstUseOf: Self.texts(ring)).sequence
        for purpose in [KeyRing.Purpose.challenge, .root, .root, .challenge] {
            try ring.rotate(purpose)
            let sequence = try KeyAnnouncement(firstUseOf: Self.texts(ring)).sequence
            #expect(sequence == last + 1)
            last = sequence
        }
    }
}
