import Foundation
import Testing

extension EndToEnd {
    @Suite("Providers that are down, slow or talk nonsense")
    struct OutageTests {
        private static let people = "https://people.corp.test/"

        struct Fault: CustomTestStringConvertible, Sendable {
            var name: String
            var reason: String
            var options: [String] = []
            var testDescription: String { name }
        }

        static let openidFaults = [
            Fault(name: "down", reason: "identity-provider-unavailable"),
            Fault(name: "server-error", reason: "identity-provider-unavailable"),
            Fault(name: "malformed-json", reason: "identity-provider-unavailable"),
            Fault(name: "html-error", reason: "identity-provider-unavailable"),
            Fault(name: "huge-answer", reason: "identity-provider-unavailable"),
            Fault(name: "empty-400", reason: "identity-provider-refused"),
            Fault(name: "bad-signature", reason: "identity-provider-refused"),
            Fault(name: "wrong-nonce", reason: "identity-provider-refused"),
            Fault(name: "empty-aud", reason: "identity-provider-refused"),
        ]

        @Test(
            "a provider that fails at its token endpoint: a clear page for newcomers, known sessions go on",
            arguments: openidFaults)
        func tokenEndpoint(_ fault: Fault) throws {
            try Self.failAtCallback(fault)
        }

        @Test("a provider that answers too slowly: a clear page in time, known sessions go on")
        func slow() throws {
            try Self.failAtCallback(
                Fault(
                    name: "slow", reason: "identity-provider-unavailable",
                    options: ["--milliseconds", "60000"]))
        }

        private static func failAtCallback(_ fault: Fault) throws {
            let stack = try Stack.current()
            let known = try Client.signedIn(stack, application: "people")
            let new = Client(stack)
            let callback = try #require(try new.answerForm(of: "people", user: "bob").location)
            try stack.fault("openid", fault.name, fault.options)
            defer { try? stack.fault("openid", "none") }
            let answer = try new.get(callback)
            #expect(try known.fetch(people).status == 200)
            #expect(try new.fetch(people).status == 401)
            #expect(answer.field("gatepost-reason") == fault.reason)
            #expect(answer.status == (fault.reason == "identity-provider-refused" ? 403 : 503))
            #expect(answer.says("Reason <code>\(fault.reason)</code>"))
            #expect(answer.says("Request <code>"))
            #expect(answer.says("Try again"))
        }

        @Test("a provider that was restarted, with a new key, signs people in at once")
        func providerRestarts() throws {
            let stack = try Stack.current()
            try Chromium(stack).enter("desk", as: "alice", choosing: 1)
            try stack.restartProvider(hasNewKey: true)
            try Chromium(stack).enter("desk", as: "bob", choosing: 1)
        }

        @Test("a provider that ends idle connections faster than people type signs everybody in at once")
        func idleConnection() throws {
            let stack = try Stack.current()
            try stack.restartProvider(keepAliveSeconds: 1)
            defer { try? stack.restartProvider() }
            try Chromium(stack).enter("desk", as: "alice", choosing: 1, seconds: 5)
            try stack.waitForIdleProviderConnection()
            try Chromium(stack).enter("desk", as: "bob", choosing: 1, seconds: 5)
        }

        @Test(
            "a provider that was down from the start: a clear page at once, and sign-in when it is back"
        )
        func discovery() throws {
            let stack = try Stack.current()
            let known = try Client.signedIn(stack, application: "people")
            try stack.child("gateway").stop(seconds: 15)
            try stack.fault("openid", "down")
            defer { try? stack.fault("openid", "none") }
            try stack.startGateway()
            let new = Client(stack)
            let end = try new.follow(try new.get(Self.people)).answer
            #expect(end.status == 503)
            #expect(end.field("gatepost-reason") == "identity-provider-unavailable")
            #expect(end.says("Request <code>"))
            #expect(try known.fetch(Self.people).status == 200)
            try stack.fault("openid", "none")
            try poll("sign-in to work again", every: 0.25) {
                try new.follow(try new.get(Self.people)).answer.input("transaction")
            }
        }

        @Test(
            "003.3 while Graph fails the last verdict counts: sessions and new sign-ins go on"
        )
        func graphFails() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice")
            defer { try? stack.fault("graph", "none") }
            for fault in ["down", "server-error", "malformed", "truncated", "html-200"] {
                try stack.fault("graph", "none")
                let before = stack.graphRequests()
                try stack.fault("graph", fault)
                try poll("the gateway to ask Graph during \(fault)") {
                    (stack.graphRequests() > before + 1).whenTrue
                }
                try browser.open("https://wiki.corp.test/\(fault)")
                #expect(
                    try browser.text.contains("This page comes from the protected application"), "\(fault)")
            }
            let new = try Chromium(stack)
            try new.enter("wiki", as: "alice")
        }

        @Test("003.4 a device that Graph never spoke of is not let in: the page says why, with a request id")
        func graphNeverSpoke() throws {
            let stack = try Stack.current()
            try stack.child("gateway").stop(seconds: 15)
            for name in ["verdicts.sqlite", "verdicts.sqlite-wal", "verdicts.sqlite-shm"] {
                try? FileManager.default.removeItem(atPath: stack.path("state/" + name))
            }
            try stack.fault("graph", "down")
            defer {
                try? stack.fault("graph", "none")
                stack.killGateway()
                try? stack.startGateway()
            }
            try stack.startGateway()
            let browser = try Chromium(stack)
            try browser.open("https://wiki.corp.test/")
            try browser.signInAtCanaille("alice")
            try browser.wait(for: "the block page") { try browser.title == "Access to wiki is blocked" }
            let reason = try #require(try DeviceCheckTests.reason(browser))
            #expect(
                ["posture-missing", "posture-indeterminate", "device-partial"].contains(reason), "\(reason)")
            #expect(try browser.text.contains("Request "))
            try stack.photograph(browser, "no-verdict")
        }
    }
}
