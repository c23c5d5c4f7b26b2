import Foundation
import Glibc
import Synchronization
import Testing

extension EndToEnd {
    @Suite("The gateway stops, or is killed")
    struct RestartTests {
        @Test("a graceful restart keeps browser sessions: nobody signs in again")
        func restart() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice")
            let client = try Client.signedIn(stack, application: "people")
            let gateway = try stack.child("gateway")
            gateway.stop(seconds: 15)
            #expect(gateway.status == 0, "the gateway ended with \(gateway.status ?? -999) on SIGTERM")
            try stack.startGateway()
            try browser.open("https://wiki.corp.test/after")
            try browser.waitForApplication("wiki")
            #expect(try client.fetch("https://people.corp.test/").status == 200)
        }

        @Test(
            "who asks in the first moments of a start, or of a new control process, is known with the device")
        func firstMoments() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice")
            let name = "__Host-gatepost"
            let value = try #require(try browser.cookie(name))
            let asking = Asking(stack, "https://wiki.corp.test/", ["-H", "Cookie: \(name)=\(value)"])
            try stack.child("gateway").stop(seconds: 15)
            try stack.startGateway()
            try poll("answers after the start") { (asking.answers >= 20).whenTrue }
            kill(try stack.processID("control"), SIGKILL)
            let before = asking.answers
            try poll("answers of the next control process") {
                (asking.answers >= before + 40).whenTrue
            }
            // 0: nobody listened. Who is asked before anything can be decided waits, or is asked to come again.
            #expect(asking.end().subtracting([0, 200, 503]).isEmpty)
        }

        @Test("SIGKILL loses no acknowledged session")
        func killed() throws {
            let stack = try Stack.current()
            let client = try Client.signedIn(stack, application: "people")
            stack.killGateway()
            try stack.startGateway()
            #expect(try client.fetch("https://people.corp.test/").status == 200)
        }

        @Test("a session revoked an instant before SIGKILL stays revoked")
        func revokedThenKilled() throws {
            let stack = try Stack.current()
            let revoked = try Client.signedIn(stack, application: "people", user: "bob")
            let kept = try Client.signedIn(stack, application: "people")
            #expect(try revoked.fetch("https://people.corp.test/").status == 200)
            let said = try stack.gatepost("session", "revoke", "--user", "bob@corp.example")
            stack.killGateway()
            #expect(said.contains("ended"))
            try stack.startGateway()
            #expect(try revoked.fetch("https://people.corp.test/").status == 401)
            #expect(try kept.fetch("https://people.corp.test/").status == 200)
        }
    }
}

/// Asks again and again, on a thread of its own and on a new connection each time.
private final class Asking: Sendable {
    private let seen = Mutex<(statuses: Set<Int>, good: Int, isOver: Bool)>(([], 0, false))

    init(_ stack: Stack, _ url: String, _ options: [String]) {
        let client = Client(stack)
        Thread.detachNewThread { [self] in
            while !seen.withLock({ $0.isOver }) {
                guard let status = try? client.get(url, options).status else { continue }
                seen.withLock {
                    $0.statuses.insert(status)
                    if status == 200 { $0.good += 1 }
                }
            }
        }
    }

    var answers: Int { seen.withLock { $0.good } }

    func end() -> Set<Int> {
        seen.withLock {
            $0.isOver = true
            return $0.statuses
        }
    }
}
