import ArgumentParser
import ChildPrograms
import Foundation
import Glibc
import Testing

@testable import gatepost_agent

@Suite("What is installed on a machine: units, users, folders, sample")
struct PackagingTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    /// In the set `test` of scripts/bootstrap; the module suites alone do not install it.
    static let hasSystemd = FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze")
    static let units = ["gatepost-agent.service", "gatepost-agent-collector.service"]

    /// The agent of this build, beside the tests.
    static func program() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let candidates = [CommandLine.arguments[0], own].map {
            URL(filePath: $0).deletingLastPathComponent().appending(path: "gatepost-agent").path
        }
        let built = candidates + [root.appending(path: ".build/debug/gatepost-agent").path]
        return try #require(built.first { FileManager.default.isExecutableFile(atPath: $0) })
    }

    /// Runs something to its end.
    static func run(
        _ program: String, _ arguments: [String], _ environment: [String: String] = [:]
    ) throws -> ChildProgram.Outcome {
        let standard = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"]
        return try ChildProgram(
            program, arguments, environment: standard.merging(environment) { $1 }, output: .kept,
            errors: .kept
        ).outcome()
    }

    /// The units as installed, calling the program of this build.
    static func installed() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let program = try program()
        for unit in units {
            let file = root.appending(path: "packaging/agent/\(unit)")
            let text = try String(contentsOf: file, encoding: .utf8)
            try folder.put(
                "/" + unit, text.replacingOccurrences(of: "/usr/bin/gatepost-agent", with: program))
        }
        return folder
    }

    @Test("systemd finds nothing wrong with the units", .enabled(if: hasSystemd)) func verified() throws {
        let folder = try Self.installed()
        // Both at once, and in a folder where each finds the other.
        let verified = try Self.run(
            "/usr/bin/systemd-analyze", ["verify"] + Self.units.map { folder.path + "/" + $0 })
        #expect(verified.status == 0 && verified.output.isEmpty, "\(verified.text)")
    }

    @Test(
        "systemd's own measure of exposure stays low", .enabled(if: hasSystemd),
        arguments: [("gatepost-agent.service", 17), ("gatepost-agent-collector.service", 21)])
    func exposure(_ unit: String, _ tenths: Int) throws {
        let file = Self.root.appending(path: "packaging/agent/\(unit)").path
        let measured = try Self.run(
            "/usr/bin/systemd-analyze",
            ["security", "--offline=true", "--no-pager", "--threshold=\(tenths)", file])
        #expect(measured.status == 0, "\(measured.text.split(separator: "\n").last ?? "")")
    }

    @Test("the program knows every option that the units give it, and their paths are its defaults")
    func options() throws {
        let folder = try Self.installed()
        for unit in Self.units {
            let text = try String(contentsOfFile: folder.path + "/" + unit, encoding: .utf8)
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("ExecStart=") })
            let words = line.dropFirst("ExecStart=".count).split(separator: " ").map(String.init)
            let parsed = try AgentProgram.parseAsRoot(Array(words.dropFirst()))
            #expect(parsed is RunCommand || parsed is CollectCommand)
            #expect(text.contains("Restart=on-failure") && text.contains("NoNewPrivileges=yes"))
        }
        #expect(CollectorProbe.defaultPath == "/run/gatepost-agent/collector.sock")
        let tmpfiles = try String(
            contentsOf: Self.root.appending(path: "packaging/agent/tmpfiles.conf"), encoding: .utf8)
        #expect(tmpfiles.contains("d \(StateFolder.defaultPath(userID: 0, home: nil)) 0700 gatepost-agent"))
    }

    @Test(
        "the agent starts with an enrolment of this or of an older agent, and not without one",
        .enabled(if: hasSystemd))
    func conditions() throws {
        let folder = try TemporaryFolder()
        let unit = try String(
            contentsOf: Self.root.appending(path: "packaging/agent/gatepost-agent.service"), encoding: .utf8)
        let conditions = unit.split(separator: "\n").filter { $0.hasPrefix("Condition") }.map {
            $0.replacingOccurrences(of: "/var/lib/gatepost-agent", with: folder.path)
        }
        func isStarted() throws -> Bool {
            try Self.run("/usr/bin/systemd-analyze", ["condition"] + conditions).status == 0
        }
        #expect(try !isStarted())
        try folder.put("/gateways/auth.corp.example/device-key.pem", "x")
        #expect(try !isStarted())
        try folder.put("/enrolment.json", "{}")
        #expect(try isStarted(), "as an older agent left it")
        try folder.put("/gateways/auth.corp.example/enrolment.json", "{}")
        #expect(try isStarted())
        unlink(folder.path + "/enrolment.json")
        #expect(try isStarted())
    }

    @Test(
        "state that root's agent left belongs to the agent's user afterwards, is as private as before, and moves",
        .enabled(if: hasSystemd && geteuid() == 0))
    func migratedOwner() throws {
        let folder = try TemporaryFolder()
        let state = StateFolder(path: folder.path + "/state")
        try AgentSetting().write(into: state)
        let outside = folder.path + "/outside"
        try folder.put("/outside", "x")
        symlink(outside, state.path + "/link")
        let text = try String(
            contentsOf: Self.root.appending(path: "packaging/agent/tmpfiles.conf"), encoding: .utf8)
        try folder.put(
            "/tmpfiles.conf",
            text.replacingOccurrences(of: "/var/lib/gatepost-agent", with: state.path)
                .replacingOccurrences(of: "gatepost-agent gatepost-agent", with: "nobody nogroup"))
        let done = try Self.run("/usr/bin/systemd-tmpfiles", ["--create", folder.path + "/tmpfiles.conf"])
        #expect(done.status == 0, "\(done.text)")
        let nobody = try #require(getpwnam("nobody")).pointee.pw_uid
        for file in ["", "/device-key.pem", "/counter", "/enrolment.json"] {
            var info = stat()
            #expect(stat(state.path + file, &info) == 0)
            #expect(info.st_uid == nobody && info.st_mode & 0o077 == 0, "\(file)")
        }
        var info = stat()
        #expect(stat(outside, &info) == 0 && info.st_uid == 0, "a link leads nowhere")
        // Given back, because this process is root: the next start finds and moves it.
        for file in ["", "/device-key.pem", "/counter", "/enrolment.json"] { chown(state.path + file, 0, 0) }
        #expect(try GatewayFolders(preparing: state).enrolledOrFail().count == 1)
    }

    @Test("the sample of the administrator's file is read") func sample() throws {
        let file = Self.root.appending(path: "packaging/agent/agent.json")
        let configuration = try AgentConfiguration(bytes: Array(try Data(contentsOf: file)))
        #expect(configuration.ports == [17_473])
        guard case .only(let names) = configuration["https://auth.corp.example"].permitted else {
            Issue.record("the sample permits everything")
            return
        }
        #expect(names.contains("serial") && !names.contains("hostname"))
    }

    @Test("installing below a folder puts every file in its place and starts nothing") func install() throws {
        let folder = try TemporaryFolder()
        let script = Self.root.appending(path: "scripts/install-agent").path
        let done = try Self.run(script, [try Self.program()], ["DESTDIR": folder.path])
        #expect(done.status == 0, "\(done.text)")
        for (path, mode) in [
            ("/usr/bin/gatepost-agent", mode_t(0o755)),
            ("/usr/lib/systemd/system/gatepost-agent.service", 0o644),
            ("/usr/lib/systemd/system/gatepost-agent-collector.service", 0o644),
            ("/usr/lib/sysusers.d/gatepost-agent.conf", 0o644),
            ("/usr/lib/tmpfiles.d/gatepost-agent.conf", 0o644),
            ("/usr/share/doc/gatepost-agent/agent.md", 0o644),
            ("/usr/share/man/man1/gatepost-agent.1", 0o644),
            ("/usr/share/doc/gatepost-agent/agent.json", 0o644), ("/etc/gatepost-agent", 0o755),
        ] {
            var info = stat()
            #expect(stat(folder.path + path, &info) == 0 && info.st_mode & 0o777 == mode, "\(path)")
        }
        let none = try Self.run(script, ["/nonexistent"], ["DESTDIR": folder.path])
        #expect(none.status == 1 && none.text.contains("is no program"))
    }
}
