import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("The agent as systemd runs it: a collector of few rights, and a part without any")
    struct SplitAgentTests {
        /// Nobody's number: a user needs no name to own files and processes.
        static let user: UInt32 = 64_017

        /// Folders and programs of a machine whose agent is another user's.
        final class Machine {
            let stack: Stack
            /// Outside the stack's own folder, which is root's alone.
            let folder: String

            init(_ stack: Stack) throws {
                self.stack = stack
                folder = NSTemporaryDirectory() + "gatepost-split-\(UUID().uuidString.prefix(8))"
                let files = FileManager.default
                for (name, mode) in [("", 0o755), ("/state", 0o700), ("/run", 0o750), ("/root", 0o700)] {
                    try files.createDirectory(
                        atPath: folder + name, withIntermediateDirectories: true,
                        attributes: [.posixPermissions: mode])
                    // Whatever the mask of this process is.
                    chmod(folder + name, mode_t(mode))
                }
                chown(folder + "/state", SplitAgentTests.user, SplitAgentTests.user)
                chown(folder + "/run", 0, SplitAgentTests.user)
                // The tree of this build may be closed to other users.
                try files.copyItem(
                    atPath: stack.program("gatepost-agent"), toPath: folder + "/gatepost-agent")
                try files.copyItem(
                    atPath: stack.path("agent/device-ids.json"), toPath: folder + "/root/ids.json")
                chmod(folder + "/root/ids.json", 0o600)
            }

            deinit {
                for name in ["split-agent", "collector"] { try? stack.child(name).stop() }
                try? FileManager.default.removeItem(atPath: folder)
            }

            var sources: [String] {
                ["--state-dir", folder + "/state", "--collector", folder + "/run/collector.sock"]
            }

            private static let hardened = ["--clear-groups", "--inh-caps", "-all", "--no-new-privs"]

            func startCollector() throws {
                try stack.start(
                    "collector", "/usr/bin/setpriv",
                    ["--regid", "\(SplitAgentTests.user)"] + Self.hardened
                        + ["--bounding-set", "-all,+dac_read_search,+sys_ptrace,+net_admin"]
                        + [
                            folder + "/gatepost-agent", "collect", "--user", "\(SplitAgentTests.user)",
                            "--socket", folder + "/run/collector.sock", "--device-ids",
                            folder + "/root/ids.json",
                        ])
                try poll("the collector's socket") {
                    FileManager.default.fileExists(atPath: folder + "/run/collector.sock").whenTrue
                }
            }

            func startAgent(_ further: [String] = []) throws {
                let number = "\(SplitAgentTests.user)"
                try stack.start(
                    "split-agent", "/usr/bin/setpriv",
                    ["--reuid", number, "--regid", number] + Self.hardened + ["--bounding-set", "-all"]
                        + [folder + "/gatepost-agent", "run"] + sources + further)
                try stack.waitForAgent("split-agent")
            }

            func enrol() throws {
                let token = try stack.gatepost(
                    "enroll-token", "--email", "alice@corp.example", "--identity-provider", "staff",
                    "--subject", "alice")
                let last = try #require(token.split(separator: "\n").last)
                try stack.run(
                    folder + "/gatepost-agent",
                    ["enroll", "--url", "https://\(PrivateNetwork.authHost)", "--token=\(last)"] + sources
                        + ["--authorities", stack.path("certs/dev-ca.pem"), "--device-ids", "/nonexistent"])
            }

            /// Takes over the stack's device, which its providers know; `giveBack` returns it.
            func adopt() throws {
                let files = FileManager.default
                try files.copyItem(
                    atPath: stack.path("agent/gateways"), toPath: folder + "/state/gateways")
                let entries = try files.subpathsOfDirectory(atPath: folder + "/state")
                for entry in entries {
                    chown(folder + "/state/" + entry, SplitAgentTests.user, SplitAgentTests.user)
                }
            }

            /// The counter goes on where it was left: two agents with one key would look like a copied one.
            func giveBack() throws {
                try stack.child("split-agent").stop()
                let counter = "gateways/\(PrivateNetwork.authHost)/counter"
                let text = try String(contentsOfFile: folder + "/state/" + counter, encoding: .utf8)
                try text.write(toFile: stack.path("agent/" + counter), atomically: false, encoding: .utf8)
            }

            /// A line of /proc/PID/status of the process with these words in its arguments.
            func status(of word: String, _ line: String) throws -> String? {
                for entry in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
                    guard Int(entry) != nil,
                        let arguments = try? Data(contentsOf: URL(filePath: "/proc/\(entry)/cmdline")),
                        arguments.starts(with: Data((folder + "/gatepost-agent\0" + word).utf8)),
                        let text = try? String(contentsOfFile: "/proc/\(entry)/status", encoding: .utf8)
                    else { continue }
                    let found = text.split(separator: "\n").first { $0.hasPrefix(line + ":") }
                    return found?.split(whereSeparator: \.isWhitespace).dropFirst().joined(separator: " ")
                }
                return nil
            }
        }

        @Test("004.1 without any right the agent answers, and tells what only its collector could read")
        func split() throws {
            let stack = try Stack.current()
            try stack.child("agent").stop()
            defer { try? stack.startAgent() }
            let machine = try Machine(stack)
            try machine.startCollector()
            try machine.adopt()
            defer { try? machine.giveBack() }
            try machine.startAgent()
            let number = [String](repeating: "\(Self.user)", count: 4).joined(separator: " ")
            #expect(try machine.status(of: "run", "Uid") == number)
            for line in ["CapEff", "CapPrm", "CapBnd"] {
                #expect(try machine.status(of: "run", line) == "0000000000000000", "\(line)")
            }
            #expect(try machine.status(of: "run", "NoNewPrivs") == "1")
            // CAP_DAC_READ_SEARCH 2, CAP_NET_ADMIN 12, CAP_SYS_PTRACE 19.
            #expect(try machine.status(of: "collect", "CapEff") == "0000000000081004")

            try Self.enterVault(stack)
            let facts = try stack.run(
                machine.folder + "/gatepost-agent",
                ["facts", "--device-ids", "/nonexistent"] + machine.sources)
            let serial = try stack.labValue("serial")
            #expect(facts.contains("https://\(PrivateNetwork.authHost)") && facts.contains(serial))
            let log = try stack.child("split-agent").output
            #expect(log.contains("event=answered gateway=https://\(PrivateNetwork.authHost) count=1"))

            // Without its collector the agent knows less, and still proves the device.
            try stack.child("collector").stop()
            try Self.enterVault(stack)
        }

        @Test("004.5 another local user's browser reads whose agent answered, and gets nothing from it")
        func otherUser() throws {
            let stack = try Stack.current()
            try stack.child("agent").stop()
            defer { try? stack.startAgent() }
            let machine = try Machine(stack)
            try machine.startCollector()
            // As root: enrolling becomes the owner of the state folder.
            try machine.enrol()
            let state = machine.folder + "/state/gateways/\(PrivateNetwork.authHost)"
            for file in ["device-key.pem", "enrolment.json", "counter"] {
                let owner = try FileManager.default.attributesOfItem(atPath: state + "/" + file)[
                    .ownerAccountID]
                #expect(owner as? Int == Int(Self.user), "\(file)")
            }
            let file = machine.folder + "/agent.json"
            try #"{"gateways":{"https://\#(PrivateNetwork.authHost)":{"users":["64018"]}}}"#.write(
                toFile: file, atomically: true, encoding: .utf8)
            chmod(file, 0o644)
            try machine.startAgent(["--config", file])
            let browser = try Chromium(stack)
            try browser.open("https://vault.corp.test/")
            try browser.signInAtCanaille("alice")
            try browser.wait(for: "the reason") { try DeviceCheckTests.reason(browser) == "wrong-user" }
            #expect(try stack.child("split-agent").output.contains("reason=wrong-user"))
        }

        private static func enterVault(_ stack: Stack) throws {
            let browser = try Chromium(stack)
            try browser.open("https://vault.corp.test/")
            try browser.signInAtCanaille("alice")
            try browser.waitForApplication("vault")
        }
    }
}
