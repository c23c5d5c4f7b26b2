import Foundation

/// A Chromium of its own, by the suite's one chromedriver.
final class Chromium: Browser {
    let engine = Engine.chromium
    private let driver: WebDriver
    private let session: String

    /// - Parameters:
    ///   - permission: given for the auth host before all else; nil leaves it unanswered.
    ///   - features: of Chromium, that it does not have by itself.
    ///   - isOnScreen: with a window; without one it answers its own question with no.
    init(
        _ stack: Stack, permission: Permission? = .granted, features: [String] = [], isOnScreen: Bool = false
    ) throws {
        driver = WebDriver(network: stack.network)
        let screen =
            isOnScreen ? ["--ozone-platform=x11", "--display=\(try stack.display())"] : ["--headless=new"]
        let hosts = ([PrivateNetwork.authHost] + PrivateNetwork.applicationHosts)
            .map { "MAP \($0) \(PrivateNetwork.gatewayAddress)" }
        let provider = "MAP \(PrivateNetwork.providerHost) \(PrivateNetwork.providerAddress)"
        let arguments =
            [
                // Chromium's own sandbox does not start as root.
                "--no-sandbox", "--window-size=1280,800", "--hide-scrollbars",
                "--no-first-run",
                // The browser ends with its driver, also when that is killed.
                "--remote-debugging-pipe", "--disable-background-networking", "--disable-component-update",
                "--disable-dev-shm-usage",
                "--host-resolver-rules=\((hosts + [provider]).joined(separator: ", "))",
            ] + screen + (features.isEmpty ? [] : ["--enable-features=\(features.joined(separator: ","))"])
        let options: [String: Any] = ["binary": "/usr/bin/chromium", "args": arguments]
        let wanted: [String: Any] = [
            "capabilities": [
                "alwaysMatch": [
                    "browserName": "chrome", "goog:chromeOptions": options,
                    "goog:loggingPrefs": ["browser": "ALL"],
                ]
            ]
        ]
        guard let made = try driver.send("POST", "/session", wanted) as? [String: Any],
            let id = made["sessionId"] as? String
        else { throw Failure(description: "chromedriver made no session") }
        session = "/session/" + id
        if !isOnScreen { try setWidth(1280) }
        try answerForAuthHost(permission)
    }

    func answer(_ permission: Permission) throws {
        try command(
            "POST", "/permissions",
            ["descriptor": ["name": "loopback-network"], "state": permission.rawValue])
    }

    func consoleErrors() throws -> [String] {
        let lines = try command("POST", "/se/log", ["type": "browser"]) as? [[String: Any]] ?? []
        return lines.filter { $0["level"] as? String == "SEVERE" }.compactMap { $0["message"] as? String }
    }

    deinit { quit() }

    func quit() { _ = try? driver.send("DELETE", session) }

    @discardableResult
    func command(_ method: String, _ path: String, _ body: [String: Any]?) throws -> Any {
        try driver.send(method, session + path, body)
    }

    /// As wide as a small phone, or as all else.
    func setWidth(_ width: Int) throws {
        try command(
            "POST", "/goog/cdp/execute",
            [
                "cmd": "Emulation.setDeviceMetricsOverride",
                "params": ["width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false],
            ])
    }

    /// A picture of what is visible, 1280 by 800.
    func photograph(_ path: String, dark: Bool) throws {
        try setColours(dark: dark)
        defer { try? setColours(dark: false) }
        try photograph(path)
    }

    private func setColours(dark: Bool) throws {
        let feature = ["name": "prefers-color-scheme", "value": dark ? "dark" : "light"]
        try command(
            "POST", "/goog/cdp/execute",
            ["cmd": "Emulation.setEmulatedMedia", "params": ["media": "", "features": [feature]]])
    }
}
