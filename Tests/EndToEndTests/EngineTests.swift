import Foundation
import Testing

extension EndToEnd {
    @Suite("The device check in three browser engines, the gateway on a public address", .threeEngines)
    struct EngineTests {
        @Test(
            "004.4 sign-in at a real provider, device check and back, with cookies that no other site sends",
            arguments: Engine.allCases)
        func roundTrip(_ engine: Engine) throws {
            let stage = try EngineStage.current()
            let browser = try engine.browser(stage.stack)
            defer { browser.quit() }
            try browser.enter("wiki", as: "alice", path: "/hello?x=1")
            #expect(try browser.url == "https://wiki.corp.test/hello?x=1")
            try stage.photograph(browser, "application")
            // Browsers ask by themselves for an icon of the page of keys; Firefox writes down each local request.
            let errors = try browser.consoleErrors().filter {
                !$0.contains("/favicon.ico") && !$0.contains("prompt action: auto_allow")
            }
            #expect(errors == [], "\(errors)")
            let cookie = try #require(
                try browser.command("GET", "/cookie/__Host-gatepost") as? [String: Any])
            #expect(cookie["sameSite"] as? String == "Lax")
            #expect(cookie["secure"] as? Bool == true && cookie["httpOnly"] as? Bool == true)
            // Proven once: the next page asks nobody.
            try browser.open("https://wiki.corp.test/again")
            #expect(try browser.url == "https://wiki.corp.test/again")
        }

        @Test(
            "004.5 where the person said no the page says so at once and how to change it; a yes later is enough",
            arguments: Engine.asking)
        func denied(_ engine: Engine) throws {
            let stage = try EngineStage.current()
            let browser = try engine.browser(stage.stack, permission: .denied)
            defer { browser.quit() }
            try stage.begin(browser, path: "/denied-\(engine)")
            let page = try CheckPage.wait(browser, for: "permission-denied")
            #expect(page.text.contains("allow") && page.text.contains("Reason permission-denied"), "\(page)")
            try stage.photograph(browser, "permission-denied")
            #expect(try !stage.stack.hasReachedUpstream("/denied-\(engine)"))
            // The page hears of it: nobody has to press a button.
            try browser.answer(.granted)
            try browser.waitForApplication(EngineStage.application)
        }

        /// The files that docs/device-check.md gives for Linux, for this network's auth host.
        static func documented() throws -> (chromium: [String], firefox: String) {
            let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let text = try String(
                contentsOf: root.appending(path: "docs/device-check.md"), encoding: .utf8)
            let files = text.components(separatedBy: "```json\n").dropFirst().compactMap {
                $0.components(separatedBy: "\n```").first?
                    .replacingOccurrences(of: "auth.corp.example", with: PrivateNetwork.authHost)
            }
            let firefox = files.filter { $0.contains("\"policies\"") }
            guard files.count == 3, firefox.count == 1 else {
                throw Failure(description: "docs/device-check.md has \(files.count) files for browsers")
            }
            return (files.filter { !firefox.contains($0) }, firefox[0])
        }

        @Test(
            "a managed policy as documented answers for the person: yes without a question, no beats yes")
        func policies() throws {
            let stage = try EngineStage.current()
            let (stack, host) = (stage.stack, PrivateNetwork.authHost)
            let files = try Self.documented()
            for policy in files.chromium {
                try stack.network.withChromiumPolicy(policy, in: stack.folder) {
                    let browser = try Chromium(stack, permission: nil)
                    defer { browser.quit() }
                    try stage.begin(browser)
                    try browser.waitForApplication(EngineStage.application)
                }
            }
            let no =
                "{\"LoopbackNetworkBlockedForUrls\": [\"https://\(host)\"], \"LoopbackNetworkAllowedForUrls\": [\"*\"]}"
            try stack.network.withChromiumPolicy(no, in: stack.folder) {
                let browser = try Chromium(stack, permission: nil)
                defer { browser.quit() }
                try stage.begin(browser)
                _ = try CheckPage.wait(browser, for: "permission-denied")
            }
            // Firefox's policies cannot say no (ESR 153): LocalNetworkAccess lets domains pass or switches parts of the
            // guard off, Permissions has no member for it, and Preferences takes no `permissions.` names. Without
            // EnablePrompting a request only hangs, as beside a question that nobody answers.
            try stack.network.withFirefoxPolicy(files.firefox, in: stack.folder) {
                let browser = try Firefox(stack, permission: nil)
                defer { browser.quit() }
                try stage.begin(browser)
                try browser.waitForApplication(EngineStage.application)
                #expect(try !browser.isAsking)
            }
        }

        @Test("004.5 while the browser asks the page says what to choose, and goes on by itself after Allow")
        func promptInFirefox() throws {
            let stage = try EngineStage.current()
            let browser = try Firefox(stage.stack, permission: nil)
            defer { browser.quit() }
            try stage.begin(browser, path: "/asked")
            try browser.wait(for: "the browser's question") { try browser.isAsking }
            try browser.wait(for: "the words") { try browser.text.contains("hoose Allow") }
            try stage.photograph(browser, "permission-prompt-pending")
            #expect(try !stage.stack.hasReachedUpstream("/asked"))
            try browser.answerQuestion(.granted)
            try browser.waitForApplication(EngineStage.application)
            #expect(try browser.url == EngineStage.origin + "/asked")
        }

        @Test("004.5 Block in the browser's own question ends the check with its reason, not with a wait")
        func blockInFirefox() throws {
            let stage = try EngineStage.current()
            let browser = try Firefox(stage.stack, permission: nil)
            defer { browser.quit() }
            try stage.begin(browser)
            try browser.wait(for: "the browser's question") { try browser.isAsking }
            try browser.answerQuestion(.denied)
            let page = try CheckPage.wait(browser, for: "permission-denied")
            #expect(page.text.contains("Reason permission-denied"))
        }

        @Test("004.5 while Chromium's window asks, the page says what to choose and takes no pause for a no")
        func promptInChromium() throws {
            let stage = try EngineStage.current()
            let browser = try Chromium(stage.stack, permission: nil, isOnScreen: true)
            defer { browser.quit() }
            try stage.begin(browser, path: "/on-screen")
            try browser.wait(for: "the words") { try browser.text.contains("hoose Allow") }
            let state = "return navigator.permissions.query({name: 'loopback-network'}).then(a => a.state)"
            #expect(try browser.script(state) as? String == "prompt")
            try stage.photograph(browser, "permission-prompt-pending")
            let page = try CheckPage(browser)
            #expect(page.reason == "permission-prompt-pending", "\(page)")
            #expect(try !stage.stack.hasReachedUpstream("/on-screen"))
        }

        @Test(
            "004.5 whatever answers in the agent's place, the page names it and its remedy, and comes to rest",
            arguments: AgentCase.all)
        func inThePlaceOfTheAgent(_ agent: AgentCase) async throws {
            let stage = try EngineStage.current()
            try agent.start(stage.stack)
            defer { try? stage.stack.startAgent() }
            try await EngineStage.inEach { engine in
                let browser = try stage.browser(waitingIn: engine)
                try CheckPage.lookAgain(browser)
                let reason = agent.reason(in: engine)
                let page = try CheckPage.wait(browser, for: reason)
                try stage.photograph(browser, agent.reason)
                for words in (reason == agent.reason ? agent.words : []) + ["Reason \(reason)"] {
                    #expect(page.text.contains(words), "\(engine): \(page)")
                }
            }
            #expect(try !stage.stack.hasReachedUpstream("/waiting"))
        }
    }
}
