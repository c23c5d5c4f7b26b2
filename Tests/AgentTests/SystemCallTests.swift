import ChildPrograms
import Foundation
import Glibc
import JSON
import Testing

@testable import gatepost_agent

/// Needs a kernel that lets root trace; strace and systemd are in the set `test` of scripts/bootstrap.
private let hasTools =
    PackagingTests.hasSystemd && geteuid() == 0
    && FileManager.default.isExecutableFile(atPath: "/usr/bin/strace")

@Suite("The units' filters let through what the programs and their children call", .enabled(if: hasTools))
struct SystemCallTests {
    /// Without these the programs do the same: the runtime asks for a niceness, and goes on when it may not.
    static let dispensable: Set<String> = ["setpriority"]

    /// Lines of a unit by their key.
    static func unit(_ name: String) throws -> [(key: String, value: String)] {
        try ProtocolTextTests.text("packaging/agent/\(name)").split(separator: "\n").compactMap { line in
            let pair = line.split(separator: "=", maxSplits: 1).map(String.init)
            return pair.count == 2 && !line.hasPrefix("#") ? (pair[0], pair[1]) : nil
        }
    }

    /// The calls of a group of systemd's, those of groups inside it among them.
    static func group(_ name: String) throws -> Set<String> {
        guard name.hasPrefix("@") else { return [name] }
        let list = try PackagingTests.run("/usr/bin/systemd-analyze", ["syscall-filter", name])
        try #require(list.status == 0, "\(name)")
        var calls: Set<String> = []
        for line in list.text.split(separator: "\n").dropFirst() {
            let word = line.trimmingCharacters(in: .whitespaces)
            if !word.isEmpty, !word.hasPrefix("#") { calls.formUnion(try group(word)) }
        }
        return calls
    }

    /// What the unit's `SystemCallFilter=` lines leave (systemd.exec(5)): the first one says what is allowed.
    static func allowed(_ unit: [(key: String, value: String)]) throws -> Set<String> {
        var calls = try group("@default")
        for line in unit where line.key == "SystemCallFilter" {
            let isDenied = line.value.hasPrefix("~")
            for name in line.value.drop(while: { $0 == "~" }).split(separator: " ") {
                let group = try group(String(name))
                if isDenied { calls.subtract(group) } else { calls.formUnion(group) }
            }
        }
        return calls
    }

    /// One line of strace: its own or a child's.
    struct Call {
        var name: String
        var line: String

        init?(_ line: Substring) {
            // Short process numbers are filled up with spaces.
            let call = line.drop { $0.isNumber }.drop { $0 == " " }
            guard call.endIndex > call.startIndex, call.startIndex > line.startIndex,
                let end = call.firstIndex(of: "("), call.first != "<"
            else { return nil }
            name = String(call[..<end])
            self.line = String(call)
            guard name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else { return nil }
        }
    }

    /// What a unit would not let through.
    static func refused(_ calls: [Call], by unit: [(key: String, value: String)]) throws -> [String] {
        let allowed = try allowed(unit)
        let families = Set(
            unit.filter { $0.key == "RestrictAddressFamilies" }.flatMap { $0.value.split(separator: " ") }
                .map(
                    String.init))
        var refused: Set<String> = []
        for call in calls {
            if !allowed.contains(call.name), !dispensable.contains(call.name) { refused.insert(call.name) }
            // MemoryDenyWriteExecute= refuses pages that can be written and run, and a stack or library made so later.
            if ["mmap", "mprotect", "pkey_mprotect", "shmat"].contains(call.name),
                call.line.contains("PROT_WRITE"), call.line.contains("PROT_EXEC")
            {
                refused.insert(call.line)
            }
            if call.name == "socket",
                let family = call.line.split(whereSeparator: { "(,".contains($0) }).dropFirst().first,
                !families.contains(String(family))
            {
                refused.insert(call.line)
            }
        }
        return refused.sorted()
    }

    /// Starts a command under strace, waits until `act` has had what it wants, and ends it.
    static func traced(
        _ arguments: [String], in folder: TemporaryFolder, until act: () throws -> Bool
    ) throws -> [Call] {
        let log = folder.path + "/calls"
        let strace = try ChildProgram(
            "/usr/bin/strace",
            ["-f", "-qq", "-s", "32", "-o", log, try PackagingTests.program()] + arguments)
        let deadline = ContinuousClock.now + .seconds(180)
        var isDone = false
        while !isDone, strace.isRunning, ContinuousClock.now < deadline {
            isDone = try act()
            poll(nil, 0, 100)
        }
        // strace hears no signals while it traces; the first line's number is the program's own.
        let first = try String(contentsOfFile: log, encoding: .utf8).prefix { $0 != " " }
        if strace.isRunning, let program = pid_t(first) {
            kill(program, SIGTERM)
            let last = ContinuousClock.now + .seconds(20)
            while strace.isRunning, ContinuousClock.now < last { poll(nil, 0, 50) }
            if strace.isRunning { kill(program, SIGKILL) }
        }
        _ = strace.wait()
        return try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").compactMap { Call($0) }
    }

    @Test("the collector with every program that it asks on this machine") func collector() throws {
        let folder = try TemporaryFolder()
        let socket = folder.path + "/collector.sock"
        var hasAnswered = false
        let calls = try Self.traced(
            ["collect", "--socket", socket, "--user", "root"],
            in: folder
        ) {
            // Pending updates come last, where there is apt or dnf; a busy machine may not get there.
            let probe = CollectorProbe(path: socket, names: ["pending_updates", "checks", "edr_units"])
            guard let answer = probe.answer() else { return false }
            hasAnswered = true
            return answer["pending_updates"] != nil
        }
        #expect(hasAnswered)
        #expect(calls.contains { $0.name == "execve" && $0.line.contains("/usr/bin/systemctl") })
        #expect(Set(calls.map(\.name)).count > 30)
        let refused = try Self.refused(calls, by: try Self.unit("gatepost-agent-collector.service"))
        #expect(refused == [], "add them to the unit's filter, or stop calling them")
    }

    @Test("the part that the network reaches, with a device check and a stranger") func agent() throws {
        let folder = try TemporaryFolder()
        let state = StateFolder(path: folder.path + "/state")
        let setting = try AgentSetting()
        try setting.write(into: state)
        let free = try ListeningSocket(port: 0)
        free.close()
        var isRefused = false
        let calls = try Self.traced(
            [
                "run", "--state-dir", state.path, "--port", String(free.port), "--any-user", "--collector",
                "/none",
            ],
            in: folder
        ) {
            guard AgentPresence.at(free.port) == .answers else { return false }
            let probe = AgentProbe(address: 127 << 24 | 1, port: free.port, clock: .system)
            let body = JSONObject([("challenge", .string(setting.challenge()))]).serialized()
            let head =
                "POST /v1/attest HTTP/1.1\r\nHost: 127.0.0.1:\(free.port)\r\nOrigin: \(AgentSetting.origin)\r\n"
                + "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n\r\n"
            // Of another time, so it is refused; everything up to there has run.
            isRefused = probe.exchange([Array(head.utf8) + body]).status == 401
            return isRefused
        }
        #expect(isRefused)
        let refused = try Self.refused(calls, by: try Self.unit("gatepost-agent.service"))
        #expect(refused == [], "add them to the unit's filter, or stop calling them")
    }

    @Test("a call, a family and a page that a unit forbids are found") func forbidden() throws {
        let unit = try Self.unit("gatepost-agent-collector.service")
        let lines = [
            "1 ptrace(PTRACE_ATTACH, 7) = 0", "2 mount(\"a\", \"b\") = 0",
            "3 socket(AF_INET, SOCK_STREAM, 0) = 3",
            "4 mmap(NULL, 4096, PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE, -1, 0) = 0x1",
            "5 socket(AF_UNIX, SOCK_STREAM, 0) = 3", "6 read(3, \"\", 1) = 0", "7 <... read resumed>) = 0",
            "8 +++ exited with 0 +++",
        ]
        let refused = try Self.refused(lines.compactMap { Call($0[...]) }, by: unit)
        #expect(refused.count == 4, "\(refused)")
    }
}
