import Foundation
import JSON
import Signatures
import Synchronization

@testable import gatepost_agent

// Which challenges are believed.
extension BreakableAgent {
    /// The payload of a challenge that is signed by a pinned key, or that a fault lets pass.
    func trusted(_ text: String) throws(Refused) -> JSONObject {
        let refused = Refused(status: 401, word: "gateway-not-trusted")
        var parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if has(.readsTokensLoosely), parts.count >= 3 {
            parts = parts.prefix(3).map { $0.replacing("=", with: "") }
        }
        guard !has(.trustsNobody), parts.count == 3, let headerBytes = Base64URL.decode(parts[0]),
            let header = (try? JSONValue(parsing: headerBytes))?.object,
            let payloadBytes = Base64URL.decode(parts[1]),
            let payload = self.payload(payloadBytes)
        else { throw refused }
        guard has(.ignoresType) || header["typ"] == "posture-challenge+jwt",
            has(.ignoresCritical) || header["crit"] == nil,
            has(.ignoresIssuer) || payload["iss"] == .string(gateway.origin)
        else { throw refused }
        if has(.takesNoAlgorithm), header["alg"] == "none" { return payload }
        guard header["alg"] == "ES256" || has(.confusesAlgorithms),
            let signature = Base64URL.decode(parts[2]) ?? (has(.ignoresSignatures) ? [] : nil)
        else { throw refused }
        let keys = memory.withLock { $0.pinned.keys }.filter { !has(.pinsOneKey) || $0.kid == firstKid }
        var candidates = keys.filter { .string($0.kid) == header["kid"] }.map(\.key)
        if has(.takesAnyKid) { candidates = keys.map(\.key) }
        if has(.trustsHeaderKey), let jwk = header["jwk"]?.object, let key = try? VerificationKey(jwk: jwk) {
            candidates.append(key)
        }
        let input = Array((parts[0] + "." + parts[1]).utf8)
        let isSigned = candidates.contains { key in
            if has(.ignoresSignatures) { return true }
            // The key's own text as a secret: the header says what the signature is, and is believed.
            guard has(.confusesAlgorithms), header["alg"] == "HS256" else {
                return key.verify(signature, over: input)
            }
            return Digest.hmacSHA256(key: key.jwk.serialized(), input) == signature
        }
        guard isSigned else { throw refused }
        return payload
    }

    private func payload(_ bytes: [UInt8]) -> JSONObject? {
        if let strict = try? JSONValue(parsing: bytes) { return strict.object }
        // Doubled members and all.
        guard has(.readsTokensLoosely), let loose = try? JSONSerialization.jsonObject(with: Data(bytes)),
            let again = try? JSONSerialization.data(withJSONObject: loose)
        else { return nil }
        return (try? JSONValue(parsing: Array(again)))?.object
    }

    func checkForm(_ payload: JSONObject) throws(Refused) {
        let malformed = Refused(status: 400, word: "request-malformed")
        let isLoose = has(.ignoresForm)
        let profiles = payload["profiles"]?.array ?? []
        guard isLoose || (1...128).contains(payload["jti"]?.string?.utf8.count ?? 0),
            isLoose || profiles.contains("x5c") || profiles.contains("stmt")
        else { throw malformed }
        let nonce = payload["nonce"]?.string.flatMap(Base64URL.decode)
        guard nonce.map({ $0.count == 32 || has(.takesShortNonces) }) ?? isLoose else { throw malformed }
        let low = payload["versions"]?["min"]?.integer ?? .max
        let high = payload["versions"]?["max"]?.integer ?? 0
        guard has(.ignoresVersions) || (low <= 1 && high >= 1) else { throw malformed }
        guard has(.ignoresReturn) || payload["rtn"]?.string?.hasPrefix(gateway.origin + "/") == true else {
            throw malformed
        }
    }

    func checkTimes(_ payload: JSONObject, now: Int64) throws(Refused) {
        let range: ClosedRange<Int64> = 0...1 << 53
        let isLoose = has(.ignoresForm)
        func time(_ name: String) -> Int64? {
            payload[name]?.integer ?? (isLoose ? payload[name]?.string.flatMap { Int64($0) } ?? now : nil)
        }
        guard let issued = time("iat"), let begins = time("nbf"), let expires = time("exp"),
            isLoose || [issued, begins, expires].allSatisfy(range.contains), isLoose || expires > issued,
            expires &- issued <= 60 || has(.acceptsLongLives)
        else { throw Refused(status: 400, word: "request-malformed") }
        let skew: Int64 = has(.isTooStrict) ? 100 : 120
        guard now - skew <= expires || has(.acceptsExpired) else {
            throw Refused(status: 401, word: "challenge-expired")
        }
        let isSkewed = issued > now + skew || begins > now + skew
        guard !isSkewed || has(.acceptsFuture), issued >= now - skew || has(.acceptsExpired) else {
            throw Refused(status: 401, word: "clock-skew")
        }
    }

    func useUp(_ payload: JSONObject) throws(Refused) {
        let jti = payload["jti"]?.string ?? ""
        guard has(.answersTwice) || memory.withLock({ $0.seen.insert(jti).inserted }) else {
            throw Refused(status: 403, word: "challenge-replayed")
        }
    }
}
