import Foundation
import Testing

extension EndToEnd {
    @Suite("A device that is neither healthy nor broken")
    struct PartialAccessTests {
        @Test(
            "000.4 003.14 it reads the handbook under a banner, changes and saves nothing there, and the wiki is closed"
        )
        func partial() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.enter("handbook", as: "alice", path: "/page")
            let status = """
                return fetch('/page', {method: arguments[0], headers: {accept: 'application/json'}})
                  .then(async answer => answer.status + ' ' + ((await answer.json()).reason || ''));
                """
            for method in ["GET", "POST"] {
                #expect(try browser.script(status, [method]) as? String == "200 ", "\(method) while healthy")
            }
            #expect(try browser.text(of: Self.banner) == nil)
            #expect(try Self.download(browser) == 200)
            try stack.setDevice("unknown")
            defer {
                try? stack.setDevice("compliant")
                // Whoever comes next begins with a device that is well.
                _ = try? stack.waitForDecision("forward")
            }
            try stack.waitForDecision("refuse")
            #expect(try browser.script(status, ["GET"]) as? String == "200 ")
            for method in ["POST", "DELETE"] {
                #expect(
                    try browser.script(status, [method]) as? String == "403 restricted-method", "\(method)")
            }
            try browser.open("https://handbook.corp.test/page")
            try browser.waitForApplication("handbook")
            #expect(
                try browser.text(of: Self.banner) == "Read-only: nobody says that this device is healthy.")
            try stack.photograph(browser, "banner")
            #expect(try Self.download(browser) == 403)
            // What a click on it shows, instead of a file.
            try browser.open("https://handbook.corp.test/bytes/2000")
            try browser.wait(for: "the page") { try browser.title == "Access to handbook is blocked" }
            #expect(try DeviceCheckTests.reason(browser) == "restricted-download")
            #expect(
                try browser.text.contains("With this device nothing can be downloaded from the application."))
            try browser.open("https://handbook.corp.test/page")
            try browser.waitForApplication("handbook")
            // A person who sends a form reads a page, and the form is not sent again behind her back.
            _ = try browser.script(
                "const form = document.createElement('form'); form.method = 'post'; form.action = '/change';"
                    + "document.body.append(form); form.submit();")
            try browser.wait(for: "the page") { try browser.title == "Access to handbook is blocked" }
            #expect(try DeviceCheckTests.reason(browser) == "restricted-method")
            #expect(try browser.text.contains("What you sent was not delivered."))
            try stack.photograph(browser, "restricted-method")
            #expect(try !stack.hasReachedUpstream("/change"))
            try browser.click("a.button")
            try browser.waitForApplication("handbook")
            try browser.open("https://wiki.corp.test/")
            try browser.wait(for: "the block page") { try browser.title == "Access to wiki is blocked" }
            try stack.photograph(browser, "partial")
            try stack.setDevice("compliant")
            try stack.waitForDecision("forward")
            try browser.open("https://handbook.corp.test/page")
            try browser.waitForApplication("handbook")
            #expect(try browser.text(of: Self.banner) == nil)
            #expect(try Self.download(browser) == 200)
        }

        private static let banner = ".gatepost-banner"

        /// What a script gets that saves a file.
        private static func download(_ browser: Chromium) throws -> Double? {
            try browser.script("return fetch('/bytes/1000').then(answer => answer.status)") as? Double
        }
    }
}
