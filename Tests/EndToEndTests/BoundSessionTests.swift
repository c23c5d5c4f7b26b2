import Foundation
import Testing

extension EndToEnd {
    @Suite("A session bound to a key, with Chromium's own implementation")
    struct BoundSessionTests {
        /// Without a security chip Chromium keeps keys in software, when it is told to.
        private static let features = [
            "DeviceBoundSessions", "EnableBoundSessionCredentialsSoftwareKeysForManualTesting",
        ]
        private static let page = "https://strongroom.corp.test/"
        private static let configuration = """
            version: 1
            applications:
              strongroom:
                host: strongroom.corp.test
                upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
                identity-providers: [ hr-staff ]
                policies:
                  - name: bound
                    action: allow
                    include: [ { group: staff } ]
                    require: [ { key-bound: true } ]

            """

        private static func withLedger(_ stack: Stack, _ body: () throws -> Void) throws {
            let file = stack.path("strongroom.yaml")
            try Self.configuration.write(toFile: file, atomically: true, encoding: .utf8)
            func restart() throws {
                try stack.child("gateway").stop()
                try stack.startGateway()
            }
            defer {
                try? FileManager.default.removeItem(atPath: file)
                try? restart()
            }
            try restart()
            try body()
        }

        @Test(
            "Chromium registers a key after the sign-in, renews the cookie with it, and a copied cookie dies")
        func bound() throws {
            let stack = try Stack.current()
            try Self.withLedger(stack) {
                let browser = try Chromium(stack, features: Self.features)
                try browser.open(Self.page)
                try browser.signInAtLab("alice")
                try browser.waitForApplication("strongroom")
                // Lines come to the log within a tenth of a second; the page may come to the browser before them.
                let registered = try poll("the registration's line in the access log") {
                    let lines = try stack.accessLog().filter {
                        $0["path"] as? String == "/.gatepost/dbsc/register" && $0["status"] as? Int == 200
                    }
                    return lines.isEmpty ? nil : lines
                }
                #expect(registered.compactMap { $0["host"] as? String } == ["strongroom.corp.test"])

                let stolen = try #require(try browser.cookie("__Host-gatepost"))
                let thief = Client(stack)
                func asThief() throws -> Int {
                    try thief.fetch(Self.page, ["-H", "Cookie: __Host-gatepost=\(stolen)"]).status
                }
                #expect(try asThief() == 200, "until the next proof a cookie is a cookie")
                // As if it had run out.
                try browser.throwAway(cookie: "__Host-gatepost")
                try browser.open(Self.page + "again")
                try browser.waitForApplication("strongroom")
                let current = try #require(try browser.cookie("__Host-gatepost"))
                #expect(current != stolen)
                try poll("the copied cookie to die", seconds: 60, every: 1) {
                    try (asThief() == 401).whenTrue
                }
                try browser.open(Self.page + "still")
                try browser.waitForApplication("strongroom")
            }
        }

        @Test("a browser without keys is told so, and its other sessions are ordinary ones")
        func ordinary() throws {
            let stack = try Stack.current()
            try Self.withLedger(stack) {
                let person = Client(stack)
                let end = try person.follow(try person.answerForm(of: "strongroom", user: "alice"))
                #expect(end.answer.status == 403)
                #expect(end.answer.field("gatepost-reason") == "key-required")
                #expect(
                    try person.fetch("https://people.corp.test/").status == 401, "not signed in there yet")
            }
        }
    }
}
