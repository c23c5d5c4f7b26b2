import Access
import Fetch
import JSON
import Signatures
import Synchronization
import Testing

@testable import Identity

@Suite("Bearer tokens of configured issuers")
struct BearerTokenTests {
    static let now: Int64 = 1_000_000
    static let key = SigningKey.generateP256()
    static let subject = "system:serviceaccount:press:scanner"

    static func issuer(_ change: (inout TokenIssuer) -> Void = { _ in }) -> TokenIssuer {
        var issuer = TokenIssuer(
            name: "cluster", issuer: "https://cluster.example",
            audiences: ["press", "https://press.example"],
            algorithms: [.es256], subject: ["sub"],
            claims: ["namespace": ["kubernetes.io", "namespace"], "groups": ["groups"]],
            lifetimeSecondsMax: 3_600, keys: .fixed(JWKSet(keys: [key.publicKey])))
        change(&issuer)
        return issuer
    }

    static func token(
        header: [(String, JSONValue)] = [("typ", "JWT")], key: SigningKey = key,
        _ change: (inout JSONObject) -> Void = { _ in }
    ) -> String {
        var claims: JSONObject = [
            "iss": "https://cluster.example", "aud": ["other", "press"], "sub": .string(subject),
            "iat": .integer(now), "nbf": .integer(now), "exp": .integer(now + 600),
            "kubernetes.io": ["namespace": "press", "serviceaccount": ["name": "scanner"]],
            "groups": ["a", "b"],
        ]
        change(&claims)
        return JWS.sign(header: JSONObject(header), payload: claims, with: key)
    }

    static func read(
        _ token: String, _ issuers: [TokenIssuer] = [issuer()], at: Int64 = now
    ) throws(IdentityError) -> ReadBearerToken {
        try BearerTokenReader(issuers: issuers, nowSeconds: at).read(token)
    }

    /// The rule that it breaks; nil: none.
    static func refusal(_ token: String, _ issuers: [TokenIssuer] = [issuer()], at: Int64 = now) -> String? {
        do throws(IdentityError) {
            _ = try read(token, issuers, at: at)
            return nil
        } catch {
            return error.kind == .tokenInvalid ? error.what : "another kind: \(error)"
        }
    }

    // MARK: What it says

    @Test func `subject and claims are found where the configuration says`() throws {
        let facts = try Self.read(Self.token()).facts
        #expect(
            facts
                == TokenFacts(
                    issuer: "cluster", subject: Self.subject,
                    claims: ["namespace": .text("press"), "groups": .list(["a", "b"])]))
        let nested = Self.issuer { $0.subject = ["kubernetes.io", "serviceaccount", "name"] }
        #expect(try Self.read(Self.token(), [nested]).facts.subject == "scanner")
        // What is not there, or is nothing that policy compares, is not known.
        let bare = try Self.read(
            Self.token {
                $0["kubernetes.io"] = ["namespace": ["deeper": "x"]]
                $0["groups"] = nil
            })
        #expect(bare.facts.claims.isEmpty)
    }

    @Test(
        "accepted: a bearer token's types, and one audience as text",
        arguments: [
            [("typ", "JWT")], [("typ", "jwt")], [("typ", "at+jwt")], [("typ", "application/at+jwt")],
            [("typ", "AT+JWT")], [],
        ] as [[(String, JSONValue)]])
    func types(_ header: [(String, JSONValue)]) {
        #expect(Self.refusal(Self.token(header: header)) == nil)
        #expect(Self.refusal(Self.token(header: header) { $0["aud"] = "https://press.example" }) == nil)
    }

    @Test func `times: exactly at their bounds, and one past`() {
        let now = Self.now
        let skew = BearerTokenReader.skewSeconds
        let rows: [(Int64?, Int64?, Int64, Bool)] = [
            (now, now, now + 1, true), (now, now, now, false), (now, now, now - 1, false),
            (now + skew, nil, now + 600, true), (now + skew + 1, nil, now + 600, false),
            (now, now + skew, now + 600, true), (now, now + skew + 1, now + 600, false),
            (now - 3_000, nil, now + 600, true), (now - 3_000, nil, now + 601, false),
            (nil, nil, now + 3_600, true), (nil, nil, now + 3_601, false),
            // A clock that is ahead does not make a token live longer.
            (now + skew, nil, now + 3_600, true), (now + skew, nil, now + 3_601, false),
        ]
        for (issued, begins, expiry, isFine) in rows {
            let token = Self.token {
                $0["iat"] = issued.map { .integer($0) }
                $0["nbf"] = begins.map { .integer($0) }
                $0["exp"] = .integer(expiry)
            }
            #expect(
                (Self.refusal(token) == nil) == isFine,
                "iat \(issued ?? -1) nbf \(begins ?? -1) exp \(expiry)")
        }
    }

    // MARK: Refused

    @Test(
        "refused: claims that are missing, of another kind, or another's",
        arguments: [
            ("iss", nil), ("iss", "https://cluster.example/"), ("iss", "https://CLUSTER.example"), ("iss", 1),
            ("aud", nil), ("aud", []), ("aud", "Press"), ("aud", ["other"]), ("aud", ["press", 1]),
            ("aud", 7),
            ("aud", .null), ("exp", nil), ("exp", "1000600"), ("exp", -1), ("exp", 1e300), ("exp", .null),
            ("iat", "now"), ("iat", .null), ("nbf", "now"), ("nbf", .null), ("sub", nil), ("sub", ""),
            ("sub", 5), ("sub", .string(String(repeating: "s", count: 256))), ("sub", "s\u{e9}"),
            ("sub", "a\nb"), ("cnf", ["jkt": "x"]), ("cnf", ["x5t#S256": "x"]), ("cnf", .null),
        ] as [(String, JSONValue?)])
    func claims(_ name: String, _ value: JSONValue?) {
        let token = Self.token { $0[name] = value }
        #expect(Self.refusal(token) != nil)
    }

    @Test(
        "refused: headers of other tokens, and what nobody here understands",
        arguments: [
            [("typ", "logout+jwt")], [("typ", "secevent+jwt")], [("typ", "dpop+jwt")], [("typ", "id+jwt")],
            [("typ", "gatepost-assertion+jwt")], [("typ", 1)], [("typ", "")], [("crit", ["exp"])],
            [("b64", false)], [("kid", 7)],
        ] as [[(String, JSONValue)]])
    func headers(_ header: [(String, JSONValue)]) {
        #expect(Self.refusal(Self.token(header: header)) != nil)
    }

    @Test func `refused: alg none, symmetric, and one that the issuer's configuration does not list`() {
        let payload = Self.token().split(separator: ".")[1]
        for alg in ["none", "HS256", "ES512", "es256", ""] {
            let header = Base64URL.encode(Array(#"{"alg":"\#(alg)"}"#.utf8))
            #expect(Self.refusal("\(header).\(payload).AAAA") != nil, "\(alg)")
        }
        #expect(Self.refusal(Self.token(), [Self.issuer { $0.algorithms = [.rs256, .es384] }]) != nil)
    }

    @Test func `refused: one byte more than the bound, doubled members, and text around the token`() {
        let token = Self.token()
        #expect(Self.refusal(token + " ") != nil)
        #expect(Self.refusal(" " + token) != nil)
        #expect(Self.refusal(token + ".x") != nil)
        #expect(Self.refusal(token + "=") != nil)
        let doubled = Base64URL.encode(Array(#"{"iss":"https://cluster.example","iss":"x"}"#.utf8))
        let header = token.split(separator: ".")[0]
        #expect(Self.refusal("\(header).\(doubled).AAAA") != nil)
        let long = Self.token { $0["pad"] = .string(String(repeating: "p", count: 8_192)) }
        #expect(Self.refusal(long) != nil)
    }

    @Test
    func `a token has to be of one configuration: issuers that share a name are told apart by audience`()
        throws
    {
        let other = Self.issuer {
            $0.name = "other"
            $0.audiences = ["vault"]
        }
        #expect(try Self.read(Self.token(), [Self.issuer(), other]).issuer == "cluster")
        #expect(try Self.read(Self.token { $0["aud"] = "vault" }, [Self.issuer(), other]).issuer == "other")
        #expect(Self.refusal(Self.token { $0["aud"] = ["vault", "press"] }, [Self.issuer(), other]) != nil)
        #expect(Self.refusal(Self.token(), []) != nil)
    }

    @Test func `no cut and no changed byte of a token is taken for it`() async throws {
        // Seeded; the seed is in the comment of what fails.
        let token = Array(Self.token().utf8)
        let directory = ProviderDirectory(fetcher: Switchboard(providers: []))
        for cut in 0..<token.count {
            // A shorter signature has a signature's shape, and is none.
            guard let read = try? Self.read(String(decoding: token[..<cut], as: UTF8.self)) else { continue }
            await #expect(throws: IdentityError.self, "cut at \(cut)") {
                try await Self.issuer().verify(read, by: directory, nowSeconds: Self.now)
            }
        }
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.".utf8)
        for seed in UInt64(0)..<400 {
            var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
            func next(_ bound: Int) -> Int {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Int((state >> 33) % UInt64(bound))
            }
            var changed = token
            let at = next(token.count)
            changed[at] = alphabet[next(alphabet.count)]
            guard changed != token else { continue }
            guard let read = try? Self.read(String(decoding: changed, as: UTF8.self)) else { continue }
            await #expect(throws: IdentityError.self, "seed \(seed)") {
                try await Self.issuer().verify(read, by: directory, nowSeconds: Self.now)
            }
        }
    }

    // MARK: Signatures

    @Test func `another key, the right kid or none, does not sign`() async throws {
        let directory = ProviderDirectory(fetcher: Switchboard(providers: []))
        let good = try Self.read(Self.token())
        let thumbprint = try await Self.issuer().verify(good, by: directory, nowSeconds: Self.now)
        #expect(thumbprint == Self.key.publicKey.thumbprint)
        #expect(try await Self.issuer().holds(keyThumbprint: thumbprint, by: directory, nowSeconds: Self.now))
        let forged = try Self.read(Self.token(key: SigningKey.generateP256()))
        await #expect(throws: IdentityError.self) {
            try await Self.issuer().verify(forged, by: directory, nowSeconds: Self.now)
        }
        // Two keys and no kid: whose it is cannot be said.
        let two = Self.issuer {
            $0.keys = .fixed(JWKSet(keys: [Self.key.publicKey, SigningKey.generateP256().publicKey]))
        }
        await #expect(throws: IdentityError.self) {
            try await two.verify(good, by: directory, nowSeconds: Self.now)
        }
    }

    /// A server with a discovery document without any sign-in, as clusters and build services have.
    private final class KeyServer: Fetcher {
        let issuer = "https://cluster.example"
        let document = Mutex<[String: String]>([:])
        let asked = Mutex<[String]>([])

        init(_ keys: [(String, SigningKey)]) {
            document.withLock {
                $0["/.well-known/openid-configuration"] =
                    #"{"issuer":"https://cluster.example","jwks_uri":"https://cluster.example/keys"}"#
            }
            publish(keys)
        }

        func publish(_ keys: [(String, SigningKey)]) {
            let set = JSONValue.object([
                "keys": .array(
                    keys.map { kid, key in
                        var jwk = key.publicKey.jwk
                        jwk["kid"] = .string(kid)
                        return .object(jwk)
                    })
            ])
            document.withLock { $0["/keys"] = set.serializedText() }
        }

        func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
            let path = String(request.url.dropFirst(issuer.count))
            asked.withLock { $0.append(path) }
            guard request.url.hasPrefix(issuer), let text = document.withLock({ $0[path] }) else {
                throw FetchError(.unreachable, request.url)
            }
            return FetchResponse(status: 200, fields: [], body: Array(text.utf8))
        }
    }

    private static func fetched(_ source: KeySource) -> TokenIssuer {
        var registration = IdentityProviderRegistration(
            name: "cluster", issuer: "https://cluster.example", clientID: "", clientSecret: "",
            displayName: "cluster", scopes: [])
        registration.keySource = source
        return issuer { $0.keys = .fetched(registration) }
    }

    @Test func `keys come from a discovery document that signs nobody in, or from a configured address`()
        async throws
    {
        for source in [KeySource.issuerMetadata, .url("https://cluster.example/keys")] {
            let server = KeyServer([("k1", Self.key)])
            let directory = ProviderDirectory(fetcher: server, pause: { _ in })
            let issuer = Self.fetched(source)
            for _ in 0..<3 {
                let read = try Self.read(Self.token(header: [("kid", "k1")]))
                _ = try await issuer.verify(read, by: directory, nowSeconds: Self.now)
            }
            #expect(server.asked.withLock { $0.count } == (source == .issuerMetadata ? 2 : 1))
        }
    }

    @Test func `refused: discovery of another issuer, or with a key address that is not https`() async throws
    {
        for document in [
            #"{"issuer":"https://cluster.example/","jwks_uri":"https://cluster.example/keys"}"#,
            #"{"issuer":"https://cluster.example","jwks_uri":"http://cluster.example/keys"}"#,
            #"{"issuer":"https://cluster.example"}"#, "[]", "",
        ] {
            let server = KeyServer([("k1", Self.key)])
            server.document.withLock { $0["/.well-known/openid-configuration"] = document }
            let directory = ProviderDirectory(fetcher: server, pause: { _ in })
            let read = try Self.read(Self.token(header: [("kid", "k1")]))
            do {
                _ = try await Self.fetched(.issuerMetadata).verify(
                    read, by: directory, nowSeconds: Self.now)
                Issue.record("taken: \(document)")
            } catch {
                #expect(error.kind == .providerMalformed, "\(document)")
            }
            #expect(server.asked.withLock { !$0.contains("/keys") })
        }
    }

    @Test func `unknown kids ask for the keys once a minute, however many come; a new key is found by it`()
        async throws
    {
        let server = KeyServer([("k1", Self.key)])
        let directory = ProviderDirectory(fetcher: server, pause: { _ in })
        let issuer = Self.fetched(.url("https://cluster.example/keys"))
        _ = try await issuer.verify(
            try Self.read(Self.token(header: [("kid", "k1")])), by: directory, nowSeconds: Self.now)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                group.addTask {
                    guard let read = try? Self.read(Self.token(header: [("kid", .string("x\(number)"))]))
                    else { return }
                    _ = try? await issuer.verify(read, by: directory, nowSeconds: Self.now)
                }
            }
        }
        #expect(server.asked.withLock { $0.count } <= 3)
        let fresh = SigningKey.generateP256()
        server.publish([("k2", fresh)])
        let read = try Self.read(Self.token(header: [("kid", "k2")], key: fresh))
        await #expect(throws: IdentityError.self) {
            try await issuer.verify(read, by: directory, nowSeconds: Self.now)
        }
        _ = try await issuer.verify(read, by: directory, nowSeconds: Self.now + 60)
        // The key before was taken out: it signs for nobody any more.
        #expect(
            try await !issuer.holds(
                keyThumbprint: Self.key.publicKey.thumbprint, by: directory, nowSeconds: Self.now + 60))
    }
}
