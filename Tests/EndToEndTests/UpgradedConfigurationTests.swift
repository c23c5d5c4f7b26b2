import Foundation
import Testing

extension EndToEnd {
    @Suite("Changes that a reload cannot take")
    struct UpgradedConfigurationTests {
        private static let added = """
            version: 1
            integrations:
              second-intune:
                provider: intune
                tenant: TENANT
                client-id: CLIENT
                client-secret: { file: secrets/intune }
                login-url: "http://127.0.0.1:\(Stack.graphPort)"
                graph-url: "http://127.0.0.1:\(Stack.graphPort)"
                unsafe-allow-http: true

            """

        @Test(
            "an integration is added by gatepost upgrade under load, as the refused reload says; no request is lost"
        )
        func integration() throws {
            let load = try Load(seconds: 30)
            defer { load.stop() }
            let stack = load.stack
            let file = stack.path("second.yaml")
            let text = try Self.added.replacing("TENANT", with: stack.labValue("tenant"))
                .replacing("CLIENT", with: stack.labValue("graphClient"))
            try text.write(toFile: file, atomically: true, encoding: .utf8)
            defer {
                try? FileManager.default.removeItem(atPath: file)
                try? Self.upgrade(stack)
            }
            let reload = try ProgramRun(stack, ["reload", "--config", stack.folder.path])
            #expect(reload.status == 1)
            #expect(
                reload.errors.contains(
                    "integrations changed; the running configuration stays; apply it with: gatepost upgrade "
                        + "(no request is lost)"), "\(reload.errors)")
            #expect(try Self.integrations(stack) == ["intune"])
            try Self.upgrade(stack)
            #expect(try Self.integrations(stack) == ["intune", "second-intune"])
            try poll("the new integration to be asked") {
                let all = try stack.status()["integrations"] as? [[String: Any]] ?? []
                let new = all.first { $0["integration"] as? String == "second-intune" }
                return (new?["last_success"] as? Int).map { _ in () }
            }
            let counts = try load.finish()
            print("an integration added under load: \(counts)")
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
        }

        /// Runs the command, and waits until the new processes serve.
        private static func upgrade(_ stack: Stack) throws {
            let gateway = try stack.child("gateway")
            func count() -> Int { gateway.output.components(separatedBy: #""event":"upgraded""#).count }
            let before = count()
            #expect(try stack.gatepost("upgrade").contains("asked process"))
            try poll("the upgrade", every: 0.1) { (count() > before).whenTrue }
        }

        private static func integrations(_ stack: Stack) throws -> [String] {
            let all = try stack.status()["integrations"] as? [[String: Any]] ?? []
            return all.compactMap { $0["integration"] as? String }.filter { $0 != "agents" }.sorted()
        }
    }
}
