import Foundation
import Testing

extension EndToEnd {
    @Suite("A device whose key is in a security chip, while keys and certificates change")
    struct ChipTests {
        @Test("enrolled with a TPM it is attested, and goes on over rotated gateway keys and its own renewal")
        func chip() async throws {
            let stack = try Stack.current()
            let (folder, chip) = (stack.path("chip"), stack.path("chip/tpm"))
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try stack.start(
                "swtpm", "/usr/bin/swtpm",
                [
                    "socket", "--tpm2", "--tpmstate", "dir=\(folder)", "--server", "type=unixio,path=\(chip)",
                    "--flags", "not-need-init,startup-clear",
                ])
            defer { try? stack.child("swtpm").stop(with: SIGKILL) }
            try poll("the chip's socket") { FileManager.default.fileExists(atPath: chip).whenTrue }
            try await BriefStage.with(stack, agents: "grace: 5s") {
                try BriefStage.enrol(stack, "chipped", ["--tpm", chip, "--key-storage", "tpm"])
                try BriefStage.startAgent(stack, "chipped")
                let result = Result { try Self.goOn(stack) }
                // It slept through two rotations and knows none of today's keys: it would refuse the first page that
                // comes, and ask for them behind that.
                try Self.renew(stack, "agent") { try stack.startAgent() }
                try result.get()
            }
        }

        private static func goOn(_ stack: Stack) throws {
            let device = try stack.deviceID(state: "chipped")
            try check(stack, "enrolled")
            let row = try stack.gatepost("device", "list").split(separator: "\n").first {
                $0.contains(device)
            }
            #expect(row?.contains("attested") == true, "\(row ?? "no row")")
            for purpose in ["challenge", "root"] {
                _ = try stack.gatepost("keys", "rotate", purpose)
                try check(stack, purpose)
            }
            try renew(stack, "chipped") { try BriefStage.startAgent(stack, "chipped") }
            #expect(try stack.deviceID(state: "chipped") == device)
            try check(stack, "renewed")
            _ = try stack.gatepost("keys", "rotate", "challenge")
            try check(stack, "rotated-again")
        }

        /// Starts the agent of this folder in the place of the one that runs, with a certificate that is due: it renews
        /// as soon as it runs, and gets the gateway's keys of today.
        private static func renew(_ stack: Stack, _ state: String, _ start: () throws -> Void) throws {
            let before = try enrolment(stack, state)
            try stack.child("agent").stop()
            var due = before
            due["renewed_at"] = 1
            try JSONSerialization.data(withJSONObject: due).write(
                to: stack.agentFile(state, "enrolment.json"))
            try start()
            try poll("the renewal of \(state)", every: 0.2) {
                (try certificate(enrolment(stack, state)) != certificate(before)).whenTrue
            }
        }

        /// Somebody who comes for the first time.
        private static func check(_ stack: Stack, _ name: String) throws {
            let browser = try Chromium(stack)
            defer { browser.quit() }
            try BriefStage.enter(browser, path: "/" + name)
            try browser.waitForApplication(BriefStage.application)
        }

        private static func enrolment(_ stack: Stack, _ state: String) throws -> [String: Any] {
            let data = try Data(contentsOf: stack.agentFile(state, "enrolment.json"))
            return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
        }

        private static func certificate(_ enrolment: [String: Any]) -> String? {
            (enrolment["certificates"] as? [String])?.first
        }
    }
}
