import Foundation
import Testing

extension EndToEnd {
    @Suite("Signing out")
    struct SignOutTests {
        @Test(
            "signing out ends the session here and at the provider; the back button shows no data"
        )
        func signOut() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice", path: "/private")
            try browser.open("https://wiki.corp.test/.gatepost/sign-out")
            try browser.wait(for: "the question") { try browser.title == "Sign out" }
            try stack.photograph(browser, "sign-out")
            #expect(try stack.gatepost("session", "list", "--user", "alice@corp.example").contains("wiki"))
            try browser.click("form button")
            // Over Canaille and back: it asks nothing, since it is told who, by which client and where to.
            try browser.wait(for: "the page after it") { try browser.title == "Signed out" }
            #expect(try browser.url.hasPrefix("https://auth.corp.test/.gatepost/signed-out?"))
            #expect(try browser.text(of: "a.button") == "Sign in again")
            try stack.photograph(browser, "signed-out")

            let isData = { try browser.text.contains("This page comes from the protected application") }
            for _ in 0..<4 {
                try browser.back()
                let shown = browser.seen()
                #expect(try !isData(), "the back button shows \(shown)")
            }
            try browser.open("https://wiki.corp.test/private")
            try browser.wait(for: "Canaille's sign-in") { try browser.url.hasPrefix(Provider.issuer) }
            #expect(
                try browser.text(of: "input[name=login]") != nil, "the provider let in without a password")
        }

        @Test("the back button shows no data of an application that says nothing about caches either")
        func cacheablePage() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice")
            try browser.open("https://wiki.corp.test/status/200")
            #expect(try browser.text.contains("status 200"))
            try browser.open("https://wiki.corp.test/.gatepost/sign-out")
            try browser.click("form button")
            try browser.wait(for: "the page after it") { try browser.title == "Signed out" }
            for _ in 0..<3 {
                try browser.back()
                let shown = browser.seen()
                #expect(try !browser.text.contains("status 200"), "the back button shows \(shown)")
            }
        }

        @Test("signing out at one application ends the sessions at all of them")
        func everywhere() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice")
            try browser.open("https://desk.corp.test/")
            try browser.waitForApplication("desk")
            try browser.open("https://desk.corp.test/.gatepost/sign-out")
            try browser.click("form button")
            try browser.wait(for: "the page after it") { try browser.title == "Signed out" }
            try browser.open("https://wiki.corp.test/")
            try browser.wait(for: "Canaille's sign-in") { try browser.url.hasPrefix(Provider.issuer) }
        }

        @Test("signing out everywhere ends the person's sessions in another browser, and what it has open")
        func allBrowsers() throws {
            let stack = try Stack.current()
            let (here, there) = (try Chromium(stack), try Chromium(stack))
            try here.enter("wiki", as: "alice")
            try there.enter("wiki", as: "alice")
            _ = try there.script(
                """
                window.ends = {};
                const stream = new EventSource('/sse');
                stream.addEventListener('tick', () => { window.ticked = 1; });
                stream.onerror = () => { window.ends.events ||= Date.now(); stream.close(); };
                """)
            try there.wait(for: "an open stream") { try there.number("window.ticked") == 1 }
            try here.open("https://wiki.corp.test/.gatepost/sign-out")
            try here.click("form button.quiet")
            try here.wait(for: "the page after it") { try here.title == "Signed out" }
            #expect(try here.text.contains("on all your devices"))
            try there.wait(for: "the stream's end") { try there.number("window.ends.events") != nil }
            let status = try there.script("return fetch('/api').then(r => r.status)")
            #expect(status as? Int == 401)
        }

        @Test("another site cannot sign anybody out: the POST must carry our own Origin")
        func foreignOrigin() throws {
            let stack = try Stack.current()
            let client = try Client.signedIn(stack, application: "people")
            for origin in ["https://evil.example", "null", "https://people.corp.test.evil.example"] {
                let answer = try client.post(
                    "https://people.corp.test/.gatepost/sign-out", form: [], origin: origin)
                #expect(answer.status == 403, "\(origin)")
                #expect(answer.field("gatepost-reason") == "origin-not-allowed", "\(origin)")
            }
            #expect(try client.fetch("https://people.corp.test/").status == 200)
            let own = try client.post(
                "https://people.corp.test/.gatepost/sign-out", form: [], origin: "https://people.corp.test")
            #expect(own.status == 303)
            #expect(try client.fetch("https://people.corp.test/").status == 401)
        }
    }
}
