import Foundation
import Synchronization

/// A WebKitGTK of its own: MiniBrowser on the suite's own display, with a driver of its own, which serves one
/// browser at a time. In automation it keeps nothing on the disk.
final class WebKit: Browser {
    let engine = Engine.webkit
    private let program: Child
    private let driver: WebDriver
    private let session: String

    /// Inside the private network nobody else listens there.
    private static let nextPort = Mutex(9_600)
    private static let browser = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser"

    init(_ stack: Stack) throws {
        let port = Self.nextPort.withLock { port in
            port += 1
            return port
        }
        try stack.trustAuthorityInSystem()
        let program = try Child(
            "WebKitWebDriver", "/usr/bin/WebKitWebDriver", ["--host=127.0.0.1", "--port=\(port)"],
            environment: [
                "HOME": stack.path("home"), "TMPDIR": stack.folder.path, "DISPLAY": try stack.display(),
                // No settings daemon, no accessibility bus: neither is there.
                "GSETTINGS_BACKEND": "memory", "NO_AT_BRIDGE": "1",
            ], log: stack.folder.appending(path: "webkit.log"), in: stack.network)
        self.program = program
        let driver = WebDriver(network: stack.network, name: "WebKitWebDriver", port: port)
        self.driver = driver
        do {
            try poll("WebKitWebDriver to listen") {
                if let status = program.status {
                    throw Failure(description: "WebKitWebDriver ended with \(status)")
                }
                return try? driver.send("GET", "/status")
            }
            let options: [String: Any] = ["binary": Self.browser, "args": ["--automation"]]
            let wanted: [String: Any] = ["browserName": "MiniBrowser", "webkitgtk:browserOptions": options]
            guard
                let made = try driver.send("POST", "/session", ["capabilities": ["alwaysMatch": wanted]])
                    as? [String: Any], let id = made["sessionId"] as? String
            else { throw Failure(description: "WebKitWebDriver made no session") }
            session = "/session/" + id
        } catch {
            program.stop(with: SIGKILL)
            throw error
        }
    }

    deinit { quit() }

    func quit() { program.stop(with: SIGKILL) }

    @discardableResult
    func command(_ method: String, _ path: String, _ body: [String: Any]?) throws -> Any {
        try driver.send(method, session + path, body)
    }

    func answer(_ permission: Permission) throws {
        throw Failure(description: "WebKit asks nobody: it blocks")
    }

    func consoleErrors() throws -> [String] { [] }
}
