import Foundation
import Testing

/// The scripts behind `make`, with what they are given said by the test.
@Suite("Scripts that people wait for")
struct ScriptTests {
    private static func bash(_ text: String) throws -> (status: Int32, text: String) {
        let script = "cd '\(Programs.root.path)' && set -euo pipefail && . scripts/lib/progress.sh\n" + text
        return try Child.output(of: "/bin/bash", ["-c", script], in: PrivateNetwork.shared())
    }

    /// Time is what a test says: each look at the clock is a second later. `talk_to` starts something that reads lines,
    /// `tell` writes to it, `wait_for` passes on what it says up to a line like this, and `end` the rest.
    private static func talk(_ text: String) throws -> (status: Int32, text: String) {
        try bash(
            """
            progress_every=1 progress_wait=0.01 looks=0
            progress_clock() { now=$((looks++)); }
            talk_to() {
                coproc talk { "$@"; }
                exec 3<&"${talk[0]}" 4>&"${talk[1]}"
                eval "exec ${talk[1]}>&-"
            }
            tell() { printf "$@" >&4; }
            wait_for() {
                local line
                while IFS= read -r line <&3; do
                    printf '%s\\n' "$line"
                    # shellcheck disable=SC2053
                    if [[ $line == $1 ]]; then return; fi
                done
                return 1
            }
            end() { exec 4>&-; cat <&3; }

            """ + text)
    }

    @Test("long work that says nothing is heard of all the same, errors at once, and lines come whole")
    func heartbeat() throws {
        let (status, text) = try Self.talk(
            """
            talk_to heartbeat "some work"
            tell 'first\\nx.swift:1: error: wrong\\nsec'
            # Between two of these nothing came in time but the half line.
            for heard in 1 2 3; do wait_for 'some work: * s: x.swift*'; done
            tell 'ond\\n'
            wait_for '* s: second'
            end
            """)
        #expect(status == 0)
        let lines = text.split(separator: "\n")
        let error = try #require(lines.firstIndex(of: "x.swift:1: error: wrong"), "\(text)")
        #expect(lines[error + 1].hasSuffix(" s: x.swift:1: error: wrong"), "\(text)")
        #expect(
            !lines.contains { $0.hasSuffix(": sec") || $0.hasSuffix(": ond") }, "a line was torn: \(text)")
    }

    @Test("work that fails shows the end of what it said, and fails the script")
    func failure() throws {
        let log = NSTemporaryDirectory() + "gatepost-progress-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: log) }
        let (status, text) = try Self.bash(
            """
            progress "good work" '\(log)' echo fine
            progress "bad work" '\(log)' bash -c 'echo the reason; exit 3'
            echo "not reached"
            """)
        #expect(status == 1)
        #expect(text.contains("bad work: failed; the end of \(log):\nfine\nthe reason\n"), "\(text)")
        #expect(!text.contains("not reached"))
        #expect(try String(contentsOfFile: log, encoding: .utf8) == "fine\nthe reason\n")
    }

    static let tests = """
        ◇ Test run started.
        ◇ Test "the first" started.
        ✔ Test "the first" passed after 0.1 seconds.
        ◇ Test case passing 1 argument x → 1 to "the second" started.
        ◇ Test "the second" started.
        measured: 7
        ✘ Test "the second" recorded an issue at A.swift:1:2: no
        ✔ Test run with 2 tests passed after 1 seconds.
        """

    @Test(
        "of the end-to-end suite every test is named when it begins; of the others failures and totals alone")
    func names() throws {
        for each in ["each", ""] {
            let (status, text) = try Self.bash("show_tests \(each) <<'LINES'\n\(Self.tests)\nLINES")
            #expect(status == 0)
            for line in ["measured: 7", "✘ Test \"the second\" recorded an issue at A.swift:1:2: no"] {
                #expect(text.contains("\n\(line)\n") || text.hasPrefix("\(line)\n"), "\(text)")
            }
            #expect(text.hasSuffix("✔ Test run with 2 tests passed after 1 seconds.\n"))
            let begun = text.split(separator: "\n").filter { $0.hasPrefix("test: ") && $0.contains("the ") }
            #expect(
                begun.map { $0.split(separator: " ", maxSplits: 2)[2] }
                    == (each.isEmpty ? [] : ["\"the first\"", "\"the second\""]), "\(text)")
        }
    }

    @Test("a suite whose test takes long says at least every so often how many passed and which began last")
    func longTest() throws {
        let (status, text) = try Self.talk(
            """
            talk_to show_tests
            tell '◇ Test "quick" started.\\n✔ Test "quick" passed after 1 s.\\n◇ Test "endless" started.\\n'
            for heard in 1 2; do wait_for '*began last: "endless"'; done
            end
            """)
        #expect(status == 0)
        #expect(text.contains("1 passed so far; began last: \"endless\""), "\(text)")
    }

    @Test("make requirements tells of the last whole run, also after make test-one")
    func requirements() throws {
        let folder = URL(filePath: NSTemporaryDirectory()).appending(
            path: "gatepost-rows-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["scripts", "docs", ".run"] {
            try FileManager.default.createDirectory(
                at: folder.appending(path: name), withIntermediateDirectories: true)
        }
        for name in ["scripts/requirements", "docs/requirements.tsv"] {
            try FileManager.default.copyItem(
                at: Programs.root.appending(path: name), to: folder.appending(path: name))
        }
        func write(_ name: String, _ text: String) throws {
            try text.write(to: folder.appending(path: ".run/\(name)"), atomically: true, encoding: .utf8)
        }
        func run() throws -> (status: Int32, text: String) {
            try Child.output(
                of: "/bin/bash", [folder.appending(path: "scripts/requirements").path],
                in: PrivateNetwork.shared())
        }
        try write("test-filter.log", "✔ Test \"000.3 of a part\" passed after 1 seconds.\n")
        let before = try run()
        #expect(before.status == 1 && before.text.contains("make test has not run to its end here yet"))
        let rows =
            "✔ Test \"000.3 000.5 two\" passed after 1 seconds.\n✘ Test \"004.4 one\" failed after 1 s.\n"
        try write("last-whole-run.log", rows)
        try write("test.log", "")
        let after = try run()
        #expect(after.status == 0, "\(after.text)")
        for (row, mark) in [("000.3", "tested"), ("000.5", "tested"), ("004.4", "FAILED")] {
            #expect(
                after.text.split(separator: "\n").contains {
                    $0.split(separator: " ").prefix(2) == [row[...], mark[...]]
                },
                "\(row)")
        }
        #expect(after.text.hasPrefix("requirements: from make test of 20"))
    }
}
