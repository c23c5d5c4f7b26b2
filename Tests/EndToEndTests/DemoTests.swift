import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("The demo, as make run starts it")
    struct DemoTests {
        @Test(
            "004.18 one accepted provider is gone to straight away; the command line ends its sessions"
        )
        func demo() throws {
            let demo = try Demo()
            defer { demo.stop() }
            let person = Client(network: demo.network, folder: demo.folder)
            let people = "https://people.localhost:8443"
            let refused = try person.fetch(people + "/x")
            #expect(refused.status == 401)
            #expect(refused.says("\"reason\":\"sign-in-required\""))
            #expect(refused.location == nil)

            let form = try person.follow(try person.get(people + "/hello?x=1"))
            #expect(form.visited.last?.hasPrefix(Demo.provider + "/authorize") == true)
            let end = try person.follow(try person.answer(form.answer, provider: Demo.provider)).answer
            #expect(end.status == 200)
            #expect(end.says("/hello?x=1"))
            #expect(end.says("gatepost-assertion"))
            // The second registration's session says nothing where only the first is accepted.
            #expect(try person.fetch("https://wiki.localhost:8443/").status == 401)

            let sessions = try demo.gatepost("session", "list")
            #expect(sessions.contains("alice@corp.example") && sessions.contains("hr-staff"))
            let revoked = try demo.gatepost("session", "revoke", "--user", "alice@corp.example")
            #expect(revoked.contains("2 sessions ended"))
            #expect(try person.fetch(people + "/x").status == 401)
        }

        @Test("the demo says how to open, break and stop it, and stops everything that it started")
        func stops() throws {
            let demo = try Demo()
            defer { demo.stop() }
            for word in ["https://wiki.localhost:8443", "alice-demo", "--set noncompliant", "Ctrl-C"] {
                #expect(demo.child.output.contains(word), "\(word)")
            }
            demo.child.stop(seconds: 15)
            try Self.expectNothingLeft(demo)
        }

        @Test(
            "Ctrl-C during make run, as a terminal sends it to all, leaves nothing behind, and it begins again"
        )
        func interrupted() throws {
            let demo = try Demo(throughMake: true)
            defer { demo.stop() }
            #expect(try demo.programs().count >= 4, "lab, agent, the gateway and its control process")
            kill(-demo.child.pid, SIGINT)
            let status = try poll("make run to end") { demo.child.status }
            #expect(status != 0, "make takes an interrupted command for one that failed")
            try Self.expectNothingLeft(demo)
            // The script stopped the gateway, once: a second signal would have ended open requests at once.
            let said = try String(contentsOf: demo.folder.appending(path: "gateway.log"), encoding: .utf8)
            #expect(said.components(separatedBy: "gatepost: stopping").count == 2)
            let again = try Demo(folder: demo.folder, throughMake: true)
            #expect(try demo.programs().count >= 4)
            kill(-again.child.pid, SIGINT)
            try poll("make run to end again") { again.child.status }
            try Self.expectNothingLeft(again)
        }

        @Test("a gateway that was started with SIGINT ignored goes on when a terminal sends it")
        func ignoredInterrupt() throws {
            let stack = try Stack.current()
            try stack.child("gateway").stop(seconds: 15)
            let program = stack.path("gateway-without-interrupt")
            try "#!/bin/bash\ntrap '' INT\nexec \(stack.program("gatepost")) \"$@\"\n".write(
                toFile: program, atomically: true, encoding: .utf8)
            chmod(program, 0o755)
            try stack.startGateway(program: program)
            defer {
                try? stack.child("gateway").stop(seconds: 15)
                try? stack.startGateway()
            }
            let gateway = try stack.child("gateway")
            let before = try stack.processes().compactMap { $0["pid"] as? Int }
            func reloads() -> Int { gateway.output.components(separatedBy: "configuration reloaded").count }
            // Its log goes on from that of the gateway before, which was stopped.
            func stops() -> Int { gateway.output.components(separatedBy: "gatepost: stopping").count }
            let (count, stopped) = (reloads(), stops())
            kill(-gateway.pid, SIGINT)
            // Signals that wait are taken in the order of their numbers, SIGHUP first: the second one comes after both.
            for reload in 1...2 {
                gateway.signal(SIGHUP)
                try poll("a reload after the interrupt") {
                    (reloads() >= count + reload).whenTrue
                }
            }
            #expect(gateway.status == nil && stops() == stopped)
            #expect(try stack.processes().compactMap { $0["pid"] as? Int } == before)
        }

        private static func expectNothingLeft(_ demo: Demo) throws {
            #expect(demo.child.output.contains("stopped: lab gateway agent"))
            for port in [8443, Demo.agentPort, Demo.labPort, Demo.labPort + 1, Demo.labPort + 2] {
                #expect(throws: Failure.self) { try demo.network.connect(port: port) }
            }
            #expect(try demo.programs() == [])
        }
    }
}

/// `scripts/run` in a folder of its own, with the built programs.
struct Demo {
    static let agentPort = 17_473
    static let labPort = 8_490
    static let provider = "http://127.0.0.1:\(labPort)"

    let network: PrivateNetwork
    let folder: URL
    let child: Child

    /// Returns when the screenful is there.
    ///
    /// - Parameters:
    ///   - other: of a demo before; nil: a new one.
    ///   - throughMake: as somebody types it, instead of the script alone.
    init(folder other: URL? = nil, throughMake: Bool = false) throws {
        network = try PrivateNetwork.shared()
        folder =
            other
            ?? URL(filePath: NSTemporaryDirectory()).appending(path: "gatepost-demo-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let environment = [
            "GATEPOST_RUN": folder.path, "GATEPOST_BIN": try Programs.folder().path,
            "GATEPOST_AGENT_PORT": "\(Self.agentPort)", "GATEPOST_LAB_PORT": "\(Self.labPort)",
        ]
        let log = folder.appending(path: "run.log")
        try? FileManager.default.removeItem(at: log)
        let child =
            throughMake
            ? try Child(
                "make run", "/usr/bin/make", ["-C", Programs.root.path, "run"], environment: environment,
                log: log, in: network)
            : try Child(
                "scripts/run", "/bin/bash", [Programs.root.appending(path: "scripts/run").path],
                environment: environment, log: log, in: network)
        self.child = child
        do {
            try poll("make run's screenful") {
                if let status = child.status {
                    throw Failure(description: "scripts/run ended with \(status)")
                }
                return child.output.contains("Stop    Ctrl-C").whenTrue
            }
        } catch {
            child.stop()
            throw Failure(description: "\(error)\n\(child.output)")
        }
    }

    func gatepost(_ arguments: String...) throws -> String {
        let program = try Programs.folder().appending(path: "gatepost").path
        let config = folder.appending(path: "demo.yaml").path
        return try Child.output(of: program, arguments + ["--config", config], in: network).text
    }

    /// Programs that have this demo's folder among their words.
    func programs() throws -> [String] {
        let numbers = try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int($0) != nil }
        return numbers.compactMap { number -> String? in
            guard let bytes = FileManager.default.contents(atPath: "/proc/\(number)/cmdline") else {
                return nil
            }
            let words = String(decoding: bytes, as: UTF8.self).replacing("\0", with: " ")
            return words.contains(folder.lastPathComponent) ? "\(number) \(words)" : nil
        }
    }

    func stop() {
        child.stop(seconds: 15)
        try? FileManager.default.removeItem(at: folder)
    }
}
