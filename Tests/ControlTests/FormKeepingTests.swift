import Access
import Border
import Fetch
import Foundation
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control

@Suite("A form that was sent after the session had ended")
struct FormKeepingTests {
    static let config = Gatehouse.config.replacingOccurrences(
        of: "    fields: { X-Remote-User: email }\n",
        with: "    fields: { X-Remote-User: email }\n    keep-form: true\n"
    ).replacingOccurrences(
        of: "          require: [ { device: compliant } ] }",
        with: "          require: [ { device: compliant } ] }\n    keep-form: true\n")
    private static let origin = "https://wiki.corp.example:8443"

    /// What the browser holds after a form was kept.
    private struct Waiting {
        var id: String
        var cookie: Field
    }

    private func send(
        _ house: Gatehouse, _ body: String = "title=Home&text=a+b", host: String = "wiki.corp.example",
        origin: String = Self.origin, fields: [Field] = []
    ) async -> ControlResponse {
        await house.control.answer(
            house.request(
                "/edit?page=Home", host: host, method: "POST",
                [
                    Field("origin", origin), Field("content-type", "application/x-www-form-urlencoded"),
                ] + fields, body: body, purpose: .keepForm, isNavigation: false))
    }

    /// The form's place travels sealed; the way itself is walked by the end-to-end test.
    private func waiting(_ house: Gatehouse, _ answer: ControlResponse) throws -> Waiting {
        let setCookies = answer.fields.filter { $0.name == "Set-Cookie" }.map(\.value)
        let cookie = try #require(setCookies.first { $0.hasPrefix("__Host-gatepost-form=") })
        #expect(cookie.hasSuffix("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=300"))
        let location = try #require(answer.fields.first { $0.name == "Location" }?.value)
        let sealed = try #require(location.split(separator: "=", maxSplits: 1).last.map(String.init))
        let goal = try JSONValue(
            parsing: try #require(
                Sealer(ring: house.control.ring).open(sealed, context: "gatepost-login-request")))
        let id = try #require(goal["target"]?.string.flatMap(FormPath.id))
        return Waiting(id: id, cookie: Field("cookie", String(cookie.prefix { $0 != ";" })))
    }

    private func open(
        _ house: Gatehouse, _ waiting: Waiting, _ session: SessionCookie?, host: String = "wiki.corp.example",
        isNavigation: Bool = true
    ) async -> ControlResponse {
        var fields = [waiting.cookie]
        if let session { fields.append(Field("cookie", "__Host-gatepost=\(session.value)")) }
        return await house.control.answer(
            house.request("/.gatepost/form/\(waiting.id)", host: host, fields, isNavigation: isNavigation))
    }

    private func text(_ answer: ControlResponse) -> String { String(decoding: answer.body, as: UTF8.self) }

    @Test func `it leads to the sign-in, and behind it waits for the person to send it`() async throws {
        let house = try Gatehouse(Self.config)
        let answer = await send(house)
        #expect(answer.status == 303)
        let location = try #require(answer.fields.first { $0.name == "Location" }?.value)
        #expect(location.hasPrefix("https://auth.corp.example:8443/.gatepost/sign-in?request="))
        #expect(!location.contains("title"))
        let waiting = try waiting(house, answer)
        let (_, _, session) = try await house.signIn()
        let page = await open(house, waiting, session)
        #expect(page.status == 200)
        let html = text(page)
        #expect(
            html.contains(
                "<form method=\"post\" action=\"\(Self.origin)/edit?page=Home\" accept-charset=\"utf-8\">"))
        #expect(html.contains("<input type=\"hidden\" name=\"title\" value=\"Home\">"))
        #expect(html.contains("<input type=\"hidden\" name=\"text\" value=\"a b\">"))
        #expect(!html.contains("<script"))
        let policy = try #require(page.fields.first { $0.name == "Content-Security-Policy" }?.value)
        #expect(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"))
        #expect(page.fields.contains(Field("Cache-Control", "no-store")))
        // Once: the page that was shown is the only one.
        let again = await open(house, waiting, session)
        #expect(again.status == 410 && again.reason == .formNotKept)
    }

    @Test func `what is in it is text on the page, whatever it says`() async throws {
        let house = try Gatehouse(Self.config)
        let waiting = try waiting(house, await send(house, "%22%3E%3Cscript%3E=%3C%2Fform%3E%27%22"))
        let (_, _, session) = try await house.signIn()
        let html = text(await open(house, waiting, session))
        #expect(html.contains("name=\"&quot;&gt;&lt;script&gt;\" value=\"&lt;/form&gt;&#39;&quot;\""))
    }

    @Test func `another browser gets nothing, and takes nothing away`() async throws {
        let house = try Gatehouse(Self.config)
        let mine = try waiting(house, await send(house))
        let other = try waiting(house, await send(house, "a=b"))
        let (_, _, session) = try await house.signIn()
        for cookie in [other.cookie, Field("cookie", "a=b"), Field("cookie", "__Host-gatepost-form=x")] {
            let answer = await open(house, Waiting(id: mine.id, cookie: cookie), session)
            #expect(answer.status == 410)
        }
        #expect(await open(house, mine, session).status == 200)
    }

    @Test
    func `nobody sees it without a session, in a frame's or a script's answer, or at another application`()
        async throws
    {
        let house = try Gatehouse(Self.config)
        let waiting = try waiting(house, await send(house))
        let (_, _, session) = try await house.signIn()
        let (_, _, elsewhere) = try await house.signIn(at: "vault")
        #expect(await open(house, waiting, nil).status == 401)
        #expect(await open(house, waiting, elsewhere).status == 401)
        #expect(await open(house, waiting, session, isNavigation: false).status == 403)
        #expect(await open(house, waiting, elsewhere, host: "vault.corp.example").status == 410)
        #expect(await open(house, waiting, session).status == 200)
    }

    @Test func `who had signed in before must be who signs in now; whoever else does ends it`() async throws {
        let house = try Gatehouse(Self.config)
        let sealer = Sealer(ring: house.control.ring)
        let person = PersonCookie.digest(issuer: "https://login.corp.example", subject: "ada@corp.example")
        let cookie = PersonCookie.setCookie(person, host: "wiki.corp.example", sealer: sealer)
        let sent = [Field("cookie", String(cookie.prefix { $0 != ";" }))]
        let mine = try waiting(house, await send(house, fields: sent))
        let (_, _, eve) = try await house.signIn("eve@corp.example")
        #expect(await open(house, mine, eve).status == 410)
        let (_, _, ada) = try await house.signIn()
        #expect(await open(house, mine, ada).status == 410, "it is gone")
        let second = try waiting(house, await send(house, fields: sent))
        #expect(await open(house, second, ada).status == 200)
        // Two names are nobody's, and a form of nobody's that could be somebody's is not kept.
        #expect(await send(house, fields: sent + sent).status == 401)
        // One that was sealed for another host says nothing.
        let foreign = PersonCookie.setCookie(person, host: "vault.corp.example", sealer: sealer)
        let other = [Field("cookie", String(foreign.prefix { $0 != ";" }))]
        #expect(await open(house, try waiting(house, await send(house, fields: other)), eve).status == 200)
    }

    @Test func `the same person by another registration of the tenant gets what they had sent`() async throws
    {
        let house = try Gatehouse(Self.config)
        let issuer = "https://login.corp.example"
        let person = PersonCookie.digest(issuer: issuer, subject: "ada@corp.example")
        let cookie = PersonCookie.setCookie(
            person, host: "wiki.corp.example", sealer: Sealer(ring: house.control.ring))
        let sent = [Field("cookie", String(cookie.prefix { $0 != ";" }))]
        let mine = try waiting(house, await send(house, fields: sent))
        let (global, _, bo) = try await house.signIn("bo@corp.example")
        try await Sessions(store: house.store, ring: house.control.ring).change(global.id) {
            Sessions.note(subjects: ["ada@corp.example", "bo@corp.example"], in: &$0)
        }
        #expect(await open(house, mine, bo).status == 200)
    }

    @Test func `a browser with two cookies of ours signs in for no form, and is told`() async throws {
        let house = try Gatehouse(Self.config)
        let answer = await send(
            house, fields: [Field("cookie", "__Host-gatepost=a; __Host-gatepost=b")])
        #expect(answer.status == 400 && answer.reason == .cookieAmbiguous)
        #expect(!answer.fields.contains { $0.name == "Set-Cookie" || $0.name == "Location" })
        #expect(house.control.forms.size == (0, 0))
    }

    @Test func `a browser keeps its name for several forms side by side`() async throws {
        let house = try Gatehouse(Self.config)
        let first = try waiting(house, await send(house, "a=1"))
        let second = try waiting(house, await send(house, "a=2", fields: [first.cookie]))
        #expect(first.cookie == second.cookie && first.id != second.id)
        let (_, _, session) = try await house.signIn()
        #expect(text(await open(house, second, session)).contains("value=\"2\""))
        #expect(text(await open(house, first, session)).contains("value=\"1\""))
        // A doubled name is nobody's: a new one is given.
        let twice = [first.cookie, Field("cookie", "__Host-gatepost-form=x")]
        #expect(try waiting(house, await send(house, "a=3", fields: twice)).cookie != first.cookie)
    }

    @Test func `after five minutes, and after a restart, a page says that it is gone`() async throws {
        let house = try Gatehouse(Self.config)
        let waiting = try waiting(house, await send(house))
        let (_, _, session) = try await house.signIn()
        house.advance(300)
        let late = await open(house, waiting, session)
        #expect(late.status == 410)
        let html = text(late)
        #expect(
            html.contains("What you sent was not delivered.") && html.contains("<code>form-not-kept</code>"))
        #expect(html.contains("href=\"\(Self.origin)/\""))
        let other = try Gatehouse(Self.config)
        let (_, _, there) = try await other.signIn()
        #expect(await open(other, waiting, there).status == 410)
    }

    @Test(
        "what cannot be sent again as it was, or came from elsewhere, is refused with the page that there always was",
        arguments: [
            ("a", "https://wiki.corp.example:8443"), ("{\"a\":1}", "https://wiki.corp.example:8443"),
            ("a=b", "https://evil.example"), ("a=b", "null"), ("a=b", "https://wiki.corp.example"),
        ])
    func refused(_ body: String, _ origin: String) async throws {
        let house = try Gatehouse(Self.config)
        let answer = await send(house, body, origin: origin)
        #expect(answer.status == 401 && answer.reason == .signInRequired)
        #expect(text(answer).contains("What you sent was not delivered."))
        #expect(!answer.fields.contains { $0.name == "Set-Cookie" || $0.name == "Location" })
        #expect(house.control.forms.size == (0, 0))
    }

    @Test func `an application that no longer keeps forms keeps none`() async throws {
        let house = try Gatehouse()
        #expect(await send(house).status == 401)
        #expect(house.control.forms.size == (0, 0))
    }

    @Test
    func `a form that policy would refuse goes by way of the device check, or is refused before it is lost`()
        async throws
    {
        let house = try Gatehouse(Self.config)
        let vault = "https://vault.corp.example:8443"
        let checked = try waiting(house, await send(house, host: "vault.corp.example", origin: vault))
        let (_, _, ada) = try await house.signIn(at: "vault")
        let way = await open(house, checked, ada, host: "vault.corp.example")
        #expect(
            way.fields.first { $0.name == "Location" }?.value.contains("/.gatepost/posture/start?tx=") == true
        )
        try await house.enroll("d1")
        let (_, _, proven) = try await house.signIn(at: "vault", device: "d1")
        #expect(await open(house, checked, proven, host: "vault.corp.example").status == 200)
        let (_, _, eve) = try await house.signIn("eve@other.example", at: "vault")
        let refused = try waiting(house, await send(house, host: "vault.corp.example", origin: vault))
        let page = await open(house, refused, eve, host: "vault.corp.example")
        #expect(page.status == 403 && text(page).contains("What you sent was not delivered."))
    }

    @Test func `a form that only a stronger sign-in would let through waits for it`() async throws {
        let text =
            Self.config + """

                  strong:
                    host: strong.corp.example
                    upstreams: [ "http://127.0.0.1:9" ]
                    identity-providers: [ corp ]
                    keep-form: true
                    policies:
                      - { name: admins, action: allow, include: [ { email-domain: corp.example } ],
                          require: [ { acr: [ phr ] } ] }
                """
        let house = try Gatehouse(text)
        let host = "strong.corp.example"
        let mine = try waiting(house, await send(house, host: host, origin: "https://\(host):8443"))
        let (global, session, cookie) = try await house.signIn(at: "strong")
        let way = await open(house, mine, cookie, host: host)
        #expect(way.status == 303)
        #expect(
            way.fields.first { $0.name == "Location" }?.value.hasPrefix(
                "https://auth.corp.example:8443/.gatepost/sign-in?request=") == true)
        let goal = try waiting(
            house,
            ControlResponse(
                ticket: way.ticket, status: 303,
                fields: way.fields + [
                    Field(
                        "Set-Cookie",
                        "\(mine.cookie.value); Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=300")
                ],
                body: [], reason: nil))
        #expect(goal.id == mine.id, "it comes back to the form")
        let sessions = Sessions(store: house.store, ring: house.control.ring)
        for id in [global.id, session.id] {
            try await sessions.change(id) { $0.claims["acr"] = .text("phr") }
        }
        #expect(await open(house, mine, cookie, host: host).status == 200)
    }

    @Test func `memory holds no word of what was sent`() async throws {
        let house = try Gatehouse(Self.config)
        let waiting = try waiting(house, await send(house, "secret=hunter2hunter2"))
        let digest = try #require(FormCookie(cookieField: [waiting.cookie.value])?.digest)
        let form = try #require(house.control.forms.find(waiting.id, browser: digest, nowSeconds: house.now))
        #expect(!form.sealed.contains("hunter2"))
        // Sealed to this browser and this place: neither opens under another's name.
        let sealer = Sealer(ring: house.control.ring)
        for context in ["", "gatepost-form", "gatepost-form/\(waiting.id)"] {
            #expect(sealer.open(form.sealed, context: context) == nil)
        }
    }
}

@Suite("The address in a 401")
struct OpenURLTests {
    private static let origin = "https://wiki.corp.example:8443"

    private func open(
        _ house: Gatehouse, _ fields: [Field], path: String = "/.gatepost/sign-in", isNavigation: Bool = true
    ) async -> ControlResponse {
        await house.control.answer(
            house.request(path, host: "wiki.corp.example", fields, isNavigation: isNavigation))
    }

    @Test func `a script that asks for it gets neither a redirect nor a cookie, but the address`()
        async throws
    {
        let house = try Gatehouse()
        for path in ["/.gatepost/sign-in", "/.gatepost/sign-in?step-up=x", "/.gatepost/sign-in?restart=x"] {
            let answer = await open(house, [], path: path, isNavigation: false)
            #expect(answer.status == 401 && answer.reason == .signInRequired)
            #expect(!answer.fields.contains { $0.name == "Location" || $0.name == "Set-Cookie" })
            #expect(
                String(decoding: answer.body, as: UTF8.self).hasPrefix(
                    "{\"reason\":\"sign-in-required\",\"open_url\":\"\(Self.origin)/.gatepost/sign-in\""))
        }
    }

    @Test(
        "a step of the sign-in is taken in a tab, never by a script, an image or another site's frame",
        arguments: [
            ("auth.corp.example", "/.gatepost/sign-in?request=x"),
            ("auth.corp.example", "/.gatepost/callback/corp?code=x"),
            ("wiki.corp.example", "/.gatepost/handoff?code=x"),
        ])
    func steps(_ host: String, _ path: String) async throws {
        let house = try Gatehouse()
        for mode in ["cors", "no-cors", "navigate"] {
            let answer = await house.control.answer(
                house.request(path, host: host, [Field("sec-fetch-mode", mode)], isNavigation: false))
            #expect(answer.status == 403 && answer.reason == .originNotAllowed, "\(mode)")
            #expect(!answer.fields.contains { $0.name == "Location" || $0.name == "Set-Cookie" })
        }
    }

    @Test(
        "it returns to the page of this very origin that opened it, and to the root from everywhere else",
        arguments: [
            ("https://wiki.corp.example:8443/app/page?x=1", "/app/page?x=1"),
            ("https://wiki.corp.example:8443/", "/"),
            ("https://wiki.corp.example:8443", "/"), ("https://wiki.corp.example/app", "/"),
            ("http://wiki.corp.example:8443/app", "/"),
            ("https://wiki.corp.example:8443.evil.example/app", "/"),
            ("https://wiki.corp.example:84431/app", "/"),
            ("https://evil.example/?https://wiki.corp.example:8443/app", "/"),
            ("https://wiki.corp.example:8443//evil.example/", "/"),
            ("https://wiki.corp.example:8443/\\evil.example", "/"),
            ("https://wiki.corp.example:8443@evil.example/", "/"),
            ("https://vault.corp.example:8443/app", "/"),
            ("https://wiki.corp.example:8443/.gatepost/sign-out", "/"),
            ("https://wiki.corp.example:8443/.gatepost/form/x", "/"), ("about:blank", "/"), ("", "/"),
            ("https://wiki.corp.example:8443/a b", "/"), ("https://wiki.corp.example:8443/\u{e9}", "/"),
        ])
    func returns(_ referer: String, _ target: String) async throws {
        let house = try Gatehouse()
        var request = house.request(
            "/.gatepost/sign-in", host: "wiki.corp.example", [Field("referer", referer)])
        #expect(request.openedFrom(house.control.services) == target)
        request.fields.append(Field("referer", "\(Self.origin)/other"))
        #expect(request.openedFrom(house.control.services) == "/", "two of them")
    }

    @Test func `a browser with two cookies of ours is told, instead of going round for ever`() async throws {
        let house = try Gatehouse()
        let answer = await house.control.answer(
            house.request(
                "/page", host: "wiki.corp.example", [Field("cookie", "__Host-gatepost=a; __Host-gatepost=b")],
                purpose: .signIn))
        #expect(answer.status == 400 && answer.reason == .cookieAmbiguous)
        #expect(!answer.fields.contains { $0.name == "Location" || $0.name == "Set-Cookie" })
    }

    @Test func `nor does a step-up begin for it`() async throws {
        let house = try Gatehouse()
        let answer = await open(
            house, [Field("cookie", "__Host-gatepost=a; __Host-gatepost=b")],
            path: "/.gatepost/sign-in?step-up=staff")
        #expect(answer.status == 400 && answer.reason == .cookieAmbiguous)
        #expect(!answer.fields.contains { $0.name == "Location" || $0.name == "Set-Cookie" })
    }
}
