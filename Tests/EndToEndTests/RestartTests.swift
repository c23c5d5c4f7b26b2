import Foundation
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
