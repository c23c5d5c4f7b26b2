import Foundation
import Testing

extension EndToEnd {
    @Suite("The device check, and what it says when it cannot succeed")
    struct DeviceCheckTests {
        struct Combination: CustomTestStringConvertible, Sendable {
            var user: String
            var hasAgent: Bool
            var isInside: Bool
            var reason: String
            var testDescription: String { "\(user), agent \(hasAgent ? "runs" : "does not run")" }
        }

        static let combinations = [
            Combination(user: "alice", hasAgent: true, isInside: true, reason: ""),
            Combination(user: "carol", hasAgent: true, isInside: false, reason: "no-policy-matches"),
            Combination(user: "alice", hasAgent: false, isInside: false, reason: "agent-not-running"),
            // No device lets her in, so that nobody asks for one.
            Combination(user: "carol", hasAgent: false, isInside: false, reason: "no-policy-matches"),
        ]

        @Test(
            "004.20 of e-mail domain and agent both are needed: one of four combinations gets in",
            arguments: combinations)
        func fourCombinations(_ combination: Combination) throws {
            let stack = try Stack.current()
            if !combination.hasAgent { try stack.child("agent").stop() }
            defer { if !combination.hasAgent { try? stack.startAgent() } }
            let browser = try Chromium(stack)
            let path = "/\(combination.user)-\(combination.hasAgent)"
            try browser.open("https://vault.corp.test\(path)")
            try browser.signInAtCanaille(combination.user)
            if combination.isInside { return try browser.waitForApplication("vault") }
            try browser.wait(for: combination.reason) { try Self.reason(browser) == combination.reason }
            #expect(try !browser.text.contains("This page comes from the protected application"))
            #expect(try !stack.hasReachedUpstream(path), "the application was reached")
        }

        @Test(
            "001.7 a person who forbids the browser to reach the agent reads how to allow it, with the reason"
        )
        func permissionDenied() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack, permission: .denied)
            try browser.open("https://wiki.corp.test/")
            try browser.signInAtCanaille("alice")
            try browser.wait(for: "the reason") { try Self.reason(browser) == "permission-denied" }
            #expect(try browser.text.contains("site settings"))
            try stack.photograph(browser, "permission-denied")
        }

        @Test(
            "004.1 without the agent the page says so, and goes on with one click when the agent runs again")
        func agentStartsLater() throws {
            let stack = try Stack.current()
            try stack.child("agent").stop()
            let browser = try Chromium(stack)
            do {
                defer { try? stack.startAgent() }
                try browser.open("https://wiki.corp.test/later")
                try browser.signInAtCanaille("alice")
                try browser.wait(for: "the reason") { try Self.reason(browser) == "agent-not-running" }
                #expect(try browser.text.contains("Start it on this device"))
                try stack.photograph(browser, "agent-not-running")
            }
            try CheckPage.lookAgain(browser)
            try browser.waitForApplication("wiki")
            #expect(try browser.url == "https://wiki.corp.test/later")
        }

        @Test("while the agent takes its time the page waits and says what for")
        func slowAgent() throws {
            let stack = try Stack.current()
            let agent = try stack.child("agent")
            agent.signal(SIGSTOP)
            defer { agent.signal(SIGCONT) }
            let browser = try Chromium(stack)
            try browser.open("https://wiki.corp.test/")
            try browser.signInAtCanaille("alice")
            try browser.wait(for: "the device check") { try browser.title == "Checking this device" }
            #expect(try browser.text.contains("Checking this device"))
            try stack.photograph(browser, "device-check")
            agent.signal(SIGCONT)
            try browser.waitForApplication("wiki")
        }

        @Test("004.10 somebody else's device does not count, however healthy it is")
        func foreignDevice() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.open("https://wiki.corp.test/")
            try browser.signInAtCanaille("bob")
            try browser.wait(for: "the reason") { try Self.reason(browser) == "device-owner-mismatch" }
            let text = try browser.text
            #expect(text.contains("The device was enrolled by somebody else."), "what happened")
            #expect(text.contains("Use your own device"), "what to do")
            #expect(text.contains("Reason device-owner-mismatch"), "the word for whoever is asked for help")
            #expect(text.contains("Sign out"), "the way to another account")
            try stack.photograph(browser, "foreign-device")
            #expect(try !browser.text.contains("This page comes from the protected application"))
        }

        @Test("with the managed policy of docs/device-check.md nobody is asked: the check is silent")
        func managedPolicy() throws {
            let stack = try Stack.current()
            // Without it the browser guards the agent, because the gateway stands on a public address.
            let guarded = try Chromium(stack, permission: nil)
            try guarded.open("https://wiki.corp.test/")
            try guarded.signInAtCanaille("alice")
            try guarded.wait(for: "the reason") { try Self.reason(guarded) == "permission-denied" }

            let policy = try EngineTests.documented().chromium[0]
            #expect(policy.contains(PrivateNetwork.authHost))
            try stack.network.withChromiumPolicy(policy, in: stack.folder) {
                try Chromium(stack, permission: nil).enter("wiki", as: "alice")
            }
        }

        @Test("004.3 a device check is worth nothing in another session: relayed, it proves no device")
        func relayed() throws {
            let stack = try Stack.current()
            let attacker = try Chromium(stack, permission: .denied)
            try attacker.open("https://vault.corp.test/")
            try attacker.signInAtCanaille("bob")
            try attacker.wait(for: "the check") { try Self.reason(attacker) == "permission-denied" }
            let transaction = try attacker.url

            // The victim is signed in and has a healthy device. The attacker's check leads her into the
            // application as herself at most, and for that check her session gets no challenge.
            let victim = try Chromium(stack)
            try victim.enter("wiki", as: "alice")
            try victim.open(transaction)
            try victim.open("https://auth.corp.test/.gatepost/jwks.json")
            let ask = """
                const headers = {'content-type': 'application/json', 'x-gatepost-request': '1'};
                const body = JSON.stringify({tx: arguments[0]});
                return fetch('/.gatepost/posture/challenge', {method: 'POST', headers, body})
                  .then(async answer => answer.status + ' ' + (await answer.json()).reason);
                """
            let id = try #require(transaction.split(separator: "=").last.map(String.init))
            #expect(try victim.script(ask, [id]) as? String == "403 session-mismatch")
            #expect(try Client(stack).get(transaction).status != 200)
            try attacker.open("https://vault.corp.test/relayed")
            try attacker.wait(for: "the check") { try Self.reason(attacker) == "permission-denied" }
            #expect(try !stack.hasReachedUpstream("/relayed"))
        }

        @Test("the agent answers no page but the gateway's own, even where the browser lets the page through")
        func foreignPage() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack, permission: nil)
            try browser.open("https://people.corp.test/")
            try browser.signInAtLab("alice")
            try browser.waitForApplication("people")
            try browser.answer(.granted)
            let ask = """
                const headers = arguments[0] === 'cors' ? {'content-type': 'application/json'} : {};
                return fetch('http://127.0.0.1:\(Stack.agentPort)/v1/attest',
                  {method: 'POST', mode: arguments[0], body: '{}', headers})
                  .then(answer => answer.type, error => error.name);
                """
            // It reaches the agent: what follows is the agent's refusal and not the browser's.
            #expect(try browser.script(ask, ["no-cors"]) as? String == "opaque")
            #expect(try browser.script(ask, ["cors"]) as? String == "TypeError")
        }

        /// The reason on the screen: in the device check beside its remedy, elsewhere in the footer.
        static func reason(_ browser: any Browser) throws -> String? {
            try browser.script(
                """
                const remedy = document.querySelector('#remedy:not([hidden])');
                const word = document.querySelector('footer code');
                const isNamed = word && word.parentElement.innerText.startsWith('Reason');
                return remedy ? remedy.dataset.reason : isNamed ? word.innerText : null;
                """) as? String
        }
    }
}
