import Foundation
import Testing

extension EndToEnd {
    @Suite("A stronger sign-in, with Chromium and the lab's provider")
    struct StepUpTests {
        private static let payroll = "https://people.corp.test/payroll?year=2026#june"

        @Test("002.20 who lacks only the context is sent for it once, and lands where they wanted to go")
        func steppedUp() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.open("https://people.corp.test/")
            try browser.signInAtLab("alice")
            try browser.waitForApplication("people")
            // The provider knows alice: nobody types anything a second time.
            try browser.open(Self.payroll)
            try browser.waitForApplication("people")
            #expect(try browser.url == Self.payroll)
        }

        @Test(
            "002.20 a provider that ignores what it is asked gets a page that says so, and no second question"
        )
        func ignored() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.open("https://people.corp.test/")
            try browser.signInAtLab("alice")
            try browser.waitForApplication("people")
            try stack.fault("openid", "acr-ignored")
            defer { try? stack.fault("openid", "none") }
            let before = try Self.callbacks(stack, after: "/before", in: browser)
            try browser.open(Self.payroll)
            try browser.wait(for: "the page that says what is missing") {
                try browser.text.contains("authentication-insufficient")
            }
            #expect(try browser.text.contains("authentication context is one of: phr"))
            // The session that was there is there.
            #expect(try Self.callbacks(stack, after: "/again", in: browser) == before + 1)
        }

        /// Sign-ins that came back from the provider until now. The log is written beside the traffic: it is whole when
        /// a request made after them stands in it.
        private static func callbacks(
            _ stack: Stack, after path: String, in browser: Chromium
        ) throws -> Int {
            try browser.open("https://people.corp.test\(path)")
            try browser.waitForApplication("people")
            func lines(_ path: String) throws -> Int {
                try stack.accessLog().filter { $0["path"] as? String == path }.count
            }
            try browser.wait(for: "the access log to be written") { try lines(path) > 0 }
            return try lines("/.gatepost/callback/hr-staff")
        }
    }
}
