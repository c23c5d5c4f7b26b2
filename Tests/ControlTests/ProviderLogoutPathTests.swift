import Access
import Border
import Config
import Fetch
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control

@Suite("Logout of the provider over the gateway's own paths")
struct ProviderLogoutPathTests {
    @Test("an acknowledged logout is 200 without content, kept by no cache, and on record")
    func acknowledged() async throws {
        let house = try await EndingHouse()
        let answer = await house.backchannel(sid: "s-1")
        #expect(answer.status == 200)
        #expect(answer.body.isEmpty)
        #expect(answer.fields.contains(Field("Cache-Control", "no-store")))
        let record = try #require(try await house.house.store.audit(limit: 1).first)
        #expect(record.kind == "provider-logout")
        #expect(record.json.contains("\"sign_ins\":1") && record.json.contains("\"sessions\":1"))
        #expect(!record.json.contains("ada@"), "the audit trail keeps no address")
    }

    @Test("a refused one is 400 with the error as OAuth has it, kept by no cache, and ends nothing")
    func refused() async throws {
        let house = try await EndingHouse()
        await house.backchannel(sid: nil)
        let answer = await house.backchannel(sid: nil, jti: "t-2")
        #expect(answer.status == 400)
        #expect(answer.fields.contains(Field("Cache-Control", "no-store")))
        #expect(answer.fields.contains(Field("Content-Type", "application/json")))
        let body = try JSONValue(parsing: answer.body)
        #expect(body["error"] == "invalid_request")
        #expect(body["error_description"] == "neither sub nor sid")
        #expect(house.house.reactors.revocations.isEmpty)
    }

    @Test("another provider's path, another method, another host and a broken store each have their status")
    func statuses() async throws {
        let house = try await EndingHouse()
        let control = house.house.control
        let form = [Field("content-type", "application/x-www-form-urlencoded")]
        let path = "/.gatepost/backchannel-logout/"
        func status(_ request: ControlRequest) async -> Int { await control.answer(request).status }
        let body = "logout_token=" + house.token(sid: "s-1")
        #expect(await status(house.house.request(path + "nobody", method: "POST", form, body: body)) == 404)
        #expect(await status(house.house.request(path + "corp", form)) == 405)
        #expect(
            await status(
                house.house.request(
                    path + "corp", host: "wiki.corp.example", method: "POST", form, body: body)) == 404)
        #expect(
            await status(house.house.request(path + "partner", method: "POST", form, body: body)) == 400)
        try house.house.breakSessions()
        let bySubject = "logout_token=" + house.token(sid: nil, subject: "ada")
        let answer = await control.answer(
            house.house.request(path + "corp", method: "POST", form, body: bySubject))
        #expect(answer.status == 503)
        #expect(answer.fields.contains { $0.name == "Retry-After" })
        #expect(house.house.reactors.revocations.isEmpty)
    }

    @Test("a flood is answered 429 with the time to wait")
    func flood() async throws {
        let house = try await EndingHouse()
        let request = house.house.request(
            "/.gatepost/backchannel-logout/corp", method: "POST",
            [Field("content-type", "application/x-www-form-urlencoded")], body: "logout_token=x")
        var statuses: Set<Int> = []
        // The address that the warm-up came from is known by its right token: it has fifty times as many.
        for _ in 0..<6_001 { statuses.insert(await house.house.control.answer(request).status) }
        #expect(statuses == [400, 429])
        let answer = await house.house.control.answer(request)
        #expect(answer.fields.contains(Field("Retry-After", "60")))
    }

    @Test(
        "the front channel's page is empty and framed by the provider alone, whatever it ended",
        arguments: ["iss=https%3A%2F%2Flogin.corp.example&sid=s-1", "iss=x&sid=s-1", ""])
    func frame(_ query: String) async throws {
        let house = try await EndingHouse()
        let answer = await house.frontchannel(query)
        #expect(answer.status == 200)
        #expect(answer.body.isEmpty)
        let policy = answer.fields.filter { $0.name == "Content-Security-Policy" }.map(\.value)
        #expect(
            policy == [
                "default-src 'none'; base-uri 'none'; frame-ancestors https://login.corp.example"
            ])
        #expect(!answer.fields.contains { $0.name == "X-Frame-Options" })
        #expect(answer.fields.contains(Field("Cache-Control", "no-store")))
        let clears = answer.fields.contains { $0.name == "Set-Cookie" }
        #expect(clears == query.hasPrefix("iss=https"), "the cookie of a session that is gone goes")
    }

    @Test("the question has two buttons, and the page after it a way back in")
    func pages() async throws {
        let house = try await EndingHouse()
        let question = await house.house.control.answer(
            house.house.request("/.gatepost/sign-out", host: "wiki.corp.example"))
        let text = String(decoding: question.body, as: UTF8.self)
        #expect(text.contains("formaction=\"/.gatepost/sign-out?everywhere=yes\""))
        #expect(text.contains("Stay signed in"))
        let answer = await house.signOut(everywhere: true)
        #expect(answer.status == 303)
        let location = try #require(answer.fields.first { $0.name == "Location" }?.value)
        #expect(location.hasPrefix("https://login.corp.example/out?client_id=gatepost&"))
        let state = try #require(location.split(separator: "&").first { $0.hasPrefix("state=") })
        let back = await house.house.control.answer(house.house.request("/.gatepost/signed-out?\(state)"))
        let page = String(decoding: back.body, as: UTF8.self)
        #expect(back.status == 200)
        #expect(page.contains("You are signed out"))
        #expect(page.contains("on all your devices"))
        #expect(page.contains("href=\"https://wiki.corp.example:8443/\">Sign in again</a>"))
    }

    @Test("names on the page after signing out are text")
    func escaped() {
        let page = Pages.signedOut(
            SignedOutPage(againURL: "https://a/?\"><b>", others: ["<i>Partner</i>"]), requestID: "r",
            nonce: "n")
        let text = String(decoding: page.html, as: UTF8.self)
        #expect(!text.contains("<i>Partner") && !text.contains("\"><b>"))
        #expect(text.contains("&lt;i&gt;Partner"))
    }
}
