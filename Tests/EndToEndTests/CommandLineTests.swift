import Foundation
import Testing

/// A folder with a small configuration of its own, and the stack's certificates.
struct SmallConfiguration {
    static let port = 9_443

    let stack: Stack
    let folder: URL

    init(_ stack: Stack) throws {
        self.stack = stack
        folder = stack.folder.appending(path: "small-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try write("secret", "s3cret\n")
    }

    func path(_ name: String) -> String { folder.appending(path: name).path }

    func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws {
        try Data(text.utf8).write(to: folder.appending(path: name))
        chmod(path(name), mode)
    }

    var gateway: String {
        """
        version: 1
        gateway:
          auth-host: auth.small.test
          listeners:
            - address: "127.0.0.1:\(Self.port)"
              certificates: [ { chain: "\(stack.path("certs/server.pem"))", key: "\(stack.path("certs/server.key"))" } ]
          store: sqlite:state
        identity-providers:
          corp: { issuer: "https://login.corp.example", client-id: gatepost, client-secret: { file: secret } }

        """
    }

    /// - Parameter policies: of its one application, a line each.
    static func application(_ policies: [String]) -> String {
        """
        applications:
          wiki:
            host: wiki.small.test
            upstreams: [ "http://127.0.0.1:9" ]
            identity-providers: [ corp ]
            policies:

        """ + policies.map { "      - \($0)\n" }.joined()
    }

    static let allow = "{ name: staff, action: allow, include: [ { everyone: true } ] }"

    /// A program with this configuration, and what it said without the folder's name.
    func run(
        _ command: String, _ name: String, environment: [String: String] = [:]
    ) throws -> ProgramRun {
        var run = try ProgramRun(
            stack, [command, "--config", name.isEmpty ? folder.path : path(name)], environment: environment)
        run.output = run.output.replacingOccurrences(of: folder.path + "/", with: "")
        run.errors = run.errors.replacingOccurrences(of: folder.path + "/", with: "")
        return run
    }

    /// Nothing of a gateway is there: no socket, no store.
    func expectNothingBegan(sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(throws: Failure.self, sourceLocation: sourceLocation) {
            try stack.network.connect(port: Self.port)
        }
        let hasStore = FileManager.default.fileExists(atPath: path("state"))
        #expect(!hasStore, sourceLocation: sourceLocation)
    }
}

extension EndToEnd {
    @Suite("The gateway's command line")
    struct CommandLineTests {
        /// One line of what is wrong: file, line, key, problem and remedy.
        private static func isProblem(_ line: Substring) -> Bool {
            line.wholeMatch(of: /broken\.yaml:[1-9][0-9]*: [^ :]+: .+; .+/) != nil
        }

        @Test(
            "check and serve say at once all that is wrong, on standard error, each with its remedy, and end with 1",
            arguments: ["check", "serve"])
        func broken(_ command: String) throws {
            let small = try SmallConfiguration(Stack.current())
            let golden = Programs.root.appending(path: "Tests/ConfigTests/Golden")
            let broken = try String(contentsOf: golden.appending(path: "broken.yaml"), encoding: .utf8)
            let expected = try String(contentsOf: golden.appending(path: "broken.txt"), encoding: .utf8)
            try small.write("broken.yaml", broken)
            let run = try small.run(command, "broken.yaml", environment: ["SET": "from-environment"])
            #expect(run.status == 1)
            #expect(run.output == "")
            let lines = run.errors.split(separator: "\n")
            #expect(lines.count > 50 && lines.last == "\(lines.count - 1) problems")
            for line in lines.dropLast() { #expect(Self.isProblem(line), "\(line)") }
            #expect(run.errors == expected + (lines.last ?? "") + "\n")
            #expect(!run.errors.contains("hunter2"), "a secret was printed")
            small.expectNothingBegan()
        }

        @Test("serve with one wrong key ends with 1 before it listens, and makes no store")
        func serveRefuses() throws {
            let small = try SmallConfiguration(Stack.current())
            try small.write(
                "gateway.yaml",
                small.gateway.replacing("  store:", with: "  workers: 0\n  store:")
                    + SmallConfiguration.application([SmallConfiguration.allow]))
            let run = try small.run("serve", "gateway.yaml")
            #expect(run.status == 1)
            #expect(
                run.errors == """
                    gateway.yaml:7: gateway.workers: "0" is out of range; use a whole number from 1 to 256
                    1 problem

                    """)
            small.expectNothingBegan()
        }

        @Test("what is legal but probably not meant is a warning on standard error, and check ends with 0")
        func warning() throws {
            let small = try SmallConfiguration(Stack.current())
            let blocked = "{ name: guests, action: block, include: [ { group: guests } ] }"
            try small.write(
                "gateway.yaml",
                small.gateway + SmallConfiguration.application([SmallConfiguration.allow, blocked]))
            let run = try small.run("check", "gateway.yaml")
            #expect(run.status == 0)
            #expect(run.errors.hasPrefix("warning: gateway.yaml:17: applications.wiki.policies[1]"))
            #expect(run.errors.contains("; ") && run.errors.hasSuffix("\n"))
            #expect(
                run.output.wholeMatch(of: /gateway\.yaml: good; policy [0-9a-f]{12}, applications: wiki\n/)
                    != nil)
        }

        @Test("a folder of files is one configuration, and what is wrong is named by its file")
        func folder() throws {
            let small = try SmallConfiguration(Stack.current())
            try small.write("10-gateway.yaml", small.gateway)
            let application = "version: 1\n" + SmallConfiguration.application([SmallConfiguration.allow])
            try small.write("20-wiki.yaml", application)
            // Not a configuration: its name says so.
            try small.write("notes.txt", "{")
            let good = try small.run("check", "")
            #expect(good.status == 0, "\(good.errors)")
            #expect(good.errors == "" && good.output.contains("applications: wiki"))
            try small.write("20-wiki.yaml", application.replacing("host:", with: "hots:"))
            for command in ["check", "serve"] {
                let run = try small.run(command, "")
                #expect(run.status == 1)
                let lines = run.errors.split(separator: "\n")
                #expect(
                    lines.first?.hasPrefix("20-wiki.yaml:") == true
                        && lines.contains {
                            $0.hasPrefix(
                                "20-wiki.yaml:4: applications.wiki.hots: is not a key that is known here; ")
                        }, "\(command): \(run.errors)")
            }
            small.expectNothingBegan()
        }

        @Test("a secret that others can read is refused by check and serve, with the command that mends it")
        func readableSecret() throws {
            let small = try SmallConfiguration(Stack.current())
            try small.write(
                "gateway.yaml",
                small.gateway + SmallConfiguration.application([SmallConfiguration.allow]))
            #expect(try small.run("check", "gateway.yaml").status == 0)
            chmod(small.path("secret"), 0o644)
            for command in ["check", "serve"] {
                let run = try small.run(command, "gateway.yaml")
                #expect(run.status == 1)
                #expect(
                    run.errors.hasPrefix("gateway.yaml:9: identity-providers.corp.client-secret")
                        && run.errors.contains("can be read by others (mode 0644); chmod 600 "),
                    "\(run.errors)")
                #expect(!run.errors.contains("s3cret"))
            }
            small.expectNothingBegan()
        }

        @Test(
            "version names the program and its version; an unknown command ends with another status than a bad file"
        )
        func version() throws {
            let stack = try Stack.current()
            let version = try ProgramRun(stack, ["version"])
            #expect(version.status == 0 && version.errors == "")
            #expect(version.output.wholeMatch(of: /gatepost [0-9]+\.[0-9]+\.[0-9]+\n/) != nil)
            #expect(try ProgramRun(stack, ["--version"]).output == version.output)
            let unknown = try ProgramRun(stack, ["chekc"])
            #expect(unknown.status == 64 && unknown.output == "" && unknown.errors.contains("chekc"))
        }

        @Test(
            "explain shows rule, condition, observed value, source and age, for a good device and a bad one")
        func explain() throws {
            let stack = try Stack.current()
            try Chromium(stack).enter("wiki", as: "alice")
            let device = try stack.deviceID(state: "agent")
            let question = [
                "--user", "alice@corp.example", "--device", device, "--application", "wiki",
            ]
            func answer() throws -> String {
                let run = try ProgramRun(stack, ["explain", "--config", stack.folder.path] + question)
                #expect(run.status == 0, "\(run.errors)")
                return try Self.steady(run.output, device)
            }
            try stack.waitForDecision("forward", device: device)
            try expectGolden("explain-good.txt", try answer())
            try stack.setDevice("noncompliant")
            defer {
                try? stack.setDevice("compliant")
                _ = try? stack.waitForDecision("forward", device: device)
            }
            try stack.waitForDecision("refuse", device: device)
            try expectGolden("explain-bad.txt", try answer())
        }

        /// The same text at every run: what is other each time is named instead, and has to be young.
        private static func steady(_ text: String, _ device: String) throws -> String {
            try text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
                var line = String(line).replacing(device, with: "DEVICE")
                line = line.replacing(/policy: [0-9a-f]{12}/, with: "policy: POLICY")
                line = line.replacing(/session [A-Za-z0-9_-]{16}(?=\s)/, with: "session ID")
                line = line.replacing(/verdict intune:[0-9a-f:-]+/, with: "verdict ID")
                line = line.replacing(/\bat 1[0-9]{9}\b/, with: "at TIME")
                if let age = line.firstMatch(of: /([0-9]+) (s|min)$/) {
                    let seconds = try #require(Int(age.1)) * (age.2 == "s" ? 1 : 60)
                    #expect(seconds < 1_200, "an age that is none: \(line)")
                    line.replaceSubrange(age.range, with: "AGE")
                }
                // Columns are as wide as their widest cell.
                return line.replacing(/\ {2,}/, with: "  ")
            }.joined(separator: "\n")
        }
    }
}
