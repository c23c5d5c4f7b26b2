/// id_tokens and authorization answers that are wrong, or odd, in one way.

import JSON
import Signatures
import Synchronization

extension OpenIDProvider {
    /// Claims that no relying party may take, and a few that it must.
    func spoilFurther(
        _ payload: inout JSONObject, _ grant: Grant, accessToken: String, _ nowSeconds: Int64
    ) {
        let client = JSONValue.string(grant.request.client.id)
        let own = JSONValue.string(issuer)
        let rows: [(OpenIDFault, String, JSONValue?)] = [
            (.noIssuer, "iss", nil), (.issuerList, "iss", [own, "https://evil.example"]),
            (.noAudience, "aud", nil), (.numberInAudience, "aud", [client, 1]),
            (.severalAudiences, "aud", [client, "api"]), (.partyList, "azp", [client]),
            (.noSubject, "sub", nil), (.emptySubject, "sub", ""),
            (.longSubject, "sub", .string(String(repeating: "s", count: 256))),
            // Swift's == takes the Kelvin sign for a K.
            (.exoticSubject, "sub", "\u{212a}ate"), (.emptyNonce, "nonce", ""), (.noExpiry, "exp", nil),
            (.noIssueTime, "iat", nil), (.issuedLongAgo, "iat", .integer(nowSeconds - 3600)),
            (.notYetValid, "nbf", .integer(nowSeconds + 3600)),
            (.wrongAccessHash, "at_hash", .string(half("another"))),
            (.wrongCodeHash, "c_hash", .string(half("another"))),
            (.codeHash, "c_hash", .string(half(code(behind: accessToken)))),
            (.futureAuthTime, "auth_time", .integer(nowSeconds + 3600)), (.zeroAuthTime, "auth_time", 0),
            (
                .pairwiseSubject, "sub",
                .string(half("\(grant.request.client.id) \(grant.person.subject)"))
            ),
        ]
        for (fault, name, value) in rows where faults.fires(fault) != nil { payload[name] = value }
        spoilTypes(&payload, accessToken: accessToken, nowSeconds)
        if Self.userinfoFaults.contains(where: faults.isActive) {
            payload["email"] = nil
            payload["groups"] = nil
        }
    }

    /// Claims of another type than they have, and right ones in a list: whoever converts them takes them.
    private func spoilTypes(_ payload: inout JSONObject, accessToken: String, _ nowSeconds: Int64) {
        func list(_ name: String) -> JSONValue { .array([payload[name] ?? .null]) }
        let rows: [(OpenIDFault, String, JSONValue)] = [
            (.subjectNumber, "sub", 1), (.subjectList, "sub", list("sub")),
            (.nonceNumber, "nonce", 1), (.nonceList, "nonce", list("nonce")),
            (.issueTimeText, "iat", .string("\(nowSeconds)")), (.issueTimeList, "iat", list("iat")),
            (.expiryText, "exp", .string("\(nowSeconds + 600)")), (.expiryList, "exp", list("exp")),
            (.notBeforeText, "nbf", .string("\(nowSeconds)")),
            (.notBeforeList, "nbf", [.integer(nowSeconds)]),
            (.accessHashNumber, "at_hash", 1), (.accessHashList, "at_hash", list("at_hash")),
            (.codeHashNumber, "c_hash", 1),
            (.codeHashList, "c_hash", [.string(half(code(behind: accessToken)))]),
        ]
        for (fault, name, value) in rows where faults.fires(fault) != nil { payload[name] = value }
    }

    /// The left half of the algorithm's digest, as `at_hash` and `c_hash` are made (OpenID Connect Core 3.3.2.11): of
    /// Ed25519 it is SHA-512.
    func half(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let digest =
            switch state.withLock({ $0.algorithm }) {
            case .es256, .rs256, .ps256: Digest.sha256(bytes)
            // Nobody checks the hash of a token whose algorithm is not taken, as those with 384 bits.
            case .es384, .rs384, .rs512, .eddsa: Digest.sha512(bytes)
            }
        return Base64URL.encode(Array(digest.prefix(digest.count / 2)))
    }

    private func code(behind accessToken: String) -> String {
        state.withLock { $0.codes.first { $0.value.accessToken == accessToken }?.key ?? "" }
    }

    /// The token of this exchange, or of the one before.
    func delivered(_ token: String) -> String {
        let before = evidence.withLock { evidence in
            defer { evidence.lastToken = token }
            return evidence.lastToken
        }
        guard let before, faults.fires(.replayedToken) != nil else { return token }
        return before
    }

    /// A token that is signed otherwise than it should be; nil: no fault says so.
    func signedOddly(_ payload: JSONObject, client: Client) -> String? {
        guard let key = state.withLock({ $0.keys.last }) else { return nil }
        let keyID = JSONValue.string(key.publicKey.thumbprint)
        func part(_ text: String) -> String { Base64URL.encode(Array(text.utf8)) }
        func signed(_ header: String, _ claims: String) -> String {
            let input = "\(part(header)).\(part(claims))"
            return "\(input).\(Base64URL.encode(key.sign(Array(input.utf8))))"
        }
        let claims = String(decoding: payload.serialized(), as: UTF8.self)
        let head = "\"kid\":\"\(key.publicKey.thumbprint)\""
        let algorithm = "\"alg\":\"\(key.publicKey.algorithm.rawValue)\""
        let own = "\(algorithm),\(head)"
        func symmetric(_ secret: [UInt8]) -> String {
            let input = part("{\"alg\":\"HS256\",\(head)}") + "." + part(claims)
            return "\(input).\(Base64URL.encode(Digest.hmacSHA256(key: secret, Array(input.utf8))))"
        }
        let rows: [(OpenIDFault, () -> String)] = [
            (
                .doubledClaim,
                { signed("{\(own)}", "{\"sub\":\"root\",\(claims.dropFirst())") }
            ),
            (.doubledHeader, { signed("{\"alg\":\"none\",\(own)}", claims) }),
            (
                .unknownCritical,
                { signed("{\(own),\"crit\":[\"tenant\"],\"tenant\":1}", claims) }
            ),
            (.emptyCritical, { signed("{\(own),\"crit\":[]}", claims) }),
            (.unencoded, { signed("{\(own),\"b64\":false}", claims) }),
            (
                .unencodedCritical,
                { signed("{\(own),\"b64\":false,\"crit\":[\"b64\"]}", claims) }
            ),
            (.twoParts, { part("{\"alg\":\"none\"}") + "." + part(claims) }),
            (.unsignedWithBytes, { part("{\"alg\":\"none\",\(head)}") + "." + part(claims) + ".AAAA" }),
            (.symmetricSecret, { symmetric(Array(client.secret.utf8)) }),
            (.severalKeysNoID, { signed("{\(algorithm)}", claims) }),
        ]
        if let row = rows.first(where: { faults.fires($0.0) != nil }) { return row.1() }
        if faults.fires(.symmetricKey) != nil { return symmetric([UInt8](repeating: 7, count: 32)) }
        // These lie in the key set as well, which counts them.
        if faults.isActive(.weakKey) { return WeakKey.shared.token(payload) }
        if faults.isActive(.smallOrderKey) {
            let input = part("{\"alg\":\"EdDSA\",\"kid\":\"small\"}") + "." + part(claims)
            return input + "." + Base64URL.encode([1] + [UInt8](repeating: 0, count: 63))
        }
        guard faults.fires(.ownKey) != nil else { return nil }
        let stranger = strangersKey()
        return JWS.sign(
            header: ["kid": keyID, "jwk": .object(stranger.publicKey.jwk)], payload: payload, with: stranger)
    }

    // MARK: The authorization answer

    func spoilAnswer(
        _ pairs: inout [(String, String)], _ request: AuthorizationRequest, person: Person,
        _ exchange: Exchange
    ) {
        func position(_ name: String) -> Int? { pairs.firstIndex { $0.0 == name } }
        let code = position("code").map { pairs[$0].1 } ?? ""
        let before = evidence.withLock { evidence in
            defer { evidence.lastCode = code }
            return evidence.lastCode
        }
        if let at = position("code") {
            if faults.fires(.emptyCode) != nil { pairs[at].1 = "" }
            if let before, faults.fires(.replayedCode) != nil { pairs[at].1 = before }
            if faults.fires(.foreignCode) != nil {
                pairs[at].1 = codeOfAnotherClient(request, person, exchange)
            }
            if faults.fires(.doubledCode) != nil { pairs.append(("code", code)) }
            if faults.fires(.noCode) != nil { pairs.remove(at: at) }
        }
        if let at = position("state"), faults.fires(.doubledState) != nil { pairs.append(pairs[at]) }
        if let at = position("iss"), faults.fires(.doubledIssuerParameter) != nil { pairs.append(pairs[at]) }
        let errors: [(OpenIDFault, String, String)] = [
            (.errorBesideCode, "access_denied", "and yet a code"),
            (.passingError, "temporarily_unavailable", "come back"),
            (.interactionRequired, "interaction_required", "AADSTS53000: the device is not compliant"),
            (.wickedWords, "<script>alert(1)</script>", "<img src=x onerror=alert(1)>\r\nSet-Cookie: a=b"),
        ]
        for (fault, error, words) in errors where faults.fires(fault) != nil {
            if fault != .errorBesideCode { pairs.removeAll { $0.0 == "code" } }
            pairs += [("error", error), ("error_description", words)]
        }
    }

    private func codeOfAnotherClient(
        _ request: AuthorizationRequest, _ person: Person, _ exchange: Exchange
    ) -> String {
        var foreign = request
        foreign.client = clients.first { $0 != request.client } ?? request.client
        return state.withLock { state in
            state.issueCode(
                foreign, person: person, authenticatedAtSeconds: exchange.nowSeconds,
                nowSeconds: exchange.nowSeconds)
        }
    }
}
