import Foundation
import Testing

extension EndToEnd {
    @Suite(
        "Two registrations of one tenant, with Chromium: plain, and behind a device rule", .twoRegistrations)
    struct TwoRegistrationTests {
        private static func assertion(_ browser: Chromium) throws -> [String: Any] {
            let token = try #require(try browser.receivedFields()["gatepost-assertion"])
            let parts = token.split(separator: ".").map(String.init)
            try #require(parts.count == 3)
            var text = parts[1].replacingOccurrences(of: "-", with: "+").replacingOccurrences(
                of: "_", with: "/")
            while text.count % 4 != 0 { text += "=" }
            let data = try #require(Data(base64Encoded: text))
            return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        }

        /// Requests to the auth host of this kind, from the access log.
        private static func count(_ path: String, _ stack: Stack) throws -> Int {
            try stack.accessLog().filter { $0["path"] as? String == path }.count
        }

        @Test(
            "004.14 004.15 001.11 the managed one signs in silently on a good device: another sub, its own path"
        )
        func both() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.show(device: try stack.labValue("directoryDevice"), stack)
            try browser.open("https://intranet.corp.test/")
            try browser.signInAtTenant("alice", stack)
            try browser.waitForApplication("intranet")
            let plain = try Self.assertion(browser)
            let before = try Self.count("/.gatepost/callback/entra-managed", stack)
            // The tenant knows her: nobody types anything.
            try browser.open("https://ledger.corp.test/books?year=2026")
            try browser.waitForApplication("ledger")
            #expect(try browser.url == "https://ledger.corp.test/books?year=2026")
            let managed = try Self.assertion(browser)
            #expect(plain["idp"] as? String == "entra")
            #expect(managed["idp"] as? String == "entra-managed")
            #expect(plain["sub"] as? String != managed["sub"] as? String)
            #expect(plain["idp_iss"] as? String == managed["idp_iss"] as? String)
            #expect(try Self.count("/.gatepost/callback/entra", stack) >= 1)
            #expect(try Self.count("/.gatepost/callback/entra-managed", stack) == before + 1)
            // Both live side by side.
            try browser.open("https://intranet.corp.test/again")
            try browser.waitForApplication("intranet")
        }

        @Test(
            "004.17 001.7 the device rule's refusal is a page that helps, the plain session lives, repair lets in",
            arguments: [
                ("noncompliant", "AADSTS53000", "breaks a rule"), ("", "AADSTS50097", "could not see"),
                ("unknown", "AADSTS53001", "could not see"),
            ])
        func refused(_ device: String, _ code: String, _ words: String) throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            let known = try stack.labValue("directoryDevice")
            try browser.show(
                device: device == "" ? nil : device == "unknown" ? "00000000-dead" : known, stack)
            if device == "noncompliant" { try stack.setDevice(device) }
            defer { try? stack.setDevice("compliant") }
            try browser.open("https://intranet.corp.test/")
            try browser.signInAtTenant("alice", stack)
            try browser.waitForApplication("intranet")
            let path = "/books-\(code)"
            try browser.open("https://ledger.corp.test\(path)")
            try browser.wait(for: "the refusal") { try browser.text.contains(code) }
            #expect(try browser.text.contains(words))
            #expect(try browser.text.contains("stays open"))
            try stack.photograph(browser, "device-rule-\(code)")
            try browser.open("https://intranet.corp.test/still")
            try browser.waitForApplication("intranet")
            #expect(try !stack.hasReachedUpstream(path))
            try browser.open("https://ledger.corp.test\(path)")
            // The link itself, for the code stands in the path as well.
            try browser.wait(for: "the way on") { try browser.script(Self.wayOn) as? Int == 1 }
            #expect(try browser.text.contains(words))
            // Repaired, or in a browser that shows the device: one click leads to where she was going.
            // In another window, so that the page with the link stays.
            let page = try #require(try browser.windows.first)
            try browser.command("POST", "/window/new", ["type": "tab"])
            let other = try #require(try browser.windows.first { $0 != page })
            try browser.enter(window: other)
            try browser.show(device: known, stack)
            try browser.enter(window: page)
            try stack.setDevice("compliant")
            #expect(try browser.script(Self.goOn) as? Int == 1)
            try browser.waitForApplication("ledger")
            #expect(try browser.url == "https://ledger.corp.test\(path)")
        }

        private static let tryAgain =
            "[...document.querySelectorAll('a.button')].filter(a => a.textContent === 'Try again')"
        private static let wayOn = "return \(tryAgain).length;"
        /// The click comes behind the answer, which would go down with the page otherwise.
        private static let goOn = """
            const links = \(tryAgain);
            if (links.length === 1) setTimeout(() => links[0].click(), 0);
            return links.length;
            """

        @Test("004.17 coming by the guarded registration is evidence that a policy can ask for")
        func evidence() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.show(device: try stack.labValue("directoryDevice"), stack)
            let post = """
                return fetch('/change', {method: 'POST', headers: {accept: 'application/json'}})
                  .then(async answer => answer.status + ' ' + ((await answer.json()).reason || ''));
                """
            try browser.open("https://portal.corp.test/")
            try browser.click("nav a:nth-of-type(1)")
            try browser.signInAtTenant("alice", stack)
            try browser.waitForApplication("portal")
            #expect(try browser.script(post) as? String == "403 restricted-method")
            try browser.open("https://portal.corp.test/.gatepost/sign-in?choose")
            try browser.wait(for: "the chooser") { try browser.title == "Sign in to portal" }
            #expect(try browser.text.contains("Used last in this browser"))
            try browser.click("nav:last-of-type a:nth-of-type(1)")
            try browser.waitForApplication("portal")
            #expect(try Self.assertion(browser)["idp"] as? String == "entra-managed")
            #expect(try browser.script(post) as? String == "200 ")
        }

        struct Combination: CustomTestStringConvertible, Sendable {
            var user: String
            var hasAgent: Bool
            var isInside: Bool { user == "alice" && hasAgent }
            var testDescription: String { "\(user), agent \(hasAgent ? "runs" : "does not run")" }
        }

        static let combinations = ["alice", "carol"].flatMap { user in
            [true, false].map { Combination(user: user, hasAgent: $0) }
        }

        @Test(
            "004.20 of domain and agent only both get in, also where the other domain's device is proven",
            arguments: combinations)
        func fourCombinations(_ combination: Combination) throws {
            let stack = try Stack.current()
            if !combination.hasAgent { try stack.child("agent").stop() }
            defer { if !combination.hasAgent { try? stack.startAgent() } }
            let browser = try Chromium(stack)
            let path = "/records-\(combination.user)-\(combination.hasAgent)"
            let isPartner = combination.user == "carol"
            try browser.open("https://clinic.corp.test\(isPartner ? "/waiting" : path)")
            try browser.signInAtTenant(combination.user, stack)
            if isPartner {
                // Her device is asked for, and with the agent it is proven: what is missing is the domain alone.
                if combination.hasAgent {
                    try browser.waitForApplication("clinic")
                    #expect(try Self.assertion(browser)["device"] != nil)
                } else {
                    try browser.wait(for: "no agent") {
                        try DeviceCheckTests.reason(browser) == "agent-not-running"
                    }
                }
                try browser.open("https://clinic.corp.test\(path)")
            }
            if combination.isInside {
                try browser.waitForApplication("clinic")
                return #expect(try browser.url.hasSuffix(path))
            }
            // Without the agent she may lack a device as well.
            let reasons = isPartner ? ["no-policy-matches", "device-required"] : ["agent-not-running"]
            try browser.wait(for: "\(reasons)") {
                try reasons.contains(DeviceCheckTests.reason(browser) ?? "")
            }
            #expect(try !stack.hasReachedUpstream(path), "the application was reached")
        }

        @Test("004.19 the person's own device is theirs at both registrations")
        func ownDevice() throws {
            let stack = try Stack.current()
            // She is known at the tenant by the plain registration; her device is enrolled under that name.
            let first = try Chromium(stack)
            try first.open("https://intranet.corp.test/")
            try first.signInAtTenant("alice", stack)
            try first.waitForApplication("intranet")
            let name = try #require(try Self.assertion(first)["sub"] as? String)
            let printed = try stack.gatepost(
                "enroll-token", "--email", "alice@corp.example", "--identity-provider", "entra", "--subject",
                name)
            // Warnings about the configuration stand before it.
            let token = try #require(printed.split(separator: "\n").last)
            try stack.child("agent").stop()
            defer {
                try? stack.child("tenant-agent").stop()
                try? stack.startAgent()
            }
            try "{\"serial\":\"LAB-TENANT-0001\"}".write(
                toFile: stack.path("tenant-ids.json"), atomically: true, encoding: .utf8)
            try stack.run(
                "gatepost-agent",
                [
                    "enroll", "--state-dir", stack.path("tenant-agent"), "--device-ids",
                    stack.path("tenant-ids.json"), "--url", "https://\(PrivateNetwork.authHost)",
                    "--authorities", stack.path("certs/dev-ca.pem"),
                    "--token=\(token)",
                ])
            try stack.start(
                "tenant-agent", stack.program("gatepost-agent"),
                [
                    "run", "--state-dir", stack.path("tenant-agent"), "--device-ids",
                    stack.path("tenant-ids.json"),
                ])
            try stack.waitForAgent("tenant-agent")
            let browser = try Chromium(stack)
            try browser.show(device: try stack.labValue("directoryDevice"), stack)
            try browser.open("https://safe.corp.test/")
            try browser.click("nav a:nth-of-type(2)")
            try browser.signInAtTenant("alice", stack)
            try browser.waitForApplication("safe")
            #expect(try Self.assertion(browser)["idp"] as? String == "entra-managed")
        }
    }
}
