import Access
import Border
import Identity
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import Control

@Suite("A browser that comes back from the agent")
struct DeviceReturnTests {
    private static let origin = "https://auth.corp.example:8443"

    private func location(_ answer: ControlResponse) -> String? {
        answer.fields.first { $0.name == "Location" }?.value
    }

    private func path(_ browser: CheckingBrowser, _ rest: String) -> String {
        "/.gatepost/posture/return?tx=\(browser.transaction)&\(rest)"
    }

    @Test("the challenge names the way back with its check, on our own origin, and what is offered")
    func offer() async throws {
        let house = try Gatehouse(
            Gatehouse.config.replacing(
                "provider: endpoint-agent",
                with: "provider: endpoint-agent\n    further-ports: [ 17473, 17474 ]"))
        let browser = try await CheckingBrowser(house)
        let offer = try await browser.offer()
        let claims = try JWS(compact: offer["challenge"]?.string ?? "").payloadObject
        #expect(
            claims["rtn"] == .string("\(Self.origin)/.gatepost/posture/return?tx=\(browser.transaction)"))
        #expect(offer["transports"] == ["fetch", "navigation", "popup"])
        #expect(offer["now"] == .integer(house.now))
        #expect(
            offer["agent"]?["urls"] == [
                "http://127.0.0.1:17472/v1/attest", "http://127.0.0.1:17473/v1/attest",
                "http://127.0.0.1:17474/v1/attest",
            ])
        let page = await browser.get("/.gatepost/posture/start?tx=\(browser.transaction)")
        let policy = try #require(page.fields.first { $0.name == "Content-Security-Policy" }?.value)
        let ports = [17472, 17473, 17474].map { "http://127.0.0.1:\($0) http://localhost:\($0)" }
        let agents = ports.joined(separator: " ")
        #expect(policy.contains("connect-src 'self' \(agents)") && policy.contains("img-src \(agents);"))
        #expect(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"))
        for (name, value) in [
            ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-store"),
            ("Cross-Origin-Opener-Policy", "same-origin-allow-popups"),
        ] {
            #expect(page.fields.filter { $0.name == name }.map(\.value) == [value])
        }
        #expect(!page.fields.contains { $0.name == "Permissions-Policy" })
    }

    @Test("004.1 an answer in the address proves the device, and the address that follows is clean")
    func proven() async throws {
        let house = try Gatehouse()
        let agent = try await TestAgent(house)
        let browser = try await CheckingBrowser(house)
        let assertion = try agent.assertion(for: try await browser.challenge(), transport: "navigation")
        let answer = await browser.get(path(browser, "a=\(assertion)"))
        #expect(answer.status == 303)
        #expect(location(answer) == "https://vault.corp.example:8443/a?b")
        #expect(answer.fields.contains { $0.name == "Set-Cookie" }, "the session's secret changes")
        #expect(try await house.store.session(id: browser.global.id)?.deviceID == agent.deviceID)
        #expect(house.control.deviceChecks.counts.map(\.word) == ["proven"])
    }

    @Test(
        "a proof says whether its page went to the agent by itself, and only one that came so",
        arguments: [("navigation", true), ("navigation", false), ("fetch", true)])
    func unasked(_ transport: String, _ isUnasked: Bool) async throws {
        let house = try Gatehouse()
        let agent = try await TestAgent(house)
        let browser = try await CheckingBrowser(house)
        var body = JSONObject([("tx", .string(browser.transaction))])
        if isUnasked { body["unasked"] = true }
        let offer = await browser.post("/.gatepost/posture/challenge", .object(body))
        let challenge = try #require(try JSONValue(parsing: offer.body)["challenge"]?.string)
        let assertion = try agent.assertion(for: challenge, transport: transport)
        if transport == "navigation" {
            #expect(await browser.get(path(browser, "a=\(assertion)")).status == 303)
        } else {
            let handed: JSONValue = ["tx": .string(browser.transaction), "assertion": .string(assertion)]
            #expect(await browser.post("/.gatepost/posture/assert", handed).status == 200)
        }
        let statement = try await house.store.session(id: browser.global.id)?.statement
        #expect(
            statement != nil && (statement?.isUnasked == true) == (transport == "navigation" && isUnasked))
    }

    @Test("004.10 what is refused leads to a clean address with its reason, and nothing is kept")
    func refused() async throws {
        let house = try Gatehouse()
        let agent = try await TestAgent(house)
        let browser = try await CheckingBrowser(house)
        let rows: [(reason: String, change: (inout JSONObject) -> Void)] = [
            ("audience-mismatch", { $0["aud"] = "https://other.example" }),
            ("origin-mismatch", { $0["origin"] = "https://auth.corp.example:8443" }),
            ("clock-skew", { $0["iat"] = .integer(house.now - 121) }),
            ("statement-invalid", { $0["chh"] = "x" }),
            ("statement-invalid", { $0["transport"] = "carrier-pigeon" }),
        ]
        for row in rows {
            let assertion = try agent.assertion(
                for: try await browser.challenge(), transport: "navigation", change: row.change)
            let answer = await browser.get(path(browser, "a=\(assertion)"))
            #expect(answer.status == 303)
            #expect(
                location(answer)
                    == "\(Self.origin)/.gatepost/posture/start?tx=\(browser.transaction)&e=\(row.reason)")
        }
        #expect(try await house.store.session(id: browser.global.id)?.deviceID == nil)
    }

    @Test(
        "an answer counts only on the way that it says it went", arguments: ["fetch", "popup", "navigation"])
    func ways(_ transport: String) async throws {
        let house = try Gatehouse()
        let agent = try await TestAgent(house)
        let isAddress = transport == "navigation"
        let browser = try await CheckingBrowser(house)
        let wrong = try agent.assertion(for: try await browser.challenge(), transport: transport)
        if isAddress {
            let answer = await browser.post(
                "/.gatepost/posture/assert",
                ["tx": .string(browser.transaction), "assertion": .string(wrong)])
            #expect(answer.status == 403 && answer.reason == .statementInvalid)
        } else {
            let answer = await browser.get(path(browser, "a=\(wrong)"))
            #expect(location(answer)?.hasSuffix("&e=statement-invalid") == true)
            let right = try agent.assertion(for: try await browser.challenge(), transport: transport)
            let proven = await browser.post(
                "/.gatepost/posture/assert",
                ["tx": .string(browser.transaction), "assertion": .string(right)])
            #expect(proven.status == 200)
        }
    }

    @Test("004.3 carried to another session, or to none, an answer is worth nothing and used up")
    func relayed() async throws {
        let house = try Gatehouse()
        let agent = try await TestAgent(house)
        let browser = try await CheckingBrowser(house)
        let victim = try await house.globalSession().cookie
        let others = [[], [Field("cookie", String(victim.setCookie.prefix { $0 != ";" }))]]
        for fields in others {
            let assertion = try agent.assertion(for: try await browser.challenge(), transport: "navigation")
            let relayed = await browser.get(path(browser, "a=\(assertion)"), fields: fields)
            #expect(relayed.status == 403 && relayed.reason == .sessionMismatch)
            let own = await browser.get(path(browser, "a=\(assertion)"))
            #expect(location(own)?.hasSuffix("&e=nonce-used") == true)
        }
        #expect(try await house.store.session(id: browser.global.id)?.deviceID == nil)
        // The same for an answer that a script hands in.
        let assertion = try agent.assertion(for: try await browser.challenge(), transport: "fetch")
        let body: JSONValue = ["tx": .string(browser.transaction), "assertion": .string(assertion)]
        let bare = [
            Field("origin", Self.origin), Field("x-gatepost-request", "1"),
            Field("content-type", "application/json"),
        ]
        #expect(await browser.post("/.gatepost/posture/assert", body, fields: bare).status == 403)
        #expect(await browser.post("/.gatepost/posture/assert", body).reason == .nonceUsed)
    }

    @Test("an answer counts once; another tab's check is another check")
    func replayed() async throws {
        let house = try Gatehouse()
        let agent = try await TestAgent(house)
        let browser = try await CheckingBrowser(house)
        let assertion = try agent.assertion(for: try await browser.challenge(), transport: "navigation")
        let posture = house.control.services.posture
        let other = try await posture.start(
            globalSession: browser.global.id, application: "vault",
            returnPath: "https://vault.corp.example:8443/")
        let crossed = await browser.get("/.gatepost/posture/return?tx=\(other)&a=\(assertion)")
        #expect(location(crossed)?.hasSuffix("tx=\(other)&e=session-mismatch") == true)
        let again = await browser.get(path(browser, "a=\(assertion)"))
        #expect(location(again)?.hasSuffix("&e=nonce-used") == true)
    }

    @Test("what can be read in two ways, says nothing or says a word of nobody's is malformed")
    func malformed() async throws {
        let house = try Gatehouse()
        let browser = try await CheckingBrowser(house)
        let rests = [
            "", "a=", "e=", "a=x&a=y", "e=wrong-user&e=wrong-user", "a=x&e=wrong-user", "e=no-such-word",
            "e=policy-allows", "e=session-mismatch", "e=challenge-not-understood", "b=x", "a=x&b=y", "a=%zz",
            "a=x&tx=\(browser.transaction)",
        ]
        for rest in rests {
            let answer = await browser.get(path(browser, rest))
            #expect(answer.status == 400 && answer.reason == .requestMalformed, "\(rest)")
        }
        for query in ["", "?a=x", "?tx=&a=x", "?tx=\(String(repeating: "t", count: 65))&a=x"] {
            #expect(await browser.get("/.gatepost/posture/return" + query).status == 400, "\(query)")
        }
        #expect(await browser.get(path(browser, "a=not-a-jws")).status == 303)
    }

    @Test("the address may have 16 KiB and not one byte more") func size() async throws {
        let house = try Gatehouse()
        let browser = try await CheckingBrowser(house)
        let start = path(browser, "a=")
        for (bytes, status) in [(16_384, 303), (16_385, 414)] {
            let answer = await browser.get(
                start + String(repeating: "x", count: bytes - start.utf8.count))
            #expect(answer.status == status)
        }
    }

    @Test("004.5 the agent's own word leads to the page of that state, which does not begin by itself")
    func word() async throws {
        let house = try Gatehouse()
        let browser = try await CheckingBrowser(house)
        for (word, reason) in DeviceStates.ofAgent {
            let answer = await browser.get(path(browser, "e=\(word)"))
            let target = try #require(location(answer))
            #expect(
                target
                    == "\(Self.origin)/.gatepost/posture/start?tx=\(browser.transaction)&e=\(reason.rawValue)"
            )
            let page = await browser.get(String(target.dropFirst(Self.origin.count)))
            #expect(page.status == 200)
            #expect(String(decoding: page.body, as: UTF8.self).contains("data-failed=\"\(reason.rawValue)\""))
        }
        for odd in ["e=policy-allows", "e=%22%3E", "e=wrong-user&e=wrong-user", "days=9"] {
            let page = await browser.get("/.gatepost/posture/start?tx=\(browser.transaction)&\(odd)")
            #expect(!String(decoding: page.body, as: UTF8.self).contains("data-failed"))
        }
    }

    @Test("a picture, a frame or a script of another site is nobody who comes back") func fetchMetadata()
        async throws
    {
        let house = try Gatehouse()
        let agent = try await TestAgent(house)
        let browser = try await CheckingBrowser(house)
        let assertion = try agent.assertion(for: try await browser.challenge(), transport: "navigation")
        for (mode, destination, status) in [
            ("no-cors", "image", 403), ("navigate", "iframe", 403), ("cors", "empty", 403),
            ("navigate", "document", 303),
        ] {
            let fields = [
                browser.cookieField, Field("sec-fetch-mode", mode), Field("sec-fetch-dest", destination),
            ]
            let answer = await browser.get(path(browser, "a=\(assertion)"), fields: fields)
            #expect(answer.status == status, "\(mode) \(destination)")
        }
    }

    @Test("no address that leads on has an answer in it, whatever came of it") func clean() async throws {
        let house = try Gatehouse()
        let agent = try await TestAgent(house)
        let browser = try await CheckingBrowser(house)
        for change: (inout JSONObject) -> Void in [{ $0["aud"] = "x" }, { _ in }] {
            let assertion = try agent.assertion(
                for: try await browser.challenge(), transport: "navigation", change: change)
            let answer = await browser.get(path(browser, "a=\(assertion)"))
            #expect(location(answer)?.contains(assertion) == false)
            #expect(!answer.fields.contains { $0.value.contains(assertion.prefix(40)) })
        }
    }
}
