import Foundation
import Testing

/// A small disk of the gateway's own, in which its store and its access log are.
///
/// Nobody outside of the private network's mount namespace sees it, so it is written and read by programs inside.
struct SmallDisk {
    let stack: Stack
    private var state: String { stack.path("state") }

    /// Restarts the gateway on a copy of its store, and puts it back onto the old one afterwards.
    static func with(_ stack: Stack, _ body: (SmallDisk) throws -> Void) throws {
        let disk = SmallDisk(stack: stack)
        try stack.child("gateway").stop(seconds: 15)
        defer { try? stack.startGateway() }
        let copy = stack.path("state-copy")
        try disk.shell("mkdir -m 700 \(copy) && cp -a \(disk.state)/keys \(disk.state)/*.sqlite* \(copy)/")
        try disk.shell("mount -t tmpfs -o size=24m,mode=0700 tmpfs \(disk.state)")
        defer {
            try? stack.child("gateway").stop(seconds: 15)
            _ = try? disk.shell("umount \(disk.state); rm -rf \(copy)")
        }
        try disk.shell("cp -a \(copy)/. \(disk.state)/")
        // Requests are logged on the small disk, what happens to the gateway itself elsewhere.
        let program = stack.path("gateway-on-small-disk")
        try """
        #!/bin/bash
        exec \(stack.program("gatepost")) "$@" >>\(disk.state)/access.log
        """.write(toFile: program, atomically: true, encoding: .utf8)
        chmod(program, 0o755)
        try stack.startGateway(program: program)
        try body(disk)
    }

    @discardableResult
    func shell(_ command: String) throws -> String { try stack.run("/bin/bash", ["-c", command]) }

    /// Takes every page that is free, also those that a log of SQLite's keeps for what it writes next.
    func fill() throws {
        let truncate =
            "import sqlite3,sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)')"
        try shell("for file in \(state)/*.sqlite; do python3 -c \"\(truncate)\" $file; done")
        try shell(
            "head -c 100000000 /dev/zero >\(state)/fill 2>/dev/null; test $(df --output=avail \(state) | tail -n 1) = 0"
        )
    }

    func free() throws { try shell("rm \(state)/fill") }

    func accessLines() throws -> [Substring] {
        try shell("cat \(state)/access.log").split(separator: "\n")
    }
}

extension EndToEnd {
    @Suite("A disk that is full")
    struct FullDiskTests {
        private static let people = "https://people.corp.test/"

        @Test(
            "newcomers get a page that says so, known sessions go on, a revocation fails aloud; with room all works"
        )
        func full() throws {
            let stack = try Stack.current()
            try SmallDisk.with(stack) { disk in
                let known = try Client.signedIn(stack, application: "people")
                let other = try Client.signedIn(stack, application: "people", user: "bob")
                let new = Client(stack)
                let callback = try #require(try new.answerForm(of: "people").location)
                try disk.fill()
                let pid = try Self.process(stack)
                try Self.expectRefused(try new.get(callback))
                try Self.expectService(known)
                try Self.expectFailedRevocation(stack)
                try Self.loseDecisions(stack)

                try disk.free()
                let later = try Self.afterDecisionLog(stack)
                #expect(
                    try stack.gatepost("session", "revoke", "--user", "bob@corp.example").contains("ended"))
                #expect(try other.fetch(Self.people).status == 401)
                #expect(try known.fetch(Self.people).status == 200)
                try Self.expectLogs(disk, later)
                #expect(try Self.process(stack) == pid, "a process was started anew")
            }
        }

        private static func process(_ stack: Stack) throws -> [Int] {
            try stack.processes().compactMap { $0["pid"] as? Int }.sorted()
        }

        /// Somebody who signs in once decisions are on record again: that is tried every two seconds.
        private static func afterDecisionLog(_ stack: Stack) throws -> Client {
            try poll("the decision log to go on", every: 0.5) {
                let client = try Client.signedIn(stack, application: "people")
                return try decisionLog(stack)["failing"] as? Bool == false ? client : nil
            }
        }

        private static func expectRefused(_ answer: Answer) throws {
            #expect(answer.status == 503)
            #expect(answer.field("gatepost-reason") == "store-unavailable")
            #expect(answer.says("Reason <code>store-unavailable</code>"))
            #expect(answer.says("Request <code>"))
            // What an administrator needs to know is for nobody else.
            #expect(!answer.says("sqlite"))
        }

        /// Enough lines that some of them find no room.
        private static func expectService(_ known: Client) throws {
            let padding = String(repeating: "x", count: 900)
            for number in 0..<10 {
                #expect(try known.fetch("\(people)during/\(number)/\(padding)").status == 200)
            }
        }

        private static func expectFailedRevocation(_ stack: Stack) throws {
            let run = try ProgramRun(
                stack, ["session", "revoke", "--user", "bob@corp.example", "--config", stack.folder.path])
            #expect(run.status == 1 && run.output == "", "\(run)")
            #expect(run.errors.contains("the disk or the quota is full; free some space"))
        }

        /// Another policy, by which everybody who is signed in is decided anew: that needs no room in the store, and
        /// finds none on record. The file's last page may take some of it, so there are further ones until it is full.
        private static func loseDecisions(_ stack: Stack) throws {
            let file = stack.path("full-disk.yaml")
            defer { try? FileManager.default.removeItem(atPath: file) }
            func lost() throws -> Int { try #require(try decisionLog(stack)["entries_lost"] as? Int) }
            let before = try lost()
            var number = 0
            try poll("a decision that finds no room", every: 0.1) {
                number += 1
                try """
                version: 1
                applications:
                  archive:
                    host: archive.corp.test
                    upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
                    identity-providers: [ hr-staff ]
                    policies:
                      - { name: staff-\(number), action: allow, include: [ { group: staff } ] }

                """.write(toFile: file, atomically: true, encoding: .utf8)
                let said = try stack.gatepost("reload")
                #expect(said.contains("application archive"), "\(said)")
                return try (lost() > before).whenTrue
            }
            #expect(try decisionLog(stack)["failing"] as? Bool == true)
        }

        private static func decisionLog(_ stack: Stack) throws -> [String: Any] {
            try #require(try stack.status()["decision_log"] as? [String: Any])
        }

        private static func expectLogs(_ disk: SmallDisk, _ later: Client) throws {
            let stack = disk.stack
            #expect(try later.fetch(people + "after").status == 200)
            let lines = try poll("the access log to go on") {
                let lines = try disk.accessLines()
                return lines.contains { $0.contains(#""/after""#) } ? lines : nil
            }
            let torn = lines.filter { (try? JSONSerialization.jsonObject(with: Data($0.utf8))) == nil }
            #expect(torn.count <= 1, "\(torn)")
            let counters = try stack.dataPlane()["counters"] as? [String: Any]
            #expect((counters?["log_lines_lost"] as? Int ?? 0) > 0)
            let said = try stack.child("gateway").output
            #expect(said.contains(#""event":"access-log-failed","what":"No space left on device""#))
            #expect(said.contains(#""event":"access-log-works-again""#))

            let log = try decisionLog(stack)
            #expect(log["failing"] as? Bool == false)
            #expect((log["entries_lost"] as? Int ?? 0) > 0, "\(log)")
            // As soon as there was room the log said so itself.
            let lost = try stack.gatepost("events", "--kind", "lost", "--json")
            #expect(lost.contains(#""entries":"#), "\(lost)")
            print("a full disk: \(counters?["log_lines_lost"] ?? "?") lines of the access log lost; \(log)")
            // Whatever was lost before it, a decision of afterwards is on record with its inputs.
            let line = try #require(lines.last { $0.contains(#""/after""#) })
            let request = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            let decision = try #require(request?["decision"] as? String)
            let explained = try poll("the decision to be on record", every: 0.25) {
                try? stack.gatepost("explain", "--decision", decision)
            }
            #expect(explained.contains("at people: forward"), "\(explained)")
        }
    }
}
