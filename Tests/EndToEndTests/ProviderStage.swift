import Foundation
import Synchronization
import Testing

/// Alice at two devices, each known to the providers of its platform, and every provider is asked each second.
///
/// One more file in the folder of the configuration names the providers, with one device policy for each that
/// denies what it calls broken. A device is let in only while all of its providers have said that it is not.
final class ProviderStage: Sendable {
    @TaskLocal static var running: ProviderStage?

    static func current() throws -> ProviderStage {
        guard let running else { throw Failure(description: "the suite has no .everyProvider") }
        return running
    }

    let stack: Stack
    let linux: Chromium
    let mac: Chromium
    /// A signal's time must lie behind the one before, and there may be two in one second.
    private let time: Mutex<Int>

    init(_ stack: Stack) throws {
        self.stack = stack
        time = Mutex(Int(Date().timeIntervalSince1970) - 3_600)
        try Self.enrolMac(stack)
        try Self.acquaint(stack)
        try Self.configuration(stack).write(toFile: Self.file(stack), atomically: true, encoding: .utf8)
        // The refresh of a device that was enrolled under a running gateway begins up to a minute later.
        try stack.child("gateway").stop()
        try stack.startGateway()
        try poll("the gateway's stream of signals", every: 0.1) {
            try stack.lab(.vendors, "/signals/lab/streams").contains("\"enabled\"").whenTrue
        }
        linux = try Chromium(stack)
        mac = try Chromium(stack)
        try change(ProviderCase.onLinux.first { $0.kind == "shared-signals" }?.whole)
        try linux.enter("wiki", as: "alice")
        try stack.child("agent").stop()
        try stack.start(
            "mac-agent", Provider.python(),
            [
                Programs.root.appending(path: "scripts/lib/mac-agent.py").path, stack.path("mac"),
                "\(Stack.agentPort)", stack.path("mac-ids.json"),
            ])
        try stack.waitForAgent("mac-agent")
        try mac.enter("wiki", as: "alice")
    }

    /// Everything as it was for the next suite.
    static func leave(_ stack: Stack) throws {
        try? stack.child("mac-agent").stop()
        try? FileManager.default.removeItem(atPath: file(stack))
        _ = try stack.gatepost("session", "revoke", "--user", "alice@corp.example")
        try stack.child("gateway").stop()
        try stack.startGateway()
        try stack.startAgent()
    }

    func change(_ change: LabChange?) throws {
        guard let change else { throw Failure(description: "nothing to change") }
        let now = time.withLock { time in
            time += 1
            return time
        }
        try stack.lab(change.site, change.path, change.body.replacing("TIME", with: "\(now)"))
    }

    // MARK: Getting ready

    private static func file(_ stack: Stack) -> String { stack.path("providers.yaml") }

    /// Its key is made and certified by the real agent; `mac-agent.py` then answers with it.
    private static func enrolMac(_ stack: Stack) throws {
        let ids = """
            {"serial": "\(ProviderCase.macSerial)", "falcon_aid": "\(ProviderCase.falconAgent)",
             "hardware_uuid": "0e2c5a54-0000-4000-8000-00000000e2e0"}
            """
        try ids.write(toFile: stack.path("mac-ids.json"), atomically: true, encoding: .utf8)
        try stack.enrolAlice(state: "mac", ids: stack.path("mac-ids.json"))
    }

    /// What the emulators cannot know by themselves: that their devices of Alice's are these two.
    private static func acquaint(_ stack: Stack) throws {
        try stack.lab(
            .vendors, "/defender/lab/devices/alice-laptop",
            "{\"aadDeviceId\":\"\(ProviderCase.directoryDevice)\"}")
        for (vendor, member) in [
            ("crowdstrike", "serial_number"), ("jamf", "serial"), ("kandji", "serial_number"),
        ] {
            try stack.lab(
                .vendors, "/\(vendor)/lab/devices/alice-laptop",
                "{\"\(member)\":\"\(ProviderCase.macSerial)\"}")
        }
        // Intune writes what it says into the directory, too. Not here: one provider at a time is broken.
        try stack.lab(
            .graph, "/lab/devices/\(ProviderCase.intuneDevice)",
            "{\"azureADDeviceId\":\"9d3e2c10-7f6a-4f0e-8f30-00000000e2e0\"}")
        // The key of Google's service account, and its certificate there.
        try stack.run(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=gatepost",
                "-keyout", stack.path("secrets/google"), "-out", stack.path("google.pem"),
            ])
        try stack.lab(
            .vendors, "/google/lab/certificate",
            try String(contentsOfFile: stack.path("google.pem"), encoding: .utf8))
        for provider in ProviderCase.all where !provider.secret.isEmpty {
            let made = FileManager.default.createFile(
                atPath: stack.path("secrets/\(provider.kind)"), contents: Data(provider.secret.utf8),
                attributes: [.posixPermissions: 0o600])
            guard made else { throw Failure(description: "secrets/\(provider.kind) cannot be written") }
        }
    }

    private static func configuration(_ stack: Stack) throws -> String {
        let providers = ProviderCase.onLinux + ProviderCase.onMac
        let integrations = try providers.map { try integration($0, stack) }
        let policies = ([ProviderCase.intune] + providers).enumerated().map { index, provider in
            """
              - name: broken-\(provider.kind)
                platform: \(provider.platform)
                priority: \(index + 1)
                result: denied
                rules: [ { \(provider.kind): \(provider.kind), \(provider.rule) } ]
                message: "\(provider.message)"
            """
        }
        return ""
            + """
            version: 1
            integrations:
            \(integrations.joined(separator: "\n"))
            device-policies:
            \(policies.joined(separator: "\n"))
              - { name: healthy-mac, platform: macos, priority: 1000, result: compliant,
                  rules: [ { jamf: jamf, managed: true }, { agent: agents, managed: true } ] }

            """
    }

    private static func integration(_ provider: ProviderCase, _ stack: Stack) throws -> String {
        let refresh = provider.kind == "shared-signals" ? "" : "refresh: 1s, "
        let keys = provider.keys
            .replacing("SITE", with: "http://127.0.0.1:\(Stack.vendorsPort)/\(provider.kind)")
            .replacing("SECRET", with: "{ file: secrets/\(provider.kind) }")
            .replacing("TENANT", with: try stack.labValue("tenant"))
            .replacing("GRAPH-CLIENT", with: try stack.labValue("graphClient"))
        return
            "  \(provider.kind): { provider: \(provider.kind), unsafe-allow-http: true, \(refresh)\(keys) }"
    }
}

/// Sets the stage before a suite's first test, and clears it after the last.
struct EveryProviderTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
    ) async throws {
        let stack = try Stack.current()
        let stage = Result { try ProviderStage(stack) }
        if case .success(let stage) = stage {
            try await ProviderStage.$running.withValue(stage) { try await body() }
            stage.linux.quit()
            stage.mac.quit()
        }
        try ProviderStage.leave(stack)
        _ = try stage.get()
    }
}

extension Trait where Self == EveryProviderTrait {
    static var everyProvider: Self { Self() }
}
