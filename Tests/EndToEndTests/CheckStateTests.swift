import Foundation
import Testing

extension EndToEnd {
    @Suite("Every state of the device check on the screen, and by keyboard and screen reader", .threeEngines)
    struct CheckStateTests {
        /// Parts of the list, each short enough for a test.
        static let thirds = 3

        @Test(
            "004.5 each state has its title, words and word, fits a small screen, and comes to rest",
            arguments: 0..<thirds)
        func states(_ third: Int) throws {
            let stage = try EngineStage.current()
            let browser = try Chromium(stage.stack)
            defer { browser.quit() }
            try stage.stack.child("agent").stop()
            defer { try? stage.stack.startAgent() }
            try stage.begin(browser, path: "/states-\(third)")
            _ = try CheckPage.wait(browser, for: "agent-not-running")
            let here = try browser.url.split(separator: "&")[0]
            let titles = try #require(
                try browser.script(
                    """
                    return Object.entries(JSON.parse(document.getElementById('check').dataset.states))
                      .map(([word, state]) => [word, state.title]);
                    """) as? [[String]])
            #expect(titles.count >= 39)
            let pictures = ProcessInfo.processInfo.environment["GATEPOST_PICTURES"]
            if let pictures {
                try FileManager.default.createDirectory(
                    atPath: pictures + "/states", withIntermediateDirectories: true)
            }
            for (index, row) in titles.enumerated() where index % Self.thirds == third {
                let (word, title) = (row[0], row[1])
                try browser.open("\(here)&e=\(word)&days=9")
                let page = try CheckPage.wait(browser, for: word)
                #expect(page.title == title && page.text.contains("Reason \(word)"), "\(page)")
                #expect(
                    try browser.script("return document.activeElement.id") as? String == "title", "\(word)")
                try stage.stack.photograph(browser, "states/\(word)")
                try browser.setWidth(320)
                defer { try? browser.setWidth(1280) }
                let over = try browser.number("document.documentElement.scrollWidth - innerWidth") ?? 1
                #expect(over <= 0, "\(word) is wider than a small screen")
                try stage.stack.photograph(browser, "states/\(word)-narrow")
            }
        }

        /// What the keyboard comes to, in this order, from the heading on.
        private static func stations(_ browser: Chromium, count: Int) throws -> [String] {
            try (0..<count).map { _ in
                try press(browser, "\u{E004}")
                let place = "const e = document.activeElement; return e.id || e.localName"
                return try browser.script(place) as? String ?? ""
            }
        }

        private static func press(_ browser: Chromium, _ key: String) throws {
            let strokes = ["keyDown", "keyUp"].map { ["type": $0, "value": key] }
            try browser.command(
                "POST", "/actions", ["actions": [["type": "key", "id": "keyboard", "actions": strokes]]])
        }

        /// Tabs until the element has the keyboard, and presses Enter.
        private static func enter(_ browser: Chromium, _ id: String) throws {
            for _ in 0..<10 {
                if try stations(browser, count: 1) == [id] { return try press(browser, "\u{E007}") }
            }
            throw Failure(description: "the keyboard does not come to \(id)")
        }

        @Test("the keyboard alone leads through the ways in their order, and Enter goes each of them")
        func keyboard() throws {
            let stage = try EngineStage.current()
            for (way, path) in [("popup", "/by-popup"), ("visit", "/by-visit")] {
                let browser = try Chromium(stage.stack, permission: .denied)
                defer { browser.quit() }
                try stage.begin(browser, path: path)
                _ = try CheckPage.wait(browser, for: "permission-denied")
                #expect(
                    try Self.stations(browser, count: 5) == ["popup", "visit", "again", "leave", "summary"])
                try Self.enter(browser, way)
                try browser.waitForApplication(EngineStage.application)
                #expect(try browser.url == EngineStage.origin + path)
            }
            let browser = try Chromium(stage.stack)
            defer { browser.quit() }
            try stage.stack.child("agent").stop()
            var isRunning = false
            defer { if !isRunning { try? stage.stack.startAgent() } }
            try stage.begin(browser, path: "/by-again")
            _ = try CheckPage.wait(browser, for: "agent-not-running")
            #expect(try Self.stations(browser, count: 2) == ["again", "leave"])
            try stage.stack.startAgent()
            isRunning = true
            try Self.enter(browser, "again")
            try browser.waitForApplication(EngineStage.application)
        }

        /// What a screen reader is told: role and name of each thing on the page that is not passed over.
        private static func told(_ browser: Chromium) throws -> [(role: String, name: String, live: String)] {
            try browser.command(
                "POST", "/goog/cdp/execute", ["cmd": "Accessibility.enable", "params": [:] as [String: Any]])
            let tree = try browser.command(
                "POST", "/goog/cdp/execute",
                ["cmd": "Accessibility.getFullAXTree", "params": [:] as [String: Any]])
            let nodes = (tree as? [String: Any])?["nodes"] as? [[String: Any]] ?? []
            return nodes.filter { $0["ignored"] as? Bool == false }.map { node in
                func text(_ member: String) -> String {
                    (node[member] as? [String: Any])?["value"] as? String ?? ""
                }
                let properties = node["properties"] as? [[String: Any]] ?? []
                let live = properties.first { $0["name"] as? String == "live" }?["value"] as? [String: Any]
                return (text("role"), text("name"), live?["value"] as? String ?? "")
            }
        }

        @Test(
            "a screen reader is told the state as a heading, what goes on as it changes, and buttons by name")
        func screenReader() throws {
            let stage = try EngineStage.current()
            let browser = try Chromium(stage.stack, permission: .denied)
            defer { browser.quit() }
            try stage.begin(browser, path: "/told")
            let page = try CheckPage.wait(browser, for: "permission-denied")
            let told = try Self.told(browser)
            let headings = told.filter { $0.role == "heading" }.map(\.name)
            #expect(headings == [page.title])
            #expect(
                told.filter { $0.role == "button" }.map(\.name)
                    == ["Check in a small window", "Go to the agent and come back", "Try again"])
            #expect(told.contains { $0.role == "link" && $0.name == "Sign out" })
            #expect(told.contains { $0.role == "status" && $0.live == "polite" })
            #expect(told.count { $0.role == "main" } == 1)
            // Pictures that only decorate are not read out.
            #expect(!told.contains { ["image", "img"].contains($0.role) && $0.name.isEmpty }, "\(told)")
        }
    }
}
