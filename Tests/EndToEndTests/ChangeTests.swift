import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("The configuration, the program and the sockets change under load, and nothing is lost")
    struct ChangeTests {
        /// An application that comes and goes.
        private static let leaving = """
            version: 1
            applications:
              archive:
                host: archive.corp.test
                upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
                identity-providers: [ hr-staff ]
                policies:
                  - { name: staff, action: allow, include: [ { group: staff } ] }

            """

        @Test("reloads by command: streams of what stays go on, those of what goes end with a reason; 0 lost")
        func streams() throws {
            let stack = try Stack.current()
            let file = stack.path("archive.yaml")
            try Self.leaving.write(toFile: file, atomically: true, encoding: .utf8)
            defer {
                try? FileManager.default.removeItem(atPath: file)
                _ = try? stack.gatepost("reload")
            }
            #expect(try stack.gatepost("reload").contains("+ application archive"))
            let load = try Load(seconds: 14, http2: 2)
            defer { load.stop() }
            let gone = try Client.signedIn(stack, application: "archive")
            let kinds = ["websocket", "events"]
            let staying = try kinds.map { try Held($0, "people", load.client, stack, seconds: 9) }
            let leaving = try kinds.map { try Held($0, "archive", gone, stack, seconds: 9) }
            try poll("four open streams") {
                let text = try stack.gatepost("status", "--json")
                let all = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
                let counters = (all?["data_plane"] as? [String: Any])?["counters"] as? [String: Any]
                return (counters?["tunnels"] as? Int ?? 2 >= 2).whenTrue
            }
            try FileManager.default.removeItem(atPath: file)
            let text = try stack.gatepost("reload")
            #expect(
                text.contains("- application archive") && text.contains("configuration reloaded"), "\(text)")
            // What did not change is left alone, also by a reload in which nothing changes.
            #expect(try stack.gatepost("reload").contains("nothing changed"))
            let stayed = try staying.map { try $0.finish() }
            let left = try leaving.map { try $0.finish() }
            print("streams over a reload: stayed \(stayed), left \(left)")
            #expect(stayed.allSatisfy { $0.isOpen && $0.reads > 3 }, "\(stayed)")
            #expect(left.allSatisfy { !$0.isOpen }, "\(left)")
            #expect(left[0].close == 1_008 && left[0].reason?.isEmpty == false, "\(left[0])")
            let counts = try load.finish()
            print("reloads by command: \(counts)")
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
        }

        @Test(
            "a bad configuration: the command says why and fails, the log says it, the old one stays; 0 lost")
        func refused() throws {
            let load = try Load(seconds: 5)
            defer { load.stop() }
            let stack = load.stack
            let file = stack.path("bad.yaml")
            // Good as a text; only the reactors see that no such certificate can be used.
            try """
            version: 1
            applications:
              people:
                host: twice.corp.test
            """.write(toFile: file, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(atPath: file) }
            let (status, text) = try Child.output(
                of: stack.program("gatepost"),
                ["reload", "--config", stack.folder.path, "--socket", stack.path("state/gatepost.sock")],
                seconds: 30, in: stack.network)
            #expect(status == 1 && text.contains("was not taken") && text.contains("people"), "\(text)")
            #expect(try stack.child("gateway").output.contains(#""event":"configuration-refused""#))
            let counts = try load.finish()
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
        }

        @Test("with reload-on-change a written file is in force without a word; 0 lost")
        func onChange() throws {
            let load = try Load(seconds: 12, http2: 2)
            defer { load.stop() }
            let stack = load.stack
            let main = stack.path("demo.yaml")
            let before = try String(contentsOfFile: main, encoding: .utf8)
            let file = stack.path("archive.yaml")
            defer {
                try? FileManager.default.removeItem(atPath: file)
                try? before.write(toFile: main, atomically: true, encoding: .utf8)
                _ = try? stack.gatepost("reload")
            }
            try before.replacing("gateway:\n", with: "gateway:\n  reload-on-change: on\n").write(
                toFile: main, atomically: true, encoding: .utf8)
            #expect(try stack.gatepost("reload").contains("~ gateway"))
            try Self.leaving.write(toFile: file, atomically: true, encoding: .utf8)
            try poll("the new application") {
                ([302, 303].contains(try Client(stack).get("https://archive.corp.test/").status)).whenTrue
            }
            try FileManager.default.removeItem(atPath: file)
            try poll("its end") {
                (try Client(stack).get("https://archive.corp.test/").status == 421).whenTrue
            }
            let counts = try load.finish()
            print("reloads by changed files: \(counts)")
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
        }

        @Test("an upgrade to a program of another version under load: the status names the new one; 0 lost")
        func versions() throws {
            let stack = try Stack.current()
            try stack.child("gateway").stop(seconds: 15)
            let program = stack.path("gatepost-installed")
            let built = try Data(contentsOf: URL(filePath: stack.program("gatepost")))
            try Self.install(built, at: program)
            try stack.startGateway(program: program)
            defer {
                try? stack.child("gateway").stop(seconds: 15)
                try? stack.startGateway()
            }
            let load = try Load(seconds: 14, http2: 2)
            defer { load.stop() }
            let supervisor = try load.supervisor()
            let old = try #require(try load.status()["version"] as? String)
            let new = String(old.dropLast()) + (old.last == "9" ? "8" : "9")
            // Another program: one that calls itself otherwise.
            var other = built
            let (word, next) = (Data("gatepost-version=\(old)".utf8), Data("gatepost-version=\(new)".utf8))
            var patched = 0
            while let found = other.range(of: word) {
                other.replaceSubrange(found, with: next)
                patched += 1
            }
            #expect(patched > 0)
            try Self.install(other, at: program)
            _ = try stack.gatepost("upgrade")
            try poll("both processes of the new version") {
                // Between two control processes nobody answers.
                let status = (try? load.status()) ?? [:]
                return (status["version"] as? String == new && status["control_version"] as? String == new)
                    .whenTrue
            }
            let counts = try load.finish()
            print("changed from version \(old) to \(new): \(counts)")
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
            #expect(try load.supervisor() == supervisor)
            let log = try stack.child("gateway").output
            #expect(log.contains(#""event":"upgraded","from":"\#(old)","to":"\#(new)""#))
        }

        /// In one step, as package managers do it.
        private static func install(_ bytes: Data, at path: String) throws {
            try bytes.write(to: URL(filePath: path + ".new"))
            chmod(path + ".new", 0o755)
            guard rename(path + ".new", path) == 0 else { throw Failure(description: "rename: \(errno)") }
        }

        @Test(
            "sockets of systemd: it listens, starts the gateway for whoever comes, and nobody is turned away")
        func systemdSockets() throws {
            let stack = try Stack.current()
            try stack.child("gateway").stop(seconds: 15)
            defer {
                try? stack.child("gateway").stop(seconds: 15)
                try? stack.startGateway()
            }
            try stack.start(
                "gateway", "/usr/bin/systemd-socket-activate",
                [
                    "-l", "\(PrivateNetwork.gatewayAddress):443", stack.program("gatepost"), "serve",
                    "--config", stack.folder.path,
                ])
            let client = Client(stack)
            let keys = "https://\(PrivateNetwork.authHost)/.gatepost/jwks.json"
            // The first one waits in the socket until there is a gateway.
            try poll("systemd-socket-activate") {
                (try client.get(keys, ["--max-time", "30"]).status == 200).whenTrue
            }
            let load = try Load(seconds: 14, http2: 2)
            defer { load.stop() }
            #expect(try stack.child("gateway").output.contains("serving on"))
            // The supervisor may change its program without giving the sockets up.
            let data = try load.pid("data")
            _ = try stack.gatepost("upgrade")
            try poll("new processes") {
                (try? load.pid("data")).flatMap { $0 != data ? () : nil }
            }
            let counts = try load.finish()
            print("an upgrade on systemd's sockets: \(counts)")
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
        }
    }
}
