import Access
import Border
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control

@Suite("Sessions that are bound to a key of the browser", .timeLimit(.minutes(10)))
struct BoundSessionTests {
    private func house() throws -> Gatehouse { try Gatehouse(KeyedBrowser.config, fetcher: Outside()) }

    private func lets(_ record: SessionRecord?, _ now: Int64) -> Decision? {
        record?.residual.decide(
            RequestFacts(method: .get, client: NetworkAddress(v4: 0x7f00_0001)), path: "/".utf8.span,
            atSeconds: now)
    }

    @Test("a registered key makes the session bound: another secret, a cookie that runs out, and access")
    func registration() async throws {
        let house = try house()
        var (browser, challenge) = try await KeyedBrowser.signedIn(house)
        let old = browser.digest
        #expect(lets(await house.pulled(old, "bank"), house.now) == .refuse(.keyRequired))
        let answer = await browser.register(challenge)
        #expect(answer.status == 200)
        let cookie = try #require(KeyedBrowser.values(answer, "Set-Cookie").first)
        #expect(cookie.hasSuffix("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"))
        let body = try JSONValue(parsing: answer.body)
        #expect(body["session_identifier"]?.string == browser.session)
        #expect(body["refresh_url"]?.string == "/.gatepost/dbsc/refresh")
        #expect(body["scope"]?["origin"]?.string == "https://bank.corp.example:8443")
        #expect(body["scope"]?["include_site"] == false)
        #expect(body["allowed_refresh_initiators"]?.array == ["*"])
        let credential = try #require(body["credentials"]?.array?.first)
        #expect(credential["name"]?.string == "__Host-gatepost")
        #expect(credential["attributes"]?.string == "Path=/; Secure; HttpOnly; SameSite=Lax")
        #expect(KeyedBrowser.values(answer, "Cache-Control") == ["no-store"])
        let new = browser.digest
        #expect(new != old)
        guard case .forward = lets(await house.pulled(new, "bank"), house.now) else {
            Issue.record("a bound session is let in")
            return
        }
    }

    @Test("a request that was refused just before the key came is not sent to a device check")
    func refusedBefore() async throws {
        let house = try house()
        var (browser, challenge) = try await KeyedBrowser.signedIn(house)
        #expect(await browser.register(challenge).status == 200)
        let cookie = Field("cookie", "__Host-gatepost=\(browser.cookie ?? "")")
        let answer = await house.control.answer(
            house.request("/", host: browser.host, [cookie], purpose: .refused(.keyRequired)))
        #expect(answer.status == 403, "the page asks, and goes on at once")
        #expect(KeyedBrowser.values(answer, "Location").isEmpty)
    }

    @Test("keys are ES256 or RS256; RSA has 2048 to 4096 bits")
    func keys() async throws {
        let house = try house()
        for (bits, isTaken) in [(2_048, true), (4_096, true), (1_024, false), (4_104, false)] {
            guard let key = try? KeyedBrowser.rsaKey(bits: bits) else {
                #expect(!isTaken, "\(bits): the key itself is refused when it is read")
                continue
            }
            var (browser, challenge) = try await KeyedBrowser.signedIn(house)
            browser.key = key
            #expect(await browser.register(challenge).status == (isTaken ? 200 : 401), "\(bits)")
            if isTaken { #expect(await browser.refresh().status == 200, "\(bits)") }
        }
    }

    @Test("a proof renews the cookie, in one round with the challenge at hand")
    func refresh() async throws {
        let house = try house()
        var browser = try await KeyedBrowser.bound(house)
        for _ in 0..<5 {
            house.advance(590)
            let before = browser.digest
            let answer = await browser.attempt()
            browser.take(answer)
            #expect(answer.status == 200)
            #expect(browser.digest != before)
            guard case .forward = lets(await house.pulled(browser.digest, "bank"), house.now)
            else {
                Issue.record("after a refresh the session goes on")
                return
            }
        }
    }

    @Test("a session whose cookie ran out sleeps, and wakes for its key alone")
    func sleep() async throws {
        let house = try house()
        var browser = try await KeyedBrowser.bound(house)
        house.advance(629)
        #expect(await house.pulled(browser.digest, "bank") != nil, "30 s for slow answers")
        house.advance(1)
        #expect(await house.pulled(browser.digest, "bank") == nil)
        browser.cookie = nil
        house.advance(1_200)
        // The challenge is too old by now: the gateway sends another one, and the browser signs that.
        #expect(await browser.attempt().status == 403)
        #expect(await browser.refresh().status == 200)
        #expect(await house.pulled(browser.digest, "bank") != nil)
        house.advance(1_800)
        #expect(await browser.refresh().status == 401, "an hour is over: bound sessions end like others")
    }

    @Test("a stolen cookie is worth nothing 30 s after the next proof, and keeps nothing open from then on")
    func theft() async throws {
        let house = try house()
        var browser = try await KeyedBrowser.bound(house)
        let stolen = browser.digest
        let used = try #require(await house.pulled(stolen, "bank"))
        house.advance(120)
        house.reactors.clear()
        #expect(await browser.refresh().status == 200)
        // Reactors that know the stolen one are told when it ends.
        let told = house.reactors.revocations.compactMap { revocation -> SessionRecord? in
            if case .replace(let record) = revocation.effect { record } else { nil }
        }
        let twin = try #require(told.first { $0.tokenDigest == stolen })
        #expect(twin.session == used.session)
        #expect(twin.residual.validUntilSeconds == house.now + 30)
        #expect(lets(twin, house.now + 30) == .recompute)
        house.advance(29)
        #expect(await house.pulled(stolen, "bank") != nil)
        house.advance(1)
        #expect(await house.pulled(stolen, "bank") == nil)
        // A stream that it opened goes on with the session, but the secret opens nothing more.
        house.reactors.clear()
        await house.control.renew(stolen, "bank")
        let effects = house.reactors.revocations.map(\.effect)
        guard case .replace(let record)? = effects.first, effects.count == 1 else {
            Issue.record("\(effects)")
            return
        }
        #expect(record.tokenDigest == stolen && record.residual.validUntilSeconds <= house.now)
        #expect(record.identityFields.isEmpty)
        let open = try #require(record.openResidual)
        #expect(open.validUntilSeconds > house.now && record.streamsUntilSeconds > house.now)
        // Without the session there is nothing to go on.
        _ = try await house.control.end([record.session])
        house.reactors.clear()
        await house.control.renew(stolen, "bank")
        #expect(
            house.reactors.revocations.allSatisfy {
                if case .replace = $0.effect { false } else { true }
            })
    }

    @Test("the thief of a cookie can neither register nor refresh")
    func thief() async throws {
        let house = try house()
        let browser = try await KeyedBrowser.bound(house)
        var thief = KeyedBrowser(house)
        thief.cookie = browser.cookie
        thief.session = browser.session
        // The challenge is no secret.
        thief.challenge = browser.challenge
        #expect(await thief.attempt().status == 401)
        #expect(await browser.attempt().status == 200, "and it did not use the challenge up")
        let cookie = try #require(thief.kept)
        #expect(await KeyedBrowser.offer(house, cookie, thief.host) == nil, "a bound session gets no offer")
    }

    @Test("each fault of a registration is refused, and the session stays as it was")
    func registrationFaults() async throws {
        let house = try house()
        let (browser, challenge) = try await KeyedBrowser.signedIn(house)
        let other = SigningKey.generateP256()
        let good = browser.proof(of: challenge, registers: true)
        var otherJWK = other.publicKey.jwk
        otherJWK["kid"] = nil
        func bent(_ change: (inout KeyedBrowser.Proof) -> Void) -> String {
            var proof = good
            change(&proof)
            return browser.sign(proof)
        }
        let unsigned = "\(Base64URL.encode(Array(#"{"typ":"dbsc+jwt","alg":"none"}"#.utf8)))."
        let faults: [(String, String)] = [
            ("typ is missing", bent { $0.header["typ"] = nil }),
            ("typ is another", bent { $0.header["typ"] = "jwt" }),
            ("no key", bent { $0.header["jwk"] = nil }),
            ("a key that is no object", bent { $0.header["jwk"] = "key" }),
            ("the key of somebody else", bent { $0.header["jwk"] = .object(otherJWK) }),
            ("signed by somebody else", browser.sign(good, with: other)),
            ("jti is missing", bent { $0.claims["jti"] = nil }),
            ("jti is a number", bent { $0.claims["jti"] = 1 }),
            ("jti is no challenge of ours", bent { $0.claims["jti"] = "challenge" }),
            ("jti is one character longer", bent { $0.claims["jti"] = .string(challenge + "A") }),
            ("aud is elsewhere", bent { $0.claims["aud"] = "https://evil.example/" }),
            ("aud is a list", bent { $0.claims["aud"] = .array([.string(browser.address + "register")]) }),
            ("an authorization", bent { $0.claims["authorization"] = "a" }),
            ("an unknown extension", bent { $0.header["crit"] = .array(["x"]) }),
            ("alg none", "\(unsigned)\(Base64URL.encode(good.claims.serialized()))."),
            ("no JWT", "\"a.b\""), ("nothing", ""),
            ("an open string", "\"" + browser.sign(good).dropFirst().dropLast()),
            ("two strings", browser.sign(good) + "\"x\""),
            ("8 KiB and more", "\"" + String(repeating: "a", count: 8_192) + "\""),
        ]
        for (what, field) in faults {
            let answer = await browser.send("register", [("secure-session-response", field)])
            #expect(answer.status == 401, "\(what)")
            #expect(KeyedBrowser.values(answer, "Set-Cookie").isEmpty, "\(what)")
        }
        #expect(await browser.send("register", []).status == 400)
        let twice = [("secure-session-response", browser.sign(good)), ("secure-session-response", "\"x\"")]
        #expect(await browser.send("register", twice).status == 400)
        var nobody = browser
        nobody.cookie = nil
        #expect(await nobody.register(challenge).status == 401)
        let found = try await house.store.session(tokenDigest: browser.digest, nowSeconds: house.now)
        let row = try #require(found)
        #expect(row.binding == nil)
        #expect(try await house.store.sessionKey(sessionID: row.id) == nil)
        // What may stand there, and is right.
        let full = bent {
            $0.claims["aud"] = .string(browser.address + "register")
            $0.claims["iat"] = .integer(house.now)
        }
        #expect(await browser.send("register", [("secure-session-response", full)]).status == 200)
    }

    @Test("each fault of a refresh is refused, and changes no secret")
    func refreshFaults() async throws {
        let house = try house()
        let browser = try await KeyedBrowser.bound(house)
        let stranger = try await KeyedBrowser.bound(house)
        let id = try #require(browser.session)
        let challenge = try #require(browser.challenge)
        let good = browser.proof(of: challenge, registers: false)
        func bent(_ change: (inout KeyedBrowser.Proof) -> Void) -> String {
            var proof = good
            change(&proof)
            return browser.sign(proof)
        }
        let faults: [(String, String, String, Int)] = [
            ("another key", id, browser.sign(good, with: SigningKey.generateP256()), 401),
            ("another session's key", id, browser.sign(good, with: stranger.key), 401),
            ("a key in the header", id, browser.sign(browser.proof(of: challenge, registers: true)), 401),
            ("typ", id, bent { $0.header["typ"] = "JWT" }, 401),
            ("jti", id, bent { $0.claims["jti"] = nil }, 401),
            ("aud", id, bent { $0.claims["aud"] = "https://bank.corp.example:8443/" }, 401),
            ("sub", id, bent { $0.claims["sub"] = .string(stranger.session ?? "") }, 401),
            ("authorization", id, bent { $0.claims["authorization"] = "a" }, 401),
            ("another session's name", stranger.session ?? "", browser.sign(good), 403),
            (
                "another session's challenge", id,
                bent { $0.claims["jti"] = .string(stranger.challenge ?? "") }, 403
            ),
            ("a challenge of nobody", id, bent { $0.claims["jti"] = "challenge" }, 403),
        ]
        for (what, id, field, status) in faults {
            let answer = await browser.send(
                "refresh", [("sec-secure-session-id", "\"\(id)\""), ("secure-session-response", field)])
            #expect(answer.status == status, "\(what)")
            #expect(KeyedBrowser.values(answer, "Set-Cookie").isEmpty, "\(what)")
        }
        for field in ["", "\"\"", "\"a b\"", "\"" + String(repeating: "a", count: 127) + "\"", "\"a"] {
            let fields = [("sec-secure-session-id", field), ("secure-session-response", browser.sign(good))]
            #expect(await browser.send("refresh", fields).status == 400, "\(field)")
        }
        #expect(
            await browser.send("refresh", [("secure-session-response", browser.sign(good))]).status == 400)
        #expect(await house.pulled(browser.digest, "bank") != nil)
        #expect(await browser.attempt().status == 200, "none of it used the challenge up")
    }

    @Test("a challenge is good once, for its purpose, its session and its time")
    func challenges() async throws {
        let house = try house()
        var (browser, offer) = try await KeyedBrowser.signedIn(house)
        house.advance(300)
        #expect(await browser.register(offer).status == 401, "exactly at its end")
        (browser, offer) = try await KeyedBrowser.signedIn(house)
        house.advance(299)
        #expect(await browser.register(offer).status == 200, "one second before")
        let used = browser
        #expect(await browser.refresh().status == 200)
        house.advance(60)
        let replay = await used.attempt()
        #expect(replay.status == 403)
        #expect(KeyedBrowser.values(replay, "Set-Cookie").isEmpty)
        #expect(KeyedBrowser.values(replay, "Secure-Session-Challenge").count == 1)
        // A challenge for registering renews nothing, and the other way round.
        var crossed = browser
        crossed.challenge = offer
        #expect(await crossed.attempt().status == 403)
        let (fresh, _) = try await KeyedBrowser.signedIn(house)
        let renewing = try #require(browser.challenge)
        let proof = fresh.sign(fresh.proof(of: renewing, registers: true))
        #expect(await fresh.send("register", [("secure-session-response", proof)]).status == 401)
        // It outlives the cookie that it came with by five minutes.
        house.advance(839)
        #expect(await browser.attempt().status == 200)
    }

    @Test("a session has one key: another one is refused, also when two register side by side")
    func oneKey() async throws {
        let house = try house()
        var (first, challenge) = try await KeyedBrowser.signedIn(house)
        let cookie = try #require(first.kept)
        let again = try #require(await KeyedBrowser.offer(house, cookie, first.host))
        var second = first
        second.key = .generateP256()
        async let one = first.register(challenge)
        async let two = second.register(again)
        let statuses = await [one.status, two.status]
        #expect(statuses.sorted() == [200, 401])
    }

    @Test("of refreshes side by side one mints a cookie, and that one is good for both")
    func sideBySide() async throws {
        let house = try house()
        let browser = try await KeyedBrowser.bound(house)
        house.advance(600)
        // Two tabs, each with a challenge of its own.
        var tabs: [KeyedBrowser] = []
        for _ in 0..<8 {
            var tab = browser
            tab.challenge = nil
            tab.take(await tab.attempt())
            tabs.append(tab)
        }
        let answers = await withTaskGroup(of: ControlResponse.self) { group in
            for tab in tabs { group.addTask { await tab.attempt() } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(answers.allSatisfy { $0.status == 200 })
        let cookies = answers.flatMap { KeyedBrowser.values($0, "Set-Cookie") }
        #expect(cookies.count == 1)
        var winner = browser
        for answer in answers { winner.take(answer) }
        #expect(await house.pulled(winner.digest, "bank") != nil)
        // The answer may have been lost: asking anew gets another one, at once.
        var lost = browser
        lost.challenge = nil
        #expect(await lost.refresh().status == 200)
        #expect(lost.digest != browser.digest && lost.digest != winner.digest)
    }

    @Test("nothing brings an ended session back: sign-out, revocation, another host")
    func ended() async throws {
        let house = try house()
        var browser = try await KeyedBrowser.bound(house)
        let id = try #require(browser.session)
        #expect(try await house.store.sessionKey(sessionID: id) != nil)
        var elsewhere = browser
        elsewhere = KeyedBrowser(house, host: "notes.corp.example")
        elsewhere.session = id
        elsewhere.key = browser.key
        #expect(await elsewhere.refresh().status == 401)
        let auth = KeyedBrowser(house, host: "auth.corp.example")
        var there = auth
        there.session = id
        there.key = browser.key
        #expect(await there.refresh().status == 404)
        _ = try await house.control.end([id])
        #expect(try await house.store.sessionKey(sessionID: id) == nil, "the key ends with its session")
        #expect(await browser.refresh().status == 401)
        #expect(try await house.store.session(id: id) == nil)
    }

    @Test("clocks that jump lock nobody out, and lengthen nothing beyond the session")
    func clocks() async throws {
        let house = try house()
        var browser = try await KeyedBrowser.bound(house)
        house.advance(3_000)
        #expect(await house.pulled(browser.digest, "bank") == nil)
        #expect(await browser.refresh().status == 200)
        house.advance(-3_000)
        // Challenges of the future count no more; a new one does.
        #expect(await browser.attempt().status == 403)
        #expect(await browser.refresh().status == 200)
        #expect(await house.pulled(browser.digest, "bank") != nil)
        house.advance(3_600)
        #expect(await browser.refresh().status == 401)
    }

    @Test("who does not offer it has no such addresses, and sessions stay ordinary")
    func off() async throws {
        let house = try Gatehouse(fetcher: Outside())
        let (_, _, cookie) = try await house.signIn()
        #expect(await KeyedBrowser.offer(house, cookie, "wiki.corp.example") == nil)
        var browser = KeyedBrowser(house, host: "wiki.corp.example")
        browser.cookie = cookie.value
        #expect(await browser.register("challenge").status == 404)
        let answer = await house.control.answer(
            house.request("/.gatepost/dbsc/refresh", host: "wiki.corp.example"))
        #expect(answer.status == 405)
    }

    @Test("a browser without keys keeps an ordinary session, and the lifetime is the application's own")
    func lifetimes() async throws {
        let house = try house()
        var (browser, challenge) = try await KeyedBrowser.signedIn(house, at: "notes")
        house.advance(120)
        guard case .forward = lets(await house.pulled(browser.digest, "notes"), house.now)
        else {
            Issue.record("no key is asked for here")
            return
        }
        let answer = await browser.register(challenge)
        #expect(KeyedBrowser.values(answer, "Set-Cookie").first?.hasSuffix("; Max-Age=300") == true)
        house.advance(330)
        #expect(await house.pulled(browser.digest, "notes") == nil)
    }

    @Test("a disk that is full is a 503, and neither binds nor ends anything")
    func brokenStore() async throws {
        let house = try house()
        let browser = try await KeyedBrowser.bound(house)
        await house.store.close()
        #expect(await browser.attempt().status == 503)
    }
}
