import Foundation
import Testing

extension EndToEnd {
    @Suite("Choosing among several providers, with Chromium", .twoRegistrations)
    struct ChooserTests {
        private static func chooser(_ browser: Chromium, _ path: String = "/") throws {
            try browser.open("https://portal.corp.test\(path)")
            try browser.wait(for: "the chooser") { try browser.title == "Sign in to portal" }
        }

        private static func active(_ browser: Chromium) throws -> String? {
            try browser.script("return document.activeElement && document.activeElement.innerText") as? String
        }

        @Test("004.16 what was used last stands first and has the keyboard; Enter goes on, the fragment too")
        func remembered() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try Self.chooser(browser)
            try stack.photograph(browser, "chooser-first")
            try browser.click("nav a:nth-of-type(3)")
            try browser.signInAtLab("alice")
            try browser.waitForApplication("portal")
            _ = try stack.gatepost("session", "revoke", "--user", "alice@corp.example")
            try Stack.waitUntilSecond()
            try Self.chooser(browser, "/again#part")
            #expect(try browser.text(of: "nav a")?.contains("Corp people team") == true)
            #expect(try Self.active(browser)?.contains("Used last in this browser") == true)
            try stack.photograph(browser, "chooser-remembered")
            try stack.photographNarrow(browser, "chooser-narrow")
            try browser.press("\u{E007}", on: "nav a")
            try browser.waitForApplication("portal")
            #expect(try browser.url == "https://portal.corp.test/again#part")
        }

        @Test("an address leads to its providers; a mistake is told by the field; no script is needed for it")
        func address() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try Self.chooser(browser, "/deep?x=1#end")
            try browser.type("zoe@nowhere.example", into: "#email")
            try browser.click("form button")
            try browser.wait(for: "the mistake") { try browser.text(of: "#problem") != nil }
            #expect(try browser.script("return document.activeElement.id") as? String == "email")
            #expect(try !browser.text.contains("zoe"))
            #expect(try !browser.url.contains("zoe"))
            try stack.photograph(browser, "chooser-mistake")
            try browser.type("alice@corp.example", into: "#email")
            try browser.click("form button")
            try browser.wait(for: "the ways of the organisation") {
                try browser.text.contains("several ways to sign in")
            }
            try stack.photograph(browser, "chooser-narrowed")
            #expect(try !browser.text.contains("Corp people team"))
            try browser.click("nav a:nth-of-type(1)")
            let issuer = try TenantStage.issuer(stack)
            try browser.wait(for: "the tenant's sign-in") { try browser.url.hasPrefix(issuer) }
            // The address was handed on.
            #expect(
                try browser.script("return document.querySelector('#user').value") as? String
                    == "alice@corp.example")
            try browser.type("alice-demo", into: "#password")
            try browser.click("button[type=submit]")
            try browser.waitForApplication("portal")
            #expect(try browser.url == "https://portal.corp.test/deep?x=1#end")
            #expect(try !stack.child("gateway").output.contains("nowhere.example"), "the address was logged")
        }

        @Test("an address of one provider goes there at once, the fragment with it")
        func direct() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.show(device: try stack.labValue("directoryDevice"), stack)
            try Self.chooser(browser, "/deep#end")
            try browser.type("alice@managed.example", into: "#email")
            try browser.click("form button")
            try browser.signInAtTenant("alice", stack)
            try browser.waitForApplication("portal")
            #expect(try browser.url == "https://portal.corp.test/deep#end")
            let callbacks = try stack.accessLog().compactMap { $0["path"] as? String }
            #expect(callbacks.contains("/.gatepost/callback/entra-managed"))
        }

        @Test("every interactive thing is reached by the keyboard in the order of the page, and has a name")
        func keyboard() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try Self.chooser(browser)
            let names = try browser.script(
                """
                return [...document.querySelectorAll('a[href], button, input:not([type=hidden])')].map(e =>
                  e.tabIndex + ' ' + (e.labels && e.labels[0] ? e.labels[0].innerText : e.innerText).trim());
                """)
            let seen = (names as? [String])?.map { $0.replacing("\n", with: " ") }
            #expect(
                seen == [
                    "0 C Corp", "0 C Corp (managed devices)", "0 C Corp people team",
                    "0 Or find it by your email address", "0 Continue",
                ])
            // What a screen reader hears of a choice is its name, without the letter.
            #expect(
                try browser.script(
                    "return [...document.querySelectorAll('nav a > :not([aria-hidden])')].map(e => e.innerText)"
                )
                    as? [String] == ["Corp", "Corp (managed devices)", "Corp people team"])
        }

        @Test("five tabs through the chooser: four succeed, and the oldest restarts without an error")
        func tabs() throws {
            let stack = try Stack.current()
            let client = Client(stack)
            var pages: [(Answer, Int)] = []
            for tab in 0..<5 {
                let chooser = try client.follow(
                    try client.get("https://portal.corp.test/tab/\(tab)?n=\(tab)")
                ).answer
                let href = try #require(
                    chooser.body.firstMatch(of: /nav aria-label="Accounts"><a class="[^"]+" href="([^"]+)"/))
                let path = String(href.1).replacing("&amp;", with: "&")
                pages.append((try client.follow(try client.get("https://auth.corp.test" + path)).answer, tab))
            }
            let issuer = try TenantStage.issuer(stack)
            for (page, tab) in pages.reversed() {
                let end = try client.follow(try client.answer(page, provider: issuer))
                #expect(end.answer.status == 200, "tab \(tab): \(end.visited.last ?? "")")
                #expect(end.visited.contains("https://portal.corp.test/tab/\(tab)?n=\(tab)"))
            }
        }
    }
}
