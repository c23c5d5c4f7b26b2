import Foundation
import Testing

extension EndToEnd {
    @Suite("A device that Intune declares non-compliant while its person works")
    struct DeviceChangeTests {
        /// From the moment that the gateway knows, and from the moment that the device is fixed.
        static let secondsMax = 2.0

        @Test("003.6 open event streams and WebSockets of the device end within 2 s of the gateway's knowing")
        func streamsEnd() throws {
            let stack = try Stack.current()
            defer { try? stack.setDevice("compliant") }
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice")
            try Self.openStreams(browser)
            try stack.setDevice("noncompliant")
            let known = try stack.waitForDecision("refuse")
            try browser.wait(for: "the streams' end") {
                try browser.number("window.streamEnded") != nil
                    && browser.number("window.socketClosed") != nil
            }
            for name in ["streamEnded", "socketClosed"] {
                let at = try #require(try browser.number("window.\(name)")) / 1000
                print(
                    "measured: \(name) \(Int((at - known) * 1000)) ms after the last answer that allowed"
                )
                #expect(at - known <= Self.secondsMax)
            }
            let script = try browser.script(
                "return fetch('/api', {headers: {accept: 'application/json'}}).then(r => r.status)")
            #expect(script as? Int == 403)
        }

        @Test(
            "001.24 the next page names the failed check and its remedy, and goes on within 2 s of the fix"
        )
        func pageContinues() throws {
            let stack = try Stack.current()
            defer { try? stack.setDevice("compliant") }
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice")
            try stack.photograph(browser, "application")
            try stack.setDevice("noncompliant")
            try stack.waitForDecision("refuse")
            try browser.open("https://wiki.corp.test/report?year=2026")
            try browser.wait(for: "the block page") { try browser.title == "Access to wiki is blocked" }
            let text = try browser.text
            #expect(text.contains("breaks a compliance rule. Put it right"), "\(text)")
            #expect(
                text.contains("broken-linux") || text.localizedCaseInsensitiveContains("intune"), "\(text)")
            #expect(text.contains("device-denied"), "\(text)")
            #expect(text.contains("Request "))
            try stack.photograph(browser, "block-page")
            #expect(!text.contains("This page comes from the protected application"))

            // Seconds of looking at it change nothing.
            let asked = try stack.accessLog().filter { $0["path"] as? String == "/.gatepost/events" }.count
            try browser.wait(for: "the page's next question") {
                try stack.accessLog().filter { $0["path"] as? String == "/.gatepost/events" }.count > asked
            }
            #expect(try browser.title == "Access to wiki is blocked")

            let fixed = Date()
            try stack.setDevice("compliant")
            try browser.waitForApplication("wiki")
            let took = Date().timeIntervalSince(fixed)
            print("measured: back in the application \(Int(took * 1000)) ms after the fix")
            #expect(took <= Self.secondsMax)
            #expect(try browser.url == "https://wiki.corp.test/report?year=2026")
        }

        /// Opens an event stream and a WebSocket and waits until both have delivered.
        private static func openStreams(_ browser: Chromium) throws {
            _ = try browser.script(
                """
                const stream = new EventSource('/sse');
                stream.addEventListener('tick', () => window.ticks = (window.ticks || 0) + 1);
                stream.onerror = () => { window.streamEnded ||= Date.now(); stream.close(); };
                const socket = new WebSocket('wss://' + location.host + '/ws');
                socket.onopen = () => socket.send('hello');
                socket.onmessage = () => window.echoes = (window.echoes || 0) + 1;
                socket.onclose = () => window.socketClosed ||= Date.now();
                """)
            try browser.wait(for: "both streams") {
                try browser.number("window.ticks") != nil && browser.number("window.echoes") != nil
            }
        }
    }
}
