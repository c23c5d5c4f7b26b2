import Access
import Border
import Config
import Foundation
import Identity
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import Control

@Suite("Reserved paths")
struct ReservedPathsTests {
    private static let own = [
        Field("origin", "https://auth.corp.example:8443"), Field("x-gatepost-request", "1"),
        Field("content-type", "application/json"),
    ]

    private func cookie(_ cookie: SessionCookie) -> Field {
        Field("cookie", "__Host-gatepost=\(cookie.value)")
    }

    @Test(
        "a path or a method that is not ours is refused",
        arguments: [
            ("/.gatepost/", "GET", 404), ("/.gatepost/unknown", "GET", 404),
            ("/.gatepost/jwks.json/", "GET", 404),
            ("/.gatepost/events", "GET", 404), ("/.gatepost/handoff", "GET", 404),
            ("/.gatepost/jwks.json", "POST", 405), ("/.gatepost/posture/start", "POST", 405),
            ("/.gatepost/posture/assert", "GET", 405), ("/.gatepost/posture/challenge", "PUT", 405),
            ("/.gatepost/enroll", "GET", 405), ("/.gatepost/renew", "DELETE", 405),
        ])
    func foreign(_ path: String, _ method: String, _ status: Int) async throws {
        let house = try Gatehouse()
        let answer = await house.control.answer(house.request(path, method: method))
        #expect(answer.status == status)
    }

    @Test(
        "paths of the auth host do not exist on an application's host",
        arguments: [
            "/.gatepost/posture/start", "/.gatepost/callback/corp", "/.gatepost/jwks.json",
            "/.gatepost/enroll",
        ])
    func wrongHost(_ path: String) async throws {
        let house = try Gatehouse()
        let answer = await house.control.answer(house.request(path, host: "wiki.corp.example"))
        #expect(answer.status == 404)
    }

    @Test func `no answer may be cached, framed or sniffed`() async throws {
        let house = try Gatehouse()
        for path in ["/.gatepost/dbsc/refresh", "/.gatepost/unknown", "/.gatepost/sign-out"] {
            let fields = await house.control.answer(house.request(path)).fields
            #expect(fields.contains(Field("Cache-Control", "no-store")))
            #expect(fields.contains(Field("X-Frame-Options", "DENY")))
            #expect(fields.contains(Field("X-Content-Type-Options", "nosniff")))
        }
    }

    /// What may stand in an answer at an address that has a code and a state in it.
    static let answersAtCallback: [FlowAnswer] = {
        let url = "https://wiki.corp.example:8443/.gatepost/handoff?code=own"
        return [
            .redirect(url: url, setCookies: ["a=b"]),
            .leave(url: "https://idp.example/authorize", setCookies: []),
            .comeBack(url: url, setCookies: ["a=b"]), .upgraded(globalID: "g", url: url, setCookies: []),
            .refuse(FlowRefusal(.identityProviderRefused, detail: "x", retryURL: url)),
        ]
    }()

    /// Not `no-referrer`: with that our own forms would be sent with `Origin: null`. `same-origin` gives the address,
    /// and what is in it, to pages of the auth host alone.
    @Test(
        "an answer at a callback or a handoff tells its address to no other origin, and repeats nothing of it",
        arguments: answersAtCallback.indices, [true, false])
    func referrer(_ index: Int, isDocument: Bool) async throws {
        let house = try Gatehouse()
        let fields =
            isDocument ? [Field("sec-fetch-mode", "navigate"), Field("sec-fetch-dest", "document")] : []
        for (path, host) in [
            ("/.gatepost/callback/corp", "auth.corp.example"), ("/.gatepost/handoff", "wiki.corp.example"),
        ] {
            let request = house.request("\(path)?code=c-0dd1&state=s-0dd2", host: host, fields)
            let answer = house.control.respond(Self.answersAtCallback[index], request)
            #expect(answer.fields.filter { $0.name == "Referrer-Policy" }.map(\.value) == ["same-origin"])
            let said = String(decoding: answer.body, as: UTF8.self) + "\(answer.fields)"
            #expect(!said.contains("0dd1") && !said.contains("0dd2"), "\(said)")
        }
    }

    @Test func `so do the answers to a callback and a handoff that nobody began`() async throws {
        let house = try Gatehouse()
        for (path, host) in [
            ("/.gatepost/callback/corp", "auth.corp.example"), ("/.gatepost/handoff", "wiki.corp.example"),
        ] {
            let answer = await house.control.answer(
                house.request("\(path)?code=c-0dd1&state=s-0dd2", host: host))
            #expect([302, 303, 400].contains(answer.status), "\(path)")
            #expect(answer.fields.filter { $0.name == "Referrer-Policy" }.map(\.value) == ["same-origin"])
            let said = String(decoding: answer.body, as: UTF8.self) + "\(answer.fields)"
            #expect(!said.contains("0dd1") && !said.contains("0dd2"), "\(said)")
        }
    }

    @Test func `upstreams find the keys of the assertion, and nothing private`() async throws {
        let house = try Gatehouse()
        let answer = await house.control.answer(house.request("/.gatepost/jwks.json"))
        // Verifiers may keep the set for five minutes: every key is in it before it signs, and after.
        #expect(answer.fields.filter { $0.name == "Cache-Control" }.map(\.value) == ["public, max-age=300"])
        let set = try JWKSet(parsing: answer.body)
        #expect(
            set.keys.count >= 2, "the current key and the next one, so that a cached set knows a rotation")
        #expect(!String(decoding: answer.body, as: UTF8.self).contains("\"d\""))
        let (_, _, cookie) = try await house.signIn()
        let record = try #require(await house.pulled(cookie.tokenDigest))
        let line = try #require(
            String(decoding: record.identityFields, as: UTF8.self).split(separator: "\r\n").first)
        let token = try JWS(compact: String(line.dropFirst("Gatepost-Assertion: ".count)))
        #expect(
            set.candidates(keyID: token.header["kid"]?.string, algorithm: .es256).contains {
                token.verify(with: $0)
            })
    }

    @Test(
        "the device check is for its own page: another origin, form or content type gets nothing",
        arguments: [
            [Field("origin", "https://evil.example"), own[1], own[2]], [own[1], own[2]], [own[0], own[2]],
            [own[0], own[1]], [own[0], own[1], Field("content-type", "text/plain")],
            [own[0], own[0], own[1], own[2]],
        ])
    func crossOrigin(_ fields: [Field]) async throws {
        let house = try Gatehouse()
        let (_, cookie) = try await house.globalSession()
        for path in ["/.gatepost/posture/challenge", "/.gatepost/posture/assert"] {
            let answer = await house.control.answer(
                house.request(
                    path, method: "POST", fields + [self.cookie(cookie)],
                    body: #"{"tx":"t","assertion":"a"}"#))
            #expect(answer.status == 403)
            #expect(answer.reason == .sessionMismatch)
        }
    }

    @Test func `a store that fails answers 503 and says so`() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn()
        try house.breakSessions()
        let answer = await house.control.answer(
            house.request("/.gatepost/events", host: "wiki.corp.example", [self.cookie(cookie)]))
        #expect(answer.status == 503)
        #expect(answer.reason == .storeUnavailable)
    }

    @Test func `the block page's question needs a session`() async throws {
        let house = try Gatehouse()
        let answer = await house.control.answer(house.request("/.gatepost/events", host: "wiki.corp.example"))
        #expect(answer.status == 401)
        #expect(answer.reason == .sessionEnded)
    }

    @Test func `the block page learns at once that its way is open`() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn()
        let answer = await house.control.answer(
            house.request("/.gatepost/events?path=%2F", host: "wiki.corp.example", [self.cookie(cookie)]))
        #expect(answer.status == 200)
        #expect(String(decoding: answer.body, as: UTF8.self) == #"{"state":"open"}"#)
    }

    @Test(arguments: [
        ("restricted-download", "blocked"), ("restricted-upload", "open"), ("device-denied", "open"),
        ("nonsense", "open"),
    ])
    func `the way to a download is open when downloads are no longer blocked, and not because pages are`(
        _ reason: String, _ state: String
    ) async throws {
        let limited = "{ email-domain: corp.example } ], restrict: { downloads: block } }\n  vault:"
        let house = try Gatehouse(
            Gatehouse.config.replacing("{ email-domain: corp.example } ] }\n  vault:", with: limited))
        let (_, session, cookie) = try await house.signIn()
        // Its places are taken, so that no question is held: what is blocked is said at once.
        while house.control.questions.enter(session.id, max: 100) {}
        let answer = await house.control.answer(
            house.request(
                "/.gatepost/events?path=%2F&reason=\(reason)", host: "wiki.corp.example",
                [self.cookie(cookie)]))
        #expect(String(decoding: answer.body, as: UTF8.self) == "{\"state\":\"\(state)\"}")
    }

    @Test func `what a policy tells the application clients can tell it under none`() throws {
        let limited =
            "{ email-domain: corp.example } ], restrict: { upstream-field: { X-Access: partial } } }\n  vault:"
        let house = try Gatehouse(
            Gatehouse.config.replacing("{ email-domain: corp.example } ] }\n  vault:", with: limited))
        let wiki = house.control.services.snapshot.applications.first { $0.name == "wiki" }
        #expect(wiki?.identityFieldNames == ["X-Remote-User", "X-Access"])
    }

    @Test func `a refused person without a device check is sent to one`() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn(at: "vault")
        let answer = await house.control.answer(
            house.request(
                "/deep?x=1", host: "vault.corp.example", [self.cookie(cookie)],
                purpose: .refused(.deviceRequired)))
        #expect(answer.status == 302)
        let location = answer.fields.first { $0.name == "Location" }?.value
        #expect(location?.hasPrefix("https://auth.corp.example:8443/.gatepost/posture/start?tx=") == true)
    }

    @Test func `a device check that another session began signs in anew at its application`() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn(at: "vault")
        let begun = await house.control.answer(
            house.request(
                "/deep?x=1", host: "vault.corp.example", [self.cookie(cookie)],
                purpose: .refused(.deviceRequired)))
        let start = try #require(begun.fields.first { $0.name == "Location" }?.value)
        let query = try #require(start.split(separator: "?").last)
        let (_, other) = try await house.globalSession()
        for fields in [[], [self.cookie(other)]] {
            let answer = await house.control.answer(
                house.request("/.gatepost/posture/start?\(query)", fields))
            let location = try #require(answer.fields.first { $0.name == "Location" }?.value)
            #expect(location.hasPrefix("https://vault.corp.example:8443/.gatepost/sign-in?restart="))
            // A session that still lives there does not end the sign-in before it has begun.
            let restart = try #require(location.split(separator: "?").last)
            let again = await house.control.answer(
                house.request(
                    "/.gatepost/sign-in?\(restart)", host: "vault.corp.example", [self.cookie(cookie)]))
            let next = again.fields.first { $0.name == "Location" }?.value
            #expect(next?.hasPrefix("https://auth.corp.example:8443/.gatepost/sign-in?request=") == true)
        }
    }

    @Test func `a device check goes on under a newer session of the same browser`() async throws {
        let house = try Gatehouse()
        let (global, _, cookie) = try await house.signIn(at: "vault")
        let begun = await house.control.answer(
            house.request(
                "/", host: "vault.corp.example", [self.cookie(cookie)], purpose: .refused(.deviceRequired)))
        let start = try #require(begun.fields.first { $0.name == "Location" }?.value)
        let query = try #require(start.split(separator: "?").last)
        let (other, otherCookie) = try await house.globalSession()
        try await Sessions(store: house.store, ring: house.control.ring).change(other.id) {
            $0.claims["gatepost-linked-sessions"] = .list([global.id])
        }
        let answer = await house.control.answer(
            house.request("/.gatepost/posture/start?\(query)", [self.cookie(otherCookie)]))
        #expect(answer.status == 200)
    }

    @Test func `a device check that nobody began is refused`() async throws {
        let house = try Gatehouse()
        let (_, cookie) = try await house.globalSession()
        for path in ["/.gatepost/posture/start?tx=none", "/.gatepost/posture/start"] {
            let answer = await house.control.answer(house.request(path, [self.cookie(cookie)]))
            #expect([400, 403].contains(answer.status))
        }
    }

    @Test func `a refused person whose device is known reads why`() async throws {
        let house = try Gatehouse()
        try await house.enroll("laptop", owner: "eve@corp.example")
        let (_, _, cookie) = try await house.signIn(at: "vault", device: "laptop")
        let answer = await house.control.answer(
            house.request(
                "/", host: "vault.corp.example", [self.cookie(cookie)],
                purpose: .refused(.deviceOwnerMismatch)))
        #expect(answer.status == 403)
        #expect(answer.reason == .deviceOwnerMismatch)
        #expect(answer.fields.contains(Field("Gatepost-Reason", "device-owner-mismatch")))
    }

    @Test func `a refused form is answered where it is: no redirect loses it without a word`() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn(at: "vault")
        let refused = await house.control.answer(
            house.request(
                "/deep", host: "vault.corp.example", method: "POST", [self.cookie(cookie)],
                purpose: .refused(.deviceRequired)))
        #expect(refused.status == 403 && refused.reason == .deviceRequired)
        #expect(String(decoding: refused.body, as: UTF8.self).contains("What you sent was not delivered."))

        let nobody = await house.control.answer(
            house.request(
                "/deep", host: "vault.corp.example", method: "POST", purpose: .refused(.signInRequired)))
        let text = String(decoding: nobody.body, as: UTF8.self)
        #expect(nobody.status == 401 && nobody.reason == .signInRequired)
        #expect(text.contains("What you sent was not delivered."))
        #expect(text.contains("href=\"https://vault.corp.example:8443/.gatepost/sign-in\">Sign in</a>"))
        #expect(!nobody.fields.contains { $0.name == "Location" })
        #expect(nobody.fields.contains { $0.name == "WWW-Authenticate" })
    }

    @Test("002.14 Entra's refusal reaches the page as its own words, and the log by its number")
    func providerWords() async throws {
        let house = try Gatehouse()
        let refusal = FlowRefusal(
            .identityProviderRefused, detail: "x", providerCode: "AADSTS53000",
            providerWords: "AADSTS53000: <Device> is not compliant.", retryURL: "https://wiki.corp.example/")
        let answer = house.control.respond(.refuse(refusal), house.request("/.gatepost/callback/corp"))
        let text = String(decoding: answer.body, as: UTF8.self)
        #expect(answer.status == 403 && answer.reason == .identityProviderRefused)
        #expect(text.contains("AADSTS53000: &lt;Device&gt; is not compliant.</blockquote>"))
        #expect(text.contains("It was not this gateway."))
    }

    @Test(
        "a doubled or broken parameter is no parameter",
        arguments: [
            ("tx=a&tx=b", nil), ("tx=%", nil), ("tx=%zz", nil), ("tx=%ff", nil), ("tx=a%2Fb", "a/b"),
            ("x=1", nil),
            ("tx=a+b", "a b"), ("%74x=a", "a"),
        ] as [(String, String?)])
    func parameters(_ query: String, _ value: String?) throws {
        let house = try Gatehouse()
        #expect(house.request("/p?\(query)").parameter("tx") == value)
    }
}
