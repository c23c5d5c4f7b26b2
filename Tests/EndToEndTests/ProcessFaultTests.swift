import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("A process of the gateway that hangs, or does not begin, is in nobody's way")
    struct ProcessFaultTests {
        @Test(
            "a reactor that never ends with a head: the process is ended, said where, and the head is refused"
        )
        func hungReactor() throws {
            let stack = try Stack.current()
            try stack.child("gateway").stop(seconds: 15)
            let word = "endless-\(UUID().uuidString)"
            try stack.startGateway(environment: ["GATEPOST_HANG_AT": word])
            defer {
                try? stack.child("gateway").stop(seconds: 15)
                try? stack.startGateway()
            }
            let load = try Load(seconds: 1)
            _ = try load.finish()
            let before = try load.pid("data")
            let poison = ["-H", "X-Poison: \(word)", "--max-time", "30"]
            let person = Client(stack)
            #expect(try person.get("https://people.corp.test/", poison).status == 0)
            try poll("another data process") {
                (try? load.pid("data")).flatMap { $0 != before ? () : nil }
            }
            let log = try stack.child("gateway").output
            #expect(log.contains(#""event":"process-hung""#) && log.contains(#""stage":"request-head""#))
            let pid = try load.pid("data")
            let again = try person.get("https://people.corp.test/", poison)
            #expect(again.status == 400 && again.field("gatepost-reason") == "request-malformed", "\(again)")
            #expect([302, 303].contains(try person.get("https://people.corp.test/").status))
            #expect(try load.pid("data") == pid, "it hung in the same request again")
        }

        @Test("a data process that is stopped is ended and started again; who waits in its sockets is served")
        func stoppedData() throws {
            let load = try Load(seconds: 1)
            _ = try load.finish()
            let before = try load.pid("data")
            kill(before, SIGSTOP)
            let answer = try load.client.fetch("https://people.corp.test/", ["--max-time", "30"])
            #expect(answer.status == 200, "\(answer)")
            #expect(try load.pid("data") != before)
            #expect(try load.stack.child("gateway").output.contains("no sign of life"))
        }

        @Test(
            "an old control process that hangs is ended by force: the upgrade goes on, and no request is lost"
        )
        func stoppedControl() throws {
            let load = try Load(seconds: 25)
            defer { load.stop() }
            let (supervisor, control) = try (load.supervisor(), load.pid("control"))
            kill(control, SIGSTOP)
            let gateway = try load.stack.child("gateway")
            let before = gateway.output.components(separatedBy: #""event":"upgraded""#).count
            kill(supervisor, SIGUSR2)
            try poll("the upgrade") {
                (gateway.output.components(separatedBy: #""event":"upgraded""#).count > before).whenTrue
            }
            let counts = try load.finish()
            print("changed to another program with a control process that hung: \(counts)")
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
            #expect(try load.pid("control") != control)
        }

        @Test(
            "an upgrade whose control process does not begin is replaced by the next upgrade; no request is lost"
        )
        func upgradeStalls() throws {
            let load = try Load(seconds: 45)
            defer { load.stop() }
            let stack = load.stack
            let supervisor = try load.supervisor()
            let gateway = try stack.child("gateway")
            func count(_ word: String) -> Int { gateway.output.components(separatedBy: word).count - 1 }
            let (refused, upgraded) = (count(#""upgrade-refused""#), count(#""upgraded""#))
            let ended = count(#""process-ended""#)
            // The check of the configuration does not look there; a control process cannot begin without.
            let (store, aside) = (stack.path("state"), stack.path("state-aside"))
            try FileManager.default.moveItem(atPath: store, toPath: aside)
            try Data().write(to: URL(filePath: store))
            func restore() throws {
                guard FileManager.default.fileExists(atPath: aside) else { return }
                try FileManager.default.removeItem(atPath: store)
                try FileManager.default.moveItem(atPath: aside, toPath: store)
            }
            defer { try? restore() }
            kill(supervisor, SIGUSR2)
            try poll("a control process that failed") {
                (count(#""process-ended""#) > ended).whenTrue
            }
            kill(supervisor, SIGUSR2)
            try poll("the second upgrade to be refused") {
                (count(#""upgrade-refused""#) > refused).whenTrue
            }
            // What is in its way has its time first.
            var asked: Int?
            try poll("an upgrade that is taken", every: 1) {
                let now = count(#""upgrade-refused""#)
                if asked == now { return true }
                asked = now
                kill(supervisor, SIGUSR2)
                return nil
            }
            try restore()
            try poll("the upgrade") { (count(#""upgraded""#) > upgraded).whenTrue }
            let counts = try load.finish()
            print("an upgrade that stalled, and the one after it: \(counts)")
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
            #expect(try load.supervisor() == supervisor)
        }
    }
}
