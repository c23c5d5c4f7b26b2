import Foundation

/// A Firefox of its own: a fresh profile that trusts the suite's authority, without a window.
final class Firefox: Browser {
    let engine = Engine.firefox
    private let program: Child
    private let wire: Marionette

    /// - Parameter permission: given for the auth host before all else; nil leaves it unanswered.
    init(_ stack: Stack, permission: Permission? = .granted) throws {
        let profile = try Self.profile(stack)
        program = try Child(
            "firefox", "/usr/bin/firefox-esr",
            [
                "--headless", "--width", "1280", "--height", "800", "--marionette", "--no-remote",
                // The person's answer to the browser's own question is given in the browser's own window.
                "--remote-allow-system-access", "--profile", profile.path,
            ],
            environment: [
                "HOME": profile.path, "TMPDIR": profile.path, "MOZ_CRASHREPORTER_DISABLE": "1",
            ],
            log: stack.folder.appending(path: "firefox.log"), in: stack.network)
        let program = program
        do {
            // It writes the port that it took, once it listens.
            let port = try poll("Firefox to listen") {
                if let status = program.status {
                    throw Failure(description: "Firefox ended with \(status)")
                }
                let path = profile.appending(path: "MarionetteActivePort")
                return (try? String(contentsOf: path, encoding: .utf8)).flatMap { Int($0) }
            }
            wire = try Marionette(network: stack.network, port: port)
            try wire.send(
                "WebDriver:NewSession", ["capabilities": ["alwaysMatch": ["timeouts": Self.timeouts]]])
            try answerForAuthHost(permission)
        } catch {
            program.stop(with: SIGKILL)
            throw error
        }
    }

    private static let timeouts = ["script": 30_000, "pageLoad": 45_000, "implicit": 0]

    /// Certificates as Chromium has them: both read the same database.
    private static func profile(_ stack: Stack) throws -> URL {
        let profile = stack.folder.appending(path: "firefox-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: profile, withIntermediateDirectories: true)
        for name in ["cert9.db", "key4.db", "pkcs11.txt"] {
            try FileManager.default.copyItem(
                atPath: stack.path("home/.pki/nssdb/\(name)"), toPath: profile.appending(path: name).path)
        }
        let settings = """
            user_pref("marionette.port", 0);
            user_pref("browser.aboutwelcome.enabled", false);
            user_pref("devtools.jsonview.enabled", false);
            user_pref("datareporting.policy.dataSubmissionEnabled", false);

            """
        try settings.write(to: profile.appending(path: "user.js"), atomically: true, encoding: .utf8)
        return profile
    }

    deinit { quit() }

    // The profile is thrown away: there is nothing to end well for.
    func quit() { program.stop(with: SIGKILL) }

    func answer(_ permission: Permission) throws {
        try wire.send(
            "WebDriver:SetPermission",
            ["descriptor": ["name": "loopback-network"], "state": permission.rawValue])
    }

    func consoleErrors() throws -> [String] {
        let lines = try inBrowser(
            """
            return Services.console.getMessageArray()
              .filter(m => m instanceof Ci.nsIScriptError && !(m.flags & Ci.nsIScriptError.warningFlag)
                && /^https:/.test(m.sourceName))
              .map(m => m.errorMessage);
            """)
        return lines as? [String] ?? []
    }

    // MARK: the browser's own question

    private static let findQuestion = """
        const window = Services.wm.getMostRecentWindow('navigator:browser');
        const panel = window.PopupNotifications.panel;
        const question = panel.state === 'open' && panel.querySelector('#loopback-network-notification');
        """

    /// Whether the browser asks just now if the page may reach apps on this device.
    var isAsking: Bool {
        get throws { try inBrowser(Self.findQuestion + "return !!question;") as? Bool ?? false }
    }

    /// Clicks Allow or Block in the open question.
    func answerQuestion(_ permission: Permission) throws {
        let button = permission == .granted ? "button" : "secondaryButton"
        let clicked = try inBrowser(
            Self.findQuestion + "if (question) question.\(button).click(); return !!question;")
        guard clicked as? Bool == true else { throw Failure(description: "Firefox asks nothing") }
    }

    /// A script with the browser's own rights.
    private func inBrowser(_ body: String) throws -> Any {
        try wire.send("Marionette:SetContext", ["value": "chrome"])
        defer { _ = try? wire.send("Marionette:SetContext", ["value": "content"]) }
        return try wire.send("WebDriver:ExecuteScript", ["script": body, "args": [Any]()])
    }

    // MARK: WebDriver's commands by Marionette's names

    private static let names = [
        "POST /url": "Navigate", "GET /url": "GetCurrentURL", "GET /title": "GetTitle",
        "POST /refresh": "Refresh", "POST /back": "Back", "POST /element": "FindElement",
        "POST /execute/sync": "ExecuteScript", "GET /window/handles": "GetWindowHandles",
        "POST /window": "SwitchToWindow", "DELETE /window": "CloseWindow",
        "GET /screenshot": "TakeScreenshot",
    ]
    private static let elementNames = [
        "click": "ElementClick", "clear": "ElementClear", "value": "ElementSendKeys",
    ]

    @discardableResult
    func command(_ method: String, _ path: String, _ body: [String: Any]?) throws -> Any {
        var body = body ?? [:]
        if let name = Self.names["\(method) \(path)"] {
            if name == "TakeScreenshot" { body["full"] = false }
            return try wire.send("WebDriver:" + name, body)
        }
        let parts = path.split(separator: "/").map(String.init)
        if parts.count == 3, parts[0] == "element", let name = Self.elementNames[parts[2]] {
            body["id"] = parts[1]
            return try wire.send("WebDriver:" + name, body)
        }
        if parts.count == 2, parts[0] == "cookie" {
            if method == "DELETE" { return try wire.send("WebDriver:DeleteCookie", ["name": parts[1]]) }
            let all = try wire.send("WebDriver:GetCookies") as? [[String: Any]] ?? []
            guard let found = all.first(where: { $0["name"] as? String == parts[1] }) else {
                throw Failure(description: "Firefox: no such cookie")
            }
            return found
        }
        throw Failure(description: "Firefox: \(method) \(path) has no name here")
    }
}
