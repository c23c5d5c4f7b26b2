import Foundation
import Synchronization
import Testing

/// What the three engines share: an application that asks for a device after a short sign-in, and a hostile page of
/// another site. Both are one more file in the folder of the configuration.
final class EngineStage: Sendable {
    @TaskLocal static var running: EngineStage?

    static func current() throws -> EngineStage {
        guard let running else { throw Failure(description: "the suite has no .threeEngines") }
        return running
    }

    static let application = "safe"
    static let origin = "https://safe.corp.test"
    static let hostile = "https://\(PrivateNetwork.hostileHost)"

    let stack: Stack
    /// Every state of every engine, for whoever looks; GATEPOST_PICTURES names the place.
    let pictures: URL
    private let waiting = Mutex<[Engine: any Browser]>([:])

    init(_ stack: Stack) throws {
        self.stack = stack
        let named = ProcessInfo.processInfo.environment["GATEPOST_PICTURES"].map { URL(filePath: $0) }
        pictures = (named ?? stack.folder).appending(path: "engines")
        try FileManager.default.createDirectory(at: pictures, withIntermediateDirectories: true)
        try Self.file.add(to: stack)
    }

    /// Everything as it was for the next suite.
    func leave() throws {
        let browsers = waiting.withLock { waiting in
            defer { waiting = [:] }
            return waiting
        }
        for browser in browsers.values { browser.quit() }
        try Self.file.remove(from: stack)
    }

    private static let file = FurtherFile(
        name: "engines.yaml", text: configuration, sign: (hostile + "/answer", 200))
    private static let configuration = """
        version: 1
        applications:
          safe:
            host: safe.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ hr-staff ]
            agent: agents
            device-owner: any
            policies:
              - { name: staff, action: allow, include: [ { group: staff } ], require: [ { device: compliant } ] }
          evil:
            host: \(PrivateNetwork.hostileHost)
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ hr-staff ]
            policies:
              - { name: pages, action: bypass, include: [ everyone: true ] }

        """

    /// Opens the application as Alice, up to the device check.
    func begin(_ browser: any Browser, path: String = "/") throws {
        try browser.open(Self.origin + path)
        try browser.signInAtLab("alice")
    }

    /// The engine's browser that waits at the device check, whose agent does not run; it is signed in once.
    func browser(waitingIn engine: Engine) throws -> any Browser {
        if let browser = waiting.withLock({ $0[engine] }) { return browser }
        let browser = try engine.browser(stack)
        waiting.withLock { $0[engine] = browser }
        try begin(browser, path: "/waiting")
        return browser
    }

    func photograph(_ browser: any Browser, _ name: String) throws {
        try browser.photograph(pictures.appending(path: "\(name)-\(browser.engine).png").path)
    }

    /// Does the same in all of them, as many at a time as there are cores; each failure names its engine.
    static func inEach(
        _ engines: [Engine] = Engine.allCases, _ body: @escaping @Sendable (Engine) throws -> Void
    ) async throws {
        try await withThrowingTaskGroup { group in
            for engine in engines {
                group.addTask {
                    do {
                        try body(engine)
                    } catch {
                        throw Failure(description: "\(engine): \(error)")
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}

/// Sets the stage before a suite's first test, and clears it after the last.
struct ThreeEnginesTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
    ) async throws {
        let stage = try EngineStage(try Stack.current())
        let result: Result<Void, any Error>
        do {
            try await EngineStage.$running.withValue(stage) { try await body() }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try stage.leave()
        try result.get()
    }
}

extension Trait where Self == ThreeEnginesTrait {
    static var threeEngines: Self { Self() }
}

/// The agent, started anew, and whether it has signed anything since: it writes its first signature down.
struct AgentSilence {
    private let counter: URL
    private let before: String

    init(_ stack: Stack) throws {
        try stack.child("agent").stop()
        try stack.startAgent()
        counter = stack.agentFile("agent", "counter")
        before = try String(contentsOf: counter, encoding: .utf8)
    }

    /// Whether nothing was signed until now.
    func lasts() throws -> Bool { try String(contentsOf: counter, encoding: .utf8) == before }
}

/// The device-check page as a program reads it.
struct CheckPage: CustomStringConvertible {
    var reason: String?
    var title: String
    var text: String
    var isSpinning: Bool

    init(_ browser: any Browser) throws {
        let reason = try EndToEnd.DeviceCheckTests.reason(browser)
        // The place of the word is there before the word is.
        self.reason = reason == "" ? nil : reason
        title = try browser.title
        text = try browser.text
        let spinner = "const e = document.getElementById('spinner'); return !!e && !e.hidden;"
        isSpinning = try browser.script(spinner) as? Bool ?? false
    }

    var description: String { "\(reason ?? "no reason"): \(title): \(text.prefix(300))" }

    /// Waits for the reason, and for the page to be at rest with it.
    static func wait(
        _ browser: any Browser, for reason: String, seconds: Double = patienceSeconds
    ) throws -> CheckPage {
        try browser.wait(for: "the reason \(reason)", seconds: seconds) {
            let page = try CheckPage(browser)
            return page.reason == reason && !page.isSpinning
        }
        return try CheckPage(browser)
    }

    /// One click, where the page has not gone on by itself: it looks again a few times, and shows no button meanwhile.
    static func lookAgain(_ browser: any Browser) throws {
        try browser.wait(for: "the page to look again") {
            if try CheckPage(browser).reason != nil { try browser.click("#again") }
            return true
        }
    }
}
