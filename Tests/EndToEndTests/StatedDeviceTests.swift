import Foundation
import Testing

extension EndToEnd {
    @Suite("A management server speaks for a device, in the whole product")
    struct StatedDeviceTests {
        private static let name = "laptop-7"

        @Test(
            "mode A: not managed, not seen for 8 days, by an unknown certificate; then a reload and a good statement"
        )
        func statements() async throws {
            let stack = try Stack.current()
            try Self.takeCertificates(stack, count: 1)
            let issuer = "http://127.0.0.1:\(Stack.vendorsPort)/management"
            let keys = """
                modes: [ statement, certificate ]
                    statements: { certificates: management.pem, issuer: "\(issuer)" }
                """
            try await BriefStage.with(stack, agents: keys) {
                try BriefStage.enrol(stack, "stated")
                try BriefStage.startAgent(stack, "stated")
                defer {
                    try? stack.child("agent").stop()
                    try? stack.startAgent()
                }
                let browser = try Chromium(stack)
                defer { browser.quit() }
                try Self.state(stack, ["managed": false])
                try BriefStage.enter(browser, path: "/stated")
                _ = try CheckPage.wait(browser, for: "device-not-managed")
                try Self.state(stack, ["last_seen": Int(Date().timeIntervalSince1970) - 8 * 86_400])
                try browser.click("#again")
                let old = try CheckPage.wait(browser, for: "last-seen-stale")
                #expect(old.text.contains("8 days ago"), "\(old)")
                // The server goes over to its next certificate before the gateway knows it.
                try stack.lab(.vendors, "/management/rotate", "")
                defer { _ = try? stack.lab(.vendors, "/management/rotate", "") }
                try Self.state(stack)
                try browser.click("#again")
                _ = try CheckPage.wait(browser, for: "certificate-untrusted")
                #expect(try !stack.hasReachedUpstream("/stated"))
                try Self.takeCertificates(stack, count: 2)
                #expect(try stack.gatepost("reload").contains("configuration reloaded"))
                try browser.click("#again")
                try browser.waitForApplication(BriefStage.application)
                let said = try stack.gatepost(
                    "explain", "--user", "alice@corp.example", "--application", BriefStage.application,
                    "--json")
                #expect(said.contains("stmt over fetch"), "\(said)")
            }
        }

        /// The configured certificates of the server: its current one, or the next one beside it.
        private static func takeCertificates(_ stack: Stack, count: Int) throws {
            let end = "-----END CERTIFICATE-----"
            let all = try stack.lab(.vendors, "/management/certificates.pem")
            let first = all.components(separatedBy: end).prefix(count).map { $0 + end }.joined() + "\n"
            try first.write(toFile: stack.path("management.pem"), atomically: true, encoding: .utf8)
        }

        /// What the server says of the device from now on, put where the agent looks.
        private static func state(_ stack: Stack, _ words: [String: Any] = [:]) throws {
            let base = "http://127.0.0.1:\(Stack.vendorsPort)/management/devices/\(name)"
            let record = words.merging(["jkt": try thumbprint(stack), "owner_email": "alice@corp.example"]) {
                mine, _ in mine
            }
            let body = String(
                decoding: try JSONSerialization.data(withJSONObject: record), as: UTF8.self)
            try stack.run(
                "/usr/bin/curl", ["-sS", "--fail-with-body", "-X", "PUT", "--data-binary", body, base])
            let statement = try stack.run("/usr/bin/curl", ["-sS", "--fail-with-body", base + "/statement"])
            let file = stack.agentFile("stated", "statement.jwt")
            try? FileManager.default.removeItem(at: file)
            let made = FileManager.default.createFile(
                atPath: file.path, contents: Data(statement.utf8), attributes: [.posixPermissions: 0o600])
            try #require(made)
        }

        /// RFC 7638, of the device's key (P-256).
        private static func thumbprint(_ stack: Stack) throws -> String {
            let program = """
                import base64, hashlib, json, subprocess, sys
                leaf = base64.b64decode(json.load(open(sys.argv[1]))["certificates"][0])
                run = lambda *words, given: subprocess.run(["openssl", *words], input=given, check=True, stdout=-1).stdout
                key = run("pkey", "-pubin", "-outform", "der",
                          given=run("x509", "-inform", "der", "-noout", "-pubkey", given=leaf))
                text = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
                jwk = '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' % (text(key[-64:-32]), text(key[-32:]))
                print(text(hashlib.sha256(jwk.encode()).digest()), end="")
                """
            return try stack.run(
                try Provider.python(), ["-c", program, stack.agentFile("stated", "enrolment.json").path])
        }
    }
}
