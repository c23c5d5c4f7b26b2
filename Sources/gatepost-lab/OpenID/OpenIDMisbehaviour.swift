/// Answers of whole endpoints that are wrong: discovery, key set, token endpoint, userinfo.

import JSON
import Signatures
import Synchronization

extension OpenIDProvider {
    private static let typeOfJSON = [("Content-Type", "application/json")]

    /// Answers the request instead of the honest endpoint when a fault says so.
    func misbehave(_ exchange: Exchange) throws -> Bool {
        switch exchange.head.path {
        case "/trap":
            evidence.withLock { $0.trapped += 1 }
            try exchange.send(.json(["keys": [], "id_token": "trapped", "token_type": "Bearer"]))
            return true
        case "/.well-known/openid-configuration":
            return try endless(exchange, huge: .discoveryHuge, slow: .discoverySlow, moved: .discoveryMoved)
                || cut(exchange, .discoveryCut, discovery) || send(oddDiscovery(), exchange)
        case "/keys":
            return try endless(exchange, huge: .keySetHuge, slow: .keySetSlow, moved: .keySetMoved)
                || cut(exchange, .keySetCut, keySet) || send(oddKeySet(), exchange)
        case "/authorize":
            return try send(strandedBrowser(), exchange)
        case "/token":
            evidence.withLock { evidence in
                evidence.tokenRequests += 1
                if exchange.clientCertificate != nil { evidence.certifiedTokenRequests += 1 }
            }
            return try endless(exchange, slow: .tokenSlow) || hugeToken(exchange)
                || send(oddTokenAnswer(), exchange)
        case "/userinfo":
            return try endless(exchange, slow: .slowUserinfo) || send(oddUserinfo(), exchange)
        case "/par":
            return try endless(exchange, huge: .pushHuge, slow: .pushSlow, status: 201)
                || send(faults.fires(.pushMoved) == nil ? nil : moveToAnotherHost(), exchange)
        case "/revoke":
            return try endless(exchange, huge: .revocationHuge, slow: .revocationSlow)
                || send(faults.fires(.revocationMoved) == nil ? nil : moveToAnotherHost(), exchange)
        default: return false
        }
    }

    private func send(_ response: Response?, _ exchange: Exchange) throws -> Bool {
        guard let response else { return false }
        try exchange.send(response)
        return true
    }

    private func cut(_ exchange: Exchange, _ fault: OpenIDFault, _ honest: @autoclosure () -> Response) throws
        -> Bool
    {
        guard faults.fires(fault) != nil else { return false }
        try exchange.sendTruncated(honest())
        return true
    }

    /// Too much, too slowly, or elsewhere. White space is the beginning of a good document, so only a bound ends it.
    private func endless(
        _ exchange: Exchange, huge: OpenIDFault? = nil, slow: OpenIDFault, moved: OpenIDFault? = nil,
        status: Int = 200
    ) throws -> Bool {
        if let huge, faults.fires(huge) != nil {
            try exchange.sendBytes(
                status, count: 10 << 20, fields: Self.typeOfJSON,
                piece: [UInt8](repeating: 0x20, count: 65_536))
            return true
        }
        if faults.fires(slow) != nil {
            try exchange.sendBytes(
                status, count: 100_000, fields: Self.typeOfJSON, piece: [0x20], pauseMilliseconds: 20)
            return true
        }
        if let moved, faults.fires(moved) != nil {
            try exchange.send(moveAway(302))
            return true
        }
        return false
    }

    private func moveAway(_ status: Int) -> Response {
        Response(status: status, fields: [("Location", issuer + "/trap"), ("Cache-Control", "no-store")])
    }

    /// The same server by another name: to a client it is another host, and method and body would go along.
    private func moveToAnotherHost() -> Response {
        let trap = issuer.replacing("//127.0.0.1:", with: "//localhost:") + "/trap"
        return Response(status: 307, fields: [("Location", trap), ("Cache-Control", "no-store")])
    }

    /// 10 MB without a declared length.
    private func hugeToken(_ exchange: Exchange) throws -> Bool {
        guard faults.fires(.tokenHuge) != nil else { return false }
        let piece = [UInt8](repeating: 0x20, count: 65_536)
        try exchange.sendStream(Self.typeOfJSON) { write in
            for _ in 0..<160 { try write(piece) }
        }
        return true
    }

    /// A document with its first member once more, in front.
    func doubled(_ response: Response, _ member: String) -> Response {
        var response = response
        response.body = Array("{\(member),".utf8) + response.body.dropFirst()
        return response
    }

    // MARK: Discovery

    private func oddDiscovery() -> Response? {
        if faults.fires(.discoveryDown) != nil { return .text("away\n", status: 503) }
        if faults.fires(.discoveryPage) != nil { return .html("<!doctype html><title>Sign in</title>") }
        if faults.fires(.discoveryDoubled) != nil {
            return doubled(discovery, "\"issuer\":\"https://evil.example\"")
        }
        let edits: [(OpenIDFault, String, JSONValue?)] = [
            (.discoveryNoIssuer, "issuer", nil), (.discoveryNoAuthorization, "authorization_endpoint", nil),
            (.discoveryNoToken, "token_endpoint", nil), (.discoveryNoKeys, "jwks_uri", nil),
            (.discoveryNoCode, "response_types_supported", ["id_token", "token"]),
            (.discoveryPlain, "token_endpoint", "http://idp.example/token"),
            (.discoveryScript, "authorization_endpoint", "javascript:alert(1)"),
            (.discoveryNamed, "jwks_uri", "https://idp.example@evil.example/keys"),
            (.silentIssuer, "authorization_response_iss_parameter_supported", nil),
        ]
        guard let (_, name, value) = edits.first(where: { faults.fires($0.0) != nil }),
            var document = (try? JSONValue(parsing: discovery.body))?.object
        else { return nil }
        document[name] = value
        return .json(.object(document))
    }

    // MARK: Authorization

    /// Answers that leave the browser at the provider.
    private func strandedBrowser() -> Response? {
        let rows: [(OpenIDFault, Response)] = [
            (.authorizeBroken, .text("oops\n", status: 500)),
            (.authorizeJSON, .json(["error": "login_required"], status: 401)),
            (.authorizePage, .html("<!doctype html><title>Choose an account</title>")),
        ]
        return rows.first { faults.fires($0.0) != nil }?.1
    }

    // MARK: Keys

    private func oddKeySet() -> Response? {
        if faults.fires(.keySetPage) != nil { return .html("<!doctype html><title>Keys</title>") }
        if faults.fires(.keySetDoubled) != nil { return doubled(keySet, "\"keys\":[]") }
        guard let own = (try? JSONValue(parsing: keySet.body))?["keys"]?.array?.first?.object else {
            return nil
        }
        return oddKeys(beside: own).map { .json(["keys": .array($0)]) }
    }

    private func oddKeys(beside own: JSONObject) -> [JSONValue]? {
        func changed(_ name: String, _ value: JSONValue) -> [JSONValue] {
            var key = own
            key[name] = value
            return [.object(key)]
        }
        func stranger(_ keyID: JSONValue) -> JSONValue {
            var key = SigningKey.generateP256().publicKey.jwk
            key["kid"] = keyID
            return .object(key)
        }
        let ownID = own["kid"] ?? ""
        let sets: [(OpenIDFault, () -> [JSONValue])] = [
            (.keySetEmpty, { [] }), (.encryptionKey, { changed("use", "enc") }),
            (.derivingKey, { changed("key_ops", ["deriveKey"]) }),
            (.publishedPrivateKey, { changed("d", own["x"] ?? "") }),
            (.otherAlgorithm, { changed("alg", "ES384") }),
            // The y of another point: no point of the curve has both.
            (.offCurve, { changed("y", SigningKey.generateP256().publicKey.jwk["y"] ?? "") }),
            (.duplicateKeyID, { [stranger(ownID), .object(own)] }),
            (.severalKeysNoID, { [stranger("other"), .object(own)] }),
            (.staleKeySet, { [stranger("yesterday's")] }),
            (.keySetLong, { [.object(own)] + (0..<64).map { stranger(.string("\($0)")) } }),
            (.foreignKeys, { Self.keysOfOtherKinds + [.object(own)] }),
            (.weakKey, { [.object(WeakKey.shared.jwk)] }),
            (.smallOrderKey, { [.object(Self.smallOrderKey)] }),
            (
                .symmetricKey,
                { [["kty": "oct", "kid": ownID, "alg": "HS256", "k": .string(Self.sharedSecret)]] }
            ),
        ]
        return sets.first { faults.fires($0.0) != nil }?.1()
    }

    /// Real sets hold keys for other purposes and of kinds that are not known here.
    private static let keysOfOtherKinds: [JSONValue] = [
        "no key", ["kty": "oct", "k": "AAAA"], ["kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"],
        ["kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"], .object(WeakKey.shared.jwk),
    ]

    static let sharedSecret = Base64URL.encode([UInt8](repeating: 7, count: 32))

    /// The neutral element: a signature of R = it and S = 0 fits every message.
    static let smallOrderKey: JSONObject = [
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "small", "use": "sig",
        "x": .string(Base64URL.encode([1] + [UInt8](repeating: 0, count: 31))),
    ]

    // MARK: Userinfo

    /// The faults of userinfo. The id_token says nothing then that userinfo says: otherwise nobody would ask.
    static let userinfoFaults: [OpenIDFault] = [
        .otherUserinfo, .anonymousUserinfo, .doubledUserinfo, .movedUserinfo, .refusedUserinfo, .hugeUserinfo,
        .userinfoPage, .slowUserinfo,
    ]

    private func oddUserinfo() -> Response? {
        let lies: JSONObject = ["groups": ["admins"], "email": "root@corp.example"]
        func lie(of subject: String) -> Response {
            var all = lies
            all["sub"] = .string(subject)
            return .json(.object(all))
        }
        let own = people.first?.subject ?? ""
        let rows: [(OpenIDFault, () -> Response)] = [
            (.otherUserinfo, { lie(of: "somebody-else") }), (.anonymousUserinfo, { .json(.object(lies)) }),
            (.doubledUserinfo, { self.doubled(lie(of: own), "\"sub\":\"somebody-else\"") }),
            (.movedUserinfo, { self.moveAway(307) }),
            (.refusedUserinfo, { .json(["error": "invalid_token"], status: 401) }),
            (
                .hugeUserinfo,
                {
                    var huge = lie(of: own)
                    huge.body += [UInt8](repeating: 0x20, count: 1 << 20)
                    return huge
                }
            ),
            (.userinfoPage, { .html("<!doctype html><title>Sign in</title>") }),
        ]
        return rows.first { faults.fires($0.0) != nil }?.1()
    }

    // MARK: Token endpoint

    private func oddTokenAnswer() throws -> Response? {
        if faults.fires(.tokenHangUp) != nil { throw DroppedConnection() }
        let rows: [(OpenIDFault, () -> Response)] = [
            (.tokenNoClient, { .json(["error": "invalid_client"], status: 401) }),
            (
                .tokenNoGrant,
                { .json(["error": "invalid_grant", "error_description": "<b>no</b>"], status: 400) }
            ),
            (.tokenOddRefusal, { .json(["error": "consent.missing!"], status: 403) }),
            (.tokenMissing, { .html("<!doctype html><title>404</title>", status: 404) }),
            (.tokenThrottled, { Response(status: 429, fields: [("Retry-After", "60")]) }),
            (.tokenBadGateway, { .html("<!doctype html><title>502</title>", status: 502) }),
            (.tokenUnavailable, { Response(status: 503) }), (.tokenNothing, { Response(status: 204) }),
            (.tokenMoved, { self.moveAway(301) }), (.tokenFound, { self.moveAway(302) }),
            (.tokenSeeOther, { self.moveAway(303) }), (.tokenTemporary, { self.moveAway(307) }),
            (.tokenPermanent, { self.moveAway(308) }),
            (.tokenErrorInside, { .json(["error": "server_error"]) }),
            (.tokenEmpty, { Response(status: 200, fields: Self.typeOfJSON) }),
            (.tokenList, { .json(["id_token"]) }),
        ]
        return rows.first { faults.fires($0.0) != nil }?.1()
    }

    /// An answer that is right but for one member.
    func spoiled(_ response: Response) -> Response {
        guard response.status == 200, var object = (try? JSONValue(parsing: response.body))?.object else {
            return response
        }
        if faults.fires(.tokenDoubled) != nil { return doubled(response, "\"id_token\":\"a.b.c\"") }
        if faults.fires(.tokenWrongContent) != nil {
            return Response(status: 200, fields: [("Content-Type", "text/html")], body: response.body)
        }
        let edits: [(OpenIDFault, String, JSONValue?)] = [
            (.tokenNumber, "id_token", 5), (.tokenOtherType, "token_type", "mac"),
            (.tokenNoType, "token_type", nil), (.tokenSplit, "access_token", "a\r\nX-Admin: 1"),
            (.tokenNoText, "access_token", 7), (.lowerCaseType, "token_type", "bearer"),
        ]
        for (fault, name, value) in edits where faults.fires(fault) != nil { object[name] = value }
        return .json(.object(object))
    }
}
