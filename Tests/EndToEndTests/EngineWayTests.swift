import Foundation
import Testing

extension EndToEnd {
    @Suite("Device checks without a script's request: by a popup and by going to the agent", .threeEngines)
    struct EngineWayTests {
        @Test(
            "004.5 where the person said no to scripts, a click on the popup's button is enough",
            arguments: Engine.asking)
        func popupAfterNo(_ engine: Engine) throws {
            let stage = try EngineStage.current()
            let browser = try engine.browser(stage.stack, permission: .denied)
            defer { browser.quit() }
            try stage.begin(browser, path: "/popup-\(engine)")
            _ = try CheckPage.wait(browser, for: "permission-denied")
            try browser.click("#popup")
            try browser.waitForApplication(EngineStage.application)
            #expect(try browser.url == EngineStage.origin + "/popup-\(engine)")
            #expect(try browser.windows.count == 1, "the popup is closed again")
        }

        @Test(
            "004.5 where the person said no to scripts, going to the agent comes back with the answer",
            arguments: Engine.asking)
        func visitAfterNo(_ engine: Engine) throws {
            let stage = try EngineStage.current()
            let browser = try engine.browser(stage.stack, permission: .denied)
            defer { browser.quit() }
            try stage.begin(browser, path: "/visit-\(engine)")
            _ = try CheckPage.wait(browser, for: "permission-denied")
            try browser.click("#visit")
            try browser.waitForApplication(EngineStage.application)
            #expect(try browser.url == EngineStage.origin + "/visit-\(engine)")
            try Self.checkThatNoAnswerIsWrittenDown(stage.stack)
        }

        @Test(
            "WebKit, which blocks scripts, sees the agent by a picture, goes there by itself and comes back")
        func webkit() throws {
            let stage = try EngineStage.current()
            let browser = try WebKit(stage.stack)
            defer { browser.quit() }
            try stage.begin(browser, path: "/webkit")
            try browser.waitForApplication(EngineStage.application)
            #expect(try browser.url == EngineStage.origin + "/webkit")
            try Self.checkThatNoAnswerIsWrittenDown(stage.stack)
        }

        @Test(
            "004.5 WebKit: without an agent nobody is sent away; the popup's way opens, ends, and works later"
        )
        func webkitPopup() throws {
            let stage = try EngineStage.current()
            let browser = try WebKit(stage.stack)
            defer { browser.quit() }
            try stage.stack.child("agent").stop()
            var isRunning = false
            defer { if !isRunning { try? stage.stack.startAgent() } }
            try stage.begin(browser, path: "/webkit-popup")
            _ = try CheckPage.wait(browser, for: "agent-not-running")
            #expect(
                try browser.url.hasPrefix("https://\(PrivateNetwork.authHost)/"), "the person is still here")
            // An engine that blocks what a click did not open lets this one through: it opens in the click itself.
            try browser.click("#popup")
            try browser.wait(for: "the popup") { try browser.windows.count == 2 }
            let page = try CheckPage.wait(browser, for: "agent-not-running")
            #expect(try browser.windows.count == 1, "nothing answered, and the popup is closed: \(page)")
            try stage.stack.startAgent()
            isRunning = true
            try browser.click("#popup")
            try browser.waitForApplication(EngineStage.application)
            #expect(try browser.windows.count == 1)
        }

        @Test("004.5 WebKit: a popup that is blocked is named, and another way leads on")
        func popupBlocked() throws {
            let stage = try EngineStage.current()
            let browser = try WebKit(stage.stack)
            defer { browser.quit() }
            try stage.stack.child("agent").stop()
            var isRunning = false
            defer { if !isRunning { try? stage.stack.startAgent() } }
            try stage.begin(browser, path: "/webkit-blocked")
            _ = try CheckPage.wait(browser, for: "agent-not-running")
            // A script is no person: what it clicks opens nothing here.
            _ = try browser.script("document.getElementById('popup').click()")
            let page = try CheckPage.wait(browser, for: "popup-blocked")
            try stage.photograph(browser, "popup-blocked")
            #expect(page.text.contains("pop-ups"), "\(page)")
            #expect(try browser.windows.count == 1)
            try stage.stack.startAgent()
            isRunning = true
            try browser.click("#visit")
            try browser.waitForApplication(EngineStage.application)
        }

        @Test(
            "004.5 who goes to an agent that is gone comes back by the history to a page with words and ways on",
            arguments: Engine.asking)
        func deadAgent(_ engine: Engine) throws {
            let stage = try EngineStage.current()
            let browser = try engine.browser(stage.stack, permission: .denied)
            defer { browser.quit() }
            try stage.stack.child("agent").stop()
            defer { try? stage.stack.startAgent() }
            let reason = "permission-denied"
            try stage.begin(browser, path: "/dead-\(engine)")
            _ = try CheckPage.wait(browser, for: reason)
            // The browser says that the page did not load; that is no failure of the click.
            _ = try? browser.click("#visit")
            try browser.wait(for: "the browser's own words") {
                try !browser.url.hasPrefix("https://\(PrivateNetwork.authHost)/")
            }
            _ = try? browser.back()
            let page = try CheckPage.wait(browser, for: reason)
            #expect(
                try browser.script("return !document.getElementById('actions').hidden") as? Bool == true,
                "\(page)")
        }

        @Test(
            "a hostile page's own check, carried to the agent by the browser, ends at the gateway and is used up",
            arguments: Engine.allCases)
        func carried(_ engine: Engine) throws {
            let stage = try EngineStage.current()
            let attacker = try Attacker(stage.stack)
            let browser = try engine.browser(stage.stack)
            defer { browser.quit() }
            try browser.open("https://people.corp.test/")
            try browser.signInAtLab("alice")
            try browser.waitForApplication("people")
            // The agent answers a visit with a signed challenge, whoever led there: the way back is the gateway's.
            let go =
                "<title>Hostile</title><button id=go onclick=\"location.href = document.body.dataset.to\">Go"
            try browser.open(CallStage.page(EngineStage.hostile, go))
            let agent = "http://127.0.0.1:\(Stack.agentPort)"
            let address = "\(agent)/v1/nav?c=\(try attacker.challenge())"
            _ = try browser.script("document.body.dataset.to = arguments[0]", [address])
            try browser.click("#go")
            try browser.wait(for: "the refusal") {
                try browser.url.hasPrefix("https://\(PrivateNetwork.authHost)/")
                    && EndToEnd.DeviceCheckTests.reason(browser) == "session-mismatch"
            }
            try stage.photograph(browser, "session-mismatch")
            #expect(try !attacker.isInside())
            try Self.checkThatNoAnswerIsWrittenDown(stage.stack)
        }

        /// A compact JWS begins so, in every encoding of an address.
        private static func checkThatNoAnswerIsWrittenDown(_ stack: Stack) throws {
            #expect(try !stack.child("gateway").output.contains("eyJ"), "an answer is in the gateway's log")
        }
    }
}
