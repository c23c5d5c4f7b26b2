import Foundation
import Testing

extension EndToEnd {
    @Suite("Signing in with Chromium at a real OpenID Provider, the gateway on a public address")
    struct BrowserSignInTests {
        @Test("004.4 first the person signs in, then the browser asks the agent, then the application opens")
        func signIn() throws {
            let stack = try Stack.current()
            let before = try stack.accessLog().count
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice", path: "/hello?x=1")
            #expect(try browser.url == "https://wiki.corp.test/hello?x=1")

            let visits = try stack.accessLog().dropFirst(before).filter {
                $0["host"] as? String != "wiki.corp.test"
            }
            let paths = visits.compactMap { $0["path"] as? String }
            let signedIn = try #require(paths.firstIndex(of: "/.gatepost/callback/staff"))
            let asked = try #require(paths.firstIndex(of: "/.gatepost/posture/challenge"))
            #expect(signedIn < asked, "the agent was asked before the person was known")
        }

        @Test(
            "000.5 the application learns person and device from a signed assertion and a configured field"
        )
        func assertion() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice")
            let fields = try browser.receivedFields()
            #expect(fields["x-remote-user"] == "alice@corp.example")
            let parts = try #require(fields["gatepost-assertion"]).split(separator: ".").map(String.init)
            try #require(parts.count == 3)
            let header = try #require(Self.object(parts[0]))
            let claims = try #require(Self.object(parts[1]))
            #expect(header["alg"] as? String == "ES256")
            let keys = try Client(stack).fetch("https://auth.corp.test/.gatepost/jwks.json").body
            #expect(keys.contains(try #require(header["kid"] as? String)))
            #expect(claims["aud"] as? String == "wiki")
            #expect(claims["email"] as? String == "alice@corp.example")
            #expect(claims["sub"] as? String == "alice")
            let device = try #require(claims["device"] as? [String: Any], "no device in \(claims)")
            #expect(device["class"] as? String == "compliant", "\(device)")
            let expiry = try #require(claims["exp"] as? Double)
            #expect(expiry - Date().timeIntervalSince1970 <= 121)
        }

        @Test(
            "000.3 what Intune says counts at sign-in: a non-compliant device never sees the application"
        )
        func askedAtSignIn() throws {
            let stack = try Stack.current()
            try stack.setDevice("noncompliant")
            defer { try? stack.setDevice("compliant") }
            try stack.waitForDecision("refuse")
            let browser = try Chromium(stack)
            try browser.open("https://wiki.corp.test/hello")
            try browser.signInAtCanaille("alice")
            try browser.wait(for: "the block page") { try browser.title == "Access to wiki is blocked" }
            try stack.setDevice("compliant")
            try browser.waitForApplication("wiki")
            #expect(try browser.url == "https://wiki.corp.test/hello")
        }

        @Test(
            "004.19 a session of one provider does not count where only the other is accepted: it asks again")
        func secondProvider() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice")
            try browser.open("https://people.corp.test/roster")
            try browser.signInAtLab("alice")
            try browser.waitForApplication("people")
            #expect(try browser.url == "https://people.corp.test/roster")
            // Both sessions live side by side: neither application asks a second time.
            try browser.open("https://wiki.corp.test/again")
            try browser.waitForApplication("wiki")
            try browser.open("https://people.corp.test/again")
            try browser.waitForApplication("people")
        }

        @Test(
            "004.16 where two providers are accepted the person chooses by their names, and lands where asked"
        )
        func chooser() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.open("https://desk.corp.test/tickets/7")
            try browser.wait(for: "the chooser") { try browser.title == "Sign in to desk" }
            #expect(try browser.text.contains("Corp staff"))
            #expect(try browser.text.contains("Corp people team"))
            try stack.photograph(browser, "chooser")
            try browser.click("nav a:nth-of-type(2)")
            try browser.signInAtLab("bob")
            try browser.waitForApplication("desk")
            #expect(try browser.url == "https://desk.corp.test/tickets/7")
        }

        @Test("the fragment of an address survives sign-in, chooser and device check, and no server sees it")
        func fragment() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            let page = "https://wiki.corp.test/hello?x=1#part/2?a=b"
            try browser.open(page)
            try browser.signInAtCanaille("alice")
            try browser.waitForApplication("wiki")
            #expect(try browser.url == page)
            // The next sign-in of this tab has none: it gets none of the one before.
            try browser.open("https://people.corp.test/roster")
            try browser.signInAtLab("alice")
            try browser.waitForApplication("people")
            #expect(try browser.url == "https://people.corp.test/roster")

            let other = try Chromium(stack)
            try other.open("https://desk.corp.test/tickets/7#comment")
            try other.wait(for: "the chooser") { try other.title == "Sign in to desk" }
            try other.click("nav a:nth-of-type(2)")
            try other.signInAtLab("bob")
            try other.waitForApplication("desk")
            #expect(try other.url == "https://desk.corp.test/tickets/7#comment")
        }

        private static func object(_ part: String) -> [String: Any]? {
            var text = part.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
            while text.count % 4 != 0 { text += "=" }
            return Data(base64Encoded: text).flatMap { try? JSONSerialization.jsonObject(with: $0) }
                as? [String: Any]
        }
    }
}
