import Foundation
import Testing

/// The three engines of browsers that the device check is promised for.
enum Engine: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case chromium, firefox, webkit

    /// Both ask the person before a public page may reach this device; WebKit blocks it without asking.
    static let asking: [Engine] = [.chromium, .firefox]

    var testDescription: String { rawValue }

    /// A browser with nobody's cookies.
    ///
    /// - Parameters:
    ///   - permission: given for the auth host before all else; nil leaves it unanswered.
    ///   - isOnScreen: has a window on the suite's own display: Chromium asks nobody without one.
    func browser(
        _ stack: Stack, permission: Permission? = .granted, isOnScreen: Bool = false
    ) throws -> any Browser {
        switch self {
        case .chromium: try Chromium(stack, permission: permission, isOnScreen: isOnScreen)
        case .firefox: try Firefox(stack, permission: permission)
        case .webkit: try WebKit(stack)
        }
    }
}

/// What the person has answered to "Access other apps and services on this device".
enum Permission: String { case granted, denied }

/// A browser with a fresh profile, driven as a person would: by what is on the page.
protocol Browser: AnyObject, Sendable {
    var engine: Engine { get }

    /// One WebDriver command of the browser's own session: "POST", "/url", `["url": …]`.
    @discardableResult
    func command(_ method: String, _ path: String, _ body: [String: Any]?) throws -> Any

    /// Answers the browser's question for the origin of the open page before it is asked.
    func answer(_ permission: Permission) throws

    /// What the console of the open page has shown as errors; an engine that tells nobody has none.
    func consoleErrors() throws -> [String]

    func quit()
}

extension Browser {
    static var elementKey: String { "element-6066-11e4-a52e-4f735466cecf" }

    @discardableResult
    func command(_ method: String, _ path: String) throws -> Any { try command(method, path, nil) }

    /// For the auth host, whose page of keys is open to everybody.
    func answerForAuthHost(_ permission: Permission?) throws {
        guard let permission else { return }
        try open("https://\(PrivateNetwork.authHost)/.gatepost/jwks.json")
        try answer(permission)
    }

    // MARK: what a person does

    func open(_ url: String) throws { try command("POST", "/url", ["url": url]) }
    func reload() throws { try command("POST", "/refresh", [:]) }
    func back() throws { try command("POST", "/back", [:]) }

    func type(_ text: String, into selector: String) throws {
        let element = try find(selector)
        try command("POST", "/element/\(element)/clear", [:])
        try command("POST", "/element/\(element)/value", ["text": text])
    }

    /// A key, as WebDriver names it, while the element has the keyboard.
    func press(_ key: String, on selector: String) throws {
        try command("POST", "/element/\(try find(selector))/value", ["text": key])
    }

    /// A cookie of the open page's host, as somebody reads it who copies the profile.
    func cookie(_ name: String) throws -> String? {
        let found = try? command("GET", "/cookie/\(name)") as? [String: Any]
        return found?["value"] as? String
    }

    func throwAway(cookie name: String) throws { try command("DELETE", "/cookie/\(name)") }

    func click(_ selector: String) throws { try command("POST", "/element/\(try find(selector))/click", [:]) }

    /// Waits for the element: pages come when they come.
    private func find(_ selector: String) throws -> String {
        try poll("the element \(selector)") {
            let found = try? command("POST", "/element", ["using": "css selector", "value": selector])
            return (found as? [String: Any])?[Self.elementKey] as? String
        }
    }

    /// The open tabs and popups.
    var windows: [String] { get throws { try command("GET", "/window/handles") as? [String] ?? [] } }
    func enter(window: String) throws { try command("POST", "/window", ["handle": window]) }

    // MARK: what a person sees

    var url: String { get throws { try command("GET", "/url") as? String ?? "" } }
    var title: String { get throws { try command("GET", "/title") as? String ?? "" } }
    var text: String {
        get throws { try script("return document.body ? document.body.innerText : ''") as? String ?? "" }
    }

    /// Where the browser is and all that it shows, for messages.
    func seen() -> String {
        let (url, title, text) = ((try? self.url) ?? "?", (try? self.title) ?? "?", (try? self.text) ?? "?")
        return "\(engine) \(url.prefix(120)): \"\(title)\": \(text.prefix(Self.shownMax))"
    }

    /// More than any page of the gateway has, and less than a page of an application may have.
    private static var shownMax: Int { 8_000 }

    func text(of selector: String) throws -> String? {
        try script("const e = document.querySelector(arguments[0]); return e && e.innerText", [selector])
            as? String
    }

    /// Runs a function body in the page.
    func script(_ body: String, _ arguments: [Any] = []) throws -> Any {
        try command("POST", "/execute/sync", ["script": body, "args": arguments])
    }

    func number(_ expression: String) throws -> Double? {
        (try script("return \(expression)") as? NSNumber)?.doubleValue
    }

    /// Waits until something holds; the failure says what was on the screen instead.
    func wait(for what: String, seconds: Double = patienceSeconds, _ condition: () throws -> Bool) throws {
        do {
            // In the middle of a navigation a command may find no page; that is not an answer.
            try poll(what, seconds: seconds) { ((try? condition()) ?? false).whenTrue }
        } catch {
            throw Failure(description: "\(error); on the screen: \(seen())")
        }
    }

    /// A picture of what is visible.
    func photograph(_ path: String) throws {
        guard let text = try command("GET", "/screenshot") as? String, let data = Data(base64Encoded: text)
        else { throw Failure(description: "no picture") }
        try data.write(to: URL(filePath: path))
    }

    // MARK: whole ways

    /// From Canaille's two-step form back to the gateway.
    func signInAtCanaille(_ user: String) throws {
        try wait(for: "Canaille's sign-in") { try url.hasPrefix(Provider.issuer) }
        try type(user, into: "input[name=login]")
        try click("button[type=submit]")
        try type("\(user)-demo", into: "input[name=password]")
        try click("button.primary[type=submit]")
    }

    /// At the lab's one-page form.
    func signInAtLab(_ user: String) throws {
        try wait(for: "the lab's sign-in") { try url.hasPrefix("http://127.0.0.1:\(Stack.openidPort)/") }
        try type(user, into: "#user")
        try type("\(user)-demo", into: "#password")
        try click("button[type=submit]")
    }

    /// Until the application itself is on the screen.
    func waitForApplication(_ name: String, seconds: Double = patienceSeconds) throws {
        try wait(for: "the application \(name)", seconds: seconds) {
            try url.hasPrefix("https://\(name).corp.test/")
                && text.contains("This page comes from the protected application")
        }
    }

    /// Opens an application as somebody who must sign in at Canaille first.
    ///
    /// - Parameter choosing: the place of Canaille among the choices, where there are several.
    func enter(
        _ application: String, as user: String, path: String = "/", choosing: Int? = nil,
        seconds: Double = patienceSeconds
    ) throws {
        try open("https://\(application).corp.test\(path)")
        if let choosing { try click("nav a:nth-of-type(\(choosing))") }
        try signInAtCanaille(user)
        try waitForApplication(application, seconds: seconds)
    }

    /// What the application received: names of fields in lower case and their values.
    func receivedFields() throws -> [String: String] {
        let rows = try script(
            """
            return [...document.querySelectorAll('tr')]
              .map(row => [row.cells[0].innerText.toLowerCase(), row.cells[1].innerText]);
            """
        )
        guard let rows = rows as? [[String]] else { return [:] }
        return Dictionary(rows.map { ($0[0], $0[1]) }) { first, _ in first }
    }
}
