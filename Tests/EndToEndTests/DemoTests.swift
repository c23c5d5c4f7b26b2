import Foundation
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
            #expect(demo.child.output.contains("stopped: lab gateway agent"))
            for port in [8443, Demo.agentPort, Demo.labPort] {
                #expect(throws: Failure.self) { try demo.network.connect(port: port) }
            }
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
    init() throws {
        network = try PrivateNetwork.shared()
        folder = URL(filePath: NSTemporaryDirectory()).appending(path: "gatepost-demo-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let environment = [
            "GATEPOST_RUN": folder.path, "GATEPOST_BIN": try Programs.folder().path,
            "GATEPOST_AGENT_PORT": "\(Self.agentPort)", "GATEPOST_LAB_PORT": "\(Self.labPort)",
        ]
        let child = try Child(
            "scripts/run", "/bin/bash", [Programs.root.appending(path: "scripts/run").path],
            environment: environment,
            log: folder.appending(path: "run.log"), in: network)
        self.child = child
        do {
            try poll("make run's screenful", seconds: 60) {
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

    func stop() {
        child.stop(seconds: 15)
        try? FileManager.default.removeItem(at: folder)
    }
}
