import JSON
import Signatures

// What the page hands over, and whether the agent believes it.
extension ConformanceCheck {
    static let bodies: [ConformanceCheck] = [
        malformed("body-no-json", "bytes that are no JSON") { _ in Array("challenge".utf8) },
        malformed("body-array", "an array") { _ in Array("[]".utf8) },
        malformed("body-empty-object", "an object without a challenge") { _ in Array("{}".utf8) },
        malformed("body-number", "a number as challenge") { _ in Array(#"{"challenge":1}"#.utf8) },
        malformed("body-doubled", "two challenges") { text in
            Array(#"{"challenge":"\#(text)","challenge":"\#(text)"}"#.utf8)
        },
        malformed("body-trailing", "something behind the object") { text in
            Array(#"{"challenge":"\#(text)"}{}"#.utf8)
        },
        malformed("body-deep", "a deep nest") { _ in
            Array((#"{"challenge":"# + String(repeating: "[", count: 4_000)).utf8)
        },
    ]

    static let signatures: [ConformanceCheck] = [
        untrusted("key-stranger", "a key that is not pinned, under the pinned key's name") { subject, draft in
            draft.signer = subject.gateway.stranger
            return draft.compact
        },
        untrusted("kid-unknown", "a key name that is not pinned") { _, draft in
            draft.header["kid"] = "unknown"
            return draft.compact
        },
        untrusted("kid-case", "the pinned name in another case") { _, draft in
            let kid = draft.header["kid"]?.string ?? ""
            let other = kid.uppercased() == kid ? kid.lowercased() : kid.uppercased()
            draft.header["kid"] = .string(other)
            return draft.compact
        },
        untrusted("header-key", "a key that the header brings") { subject, draft in
            draft.signer = subject.gateway.stranger
            draft.header["jwk"] = .object(subject.gateway.stranger.publicKey.jwk)
            draft.header["kid"] = .string(subject.gateway.stranger.publicKey.thumbprint)
            return draft.compact
        },
        untrusted("alg-none", "alg none without a signature") { _, draft in
            draft.unsigned(alg: "none") { _ in [] }
        },
        untrusted("alg-hmac", "HS256 under the pinned public key as a secret") { subject, draft in
            let key = subject.gateway.ring.signingKey(.challenge).key.publicKey
            return draft.unsigned(alg: "HS256") { input in
                Digest.hmacSHA256(key: key.jwk.serialized(), Array(input.utf8))
            }
        },
        untrusted("alg-other", "another algorithm's name over a right signature") { _, draft in
            let signer = draft.signer
            return draft.unsigned(alg: "ES384") { signer.sign(Array($0.utf8)) }
        },
        untrusted("crit", "an extension that must be understood and is not") { _, draft in
            draft.header["crit"] = ["exp"]
            draft.header["exp"] = 1
            return draft.compact
        },
        untrusted("type-other", "a token of another type by the same key") { _, draft in
            draft.header["typ"] = "JWT"
            return draft.compact
        },
        untrusted("type-missing", "a token without a type") { _, draft in
            draft.header["typ"] = nil
            return draft.compact
        },
        untrusted("payload-changed", "a payload that was changed after it was signed") { _, draft in
            let parts = draft.compact.split(separator: ".").map(String.init)
            draft.payload["app"] = "other"
            return [parts[0], Base64URL.encode(draft.payload.serialized()), parts[2]].joined(separator: ".")
        },
        untrusted("signature-cut", "a signature that lacks its end") { _, draft in
            String(draft.compact.dropLast(4))
        },
        untrusted("signature-zero", "a signature of zeros") { _, draft in
            draft.unsigned(alg: "ES256") { _ in [UInt8](repeating: 0, count: 64) }
        },
        untrusted("parts-four", "a fourth part") { _, draft in draft.compact + ".x" },
        untrusted("padding", "base64 with padding") { _, draft in draft.compact + "=" },
        untrusted("payload-doubled", "a member twice in a signed payload") { _, draft in
            var text = JSONValue.object(draft.payload).serializedText()
            text = String(text.dropLast()) + #","origin":"https://evil.example"}"#
            var header = draft.header
            header["alg"] = "ES256"
            let input = Base64URL.encode(header.serialized()) + "." + Base64URL.encode(Array(text.utf8))
            return input + "." + Base64URL.encode(draft.signer.sign(Array(input.utf8)))
        },
        untrusted("issuer-other", "another gateway as issuer") { _, draft in
            draft.payload["iss"] = "https://other.example"
            return draft.compact
        },
        ConformanceCheck("kid-next", "5", "after a rotation the announced next key is believed at once") {
            subject throws(ConformanceFailure) in
            do throws(SignatureError) {
                try subject.gateway.rotateOnce()
            } catch {
                throw .notJudged(error.what)
            }
            _ = try subject.assertion(in: subject.attest(subject.draft().compact), "the next key")
        },
    ]

    static let challenges: [ConformanceCheck] = [
        refused("audience-other", 401, ["audience-mismatch"], "a challenge for other agents") {
            $0.payload["aud"] = "urn:gatepost:agents:other"
        },
        refused("audience-list", 401, ["audience-mismatch"], "a list of audiences") {
            $0.payload["aud"] = .array([.string(ConformanceGateway.audience)])
        },
        refused("origin-claim", 403, ["origin-not-allowed"], "a challenge that was made for another origin") {
            $0.payload["origin"] = "https://evil.example"
        },
        refused("return-elsewhere", 400, ["request-malformed"], "a way back to another site") {
            $0.payload["rtn"] = "https://evil.example/.gatepost/posture/return"
        },
        refused("return-alike", 400, ["request-malformed"], "a way back to a host that begins alike") {
            draft in
            let origin = draft.payload["origin"]?.string ?? ""
            draft.payload["rtn"] = .string(origin + ".evil.example/return")
        },
        refused("return-missing", 400, ["request-malformed"], "no way back") { $0.payload["rtn"] = nil },
        refused("versions-newer", 400, ["request-malformed"], "versions that are not spoken") {
            $0.payload["versions"] = ["min": 90, "max": 99]
        },
        refused("versions-missing", 400, ["request-malformed"], "no versions") {
            $0.payload["versions"] = nil
        },
        refused("profiles-unknown", 400, ["request-malformed"], "an unknown profile only") {
            $0.payload["profiles"] = ["unknown"]
        },
        refused("nonce-short", 400, ["request-malformed"], "a nonce of 31 bytes") {
            $0.payload["nonce"] = .string(Base64URL.encode([UInt8](repeating: 7, count: 31)))
        },
        refused("nonce-missing", 400, ["request-malformed"], "no nonce") { $0.payload["nonce"] = nil },
        refused("jti-missing", 400, ["request-malformed"], "no jti") { $0.payload["jti"] = nil },
        refused("jti-long", 400, ["request-malformed"], "a jti of 129 bytes") {
            $0.payload["jti"] = .string(String(repeating: "j", count: 129))
        },
        refused("iat-missing", 400, ["request-malformed"], "no iat") { $0.payload["iat"] = nil },
        refused("iat-text", 400, ["request-malformed"], "an iat that is a text") {
            $0.payload["iat"] = .string(String($0.payload["iat"]?.integer ?? 0))
        },
    ]

    static let challengeTimes: [ConformanceCheck] = [
        refused("life-long", 400, ["request-malformed"], "a life of 61 s") {
            $0.payload["exp"] = .integer(($0.payload["iat"]?.integer ?? 0) + 61)
        },
        refused("life-negative", 400, ["request-malformed"], "an end before its beginning") {
            $0.payload["exp"] = .integer(($0.payload["iat"]?.integer ?? 0) - 1)
        },
        refused("expired", 401, ["challenge-expired"], "a challenge that ended 130 s ago") {
            $0.shift(seconds: -190)
        },
        refused("iat-future", 401, ["clock-skew"], "a challenge made in 130 s") { $0.shift(seconds: 130) },
        refused("iat-past", 401, ["clock-skew"], "a challenge that was made 130 s ago and lives on") {
            $0.shift(seconds: -130)
        },
        refused("iat-extreme", 400, ["request-malformed"], "the largest number as a time") {
            $0.payload["exp"] = .integer(Int64.max)
            $0.payload["iat"] = .integer(Int64.min + 1)
        },
        ConformanceCheck("skew-within", "6.2", "clocks that differ by 110 s either way are forgiven") {
            subject throws(ConformanceFailure) in
            for seconds in [Int64(-110), 110] {
                var draft = subject.draft()
                draft.shift(seconds: seconds)
                _ = try subject.assertion(in: subject.attest(draft.compact), "\(seconds) s")
            }
        },
        ConformanceCheck("replay", "7.10", "a challenge is answered once") {
            subject throws(ConformanceFailure) in
            let challenge = subject.draft().compact
            _ = try subject.assertion(in: subject.attest(challenge))
            try subject.expectError(
                subject.attest(challenge), 403, ["challenge-replayed"], "the same challenge again")
        },
        ConformanceCheck("replay-jti", "7.10", "another challenge with the same jti is not answered") {
            subject throws(ConformanceFailure) in
            let first = subject.draft()
            _ = try subject.assertion(in: subject.attest(first.compact))
            var second = subject.draft()
            second.payload["jti"] = .string(first.jti)
            try subject.expectError(
                subject.attest(second.compact), 403, ["challenge-replayed"], "the same jti again")
        },
        ConformanceCheck("refused-not-remembered", "7.10", "a forged challenge does not use up the real one")
        {
            subject throws(ConformanceFailure) in
            let good = subject.draft()
            var forged = good
            forged.signer = subject.gateway.stranger
            try subject.expectError(
                subject.attest(forged.compact), 401, ["gateway-not-trusted"], "the forged one")
            _ = try subject.assertion(in: subject.attest(good.compact), "the real one after it")
        },
    ]

    private static func malformed(
        _ name: String, _ what: String, _ body: @escaping @Sendable (String) -> [UInt8]
    ) -> ConformanceCheck {
        ConformanceCheck(name, "7.6", "a body is refused with 400 request-malformed: \(what)") {
            subject throws(ConformanceFailure) in
            let challenge = subject.draft().compact
            var request = subject.request(challenge)
            request.body = body(challenge)
            try subject.expectError(subject.attest(request), 400, ["request-malformed"], what)
        }
    }

    private static func untrusted(
        _ name: String, _ what: String,
        _ make: @escaping @Sendable (ConformanceSubject, inout ChallengeDraft) -> String
    ) -> ConformanceCheck {
        ConformanceCheck(name, "7.7", "is refused with 401 gateway-not-trusted: \(what)") {
            subject throws(ConformanceFailure) in
            var draft = subject.draft()
            let challenge = make(subject, &draft)
            try subject.expectError(subject.attest(challenge), 401, ["gateway-not-trusted"], what)
        }
    }

    private static func refused(
        _ name: String, _ status: Int, _ words: [String], _ what: String,
        _ edit: @escaping @Sendable (inout ChallengeDraft) -> Void
    ) -> ConformanceCheck {
        let word = words.joined(separator: " or ")
        return ConformanceCheck(name, "6.2", "is refused with \(status) \(word): \(what)") {
            subject throws(ConformanceFailure) in
            var draft = subject.draft()
            edit(&draft)
            try subject.expectError(subject.attest(draft.compact), status, words, what)
        }
    }
}
