import Foundation
import Testing

/// An application whose proofs are a minute old at the most, and other words in the demo's own configuration.
enum BriefStage {
    static let origin = "https://brief.corp.test"
    static let application = "brief"

    private static let fileName = "brief.yaml"
    private static let text = """
        version: 1
        applications:
          brief:
            host: brief.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ hr-staff ]
            agent: agents
            device-owner: any
            posture: { max-age: 1m }
            policies:
              - { name: staff, action: allow, include: [ { group: staff } ], require: [ { device: compliant } ] }
              # A device that no provider knows.
              - { name: unknown, action: allow, include: [ { group: staff } ], require: [ { device: partial } ] }

        """

    /// The demo's integration of agents with further keys, and this application, while `body` runs.
    ///
    /// - Parameter keys: of the integration, one a line; of its authority where `isAuthority` says so.
    static func with(
        _ stack: Stack, agents keys: String, isAuthority: Bool = false, _ body: () async throws -> Void
    ) async throws {
        let demo = stack.path("demo.yaml")
        let old = try String(contentsOfFile: demo, encoding: .utf8)
        let piece = isAuthority ? "enrollment-ca: { " : "enrollment-ca: {"
        let new = old.replacing(piece, with: isAuthority ? piece + keys : keys + "\n    " + piece)
        try #require(new != old)
        try new.write(toFile: demo, atomically: true, encoding: .utf8)
        let result: Result<Void, any Error>
        do {
            try text.write(toFile: stack.path(fileName), atomically: true, encoding: .utf8)
            try restart(stack)
            try await body()
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try old.write(toFile: demo, atomically: true, encoding: .utf8)
        try? FileManager.default.removeItem(atPath: stack.path(fileName))
        try restart(stack)
        try result.get()
    }

    /// An integration's own keys are read at the start only.
    private static func restart(_ stack: Stack) throws {
        try stack.child("gateway").stop()
        try stack.startGateway()
    }

    /// Signs in where somebody is asked to, and comes as far as the device check or beyond.
    static func enter(_ browser: any Browser, path: String = "/") throws {
        try browser.open(origin + path)
        let provider = "http://127.0.0.1:\(Stack.openidPort)/"
        try browser.wait(for: "the sign-in, the device check or the application") {
            try browser.url.hasPrefix(provider) || CheckPage(browser).reason != nil
                || browser.text.contains("This page comes from the protected application")
        }
        if try browser.url.hasPrefix(provider) { try browser.signInAtLab("alice") }
    }

    /// Makes a device of Alice's that no provider knows, once; its state is in the folder of this name.
    static func enrol(_ stack: Stack, _ state: String, _ keys: [String] = []) throws {
        let token = try stack.gatepost(
            "enroll-token", "--email", "alice@corp.example", "--identity-provider", "staff", "--subject",
            "alice")
        try "{}".write(toFile: stack.path("no-ids.json"), atomically: true, encoding: .utf8)
        try stack.run(
            "gatepost-agent",
            [
                "enroll", "--state-dir", stack.path(state), "--device-ids", stack.path("no-ids.json"),
                "--url", "https://\(PrivateNetwork.authHost)", "--authorities",
                stack.path("certs/dev-ca.pem"),
                "--token=" + token.trimmingCharacters(in: .whitespacesAndNewlines),
            ] + keys)
    }

    /// Puts this device's agent in the place of the one that runs.
    static func startAgent(_ stack: Stack, _ state: String) throws {
        try stack.child("agent").stop()
        try stack.start(
            "agent", stack.program("gatepost-agent"),
            ["run", "--state-dir", stack.path(state), "--device-ids", stack.path("no-ids.json")])
        try stack.waitForAgent("agent")
    }
}

/// A WebSocket and an event stream of the page that is open in a browser, and how they end.
enum PageStreams {
    static func open(_ browser: any Browser) throws {
        _ = try browser.script(
            """
            window.ends = {}; window.delivered = {};
            const stream = new EventSource('/sse');
            stream.addEventListener('tick', () => { window.delivered.events = 1; });
            stream.onerror = () => { window.ends.events ||= Date.now(); stream.close(); };
            const socket = new WebSocket('wss://' + location.host + '/ws');
            // A tunnel in which nothing moves for a minute ends by itself.
            socket.onopen = () => { socket.send('hello'); setInterval(() => socket.send('still here'), 2000); };
            socket.onmessage = () => { window.delivered.socket = 1; };
            socket.onclose = event => { window.ends.socket ||= Date.now(); window.ends.code = event.code; };
            """)
        try browser.wait(for: "open streams") {
            try browser.number("window.delivered.events") == 1
                && browser.number("window.delivered.socket") == 1
        }
    }

    static func isOpen(_ browser: any Browser) throws -> Bool {
        try browser.number("window.ends.events") == nil && browser.number("window.ends.socket") == nil
    }

    /// - Returns: when the last of them ended, in seconds since 1970 by the browser's clock, and the socket's status.
    static func waitForEnd(_ browser: any Browser, seconds: Double = patienceSeconds) throws -> (
        at: Double, code: Double?
    ) {
        try browser.wait(for: "the streams' end", seconds: seconds) {
            try browser.number("window.ends.events") != nil && browser.number("window.ends.socket") != nil
        }
        let last = try browser.number("Math.max(window.ends.events, window.ends.socket)") ?? .infinity
        return (last / 1000, try browser.number("window.ends.code"))
    }
}
