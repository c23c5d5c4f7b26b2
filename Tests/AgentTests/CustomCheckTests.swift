import Glibc
import JSON
import Signatures
import Synchronization
import Testing

@testable import gatepost_agent

/// Commands as a test wants them to end; notes what was asked.
final class ScriptedCommands: CommandRunner {
    let outcomes: [String: CommandOutcome]
    let asked = Mutex<[String]>([])

    init(_ outcomes: [String: CommandOutcome]) { self.outcomes = outcomes }

    static func says(_ description: String, _ text: String, status: Int32 = 0) -> ScriptedCommands {
        ScriptedCommands([description: .ended(status: status, output: Array(text.utf8))])
    }

    func run(_ command: ProbeCommand) -> CommandOutcome {
        asked.withLock { $0.append(command.description) }
        return outcomes[command.description] ?? .notRun
    }
}

@Suite("Checks that the machine's administrator defines")
struct CustomCheckTests {
    static let now: Int64 = 1_900_000_000

    static func results(
        _ rules: String, commands: any CommandRunner = NoCommands(),
        _ build: (TemporaryFolder) throws -> Void = { _ in }
    ) throws -> JSONObject {
        let folder = try TemporaryFolder()
        try folder.put("/etc/rules.json", rules)
        try build(folder)
        return FactCollector(
            root: HostRoot(folder.path), probes: [CustomChecksFact(rulesPath: "/etc/rules.json")],
            commands: commands, rulesPath: "/etc/rules.json"
        ).facts(nowSeconds: now).facts
    }

    static func check(
        _ definition: String, commands: any CommandRunner = NoCommands(),
        _ build: (TemporaryFolder) throws -> Void = { _ in }
    ) throws -> JSONValue? {
        try results("{\"checks\": {\"c\": \(definition)}}", commands: commands, build)["checks"]?["c"]
    }

    @Test("a file: that it is there or not, its owner, its mode, its digest") func files() throws {
        let digest = Digest.sha256(Array("hello".utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            .joined()
        let table: [(String, JSONValue)] = [
            (#"{"file": "/f"}"#, true), (#"{"file": "/g"}"#, false),
            (#"{"file": "/g", "exists": false}"#, true),
            (#"{"file": "/f", "exists": false}"#, false), (#"{"file": "/f", "owner": \#(geteuid())}"#, true),
            (#"{"file": "/f", "owner": 4242}"#, false), (#"{"file": "/f", "mode_max": "0640"}"#, true),
            (#"{"file": "/f", "mode_max": "0600"}"#, false),
            (#"{"file": "/f", "sha256": "\#(digest)"}"#, true),
            (#"{"file": "/f", "sha256": "\#(digest.uppercased())"}"#, true),
            (#"{"file": "/f", "sha256": "\#(String(repeating: "0", count: 64))"}"#, false),
            (#"{"file": "/fifo", "sha256": "\#(digest)"}"#, "unknown"),
        ]
        for (definition, expected) in table {
            let found = try Self.check(definition) {
                try $0.put("/f", "hello")
                chmod($0.path + "/f", 0o640)
                try HostileFile.fifo.put("/fifo", in: $0)
            }
            #expect(found == expected, "\(definition)")
        }
    }

    @Test(
        "a definition with anything strange in it is unknown, never true",
        arguments: [
            "{}", "[]", "true", #""x""#, #"{"file": "relative"}"#, #"{"file": "/f", "modemax": "0600"}"#,
            #"{"file": "/f", "mode_max": "0899"}"#, #"{"file": "/f", "mode_max": 600}"#,
            #"{"file": "/f", "owner": "root"}"#, #"{"file": "/f", "owner": -1}"#,
            #"{"file": "/f", "sha256": "00"}"#,
            #"{"file": "/f", "exists": "yes"}"#, #"{"file": "/f", "exists": false, "owner": 0}"#,
            #"{"file": "/f", "package": "x"}"#, #"{"process": ""}"#, #"{"process": "sixteen-bytes-xx"}"#,
            #"{"process": "x", "path": "relative"}"#, #"{"package": "--eval"}"#, #"{"package": "a b"}"#,
            #"{"package": "x", "minimum_version": 3}"#, #"{"command": []}"#,
            #"{"command": ["sh", "-c", "x"]}"#,
            #"{"command": "/bin/true"}"#, #"{"command": ["/bin/true", 1]}"#,
            #"{"command": ["/bin/true"], "exit_status": 256}"#,
            #"{"command": ["/bin/true"], "timeout_ms": 9}"#,
            #"{"command": ["/bin/true"], "timeout_ms": 10001}"#,
            #"{"command": ["/bin/true"], "shell": true}"#,
        ])
    func malformed(_ definition: String) throws {
        let found = try Self.check(definition, commands: SpawningCommands()) { try $0.put("/f", "x") }
        #expect(found == "unknown")
    }

    @Test("a command: its status and its whole output, and unknown for what is not an answer") func commands()
        throws
    {
        let table: [(String, CommandOutcome, JSONValue)] = [
            (#"{"command": ["/x"]}"#, .ended(status: 0, output: []), true),
            (#"{"command": ["/x"]}"#, .ended(status: 1, output: []), false),
            (#"{"command": ["/x"], "exit_status": 3}"#, .ended(status: 3, output: []), true),
            (
                #"{"command": ["/x"], "output": "PASS"}"#, .ended(status: 0, output: Array("PASS\n".utf8)),
                true
            ),
            (
                #"{"command": ["/x"], "output": "PASS"}"#, .ended(status: 0, output: Array("NO PASS".utf8)),
                false
            ),
            (
                #"{"command": ["/x"], "output": "PASS"}"#, .ended(status: 0, output: Array("PASSED".utf8)),
                false
            ),
            (#"{"command": ["/x"]}"#, .timedOut, "unknown"), (#"{"command": ["/x"]}"#, .notRun, "unknown"),
            (#"{"command": ["/x"]}"#, .tooMuchOutput, "unknown"),
            (#"{"command": ["/x"]}"#, .failed, "unknown"),
        ]
        for (definition, outcome, expected) in table {
            #expect(try Self.check(definition, commands: ScriptedCommands(["/x": outcome])) == expected)
        }
    }

    @Test("a real command is run without a shell") func realCommand() throws {
        let definition = #"{"command": ["/bin/echo", "$(id)", "`id`"], "output": "$(id) `id`"}"#
        #expect(try Self.check(definition, commands: SpawningCommands()) == true)
    }

    @Test("rules that others can change, or that cannot be read, define nothing and send nothing")
    func untrustedRules() throws {
        let folder = try TemporaryFolder()
        try folder.put("/etc/os-release", "ID=debian\n")
        try folder.put("/etc/rules.json", #"{"checks": {"c": {"command": ["/bin/true"]}}}"#)
        let commands = ScriptedCommands([:])
        func facts() -> JSONObject {
            FactCollector(
                root: HostRoot(folder.path),
                probes: [OperatingSystemFact(), CustomChecksFact(rulesPath: "/etc/rules.json")],
                commands: commands, rulesPath: "/etc/rules.json"
            ).facts(nowSeconds: Self.now).facts
        }
        #expect(facts().names.contains("checks"))
        chmod(folder.path + "/etc/rules.json", 0o666)
        #expect(facts().isEmpty)
        chmod(folder.path + "/etc/rules.json", 0o644)
        for text in [
            "", "{", "[]", #"{"chekcs": {}}"#, #"{"permit": "all"}"#, #"{"permit": [1]}"#, #"{"checks": []}"#,
        ] {
            try folder.put("/etc/rules.json", text)
            #expect(facts().isEmpty, "\(text)")
        }
        #expect(commands.asked.withLock { $0 } == ["/bin/true"])
    }

    @Test("32 checks are made, 33 are none") func bound() throws {
        func rules(_ count: Int) -> String {
            let entries = (1...count).map { #""c\#($0)": {"file": "/f"}"# }.joined(separator: ",")
            return "{\"checks\": {\(entries)}}"
        }
        #expect(try Self.results(rules(32))["checks"]?.object?.members.count == 32)
        #expect(try Self.results(rules(33)).isEmpty)
    }

    @Test("only what the administrator permits leaves the machine, by fact, by id and by check") func permit()
        throws
    {
        let folder = try TemporaryFolder()
        try folder.put("/etc/os-release", "ID=debian\nVERSION_ID=12\n")
        try folder.put("/sys/class/dmi/id/product_serial", "PF3ABCDE\n")
        try folder.put("/sys/class/dmi/id/product_uuid", "4C4C4544-0000-4000-8000-000000000001\n")
        func names(_ permit: String) throws -> JSONObject {
            let checks = #""checks": {"a": {"file": "/etc"}, "b": {"file": "/etc"}}"#
            try folder.put("/etc/rules.json", "{\"permit\": \(permit), \(checks)}")
            let probes: [any FactProbe] = [
                OperatingSystemFact(), DeviceIDsFact(path: "/none"),
                CustomChecksFact(rulesPath: "/etc/rules.json"),
            ]
            return FactCollector(root: HostRoot(folder.path), probes: probes, rulesPath: "/etc/rules.json")
                .facts(nowSeconds: Self.now).facts
        }
        #expect(try names("[]").isEmpty)
        #expect(try names(#"["os-name"]"#).names == ["os_name"])
        let some = try names(#"["device-ids.hardware-uuid", "check-b"]"#)
        #expect(some["device_ids"]?.object?.names == ["hardware_uuid"])
        #expect(some["device_id_sources"]?.object?.names == ["hardware_uuid"])
        #expect(some["checks"] == ["b": true])
        #expect(
            try names(#"["device-ids", "checks"]"#)["device_ids"]?.object?.names == [
                "serial", "hardware_uuid",
            ])
    }

    @Test("004.2 a vulnerability score from a scanner's file or command: whole, bounded, recent, trusted")
    func score() throws {
        let fromFile = #"{"vulnerability_score": {"file": "/score", "maximum_age_seconds": 3600}}"#
        func file(_ text: String, age: Int64 = 0, mode: UInt32 = 0o644) throws -> JSONValue? {
            try Self.results(fromFile) {
                try $0.put("/score", text)
                chmod($0.path + "/score", mode)
                var times = [timeval(), timeval()]
                times[0].tv_sec = Int(Self.now - age)
                times[1] = times[0]
                utimes($0.path + "/score", &times)
            }["vulnerability_score"]
        }
        #expect(try file("42\n") == 42)
        #expect(try file("1000\n") == 1_000)
        for text in ["1001", "-1", "4.2", "", "many", "0x10", " ", "٤"] {
            #expect(try file(text) == nil, "\(text)")
        }
        #expect(try file("42", age: 3_600) == 42)
        #expect(try file("42", age: 3_601) == nil)
        #expect(try file("42", age: -1) == nil)
        #expect(try file("42", mode: 0o666) == nil)
        let fromCommand = #"{"vulnerability_score": {"command": ["/scan", "--total"]}}"#
        #expect(
            try Self.results(fromCommand, commands: ScriptedCommands.says("/scan --total", "7\n"))[
                "vulnerability_score"]
                == 7)
        #expect(
            try Self.results(fromCommand, commands: ScriptedCommands.says("/scan --total", "7\n", status: 1))
                .isEmpty)
    }
}
