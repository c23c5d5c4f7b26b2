import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("The gateway's two processes end, start again and change under load")
    struct TwoProcessTests {
        @Test(
            "SIGKILL of the control process loses no request of a known session, and who signs in then waits")
        func controlKilled() throws {
            let load = try Load(seconds: 8)
            let before = try load.pid("control")
            kill(before, SIGKILL)
            // A sign-in begins while nobody can answer it: it waits until somebody can.
            let other = Client(load.stack)
            let answer = try other.get("https://people.corp.test/")
            #expect([302, 303].contains(answer.status), "\(answer)")
            let counts = try load.finish()
            print("control process killed: \(counts)")
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
            #expect(try load.pid("control") != before)
            #expect(try load.client.fetch("https://people.corp.test/").status == 200)
        }

        @Test("SIGKILL of the data process: serving again within a second, on the same listening sockets")
        func dataKilled() throws {
            let load = try Load(seconds: 6)
            kill(try load.pid("data"), SIGKILL)
            let counts = try load.finish()
            print("data process killed: \(counts)")
            #expect(counts.answered > 100, "\(counts)")
            #expect(counts.longestGapMilliseconds <= 1_000, "\(counts)")
            // What was open is lost; whoever came meanwhile waited in the sockets that the supervisor keeps open.
            #expect(!counts.problems.contains { $0.contains("Refused") }, "\(counts)")
            #expect(counts.lost <= 6, "\(counts)")
        }

        @Test("five reloads under load lose no request")
        func reloads() throws {
            let load = try Load(seconds: 6, http2: 2)
            let gateway = try load.stack.child("gateway")
            let before = gateway.output.components(separatedBy: "configuration reloaded").count
            for reload in 1...5 {
                gateway.signal(SIGHUP)
                try poll("reload \(reload)") {
                    (gateway.output.components(separatedBy: "configuration reloaded").count >= before + reload)
                        .whenTrue
                }
            }
            let counts = try load.finish()
            print("five reloads: \(counts)")
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
        }

        @Test("a change to another program under load loses no request; the supervisor keeps its number")
        func upgrade() throws {
            let load = try Load(seconds: 12, http2: 2)
            let (data, control) = (try load.pid("data"), try load.pid("control"))
            let supervisor = try load.supervisor()
            #expect(try load.stack.gatepost("upgrade").contains("\(supervisor)"))
            let counts = try load.finish()
            print("changed to another program: \(counts)")
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
            try poll("new processes") {
                (try load.pid("data") != data && load.pid("control") != control).whenTrue
            }
            #expect(try load.supervisor() == supervisor)
            #expect(try load.client.fetch("https://people.corp.test/").status == 200)
        }

        @Test("a session revoked an instant before the control process is killed stays revoked")
        func revokedThenControlKilled() throws {
            let stack = try Stack.current()
            let revoked = try Client.signedIn(stack, application: "people", user: "bob")
            let load = try Load(seconds: 3)
            #expect(try revoked.fetch("https://people.corp.test/").status == 200)
            let pid = try load.pid("control")
            #expect(try stack.gatepost("session", "revoke", "--user", "bob@corp.example").contains("ended"))
            kill(pid, SIGKILL)
            #expect(try revoked.fetch("https://people.corp.test/").status == 401)
            #expect(try load.finish().lost == 0)
            try poll("another control process") {
                (try? load.pid("control")).flatMap { $0 != pid ? () : nil }
            }
            #expect(try revoked.fetch("https://people.corp.test/").status == 401)
        }

        @Test(
            "while the control process does not answer, who is not known gets 503 with Retry-After at the deadline"
        )
        func controlStopped() throws {
            let stack = try Stack.current()
            let load = try Load(seconds: 12)
            let pid = try load.pid("control")
            kill(pid, SIGSTOP)
            let answer = try Client(stack).get("https://people.corp.test/")
            kill(pid, SIGCONT)
            #expect(answer.status == 503 && answer.field("retry-after") != nil, "\(answer)")
            #expect(answer.field("gatepost-reason") == "control-plane-unavailable")
            #expect(try load.finish().lost == 0)
        }

        @Test("both processes have given up what they do not need; nobody reads their memory")
        func confined() throws {
            let stack = try Stack.current()
            try stack.child("gateway").stop(seconds: 15)
            try stack.startGateway(environment: ["PROVIDER_SECRET": "told by the environment"])
            defer {
                try? stack.child("gateway").stop(seconds: 15)
                try? stack.startGateway()
            }
            let load = try Load(seconds: 1)
            for name in ["data", "control"] {
                let pid = try load.pid(name)
                let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
                #expect(status.contains("NoNewPrivs:\t1"), "\(name)")
                #expect(status.contains("Seccomp:\t2"), "\(name)")
                // What faces the network reaches none of its neighbours either.
                #expect(status.contains("Seccomp_filters:\t\(name == "data" ? 2 : 1)"), "\(name)")
                // Root is nobody without them; the control process reads what is its user's.
                for set in ["Inh", "Prm", "Eff", "Bnd", "Amb"] where name == "data" {
                    #expect(status.contains("Cap\(set):\t0000000000000000\n"), "\(status)")
                }
                let environment = try Data(contentsOf: URL(filePath: "/proc/\(pid)/environ"))
                let names = environment.split(separator: 0).map {
                    String(decoding: $0.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
                }
                // Secrets may come by the environment: `client-secret: { env: NAME }`.
                #expect(names.contains("PROVIDER_SECRET") == (name == "control"), "\(name): \(names)")
                let limits = try String(contentsOfFile: "/proc/\(pid)/limits", encoding: .utf8)
                let core = limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") }
                #expect(core?.split(separator: " ").dropFirst(4).first == "0", "\(name): \(core ?? "")")
            }
            #expect(try load.finish().lost == 0)
        }

        @Test("what the data process died of is refused when it comes again; nobody else is")
        func quarantine() throws {
            let stack = try Stack.current()
            try stack.child("gateway").stop(seconds: 15)
            let word = "poison-\(UUID().uuidString)"
            try stack.startGateway(environment: ["GATEPOST_TRAP_AT": word])
            defer {
                try? stack.child("gateway").stop(seconds: 15)
                try? stack.startGateway()
            }
            let load = try Load(seconds: 8)
            let before = try load.pid("data")
            let poison = ["-H", "X-Poison: \(word)"]
            let person = Client(stack)
            #expect(try person.get("https://people.corp.test/", poison).status == 0)
            try poll("another data process") {
                (try? load.pid("data")).flatMap { $0 != before ? () : nil }
            }
            let pid = try load.pid("data")
            let again = try person.get("https://people.corp.test/", poison)
            #expect(again.status == 400 && again.field("gatepost-reason") == "request-malformed", "\(again)")
            #expect([302, 303].contains(try person.get("https://people.corp.test/").status))
            #expect(try load.pid("data") == pid, "it died of the same request again")
            let counts = try load.finish()
            print("a head that traps: \(counts)")
            #expect(counts.lost <= 6 && counts.longestGapMilliseconds <= 1_000, "\(counts)")
        }

        @Test("SIGKILL of the supervisor leaves no process behind")
        func noOrphans() throws {
            let load = try Load(seconds: 1)
            let pids = try [load.pid("data"), load.pid("control")]
            _ = try load.finish()
            kill(try load.supervisor(), SIGKILL)
            try poll("the others to end") {
                pids.allSatisfy { pid in
                    let stat = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ") X"
                    // A zombie has ended; whoever inherited it has not looked yet.
                    return ["Z", "X"].contains(
                        stat.components(separatedBy: ") ").last?.first.map(String.init))
                }.whenTrue
            }
            load.stack.killGateway()
            try load.stack.startGateway()
        }
    }
}
